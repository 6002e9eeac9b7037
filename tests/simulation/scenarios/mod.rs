//! Orderings that once went wrong in the engine, one by one and by name, where the simulation
//! meets them too seldom to be relied upon. The engine is driven by hand: no socket, no clock.

mod certificate;
mod cleaning;
mod exec_replies;
mod figures;
mod forward_batch;
mod given_up;
mod harness;
mod idle;
mod leaving;
mod line;
mod on_lease;
mod replaced;
mod warm;
mod work;

use std::time::Duration;

use narrows::engine::{BackendId, ClientId};

use harness::{Harness, without_alarms};

#[test]
fn a_silent_backend_is_found_out_in_time_without_any_other_alarm() {
    let mut harness = Harness::new(1, without_alarms);
    let client = harness.client();
    harness.send(client, "INCR a\r\n");
    let backend = harness.connect();
    harness.written(backend);
    harness.reply(backend, b":1\r\n");
    assert_eq!(harness.received(client), ":1\r\n");
    harness.advance(Duration::from_secs(1000));
    harness.send(client, "INCR a\r\n");
    harness.written(backend);
    harness.advance(Duration::from_secs(70));
    assert!(
        harness
            .received(client)
            .starts_with("-ERR narrows: backend connection lost")
    );
    assert_eq!(harness.closed, [backend]);
}

#[test]
fn an_idle_engine_sleeps_also_when_requests_can_time_out() {
    let mut harness = Harness::new(1, |settings| {
        without_alarms(settings);
        settings.clients.request_timeout = Duration::from_millis(10);
    });
    let client = harness.client();
    harness.send(client, "INCR a\r\n");
    let backend = harness.connect();
    harness.written(backend);
    harness.advance(Duration::from_millis(20));
    assert!(harness.received(client).contains("request_timeout"));
    harness.reply(backend, b":1\r\n");
    harness.advance(Duration::from_secs(1));
    assert!(harness.advance(Duration::from_secs(1000)) < 150);
    assert_eq!(harness.received(client), "");
}

#[test]
fn a_spare_backend_that_owes_a_pong_is_not_switched() {
    let mut harness = Harness::new(1, |settings| {
        settings.pool.idle_timeout = Duration::ZERO;
        settings.pool.max_lifetime = Duration::ZERO;
    });
    let first = harness.client();
    harness.send(first, "GET a\r\n");
    harness.engine.client_gone(first, harness.now);
    let backend = harness.connect();
    harness.advance(Duration::from_secs(31));
    let ping = harness.written(backend);
    let second = harness.client();
    harness.send(second, "SELECT 3\r\n");
    assert_eq!(harness.written(backend), "");
    harness.reply(backend, pong(&ping).as_bytes());
    let switch = harness.written(backend);
    assert!(switch.contains("SELECT"));
    harness.reply(backend, format!("+OK\r\n{}", pong(&switch)).as_bytes());
    assert_eq!(harness.received(second), "+OK\r\n");
}

#[test]
fn a_switch_whose_answer_was_not_its_own_ends_the_connection() {
    for shifted in [
        "-LOADING not now\r\n+OK\r\n",
        "+OK\r\n+OK\r\n",
        "-ERR DB index\r\n+OK\r\n",
    ] {
        let mut harness = Harness::new(1, without_alarms);
        let (first, second) = (harness.client(), harness.client());
        harness.send(first, "GET a\r\n");
        harness.engine.client_gone(first, harness.now);
        let backend = harness.connect();
        harness.written(backend);
        harness.send(second, "SELECT 3\r\nSET k v\r\n");
        harness.advance(Duration::from_millis(50));
        assert!(harness.written(backend).contains("SELECT"));
        harness.reply(backend, shifted.as_bytes());
        assert_eq!(harness.closed, [backend], "{shifted}");
    }
}

/// The right answer to the check that ends `written`.
fn pong(written: &str) -> String {
    let (_, word) = written.rsplit_once("$4\r\nPING\r\n").expect("a check");
    assert!(word.starts_with("$24\r\nnarrows:"), "{word}");
    word.to_owned()
}

#[test]
fn an_idle_backend_is_pinged_as_often_as_is_set() {
    let mut harness = Harness::new(1, |settings| {
        without_alarms(settings);
        settings.pool.ping_interval = Duration::from_millis(300);
    });
    let client = harness.client();
    harness.send(client, "INCR a\r\n");
    let backend = harness.connect();
    harness.written(backend);
    harness.reply(backend, b":1\r\n");
    for _ in 0..10 {
        harness.advance(Duration::from_millis(301));
        let ping = harness.written(backend);
        harness.reply(backend, pong(&ping).as_bytes());
    }
}

#[test]
fn a_reply_of_another_kind_reaches_nobody() {
    for (asked, wrong) in [
        ("GET a\r\n", &b":1\r\n"[..]),
        ("GET a\r\n", b"*1\r\n$100\r\n"),
        ("INCR a\r\n", b"$1000\r\nsecret"),
        ("LRANGE a 0 1\r\n", b"+OK\r\n"),
        ("SET a b\r\n", b"%1\r\n"),
        ("DEL a\r\n", b"|1\r\n+ttl\r\n:1\r\n+OK\r\n"),
    ] {
        let mut harness = Harness::new(1, |settings| settings.clients.replay_reads = false);
        let (first, second) = (harness.client(), harness.client());
        harness.send(first, asked);
        harness.send(second, "ECHO x\r\n");
        let backend = harness.connect();
        harness.written(backend);
        harness.reply(backend, wrong);
        harness.reply(backend, b"$1\r\nx\r\n");
        let invalid =
            "-ERR narrows: the backend sent an invalid reply; the command may have run\r\n";
        let heard = harness.received(first);
        // Attributes pass before the kind is known.
        assert!(
            heard.ends_with(invalid) && !heard.contains("OK"),
            "{asked}: {heard}"
        );
        assert_eq!(harness.received(second), invalid);
        assert_eq!(harness.closed, [backend]);
    }
}

#[test]
fn a_nil_array_that_comes_in_pieces_is_a_reply_to_a_pop() {
    let mut harness = Harness::new(1, without_alarms);
    let client = harness.client();
    harness.send(client, "LPOP a 3\r\n");
    let backend = harness.connect();
    harness.written(backend);
    for byte in b"*-1\r\n" {
        harness.reply(backend, &[*byte]);
    }
    assert_eq!(harness.received(client), "*-1\r\n");
    assert!(harness.closed.is_empty());
}

#[test]
fn a_server_whose_commands_answer_in_their_own_way_can_be_had() {
    let mut harness = Harness::new(1, |settings| settings.pool.check_kinds = false);
    let client = harness.client();
    harness.send(client, "GET a\r\n");
    let backend = harness.connect();
    harness.written(backend);
    harness.reply(backend, b":1\r\n");
    assert_eq!(harness.received(client), ":1\r\n");
}

/// A pipe that is never idle, with a check under way behind one request and before another.
fn checked_while_busy() -> (Harness, ClientId, BackendId, String) {
    let mut harness = Harness::new(1, |settings| {
        without_alarms(settings);
        settings.pool.check_interval = Duration::from_millis(100);
    });
    let client = harness.client();
    harness.send(client, "ECHO a\r\n");
    let backend = harness.connect();
    harness.written(backend);
    harness.advance(Duration::from_millis(101));
    let ping = harness.written(backend);
    harness.send(client, "ECHO b\r\n");
    harness.written(backend);
    (harness, client, backend, pong(&ping))
}

#[test]
fn a_busy_pipe_that_gives_its_word_back_goes_on() {
    let (mut harness, client, backend, pong) = checked_while_busy();
    harness.reply(backend, format!("$1\r\na\r\n{pong}$1\r\nb\r\n").as_bytes());
    assert_eq!(harness.received(client), "$1\r\na\r\n$1\r\nb\r\n");
    assert!(harness.closed.is_empty());
    // Nothing is asked while nothing is due.
    harness.advance(Duration::from_secs(10));
    assert_eq!(harness.written(backend), "");
}

#[test]
fn a_reply_sent_twice_is_found_by_the_next_check() {
    let (mut harness, client, backend, pong) = checked_while_busy();
    harness.reply(backend, format!("$1\r\na\r\n$1\r\na\r\n{pong}").as_bytes());
    assert_eq!(harness.closed, [backend]);
    let heard = harness.received(client);
    assert!(
        !heard.contains("narrows:0") && heard.starts_with("$1\r\na\r\n"),
        "{heard}"
    );
}

#[test]
fn a_reply_left_out_is_found_by_the_next_check() {
    let (mut harness, client, backend, pong) = checked_while_busy();
    harness.reply(backend, format!("$1\r\na\r\n$1\r\nb\r\n{pong}").as_bytes());
    assert_eq!(harness.closed, [backend]);
    let heard = harness.received(client);
    assert!(
        heard.starts_with("$1\r\na\r\n-ERR narrows: the backend sent"),
        "{heard}"
    );
}

#[test]
fn the_word_of_a_check_is_nobodys_reply() {
    let (mut harness, client, backend, pong) = checked_while_busy();
    harness.reply(backend, pong.as_bytes());
    assert_eq!(
        harness.closed,
        [backend],
        "the reply before it was left out"
    );
    let heard = harness.received(client);
    let told = heard.matches("-ERR narrows: the backend sent").count();
    assert_eq!((told, heard.contains('$')), (2, false), "{heard}");
}

#[test]
fn half_an_info_that_timed_out_is_no_part_of_the_next_one() {
    let mut harness = Harness::new(1, |settings| {
        settings.clients.request_timeout = Duration::from_millis(100);
    });
    let (first, second) = (harness.client(), harness.client());
    harness.send(first, "INFO\r\n");
    let backend = harness.connect();
    harness.written(backend);
    harness.reply(backend, b"$8\r\nfir");
    harness.advance(Duration::from_millis(150));
    assert!(harness.received(first).contains("request_timeout"));
    harness.send(second, "INFO\r\n");
    harness.written(backend);
    harness.reply(backend, b"st: 1\r\n$9\r\nsecond: 2\r\n");
    assert_eq!(harness.received(second), "$9\r\nsecond: 2\r\n");
    assert_eq!(harness.received(first), "");
}

#[test]
fn a_silent_request_that_times_out_keeps_the_order_of_replies() {
    let mut harness = Harness::new(1, |settings| {
        settings.clients.request_timeout = Duration::from_millis(100);
    });
    let client = harness.client();
    harness.send(client, "CLIENT REPLY SKIP\r\nGET a\r\nGET b\r\n");
    let backend = harness.connect();
    harness.written(backend);
    harness.advance(Duration::from_millis(150));
    assert_eq!(
        harness.received(client).matches("request_timeout").count(),
        1
    );
    harness.send(client, "GET c\r\n");
    harness.written(backend);
    harness.reply(backend, b"$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
    assert_eq!(harness.received(client), "$1\r\nc\r\n");
}

#[test]
fn a_client_whose_info_was_refused_goes_on() {
    let mut harness = Harness::new(1, |_| {});
    let client = harness.client();
    harness.send(client, "INFO\r\n");
    harness.advance(Duration::from_secs(4));
    assert!(harness.received(client).starts_with("-TRYAGAIN"));
    harness.send(client, "CLIENT ID\r\n");
    assert_eq!(harness.received(client), ":1\r\n");
}

#[test]
fn an_upload_that_the_server_answers_early_lets_its_client_go_on() {
    let mut harness = Harness::new(1, |settings| settings.clients.big_request_bytes = 100_000);
    let client = harness.client();
    harness.send(client, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\n");
    harness.send(client, &"x".repeat(400_000));
    let backend = harness.connect();
    assert!(
        !harness.engine.may_read(client),
        "the backend takes nothing yet"
    );
    harness.reply(backend, b"-ERR Protocol error: invalid bulk length\r\n");
    assert!(harness.received(client).starts_with("-ERR Protocol error"));
    assert_eq!(harness.closed, [backend]);
    assert!(harness.engine.may_read(client));
    harness.send(client, &"x".repeat(600_000));
    harness.send(client, "\r\nCLIENT ID\r\n");
    assert_eq!(harness.received(client), ":1\r\n");
}

#[test]
fn nothing_follows_an_unknown_outcome_where_that_disconnects() {
    let mut harness = Harness::new(1, |settings| {
        settings.clients.on_unknown_outcome =
            narrows::engine::settings::OnUnknownOutcome::Disconnect;
    });
    let client = harness.client();
    harness.send(client, "INCR a\r\nGET b\r\nCLIENT ID\r\n");
    let backend = harness.connect();
    harness.written(backend);
    harness.engine.backend_gone(backend, harness.now);
    harness.turn();
    assert_eq!(harness.received(client), "");
    assert_eq!(harness.engine.survey().clients_len(), 0);
}

#[test]
fn a_reply_before_the_whole_request_ends_the_connection_and_splices_nothing() {
    let mut harness = Harness::new(1, |_| {});
    let (first, second) = (harness.client(), harness.client());
    harness.send(first, "INCR a\r\n");
    let backend = harness.connect();
    assert!(!harness.engine.writing().of_backend(backend).is_empty());
    harness.engine.backend_wrote(backend, 5, harness.now);
    harness.send(second, "INCR b\r\n");
    harness.reply(backend, b"-ERR early\r\n");
    assert_eq!(harness.received(first), "-ERR early\r\n");
    assert_eq!(harness.closed, [backend]);
    let backend = harness.connect();
    assert!(harness.written(backend).ends_with("$1\r\nb\r\n"));
    harness.reply(backend, b":1\r\n");
    assert_eq!(harness.received(second), ":1\r\n");
}

#[test]
fn asking_for_one_db_after_another_of_a_dead_server_fills_no_memory() {
    let mut harness = Harness::new(1, |_| {});
    for round in 0..20 {
        let clients: Vec<ClientId> = (0..200).map(|_| harness.client()).collect();
        for (at, client) in clients.iter().enumerate() {
            harness.send(*client, &format!("SELECT {}\r\n", round * 200 + at + 1));
        }
        harness.advance(Duration::from_secs(4));
        for client in clients {
            assert!(harness.received(client).starts_with("-TRYAGAIN"));
        }
    }
    assert_eq!(harness.engine.survey().census().clients, 0);
    assert!(harness.engine.survey().census().contexts < 300);
}

#[test]
fn what_is_sent_behind_a_select_that_could_not_be_carried_out_does_not_run() {
    for (silence, replies) in [("", 1), ("CLIENT REPLY OFF\r\n", 0)] {
        let mut harness = Harness::new(1, |_| {});
        let busy = harness.client();
        harness.send(busy, "GET a\r\n");
        let backend = harness.connect();
        harness.written(backend);
        let client = harness.client();
        harness.send(client, &format!("{silence}SELECT 1\r\nSET k v\r\n"));
        // The only connection is being drained for it and owes a reply past the deadline.
        harness.advance(Duration::from_secs(4));
        assert_eq!(
            harness.received(client).matches("-TRYAGAIN").count(),
            replies
        );
        harness.send(client, "SET k v\r\n");
        harness.reply(backend, b"$1\r\na\r\n");
        assert!(!harness.written(backend).contains("SET"));
        assert_eq!(
            harness.engine.survey().census().clients,
            1,
            "only the busy one is left"
        );
    }
}

#[test]
fn a_server_that_takes_no_more_connections_serves_every_context_by_turns() {
    let mut harness = Harness::new(4, |_| {});
    let (first, second) = (harness.client(), harness.client());
    harness.send(first, "GET a\r\n");
    let backend = harness.connect();
    harness.written(backend);
    harness.reply(backend, b"$1\r\na\r\n");
    assert_eq!(harness.received(first), "$1\r\na\r\n");
    harness.send(second, "SELECT 1\r\n");
    for _ in 0..50 {
        while let Some((id, permit)) = harness.permits.pop_if(|(id, _)| *id != backend) {
            drop(permit);
            harness
                .engine
                .dial_failed(id, "refused".to_owned(), harness.now);
            harness.turn();
        }
        harness.advance(Duration::from_millis(20));
        let written = harness.written(backend);
        if written.contains("SELECT") {
            harness.reply(backend, format!("+OK\r\n{}", pong(&written)).as_bytes());
            break;
        }
    }
    assert_eq!(harness.received(second), "+OK\r\n");
}

#[test]
fn an_upload_that_was_to_stay_silent_ends_its_client_when_its_backend_is_lost() {
    let mut harness = Harness::new(1, |settings| settings.clients.big_request_bytes = 100_000);
    let client = harness.client();
    harness.send(client, "CLIENT REPLY SKIP\r\n");
    harness.send(client, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$200000\r\n");
    harness.send(client, &"x".repeat(100_000));
    let backend = harness.connect();
    harness.written(backend);
    harness.engine.backend_gone(backend, harness.now);
    harness.turn();
    // It has not run, which its client cannot be told.
    assert_eq!(harness.gone, [client]);
}

#[test]
fn two_busy_contexts_do_not_pass_the_connection_to_and_fro_before_a_third_that_waits() {
    let mut harness = Harness::new(1, |settings| {
        without_alarms(settings);
        settings.pool.check_interval = Duration::ZERO;
        settings.pool.pipe_in_flight_max = 1;
        settings.pool.slice = Duration::from_millis(1);
    });
    let clients: Vec<ClientId> = (0..5).map(|_| harness.client()).collect();
    for client in &clients[..2] {
        harness.send(*client, "GET a\r\n");
    }
    let backend = harness.connect();
    for (client, db) in clients[2..].iter().zip([1, 1, 2]) {
        harness.send(*client, &format!("SELECT {db}\r\nGET a\r\n"));
    }
    let mut turns = 0;
    loop {
        for request in harness.written(backend).split('*').skip(1) {
            turns += usize::from(request.contains("SELECT"));
            if request.contains("SELECT") {
                harness.reply(backend, b"+OK\r\n");
            } else if request.contains("PING") {
                harness.reply(backend, pong(request).as_bytes());
            } else {
                harness.reply(backend, b"$1\r\nx\r\n");
            }
        }
        if harness.received(clients[4]).contains('x') {
            return;
        }
        assert!(
            turns < 10,
            "the third context has waited for {turns} turns of others"
        );
        for client in &clients[..4] {
            if harness.received(*client).contains('x') {
                harness.send(*client, "GET a\r\n");
            }
        }
        harness.advance(Duration::from_millis(2));
    }
}
