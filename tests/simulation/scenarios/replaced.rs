//! Another server takes the place of the one there was: what happens to what was on its way, and what
//! comes too late of the one before.

use std::time::Duration;

use narrows::engine::{BackendId, ClientId};

use crate::scenarios::harness::{Harness, without_alarms};

/// One client for each of `requests`, all of which are on their way to the server.
fn asked(harness: &mut Harness, requests: &[&str]) -> (Vec<ClientId>, BackendId) {
    let clients: Vec<ClientId> = requests.iter().map(|_| harness.client()).collect();
    for (client, request) in clients.iter().zip(requests) {
        harness.send(*client, request);
    }
    let pipe = harness.connect();
    harness.written(pipe);
    (clients, pipe)
}

#[test]
fn what_may_have_run_is_unknown_and_all_else_is_asked_of_the_server_that_has_come() {
    let mut harness = Harness::new(3, without_alarms);
    let (clients, old) = asked(&mut harness, &["GET a\r\n", "INCR b\r\n"]);
    let unsent = harness.client();
    harness.send(unsent, "INCR c\r\n");
    let first = harness.server();
    harness.replace_server();
    assert_eq!(harness.closed, [old]);
    assert_eq!(harness.gone, [], "a switch touches no client");
    let lost = harness.received(clients[1]);
    assert!(
        lost.starts_with("-ERR narrows: backend connection lost"),
        "{lost}"
    );

    // What the one before still says reaches nobody.
    harness.reply(old, b"$1\r\nx\r\n:1\r\n");
    assert_eq!(
        (harness.received(clients[0]), harness.received(unsent)),
        Default::default()
    );

    let new = harness.connect();
    assert_eq!(harness.dials, [first, harness.server()]);
    let written = harness.written(new);
    assert!(
        written.contains("GET") && written.contains("$1\r\nc\r\n"),
        "{written}"
    );
    assert!(!written.contains("$1\r\nb\r\n"), "{written}");
    let (get, incr) = (written.find("GET"), written.find("INCR"));
    let replies = match get < incr {
        true => "$1\r\ny\r\n:7\r\n",
        false => ":7\r\n$1\r\ny\r\n",
    };
    harness.reply(new, replies.as_bytes());
    assert_eq!(harness.received(clients[0]), "$1\r\ny\r\n");
    assert_eq!(harness.received(unsent), ":7\r\n");
    assert!(harness.engine.survey().census().totals_agree);
}

#[test]
fn a_dial_that_ends_too_late_opens_nothing_and_says_nothing_of_the_server_that_has_come() {
    for succeeds in [true, false] {
        let mut harness = Harness::new(3, without_alarms);
        let client = harness.client();
        harness.send(client, "GET a\r\n");
        let old = harness.permits.pop().expect("a dial under way");
        harness.replace_server();
        // Its socket and its permit are the runtime's until the dial has ended.
        let dials = harness.permits.len();
        assert_eq!((harness.closed.as_slice(), dials), (&[old.0][..], 1));
        assert!(
            !harness.engine.survey().has_backend(old.0),
            "its socket is closed"
        );
        match succeeds {
            true => harness.engine.dialled(old.0, harness.now),
            false => harness
                .engine
                .dial_failed(old.0, "refused".to_owned(), harness.now),
        }
        harness.turn();
        drop(old);
        let new = harness.connect();
        assert_eq!(
            harness.dials[1..],
            [harness.server()],
            "nor is it backed off from"
        );
        assert!(harness.written(new).ends_with("$1\r\na\r\n"));
        harness.reply(new, b"$1\r\nx\r\n");
        assert_eq!(harness.received(client), "$1\r\nx\r\n");
    }
}

#[test]
fn a_health_check_is_about_the_server_that_was_asked() {
    let mut harness = Harness::new(3, |settings| {
        without_alarms(settings);
        settings.backend.stall_timeout = Duration::from_secs(1);
    });
    let first = harness.server();
    harness.replace_server();
    let (_, pipe) = asked(&mut harness, &["INCR a\r\n"]);
    harness.check_health_of(first, false);
    harness.advance(Duration::from_secs(5));
    assert_eq!(harness.closed, [], "that was the one before");
    harness.check_health(false);
    harness.advance(Duration::from_secs(5));
    assert_eq!(harness.closed, [pipe]);
}

#[test]
fn nothing_that_one_server_has_said_is_believed_of_the_next() {
    let mut harness = Harness::new(3, without_alarms);
    let client = harness.client();
    harness.send(client, "SELECT 5\r\n");
    let old = harness.connect();
    harness.reply(old, b"+OK\r\n");
    assert_eq!(harness.received(client), "+OK\r\n");
    harness.replace_server();
    // This one has fewer dbs, and speaks for itself.
    let other = harness.client();
    harness.send(other, "SELECT 5\r\n");
    let new = harness.permits.last().expect("a dial under way").0;
    assert_ne!(new, old);
    harness.engine.dialled(new, harness.now);
    assert!(harness.written(new).contains("SELECT"));
    harness.reply(new, b"*2\r\n$2\r\nid\r\n:1\r\n");
    harness.reply(new, b"+OK\r\n+OK\r\n-ERR DB index is out of range\r\n");
    assert_eq!(harness.received(other), "-ERR DB index is out of range\r\n");
}

#[test]
fn the_same_picture_again_changes_nothing_and_one_from_before_neither() {
    let mut harness = Harness::new(3, without_alarms);
    harness.replace_server();
    let (clients, pipe) = asked(&mut harness, &["GET a\r\n"]);
    harness.hear_of_servers_again();
    harness.reply(pipe, b"$1\r\nx\r\n");
    assert_eq!(harness.received(clients[0]), "$1\r\nx\r\n");
    assert_eq!(harness.closed, []);
}

#[test]
fn who_waits_for_a_connection_goes_on_waiting_in_order() {
    let mut harness = Harness::new(1, without_alarms);
    let mut clients = Vec::new();
    for request in ["GET a\r\n", "GET b\r\n", "GET c\r\n"] {
        let client = harness.client();
        harness.send(client, request);
        clients.push(client);
        harness.now += Duration::from_millis(1);
    }
    let old = harness.permits.pop();
    harness.replace_server();
    drop(old);
    harness.advance(Duration::from_millis(50));
    let new = harness.connect();
    let written = harness.written(new);
    let at: Vec<_> = ["$1\r\na", "$1\r\nb", "$1\r\nc"]
        .iter()
        .map(|key| written.find(key).expect("all are asked"))
        .collect();
    assert!(at.is_sorted(), "{written}");
    harness.reply(new, b"$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n");
    for (client, reply) in clients.into_iter().zip(["1", "2", "3"]) {
        assert_eq!(harness.received(client), format!("$1\r\n{reply}\r\n"));
    }
}
