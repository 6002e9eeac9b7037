//! What is lent a connection, and what happens to it at the wrong moment.

use std::time::Duration;

use narrows::engine::settings::EngineSettings;
use narrows::engine::{BackendId, ClientId, Mail, Reply};
use narrows::session::AuthMode;

use crate::scenarios::harness::{Harness, without_alarms};

/// Its time is over before the server has said that it may be tried, or before a pipe has room.
#[test]
fn a_wait_of_a_moment_without_a_place_is_tried_before_it_is_told_that_nothing_is_there() {
    let ask = "*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nEXEC\r\n";
    let element = "*2\r\n$1\r\nq\r\n$1\r\na\r\n";
    for (result, heard) in [(element, element), ("*-1\r\n", "*-1\r\n")] {
        for full in [false, true] {
            let mut harness = Harness::new(1, |settings| {
                without_alarms(settings);
                settings.pool.pipe_in_flight_max = 2;
            });
            let (waiter, other) = (harness.client(), harness.client());
            harness.send(other, "GET a\r\n");
            let pipe = harness.connect();
            harness.written(pipe);
            harness.reply(pipe, b"$-1\r\n");
            if full {
                harness.send(other, "GET a\r\nGET a\r\n");
                harness.written(pipe);
            }
            harness.send(waiter, "BLPOP q 0.005\r\n");
            if full {
                assert_eq!(harness.written(pipe), "");
                harness.reply(pipe, b"$-1\r\n$-1\r\n");
            }
            harness.advance(Duration::from_millis(10));
            assert_eq!(harness.received(waiter), "");
            assert_eq!(harness.written(pipe), ask);
            harness.reply(pipe, b"+OK\r\n*0\r\n");
            let asked = harness.written(pipe);
            assert!(asked.contains("BLPOP\r\n$1\r\nq\r\n"), "{asked}");
            harness.reply(pipe, format!("+OK\r\n+QUEUED\r\n*1\r\n{result}").as_bytes());
            assert_eq!(harness.received(waiter), heard);
        }
    }
}

#[test]
fn a_wait_that_is_ended_before_it_was_sent_is_answered_once_and_never_begins() {
    let mut harness = Harness::new(2, without_alarms);
    let (waiter, other) = (harness.client(), harness.client());
    harness.send(other, "GET a\r\n");
    let pipe = harness.connect();
    harness.written(pipe);
    harness.reply(pipe, b"$-1\r\n");
    harness.send(waiter, "BLPOP q 0\r\nPING\r\n");
    // Whether it may be asked for what lies there, and then that: nothing does.
    let lease = harness.connect();
    assert_eq!(
        harness.written(pipe),
        "*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nEXEC\r\n"
    );
    harness.reply(pipe, b"+OK\r\n*0\r\n");
    let asked = harness.written(pipe);
    assert!(asked.contains("BLPOP\r\n$1\r\nq\r\n"), "{asked}");
    // It is lent one then, and nothing of the wait is written.
    harness.reply(pipe, b"+OK\r\n+QUEUED\r\n*1\r\n*-1\r\n");
    harness.send(other, "CLIENT UNBLOCK 1 ERROR\r\n");
    assert_eq!(harness.closed, [lease]);
    assert_eq!(
        harness.received(waiter),
        "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"
    );
    let written = harness.written(pipe);
    assert_eq!(written, "*1\r\n$4\r\nPING\r\n");
    harness.reply(pipe, b"+PONG\r\n");
    assert_eq!(harness.received(waiter), "+PONG\r\n");
    assert_eq!(harness.received(other), "$-1\r\n:1\r\n");
}

#[test]
fn who_has_asked_for_silence_learns_by_its_end_that_a_request_was_not_carried_out() {
    let huge = format!(
        "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2000000\r\n{}",
        "x".repeat(70_000)
    );
    let silences = ["CLIENT REPLY OFF\r\n", "CLIENT REPLY SKIP\r\n"];
    let requests = [
        "SET a 1\r\n",
        "BLPOP q 0\r\n",
        "WATCH a\r\n",
        "SCRIPT KILL\r\n",
        &huge,
    ];
    for (silence, request) in silences.iter().flat_map(|s| requests.map(|r| (s, r))) {
        let mut harness = Harness::new(4, without_alarms);
        let (silent, hears) = (harness.client(), harness.client());
        harness.send(silent, silence);
        harness.send(silent, request);
        harness.send(hears, "SET a 1\r\n");
        // No dial comes to anything.
        harness.advance(Duration::from_secs(4));
        let what = request.get(..20).unwrap_or(request);
        assert_eq!(harness.gone, [silent], "{silence} {what}");
        assert!(harness.received(hears).starts_with("-TRYAGAIN narrows: "));
    }
}

#[test]
fn what_a_reply_under_way_may_change_is_judged_when_it_is_here_and_nothing_else_waits() {
    let mut harness = Harness::new(3, without_alarms);
    let client = harness.client();
    harness.send(client, "WATCH k\r\n");
    let lease = harness.connect();
    harness.written(lease);
    harness.reply(lease, b"+OK\r\n");
    // Sound ones follow each other without a round trip.
    let sound = "MULTI\r\nSET a 1\r\nEXEC\r\n";
    harness.send(client, &sound.repeat(3));
    assert_eq!(harness.written(lease).matches("EXEC").count(), 3);
    for _ in 0..3 {
        harness.reply(lease, b"+OK\r\n+QUEUED\r\n");
        harness.reply(lease, b"*1\r\n+OK\r\n");
    }
    harness.received(client);
    // One that narrows has refused a part of is not run; the next one waits for its end.
    harness.send(client, "WATCH k\r\n");
    let lease = lease_of(&mut harness);
    harness.reply(lease, b"+OK\r\n");
    harness.send(
        client,
        &format!("MULTI\r\nAUTH x\r\nEXEC\r\nWATCH k\r\n{sound}"),
    );
    harness.written(lease);
    harness.reply(lease, b"+OK\r\n");
    let written = harness.written(lease);
    assert!(
        written.contains("DISCARD") && written.contains("SET"),
        "{written}"
    );
    assert!(!written.contains("EXEC"), "{written}");
    harness.reply(lease, b"+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n");
    assert_eq!(harness.written(lease), "*1\r\n$4\r\nEXEC\r\n");
    harness.reply(lease, b"*1\r\n+OK\r\n");
    let heard = harness.received(client);
    assert!(heard.contains("-EXECABORT "), "{heard}");
    assert!(
        heard.ends_with("+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n"),
        "{heard}"
    );
    assert_eq!(harness.closed, []);
}

/// The connection that has been lent now, whose first request is written.
fn lease_of(harness: &mut Harness) -> BackendId {
    let ids: Vec<BackendId> = harness.permits.iter().map(|(id, _)| *id).collect();
    let has_work = |id: &BackendId| !harness.engine.writing().of_backend(*id).is_empty();
    let found = ids.into_iter().find(has_work);
    let id = found.expect("a connection with something to write");
    harness.written(id);
    id
}

/// A client that has asked for `own_connection`, which is on its way.
fn on_own_connection(harness: &mut Harness, own_connection: &str) -> (ClientId, BackendId) {
    let client = harness.client();
    harness.send(client, own_connection);
    let backend = harness.permits.last().expect("a dial under way").0;
    harness.engine.dialled(backend, harness.now);
    harness.written(backend);
    harness.reply(backend, b"*2\r\n$2\r\nid\r\n:9\r\n");
    assert_ne!(harness.written(backend), "");
    (client, backend)
}

/// A RESP3 client that is subscribed to `ch`, and its connection.
pub(crate) fn subscriber(harness: &mut Harness) -> (ClientId, BackendId) {
    let client = harness.client();
    harness.send(client, "HELLO 3\r\nSUBSCRIBE ch\r\n");
    harness.connect();
    let lease = harness.connect();
    assert!(harness.written(lease).contains("SUBSCRIBE"));
    harness.reply(lease, b">3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n");
    assert!(harness.received(client).ends_with(":1\r\n"));
    (client, lease)
}

#[test]
fn what_a_transaction_says_to_its_own_client_stands_where_the_server_has_put_it() {
    let (message, invalid) = (
        ">3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$2\r\nhi\r\n",
        ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n",
    );
    let inside = format!("*3\r\n:1\r\n{message}{message}:2\r\n{message}*1\r\n{invalid}+a\r\n");
    let behind = format!("*3\r\n:1\r\n:2\r\n*1\r\n+a\r\n{message}{message}{message}");
    for exec in [inside, behind] {
        let answer = format!("+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n{exec}+PONG\r\n");
        for at in 1..answer.len() {
            let mut harness = Harness::new(8, without_alarms);
            let (client, lease) = subscriber(&mut harness);
            harness.send(
                client,
                "MULTI\r\nINCR n\r\nPUBLISH ch hi\r\nEVAL x 0\r\nEXEC\r\nPING\r\n",
            );
            harness.written(lease);
            harness.reply(lease, &answer.as_bytes()[..at]);
            harness.reply(lease, &answer.as_bytes()[at..]);
            assert_eq!(harness.received(client), answer, "cut at {at}");
            assert!(harness.closed.is_empty());
        }
    }
}

#[test]
fn where_nothing_is_said_unasked_a_push_inside_a_reply_closes_its_connection() {
    let mut harness = Harness::new(8, without_alarms);
    let (client, lease) = subscriber(&mut harness);
    harness.send(client, "UNSUBSCRIBE\r\nMULTI\r\nINCR n\r\nEXEC\r\n");
    harness.written(lease);
    harness.reply(lease, b">3\r\n$11\r\nunsubscribe\r\n$2\r\nch\r\n:0\r\n");
    harness.written(lease);
    harness.reply(lease, b"+OK\r\n+QUEUED\r\n*1\r\n>1\r\n+message\r\n:1\r\n");
    assert_eq!(harness.closed, [lease]);
}

#[test]
fn an_own_connection_that_takes_longer_than_a_request_may_ends_its_connection() {
    for own_connection in ["SCRIPT KILL\r\n", "CLIENT PAUSE 10\r\n"] {
        let mut harness = Harness::new(4, |settings| {
            without_alarms(settings);
            settings.clients.request_timeout = Duration::from_millis(100);
        });
        let (client, backend) = on_own_connection(&mut harness, own_connection);
        harness.advance(Duration::from_millis(90));
        assert_eq!(harness.received(client), "");
        harness.advance(Duration::from_millis(30));
        let heard = harness.received(client);
        assert!(heard.starts_with("-ERR narrows: "), "{heard}");
        assert_eq!(harness.closed, [backend]);
    }
}

#[test]
fn an_own_connection_never_runs_as_the_user_that_its_client_was_when_it_was_dialled() {
    let mut harness = Harness::new(4, without_alarms);
    let client = harness.client();
    harness.send(client, "SCRIPT KILL\r\n");
    let before = harness.permits.last().expect("a dial under way").0;
    harness.engine.dialled(before, harness.now);
    harness.written(before);
    harness.log_in_as("another");
    harness.reply(before, b"*2\r\n$2\r\nid\r\n:9\r\n");
    assert_eq!(harness.written(before), "");
    assert_eq!(harness.closed, [before]);
    let after = harness.permits.last().expect("another dial under way").0;
    harness.engine.dialled(after, harness.now);
    assert!(harness.written(after).contains("another"));
    harness.reply(after, b"+OK\r\n*2\r\n$2\r\nid\r\n:9\r\n");
    assert!(harness.written(after).contains("KILL"));
}

#[test]
fn nothing_is_late_while_the_server_is_paused_and_all_is_again_when_it_goes_on() {
    let mut harness = Harness::new(4, |settings| {
        without_alarms(settings);
        settings.clients.request_timeout = Duration::from_millis(100);
        settings.backend.stall_timeout = Duration::from_secs(1);
    });
    let other = harness.client();
    harness.send(other, "INCR k\r\n");
    let pipe = harness.connect();
    harness.written(pipe);
    let (operator, backend) = on_own_connection(&mut harness, "CLIENT PAUSE 60000\r\n");
    harness.reply(backend, b"+OK\r\n");
    assert_eq!(harness.received(operator), "+OK\r\n");
    // Control is held up too.
    harness.check_health(false);
    harness.advance(Duration::from_secs(60));
    assert_eq!(harness.received(other), "");
    harness.advance(Duration::from_millis(120));
    assert!(harness.received(other).contains("request_timeout"));
    harness.advance(Duration::from_secs(2));
    assert_eq!(harness.closed, [backend, pipe]);

    // A pause that the server refuses is none.
    harness.send(other, "INCR k\r\n");
    let pipe = harness.connect();
    harness.written(pipe);
    let (operator, backend) = on_own_connection(&mut harness, "CLIENT PAUSE 60000\r\n");
    harness.reply(backend, b"-NOPERM no\r\n");
    assert_eq!(harness.received(operator), "-NOPERM no\r\n");
    harness.advance(Duration::from_millis(120));
    assert!(harness.received(other).contains("request_timeout"));
}

#[test]
fn what_follows_an_own_connection_waits_until_its_connection_which_is_in_no_db_is_gone() {
    let mut harness = Harness::new(4, without_alarms);
    let client = harness.client();
    harness.send(client, "SELECT 5\r\nSET a 1\r\n");
    let pipe = harness.connect();
    harness.reply(pipe, b"+OK\r\n");
    assert!(harness.written(pipe).contains("SET"));
    harness.reply(pipe, b"+OK\r\n");
    harness.send(client, "SCRIPT KILL\r\nGET a\r\nSCRIPT KILL\r\n");
    let own_connection = harness.permits.last().expect("a dial under way").0;
    assert_ne!(own_connection, pipe);
    harness.engine.dialled(own_connection, harness.now);
    harness.written(own_connection);
    harness.reply(own_connection, b"*2\r\n$2\r\nid\r\n:9\r\n");
    assert_eq!(
        harness.written(own_connection),
        "*2\r\n$6\r\nSCRIPT\r\n$4\r\nKILL\r\n"
    );
    assert_eq!(harness.written(pipe), "");
    harness.reply(own_connection, b"-NOTBUSY no script\r\n");
    assert_eq!(harness.closed, [own_connection]);
    assert_eq!(harness.written(pipe), "*2\r\n$3\r\nGET\r\n$1\r\na\r\n");
}

#[test]
fn names_of_fields_stay_on_a_connection_of_their_clients_own_until_all_are_discarded() {
    let mut harness = Harness::new(3, without_alarms);
    let (importer, other) = (harness.client(), harness.client());
    harness.send(other, "GET a\r\n");
    let pipe = harness.connect();
    harness.written(pipe);
    harness.reply(pipe, b"$-1\r\n");
    harness.send(importer, "HIMPORT PREPARE f a b\r\nHIMPORT SET k f 1 2\r\n");
    let lease = harness.connect();
    let written = harness.written(lease);
    assert!(written.contains("PREPARE") && written.contains("SET"));
    harness.reply(lease, b"+OK\r\n+OK\r\n");
    // An error, and one name of perhaps several, undo nothing.
    harness.send(importer, "HIMPORT DISCARD f\r\nHIMPORT DISCARDALL\r\n");
    harness.written(lease);
    harness.reply(lease, b":1\r\n-LOADING not now\r\n");
    harness.send(importer, "HIMPORT SET k f 1 2\r\nHIMPORT DISCARDALL\r\n");
    assert!(harness.written(lease).contains("SET"));
    harness.reply(lease, b"-ERR no such fieldset\r\n:0\r\n");
    assert_eq!(
        harness.received(importer),
        "+OK\r\n+OK\r\n:1\r\n-LOADING not now\r\n-ERR no such fieldset\r\n:0\r\n"
    );
    // It is everybody's again.
    assert!(harness.closed.is_empty());
    harness.send(importer, "SELECT 3\r\n");
    assert!(harness.written(lease).contains("SELECT"));
}

#[test]
fn before_the_servers_own_limit_is_known_nobody_is_told_that_there_is_no_room() {
    for is_known in [true, false] {
        let mut harness = Harness::new(6, without_alarms);
        harness.budget.await_limit();
        let client = harness.client();
        harness.send(client, "WATCH k\r\n");
        let backend = harness.connect();
        harness.written(backend);
        harness.reply(backend, b"+OK\r\n");
        assert_eq!(harness.received(client), "+OK\r\n");
        for (request, sent, reply) in [
            (
                "CLIENT NO-TOUCH ON\r\n",
                "*3\r\n$6\r\nCLIENT\r\n$8\r\nNO-TOUCH\r\n$2\r\nON\r\n",
                "+OK\r\n",
            ),
            (
                "SUBSCRIBE x\r\n",
                "*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nx\r\n",
                "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n",
            ),
        ] {
            let is_first = harness.budget.is_limit_awaited();
            harness.send(client, request);
            if is_first {
                assert_eq!(harness.received(client), "");
                // Control has asked for the limit before it carries out what it is asked.
                if is_known {
                    harness.budget.stop_growth(false);
                }
                harness.engine.mail(Mail::CommandsLearned, harness.now);
                harness.turn();
            }
            if !is_known {
                assert!(harness.received(client).starts_with("-TRYAGAIN narrows: "));
                break;
            }
            assert_eq!(harness.written(backend), sent);
            harness.reply(backend, reply.as_bytes());
            assert_eq!(harness.received(client), reply);
        }
        assert!(harness.engine.survey().census().totals_agree);
    }
}

#[test]
fn logins_that_are_under_way_count_and_go_with_those_who_wait_for_them() {
    let mut harness = Harness::with_access(1, without_alarms, AuthMode::Passthrough);
    let held = |harness: &Harness| harness.engine.survey().snapshot().gauges.buffered_bytes;
    let (client, other) = (harness.client(), harness.client());
    let password = "x".repeat(10_000);
    let login = format!("*2\r\n$4\r\nAUTH\r\n$10000\r\n{password}\r\n");
    for id in [client, other] {
        harness.send(id, &login);
    }
    // Twice as it was sent, and once for the check that both share.
    assert!(held(&harness) >= 30_000, "{}", held(&harness));
    assert!(harness.engine.survey().census().totals_agree);
    harness.engine.client_gone(client, harness.now);
    harness.turn();
    assert_eq!(
        harness.engine.survey().census().logins,
        1,
        "the other still waits for it"
    );
    harness.engine.client_gone(other, harness.now);
    harness.turn();
    assert_eq!(
        (harness.engine.survey().census().logins, held(&harness)),
        (0, 0)
    );
    assert!(harness.engine.survey().census().totals_agree);
}

#[test]
fn answers_that_are_being_gathered_count_and_go_with_who_waits_for_them() {
    let bounded = |settings: &mut EngineSettings| {
        without_alarms(settings);
        settings.clients.memory_bytes_max = 3 * 20_000;
    };
    let mut harness = Harness::one_of(3, 1, bounded, AuthMode::None);
    let held = |harness: &Harness| harness.engine.survey().snapshot().gauges.buffered_bytes;
    let line = || Reply::List(vec![(9, vec![b'x'; 15_000])]);
    let (client, other) = (harness.client(), harness.client());
    for id in [client, other] {
        harness.send(id, "*2\r\n$6\r\nCLIENT\r\n$4\r\nLIST\r\n");
    }
    let own = held(&harness);
    assert!((1..5_000).contains(&own), "its own lines: {own}");
    let [first, second] = harness.asked[..] else {
        panic!("both ask the other workers: {:?}", harness.asked);
    };
    harness
        .engine
        .mail(Mail::Answered(first, line()), harness.now);
    assert_eq!(held(&harness), own + 15_000);
    assert!(harness.engine.survey().census().totals_agree);
    harness.engine.client_gone(client, harness.now);
    harness.turn();
    assert_eq!(harness.engine.survey().census().fan_outs, 1);
    assert!(
        held(&harness) < own,
        "only the other's is left: {}",
        held(&harness)
    );
    // More than may be held here: who waits for it is closed, whoever the answer comes from.
    let third = harness.client();
    harness.send(third, "*2\r\n$6\r\nCLIENT\r\n$4\r\nLIST\r\n");
    harness
        .engine
        .mail(Mail::Answered(second, line()), harness.now);
    harness
        .engine
        .mail(Mail::Answered(harness.asked[2], line()), harness.now);
    harness.turn();
    assert_eq!(harness.gone.len(), 1, "one of the two is closed");
    assert_eq!(harness.engine.survey().census().fan_outs, 1);
    assert!(harness.engine.survey().census().totals_agree);
}

#[test]
fn an_exec_in_whose_place_a_discard_was_sent_is_told_the_truth_when_that_is_lost() {
    let mut harness = Harness::new(4, without_alarms);
    let client = harness.client();
    harness.send(client, "MULTI\r\nSELECT 2\r\nAUTH x\r\nEXEC\r\n");
    let lease = harness.connect();
    harness.written(lease);
    harness.reply(lease, b"+OK\r\n");
    harness.written(lease);
    harness.reply(lease, b"+QUEUED\r\n");
    let heard = harness.received(client);
    assert!(heard.contains("inside a transaction"), "{heard}");
    assert!(harness.written(lease).contains("DISCARD"));
    harness.engine.backend_gone(lease, harness.now);
    harness.turn();
    let heard = harness.received(client);
    assert!(heard.starts_with("-EXECABORT "), "{heard}");
    assert_eq!(heard.lines().count(), 1, "{heard}");
    // Its client is where it was, and goes on there.
    harness.send(client, "GET a\r\n");
    let pipe = harness.connect();
    assert!(harness.written(pipe).contains("GET"));
    harness.reply(pipe, b"$-1\r\n");
    assert_eq!(harness.received(client), "$-1\r\n");
}
