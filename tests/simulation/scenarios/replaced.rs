//! Another server takes the place of the one there was: what happens to what was on its way, and what
//! comes too late of the one before.

use std::time::Duration;

use narrows::engine::{BackendId, ClientId};

use crate::scenarios::desk::{Desk, without_alarms};

/// One client for each of `requests`, all of which are on their way to the server.
fn asked(desk: &mut Desk, requests: &[&str]) -> (Vec<ClientId>, BackendId) {
    let clients: Vec<ClientId> = requests.iter().map(|_| desk.client()).collect();
    for (client, request) in clients.iter().zip(requests) {
        desk.says(*client, request);
    }
    let pipe = desk.opens();
    desk.written(pipe);
    (clients, pipe)
}

#[test]
fn what_may_have_run_is_unknown_and_all_else_is_asked_of_the_server_that_has_come() {
    let mut desk = Desk::new(3, without_alarms);
    let (clients, old) = asked(&mut desk, &["GET a\r\n", "INCR b\r\n"]);
    let unsent = desk.client();
    desk.says(unsent, "INCR c\r\n");
    let first = desk.server();
    desk.replaces_server();
    assert_eq!(desk.closed, [old]);
    assert_eq!(desk.gone, [], "a switch touches no client");
    let lost = desk.hears(clients[1]);
    assert!(
        lost.starts_with("-ERR narrows: backend connection lost"),
        "{lost}"
    );

    // What the one before still says reaches nobody.
    desk.answers(old, b"$1\r\nx\r\n:1\r\n");
    assert_eq!(
        (desk.hears(clients[0]), desk.hears(unsent)),
        Default::default()
    );

    let new = desk.opens();
    assert_eq!(desk.dials, [first, desk.server()]);
    let written = desk.written(new);
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
    desk.answers(new, replies.as_bytes());
    assert_eq!(desk.hears(clients[0]), "$1\r\ny\r\n");
    assert_eq!(desk.hears(unsent), ":7\r\n");
    assert!(desk.engine.survey().census().totals_agree);
}

#[test]
fn a_dial_that_ends_too_late_opens_nothing_and_says_nothing_of_the_server_that_has_come() {
    for succeeds in [true, false] {
        let mut desk = Desk::new(3, without_alarms);
        let client = desk.client();
        desk.says(client, "GET a\r\n");
        let old = desk.permits.pop().expect("a dial under way");
        desk.replaces_server();
        // Its socket and its permit are the runtime's until the dial has ended.
        let dials = desk.permits.len();
        assert_eq!((desk.closed.as_slice(), dials), (&[old.0][..], 1));
        assert!(
            !desk.engine.survey().has_backend(old.0),
            "its socket is closed"
        );
        match succeeds {
            true => desk.engine.dialled(old.0, desk.now),
            false => desk
                .engine
                .dial_failed(old.0, "refused".to_owned(), desk.now),
        }
        desk.turn();
        drop(old);
        let new = desk.opens();
        assert_eq!(
            desk.dials[1..],
            [desk.server()],
            "nor is it backed off from"
        );
        assert!(desk.written(new).ends_with("$1\r\na\r\n"));
        desk.answers(new, b"$1\r\nx\r\n");
        assert_eq!(desk.hears(client), "$1\r\nx\r\n");
    }
}

#[test]
fn a_health_check_is_about_the_server_that_was_asked() {
    let mut desk = Desk::new(3, |settings| {
        without_alarms(settings);
        settings.backend.stall_timeout = Duration::from_secs(1);
    });
    let first = desk.server();
    desk.replaces_server();
    let (_, pipe) = asked(&mut desk, &["INCR a\r\n"]);
    desk.checks_health_of(first, false);
    desk.sleeps(Duration::from_secs(5));
    assert_eq!(desk.closed, [], "that was the one before");
    desk.checks_health(false);
    desk.sleeps(Duration::from_secs(5));
    assert_eq!(desk.closed, [pipe]);
}

#[test]
fn nothing_that_one_server_has_said_is_believed_of_the_next() {
    let mut desk = Desk::new(3, without_alarms);
    let client = desk.client();
    desk.says(client, "SELECT 5\r\n");
    let old = desk.opens();
    desk.answers(old, b"+OK\r\n");
    assert_eq!(desk.hears(client), "+OK\r\n");
    desk.replaces_server();
    // This one has fewer dbs, and speaks for itself.
    let other = desk.client();
    desk.says(other, "SELECT 5\r\n");
    let new = desk.permits.last().expect("a dial under way").0;
    assert_ne!(new, old);
    desk.engine.dialled(new, desk.now);
    assert!(desk.written(new).contains("SELECT"));
    desk.answers(new, b"*2\r\n$2\r\nid\r\n:1\r\n");
    desk.answers(new, b"+OK\r\n+OK\r\n-ERR DB index is out of range\r\n");
    assert_eq!(desk.hears(other), "-ERR DB index is out of range\r\n");
}

#[test]
fn the_same_picture_again_changes_nothing_and_one_from_before_neither() {
    let mut desk = Desk::new(3, without_alarms);
    desk.replaces_server();
    let (clients, pipe) = asked(&mut desk, &["GET a\r\n"]);
    desk.hears_of_servers_again();
    desk.answers(pipe, b"$1\r\nx\r\n");
    assert_eq!(desk.hears(clients[0]), "$1\r\nx\r\n");
    assert_eq!(desk.closed, []);
}

#[test]
fn who_waits_for_a_connection_goes_on_waiting_in_order() {
    let mut desk = Desk::new(1, without_alarms);
    let mut clients = Vec::new();
    for request in ["GET a\r\n", "GET b\r\n", "GET c\r\n"] {
        let client = desk.client();
        desk.says(client, request);
        clients.push(client);
        desk.now += Duration::from_millis(1);
    }
    let old = desk.permits.pop();
    desk.replaces_server();
    drop(old);
    desk.sleeps(Duration::from_millis(50));
    let new = desk.opens();
    let written = desk.written(new);
    let at: Vec<_> = ["$1\r\na", "$1\r\nb", "$1\r\nc"]
        .iter()
        .map(|key| written.find(key).expect("all are asked"))
        .collect();
    assert!(at.is_sorted(), "{written}");
    desk.answers(new, b"$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n");
    for (client, reply) in clients.into_iter().zip(["1", "2", "3"]) {
        assert_eq!(desk.hears(client), format!("$1\r\n{reply}\r\n"));
    }
}
