//! Orderings that once went wrong in the engine, one by one and by name, where the simulation
//! meets them too seldom to be relied upon. The engine is driven by hand: no socket, no clock.

mod cleaning;
mod desk;
mod figures;
mod forward_batch;
mod idle;
mod leaving;
mod line;
mod on_lease;
mod places;
mod replaced;
mod warm;
mod work;

use std::time::Duration;

use narrows::engine::{BackendId, ClientId};

use desk::{Desk, without_alarms};

#[test]
fn a_silent_backend_is_found_out_in_time_without_any_other_alarm() {
    let mut desk = Desk::new(1, without_alarms);
    let client = desk.client();
    desk.says(client, "INCR a\r\n");
    let backend = desk.opens();
    desk.written(backend);
    desk.answers(backend, b":1\r\n");
    assert_eq!(desk.hears(client), ":1\r\n");
    desk.sleeps(Duration::from_secs(1000));
    desk.says(client, "INCR a\r\n");
    desk.written(backend);
    desk.sleeps(Duration::from_secs(70));
    assert!(
        desk.hears(client)
            .starts_with("-ERR narrows: backend connection lost")
    );
    assert_eq!(desk.closed, [backend]);
}

#[test]
fn an_idle_engine_sleeps_also_when_requests_can_time_out() {
    let mut desk = Desk::new(1, |settings| {
        without_alarms(settings);
        settings.clients.request_timeout = Duration::from_millis(10);
    });
    let client = desk.client();
    desk.says(client, "INCR a\r\n");
    let backend = desk.opens();
    desk.written(backend);
    desk.sleeps(Duration::from_millis(20));
    assert!(desk.hears(client).contains("request_timeout"));
    desk.answers(backend, b":1\r\n");
    desk.sleeps(Duration::from_secs(1));
    assert!(desk.sleeps(Duration::from_secs(1000)) < 150);
    assert_eq!(desk.hears(client), "");
}

#[test]
fn a_spare_backend_that_owes_a_pong_is_not_switched() {
    let mut desk = Desk::new(1, |settings| {
        settings.pool.idle_timeout = Duration::ZERO;
        settings.pool.max_lifetime = Duration::ZERO;
    });
    let first = desk.client();
    desk.says(first, "GET a\r\n");
    desk.engine.client_gone(first, desk.now);
    let backend = desk.opens();
    desk.sleeps(Duration::from_secs(31));
    let ping = desk.written(backend);
    let second = desk.client();
    desk.says(second, "SELECT 3\r\n");
    assert_eq!(desk.written(backend), "");
    desk.answers(backend, pong(&ping).as_bytes());
    let switch = desk.written(backend);
    assert!(switch.contains("SELECT"));
    desk.answers(backend, format!("+OK\r\n{}", pong(&switch)).as_bytes());
    assert_eq!(desk.hears(second), "+OK\r\n");
}

#[test]
fn a_switch_whose_answer_was_not_its_own_ends_the_connection() {
    for shifted in [
        "-LOADING not now\r\n+OK\r\n",
        "+OK\r\n+OK\r\n",
        "-ERR DB index\r\n+OK\r\n",
    ] {
        let mut desk = Desk::new(1, without_alarms);
        let (first, second) = (desk.client(), desk.client());
        desk.says(first, "GET a\r\n");
        desk.engine.client_gone(first, desk.now);
        let backend = desk.opens();
        desk.written(backend);
        desk.says(second, "SELECT 3\r\nSET k v\r\n");
        desk.sleeps(Duration::from_millis(50));
        assert!(desk.written(backend).contains("SELECT"));
        desk.answers(backend, shifted.as_bytes());
        assert_eq!(desk.closed, [backend], "{shifted}");
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
    let mut desk = Desk::new(1, |settings| {
        without_alarms(settings);
        settings.pool.ping_interval = Duration::from_millis(300);
    });
    let client = desk.client();
    desk.says(client, "INCR a\r\n");
    let backend = desk.opens();
    desk.written(backend);
    desk.answers(backend, b":1\r\n");
    for _ in 0..10 {
        desk.sleeps(Duration::from_millis(301));
        let ping = desk.written(backend);
        desk.answers(backend, pong(&ping).as_bytes());
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
        let mut desk = Desk::new(1, |settings| settings.clients.replay_reads = false);
        let (first, second) = (desk.client(), desk.client());
        desk.says(first, asked);
        desk.says(second, "ECHO x\r\n");
        let backend = desk.opens();
        desk.written(backend);
        desk.answers(backend, wrong);
        desk.answers(backend, b"$1\r\nx\r\n");
        let invalid =
            "-ERR narrows: the backend sent an invalid reply; the command may have run\r\n";
        let heard = desk.hears(first);
        // Attributes pass before the kind is known.
        assert!(
            heard.ends_with(invalid) && !heard.contains("OK"),
            "{asked}: {heard}"
        );
        assert_eq!(desk.hears(second), invalid);
        assert_eq!(desk.closed, [backend]);
    }
}

#[test]
fn a_nil_array_that_comes_in_pieces_is_a_reply_to_a_pop() {
    let mut desk = Desk::new(1, without_alarms);
    let client = desk.client();
    desk.says(client, "LPOP a 3\r\n");
    let backend = desk.opens();
    desk.written(backend);
    for byte in b"*-1\r\n" {
        desk.answers(backend, &[*byte]);
    }
    assert_eq!(desk.hears(client), "*-1\r\n");
    assert!(desk.closed.is_empty());
}

#[test]
fn a_server_whose_commands_answer_in_their_own_way_can_be_had() {
    let mut desk = Desk::new(1, |settings| settings.pool.check_kinds = false);
    let client = desk.client();
    desk.says(client, "GET a\r\n");
    let backend = desk.opens();
    desk.written(backend);
    desk.answers(backend, b":1\r\n");
    assert_eq!(desk.hears(client), ":1\r\n");
}

/// A pipe that is never idle, with a check under way behind one request and before another.
fn checked_while_busy() -> (Desk, ClientId, BackendId, String) {
    let mut desk = Desk::new(1, |settings| {
        without_alarms(settings);
        settings.pool.check_interval = Duration::from_millis(100);
    });
    let client = desk.client();
    desk.says(client, "ECHO a\r\n");
    let backend = desk.opens();
    desk.written(backend);
    desk.sleeps(Duration::from_millis(101));
    let ping = desk.written(backend);
    desk.says(client, "ECHO b\r\n");
    desk.written(backend);
    (desk, client, backend, pong(&ping))
}

#[test]
fn a_busy_pipe_that_gives_its_word_back_goes_on() {
    let (mut desk, client, backend, pong) = checked_while_busy();
    desk.answers(backend, format!("$1\r\na\r\n{pong}$1\r\nb\r\n").as_bytes());
    assert_eq!(desk.hears(client), "$1\r\na\r\n$1\r\nb\r\n");
    assert!(desk.closed.is_empty());
    // Nothing is asked while nothing is due.
    desk.sleeps(Duration::from_secs(10));
    assert_eq!(desk.written(backend), "");
}

#[test]
fn a_reply_sent_twice_is_found_by_the_next_check() {
    let (mut desk, client, backend, pong) = checked_while_busy();
    desk.answers(backend, format!("$1\r\na\r\n$1\r\na\r\n{pong}").as_bytes());
    assert_eq!(desk.closed, [backend]);
    let heard = desk.hears(client);
    assert!(
        !heard.contains("narrows:0") && heard.starts_with("$1\r\na\r\n"),
        "{heard}"
    );
}

#[test]
fn a_reply_left_out_is_found_by_the_next_check() {
    let (mut desk, client, backend, pong) = checked_while_busy();
    desk.answers(backend, format!("$1\r\na\r\n$1\r\nb\r\n{pong}").as_bytes());
    assert_eq!(desk.closed, [backend]);
    let heard = desk.hears(client);
    assert!(
        heard.starts_with("$1\r\na\r\n-ERR narrows: the backend sent"),
        "{heard}"
    );
}

#[test]
fn the_word_of_a_check_is_nobodys_reply() {
    let (mut desk, client, backend, pong) = checked_while_busy();
    desk.answers(backend, pong.as_bytes());
    assert_eq!(desk.closed, [backend], "the reply before it was left out");
    let heard = desk.hears(client);
    let told = heard.matches("-ERR narrows: the backend sent").count();
    assert_eq!((told, heard.contains('$')), (2, false), "{heard}");
}

#[test]
fn half_an_info_that_timed_out_is_no_part_of_the_next_one() {
    let mut desk = Desk::new(1, |settings| {
        settings.clients.request_timeout = Duration::from_millis(100);
    });
    let (first, second) = (desk.client(), desk.client());
    desk.says(first, "INFO\r\n");
    let backend = desk.opens();
    desk.written(backend);
    desk.answers(backend, b"$8\r\nfir");
    desk.sleeps(Duration::from_millis(150));
    assert!(desk.hears(first).contains("request_timeout"));
    desk.says(second, "INFO\r\n");
    desk.written(backend);
    desk.answers(backend, b"st: 1\r\n$9\r\nsecond: 2\r\n");
    assert_eq!(desk.hears(second), "$9\r\nsecond: 2\r\n");
    assert_eq!(desk.hears(first), "");
}

#[test]
fn a_silent_request_that_times_out_keeps_the_order_of_replies() {
    let mut desk = Desk::new(1, |settings| {
        settings.clients.request_timeout = Duration::from_millis(100);
    });
    let client = desk.client();
    desk.says(client, "CLIENT REPLY SKIP\r\nGET a\r\nGET b\r\n");
    let backend = desk.opens();
    desk.written(backend);
    desk.sleeps(Duration::from_millis(150));
    assert_eq!(desk.hears(client).matches("request_timeout").count(), 1);
    desk.says(client, "GET c\r\n");
    desk.written(backend);
    desk.answers(backend, b"$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
    assert_eq!(desk.hears(client), "$1\r\nc\r\n");
}

#[test]
fn a_client_whose_info_was_refused_goes_on() {
    let mut desk = Desk::new(1, |_| {});
    let client = desk.client();
    desk.says(client, "INFO\r\n");
    desk.sleeps(Duration::from_secs(4));
    assert!(desk.hears(client).starts_with("-TRYAGAIN"));
    desk.says(client, "CLIENT ID\r\n");
    assert_eq!(desk.hears(client), ":1\r\n");
}

#[test]
fn an_upload_that_the_server_answers_early_lets_its_client_go_on() {
    let mut desk = Desk::new(1, |settings| settings.clients.big_request_bytes = 100_000);
    let client = desk.client();
    desk.says(client, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\n");
    desk.says(client, &"x".repeat(400_000));
    let backend = desk.opens();
    assert!(
        !desk.engine.may_read(client),
        "the backend takes nothing yet"
    );
    desk.answers(backend, b"-ERR Protocol error: invalid bulk length\r\n");
    assert!(desk.hears(client).starts_with("-ERR Protocol error"));
    assert_eq!(desk.closed, [backend]);
    assert!(desk.engine.may_read(client));
    desk.says(client, &"x".repeat(600_000));
    desk.says(client, "\r\nCLIENT ID\r\n");
    assert_eq!(desk.hears(client), ":1\r\n");
}

#[test]
fn nothing_follows_an_unknown_outcome_where_that_disconnects() {
    let mut desk = Desk::new(1, |settings| {
        settings.clients.on_unknown_outcome =
            narrows::engine::settings::OnUnknownOutcome::Disconnect;
    });
    let client = desk.client();
    desk.says(client, "INCR a\r\nGET b\r\nCLIENT ID\r\n");
    let backend = desk.opens();
    desk.written(backend);
    desk.engine.backend_gone(backend, desk.now);
    desk.turn();
    assert_eq!(desk.hears(client), "");
    assert_eq!(desk.engine.survey().clients_len(), 0);
}

#[test]
fn a_reply_before_the_whole_request_ends_the_connection_and_splices_nothing() {
    let mut desk = Desk::new(1, |_| {});
    let (first, second) = (desk.client(), desk.client());
    desk.says(first, "INCR a\r\n");
    let backend = desk.opens();
    assert!(!desk.engine.writing().of_backend(backend).is_empty());
    desk.engine.backend_wrote(backend, 5, desk.now);
    desk.says(second, "INCR b\r\n");
    desk.answers(backend, b"-ERR early\r\n");
    assert_eq!(desk.hears(first), "-ERR early\r\n");
    assert_eq!(desk.closed, [backend]);
    let backend = desk.opens();
    assert!(desk.written(backend).ends_with("$1\r\nb\r\n"));
    desk.answers(backend, b":1\r\n");
    assert_eq!(desk.hears(second), ":1\r\n");
}

#[test]
fn asking_for_one_db_after_another_of_a_dead_server_fills_no_memory() {
    let mut desk = Desk::new(1, |_| {});
    for round in 0..20 {
        let clients: Vec<ClientId> = (0..200).map(|_| desk.client()).collect();
        for (at, client) in clients.iter().enumerate() {
            desk.says(*client, &format!("SELECT {}\r\n", round * 200 + at + 1));
        }
        desk.sleeps(Duration::from_secs(4));
        for client in clients {
            assert!(desk.hears(client).starts_with("-TRYAGAIN"));
        }
    }
    assert_eq!(desk.engine.survey().census().clients, 0);
    assert!(desk.engine.survey().census().contexts < 300);
}

#[test]
fn what_is_sent_behind_a_select_that_could_not_be_carried_out_does_not_run() {
    for (silence, replies) in [("", 1), ("CLIENT REPLY OFF\r\n", 0)] {
        let mut desk = Desk::new(1, |_| {});
        let busy = desk.client();
        desk.says(busy, "GET a\r\n");
        let backend = desk.opens();
        desk.written(backend);
        let client = desk.client();
        desk.says(client, &format!("{silence}SELECT 1\r\nSET k v\r\n"));
        // The only connection is being drained for it and owes a reply past the deadline.
        desk.sleeps(Duration::from_secs(4));
        assert_eq!(desk.hears(client).matches("-TRYAGAIN").count(), replies);
        desk.says(client, "SET k v\r\n");
        desk.answers(backend, b"$1\r\na\r\n");
        assert!(!desk.written(backend).contains("SET"));
        assert_eq!(
            desk.engine.survey().census().clients,
            1,
            "only the busy one is left"
        );
    }
}

#[test]
fn a_server_that_takes_no_more_connections_serves_every_context_by_turns() {
    let mut desk = Desk::new(4, |_| {});
    let (first, second) = (desk.client(), desk.client());
    desk.says(first, "GET a\r\n");
    let backend = desk.opens();
    desk.written(backend);
    desk.answers(backend, b"$1\r\na\r\n");
    assert_eq!(desk.hears(first), "$1\r\na\r\n");
    desk.says(second, "SELECT 1\r\n");
    for _ in 0..50 {
        while let Some((id, permit)) = desk.permits.pop_if(|(id, _)| *id != backend) {
            drop(permit);
            desk.engine.dial_failed(id, "refused".to_owned(), desk.now);
            desk.turn();
        }
        desk.sleeps(Duration::from_millis(20));
        let written = desk.written(backend);
        if written.contains("SELECT") {
            desk.answers(backend, format!("+OK\r\n{}", pong(&written)).as_bytes());
            break;
        }
    }
    assert_eq!(desk.hears(second), "+OK\r\n");
}

#[test]
fn an_upload_that_was_to_stay_silent_ends_its_client_when_its_backend_is_lost() {
    let mut desk = Desk::new(1, |settings| settings.clients.big_request_bytes = 100_000);
    let client = desk.client();
    desk.says(client, "CLIENT REPLY SKIP\r\n");
    desk.says(client, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$200000\r\n");
    desk.says(client, &"x".repeat(100_000));
    let backend = desk.opens();
    desk.written(backend);
    desk.engine.backend_gone(backend, desk.now);
    desk.turn();
    // It has not run, which its client cannot be told.
    assert_eq!(desk.gone, [client]);
}

#[test]
fn two_busy_contexts_do_not_pass_the_connection_to_and_fro_before_a_third_that_waits() {
    let mut desk = Desk::new(1, |settings| {
        without_alarms(settings);
        settings.pool.check_interval = Duration::ZERO;
        settings.pool.pipe_in_flight_max = 1;
        settings.pool.slice = Duration::from_millis(1);
    });
    let clients: Vec<ClientId> = (0..5).map(|_| desk.client()).collect();
    for client in &clients[..2] {
        desk.says(*client, "GET a\r\n");
    }
    let backend = desk.opens();
    for (client, db) in clients[2..].iter().zip([1, 1, 2]) {
        desk.says(*client, &format!("SELECT {db}\r\nGET a\r\n"));
    }
    let mut turns = 0;
    loop {
        for request in desk.written(backend).split('*').skip(1) {
            turns += usize::from(request.contains("SELECT"));
            if request.contains("SELECT") {
                desk.answers(backend, b"+OK\r\n");
            } else if request.contains("PING") {
                desk.answers(backend, pong(request).as_bytes());
            } else {
                desk.answers(backend, b"$1\r\nx\r\n");
            }
        }
        if desk.hears(clients[4]).contains('x') {
            return;
        }
        assert!(
            turns < 10,
            "the third context has waited for {turns} turns of others"
        );
        for client in &clients[..4] {
            if desk.hears(*client).contains('x') {
                desk.says(*client, "GET a\r\n");
            }
        }
        desk.sleeps(Duration::from_millis(2));
    }
}
