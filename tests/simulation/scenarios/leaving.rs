//! A client that sends no more while it waits on a connection of its own, and one whose end stands
//! behind what it is still to hear.

use std::time::Duration;

use narrows::engine::{BackendId, ClientId, Mail};

use crate::scenarios::harness::{Harness, without_alarms};

/// A client that holds a connection.
fn holding_a_lease(harness: &mut Harness) -> (ClientId, BackendId) {
    let client = harness.client();
    harness.send(client, "WATCH a\r\n");
    let lease = harness.connect();
    harness.written(lease);
    harness.reply(lease, b"+OK\r\n");
    assert_eq!(harness.received(client), "+OK\r\n");
    (client, lease)
}

/// A client that holds a connection and waits on it.
fn waiting_on_a_lease(harness: &mut Harness) -> (ClientId, BackendId) {
    let (client, lease) = holding_a_lease(harness);
    harness.send(client, "BLPOP q 0\r\n");
    (client, lease)
}

/// How many clients there are when one that is not read has left while it waits.
fn clients_once_one_has_left_unread() -> usize {
    let mut harness = Harness::new(4, without_alarms);
    let (client, lease) = waiting_on_a_lease(&mut harness);
    assert!(harness.written(lease).contains("BLPOP"));
    // More than is kept of what stands behind a wait of a client that is not served.
    harness.send(client, &"PING\r\n".repeat(20_000));
    harness
        .engine
        .client_hung_up(client, Duration::from_secs(1));
    harness.turn();
    harness.engine.survey().census().clients
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
        let mut harness = Harness::new(4, without_alarms);
        let (client, lease) = waiting_on_a_lease(&mut harness);
        harness.engine.client_eof(client, Duration::from_secs(1));
        harness.turn();
        assert_eq!(harness.gone, [], "what it waits for may be answered");
        assert!(harness.written(lease).contains("BLPOP"));
        let other = harness.connect();
        let written = harness.written(other);
        assert!(written.contains("UNBLOCK"), "{written}");
        harness.reply(lease, reply.as_bytes());
        let answer = format!("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:0\r\n:{ended}\r\n");
        harness.reply(other, answer.as_bytes());
        assert_eq!(harness.received(client), told);
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
        let mut harness = Harness::new(4, without_alarms);
        let (client, lease) = holding_a_lease(&mut harness);
        // Both are read before anything is written.
        (harness.engine).client_bytes(client, b"BLPOP q 0\r\nPING\r\n", harness.now);
        harness.engine.client_eof(client, harness.now);
        let written = harness.written(lease);
        assert!(written.contains("BLPOP"), "{written}");
        assert!(!written.contains("$1\r\n0\r\n"), "not for ever: {written}");
        assert_eq!(harness.permits.len(), 1, "nobody has to be asked to end it");
        harness.reply(lease, reply.as_bytes());
        if harness.written(lease).contains("PING") {
            harness.reply(lease, b"+PONG\r\n");
        }
        assert_eq!(harness.received(client), told);
        assert_eq!(harness.gone, [client]);
    }
}

#[test]
fn who_is_to_hear_something_before_its_end_is_not_shown_at_its_end() {
    let mut harness = Harness::new(4, without_alarms);
    let client = harness.client();
    harness.send(client, "MULTI\r\nCLIENT INFO\r\nEXEC\r\n*1\r\n$-5\r\n");
    let lease = harness.connect();
    for (sent, answer) in [("MULTI", "+OK\r\n"), ("EXEC", "+QUEUED\r\n*1\r\n+PONG\r\n")] {
        let written = harness.written(lease);
        assert!(written.contains(sent), "{sent}: {written}");
        harness.reply(lease, answer.as_bytes());
    }
    let told = harness.received(client);
    assert!(told.contains(" flags=x "), "{told}");
    assert!(told.ends_with("-ERR Protocol error: invalid bulk length\r\n"));
}

#[test]
fn a_wait_that_was_cut_short_is_not_told_to_be_over_when_narrows_ends() {
    let mut harness = Harness::new(4, without_alarms);
    let client = harness.client();
    harness.send(client, "WATCH a\r\n");
    let lease = harness.connect();
    harness.written(lease);
    harness.send(client, "BLPOP q 5\r\n");
    harness.engine.client_eof(client, harness.now);
    harness.reply(lease, b"+OK\r\n");
    assert_eq!(harness.received(client), "+OK\r\n");
    // It sends no more: what lies there is its, and it does not wait for more.
    assert!(harness.written(lease).contains("BLPOP"));
    harness.engine.mail(Mail::Drain, harness.now);
    harness.turn();
    let other = harness.connect();
    assert!(harness.written(other).contains("UNBLOCK"));
    harness.reply(lease, b"*-1\r\n");
    harness.reply(other, b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:0\r\n:0\r\n");
    assert_eq!(
        harness.received(client),
        "",
        "its five seconds are not over"
    );
    assert_eq!(harness.gone, [client]);
}

/// A client waits for five seconds on its own backend when narrows ends, and the server is asked on another
/// to end that.
fn waiting_while_narrows_ends(harness: &mut Harness) -> (ClientId, BackendId, BackendId) {
    let client = harness.client();
    harness.send(client, "WATCH a\r\n");
    let lease = harness.connect();
    harness.written(lease);
    harness.reply(lease, b"+OK\r\n");
    harness.send(client, "BLPOP q 5\r\n");
    assert!(harness.written(lease).contains("BLPOP"));
    assert_eq!(harness.received(client), "+OK\r\n");
    harness.engine.mail(Mail::Drain, harness.now);
    harness.turn();
    let asked = harness.connect();
    assert!(harness.written(asked).contains("UNBLOCK"));
    (client, lease, asked)
}

#[test]
fn a_wait_that_was_ended_by_an_answer_which_was_lost_is_not_told_to_be_over_when_narrows_ends() {
    let mut harness = Harness::new(4, without_alarms);
    let (client, lease, first) = waiting_while_narrows_ends(&mut harness);
    // The server has done that, and its answer is lost.
    harness.engine.backend_gone(first, harness.now);
    harness.turn();
    let second = harness.connect();
    assert!(harness.written(second).contains("UNBLOCK"));
    harness.reply(lease, b"*-1\r\n");
    harness.reply(second, b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:0\r\n:0\r\n");
    assert_eq!(
        harness.received(client),
        "",
        "its five seconds are not over"
    );
    assert_eq!(harness.gone, [client]);
}

#[test]
fn a_wait_that_was_ended_on_a_connection_that_is_lost_is_not_told_to_be_over_when_narrows_ends() {
    let mut harness = Harness::new(4, without_alarms);
    let (client, lease, _) = waiting_while_narrows_ends(&mut harness);
    harness.reply(lease, b"*-1\r\n");
    harness.engine.backend_gone(lease, harness.now);
    harness.turn();
    assert_eq!(
        harness.received(client),
        "",
        "its five seconds are not over"
    );
    assert_eq!(harness.gone, [client]);
}

#[test]
fn a_client_that_sends_no_more_is_not_told_that_its_time_is_over_where_the_connection_is_lost() {
    let mut harness = Harness::new(4, without_alarms);
    let (client, lease) = waiting_on_a_lease(&mut harness);
    assert!(harness.written(lease).contains("BLPOP"));
    harness.engine.client_eof(client, harness.now);
    harness.turn();
    let other = harness.connect();
    assert!(harness.written(other).contains("UNBLOCK"));
    harness.reply(lease, b"*-1\r\n");
    harness.engine.backend_gone(lease, harness.now);
    harness.turn();
    assert_eq!(harness.received(client), "");
    assert_eq!(harness.gone, [client]);
}

/// What stands behind a huge request that went wrong is no request, whatever it looks like.
#[test]
fn nothing_behind_a_huge_request_that_went_wrong_is_dealt_with() {
    let mut harness = Harness::new(4, without_alarms);
    let client = harness.client();
    let head = "*4\r\n$4\r\nMSET\r\n$1\r\nk\r\n$1100000\r\n";
    let wrong = format!("{head}{}\r\n!oops\r\n", "v".repeat(1_100_000));
    // It is passed on in pieces, and empty lines are nothing wherever one of them begins.
    let behind = "\r\n".repeat(100_000) + "CLIENT GETNAME\r\n";
    harness.send(client, &format!("{wrong}{behind}"));
    let lease = harness.connect();
    while !harness.written(lease).is_empty() {}
    assert_eq!(
        harness.received(client),
        "-ERR Protocol error: expected '$', got '!'\r\n"
    );
    assert_eq!(harness.gone, [client]);
}
