//! A client that sends no more while it waits on a connection of its own, and one whose end stands
//! behind what it is still to hear.

use std::time::Duration;

use narrows::engine::{BackendId, ClientId, Mail};

use crate::scenarios::desk::{Desk, without_alarms};

/// A client that holds a connection.
fn holding_a_lease(desk: &mut Desk) -> (ClientId, BackendId) {
    let client = desk.client();
    desk.says(client, "WATCH a\r\n");
    let lease = desk.opens();
    desk.written(lease);
    desk.answers(lease, b"+OK\r\n");
    assert_eq!(desk.hears(client), "+OK\r\n");
    (client, lease)
}

/// A client that holds a connection and waits on it.
fn waiting_on_a_lease(desk: &mut Desk) -> (ClientId, BackendId) {
    let (client, lease) = holding_a_lease(desk);
    desk.says(client, "BLPOP q 0\r\n");
    (client, lease)
}

/// How many clients there are when one that is not read has left while it waits.
fn clients_once_one_has_left_unread() -> usize {
    let mut desk = Desk::new(4, without_alarms);
    let (client, lease) = waiting_on_a_lease(&mut desk);
    assert!(desk.written(lease).contains("BLPOP"));
    // More than is kept of what stands behind a wait of a client that is not served.
    desk.says(client, &"PING\r\n".repeat(20_000));
    desk.engine.client_hung_up(client, Duration::from_secs(1));
    desk.turn();
    desk.engine.survey().census().clients
}

#[test]
fn the_end_of_a_client_that_is_not_read_ends_its_wait() {
    assert_eq!(clients_once_one_has_left_unread(), 0);
}

#[cfg(feature = "fault_injection")]
#[test]
fn the_end_of_a_client_that_is_not_read_is_what_ends_its_wait() {
    use narrows::engine::fault_injection::{Bug, inject};
    inject(Some(Bug::HangUpMissed));
    let clients = clients_once_one_has_left_unread();
    inject(None);
    assert_eq!(clients, 1);
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

#[test]
fn a_wait_that_comes_with_the_end_of_its_client_gets_what_is_there_on_a_lent_connection_too() {
    for (reply, told) in [
        (
            "*2\r\n$1\r\nq\r\n$1\r\na\r\n",
            "*2\r\n$1\r\nq\r\n$1\r\na\r\n+PONG\r\n",
        ),
        ("*-1\r\n", ""),
    ] {
        let mut desk = Desk::new(4, without_alarms);
        let (client, lease) = holding_a_lease(&mut desk);
        // Both are read before anything is written.
        (desk.engine).client_bytes(client, b"BLPOP q 0\r\nPING\r\n", desk.now);
        desk.engine.client_eof(client, desk.now);
        let written = desk.written(lease);
        assert!(written.contains("BLPOP"), "{written}");
        assert!(!written.contains("$1\r\n0\r\n"), "not for ever: {written}");
        assert_eq!(desk.permits.len(), 1, "nobody has to be asked to end it");
        desk.answers(lease, reply.as_bytes());
        if desk.written(lease).contains("PING") {
            desk.answers(lease, b"+PONG\r\n");
        }
        assert_eq!(desk.hears(client), told);
        assert_eq!(desk.gone, [client]);
    }
}

#[test]
fn who_is_to_hear_something_before_its_end_is_not_shown_at_its_end() {
    let mut desk = Desk::new(4, without_alarms);
    let client = desk.client();
    desk.says(client, "MULTI\r\nCLIENT INFO\r\nEXEC\r\n*1\r\n$-5\r\n");
    let lease = desk.opens();
    for (sent, answer) in [("MULTI", "+OK\r\n"), ("EXEC", "+QUEUED\r\n*1\r\n+PONG\r\n")] {
        let written = desk.written(lease);
        assert!(written.contains(sent), "{sent}: {written}");
        desk.answers(lease, answer.as_bytes());
    }
    let told = desk.hears(client);
    assert!(told.contains(" flags=x "), "{told}");
    assert!(told.ends_with("-ERR Protocol error: invalid bulk length\r\n"));
}

#[test]
fn a_wait_that_was_cut_short_is_not_told_to_be_over_when_narrows_ends() {
    let mut desk = Desk::new(4, without_alarms);
    let client = desk.client();
    desk.says(client, "WATCH a\r\n");
    let lease = desk.opens();
    desk.written(lease);
    desk.says(client, "BLPOP q 5\r\n");
    desk.engine.client_eof(client, desk.now);
    desk.answers(lease, b"+OK\r\n");
    assert_eq!(desk.hears(client), "+OK\r\n");
    // It sends no more: what lies there is its, and it does not wait for more.
    assert!(desk.written(lease).contains("BLPOP"));
    desk.engine.mail(Mail::Drain, desk.now);
    desk.turn();
    let other = desk.opens();
    assert!(desk.written(other).contains("UNBLOCK"));
    desk.answers(lease, b"*-1\r\n");
    desk.answers(other, b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:0\r\n:0\r\n");
    assert_eq!(desk.hears(client), "", "its five seconds are not over");
    assert_eq!(desk.gone, [client]);
}

/// What stands behind a huge request that went wrong is no request, whatever it looks like.
#[test]
fn nothing_behind_a_huge_request_that_went_wrong_is_dealt_with() {
    let mut desk = Desk::new(4, without_alarms);
    let client = desk.client();
    let head = "*4\r\n$4\r\nMSET\r\n$1\r\nk\r\n$1100000\r\n";
    let wrong = format!("{head}{}\r\n!oops\r\n", "v".repeat(1_100_000));
    // It is passed on in pieces, and empty lines are nothing wherever one of them begins.
    let behind = "\r\n".repeat(100_000) + "CLIENT GETNAME\r\n";
    desk.says(client, &format!("{wrong}{behind}"));
    let lease = desk.opens();
    while !desk.written(lease).is_empty() {}
    assert_eq!(
        desk.hears(client),
        "-ERR Protocol error: expected '$', got '!'\r\n"
    );
    assert_eq!(desk.gone, [client]);
}
