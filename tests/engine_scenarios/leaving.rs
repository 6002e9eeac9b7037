//! A client that sends no more while it waits on a connection of its own.

use std::time::Duration;

use narrows::engine::planted::{Bug, plant};
use narrows::engine::{BackendId, ClientId};

use crate::desk::{Desk, without_alarms};

/// A client that holds a connection and waits on it, another connection beside.
fn waiting_on_a_lease(desk: &mut Desk) -> (ClientId, BackendId) {
    let client = desk.client();
    desk.says(client, "WATCH a\r\n");
    let lease = desk.opens();
    desk.written(lease);
    desk.answers(lease, b"+OK\r\n");
    assert_eq!(desk.hears(client), "+OK\r\n");
    desk.says(client, "BLPOP q 0\r\n");
    (client, lease)
}

#[test]
fn the_end_of_a_client_that_is_not_read_ends_its_wait() {
    for missed in [false, true] {
        plant(missed.then_some(Bug::HangUpMissed));
        let mut desk = Desk::new(4, without_alarms);
        let (client, lease) = waiting_on_a_lease(&mut desk);
        assert!(desk.written(lease).contains("BLPOP"));
        // More than is kept of what stands behind a wait of a client that is not served.
        desk.says(client, &"PING\r\n".repeat(20_000));
        desk.engine.client_hung_up(client, Duration::from_secs(1));
        desk.turn();
        plant(None);
        assert_eq!(desk.engine.census().clients, usize::from(missed));
    }
}

#[test]
fn a_client_that_sends_no_more_hears_what_the_server_has_answered_its_wait() {
    // An answer that takes nothing, and one that is the end of the wait.
    for (reply, ended, told) in [
        (
            "-ERR timeout is negative\r\n",
            0,
            "-ERR timeout is negative\r\n",
        ),
        ("*-1\r\n", 1, ""),
    ] {
        let mut desk = Desk::new(4, without_alarms);
        let (client, lease) = waiting_on_a_lease(&mut desk);
        desk.engine.client_eof(client, Duration::from_secs(1));
        desk.turn();
        assert_eq!(desk.gone, [], "what it waits for may be answered");
        assert!(desk.written(lease).contains("BLPOP"));
        let other = desk.opens();
        let written = desk.written(other);
        assert!(written.contains("UNBLOCK"), "{written}");
        desk.answers(lease, reply.as_bytes());
        let answer = format!("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:0\r\n:{ended}\r\n");
        desk.answers(other, answer.as_bytes());
        assert_eq!(desk.hears(client), told);
    }
}
