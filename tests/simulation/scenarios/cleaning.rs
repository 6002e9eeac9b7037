//! What a client that has left leaves on a connection, and how that is taken back.

use std::time::Duration;

use narrows::engine::BackendId;

use crate::scenarios::harness::{Harness, without_alarms};
use crate::scenarios::on_lease::subscriber;

/// A subscriber that has left, and what its connection was asked then.
fn left(harness: &mut Harness) -> BackendId {
    let (client, lease) = subscriber(harness);
    harness.engine.client_gone(client, harness.now);
    assert!(harness.closed.is_empty());
    lease
}

/// The answer to the check at the end of `written`.
pub(crate) fn pong(written: &str) -> String {
    let at = written.find("narrows:").expect("a check with its word");
    format!("$24\r\n{}\r\n", &written[at..at + 24])
}

#[test]
fn a_connection_whose_client_has_left_is_clean_when_the_server_has_said_so() {
    let message = ">3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$2\r\nhi\r\n";
    let ended = ">3\r\n$11\r\nunsubscribe\r\n$2\r\nch\r\n:0\r\n";
    let length = message.len() + ended.len() + "$24\r\n\r\n".len() + 24;
    for at in 0..length {
        let mut harness = Harness::new(8, without_alarms);
        let lease = left(&mut harness);
        let asked = harness.written(lease);
        assert!(
            asked.starts_with("*1\r\n$11\r\nUNSUBSCRIBE\r\n*2\r\n$4\r\nPING\r\n"),
            "{asked}"
        );
        let answer = format!("{message}{ended}{}", pong(&asked));
        assert_eq!(answer.len(), length);
        // Nobody gets it before its last answer.
        let next = harness.client();
        harness.send(next, "HELLO 3\r\nWATCH k\r\n");
        assert_eq!(harness.written(lease), "");
        harness.reply(lease, &answer.as_bytes()[..at]);
        assert_eq!(harness.written(lease), "");
        harness.reply(lease, &answer.as_bytes()[at..]);
        assert!(harness.closed.is_empty(), "cut at {at}");
        assert!(harness.written(lease).contains("WATCH"), "cut at {at}");
    }
}

#[test]
fn a_connection_that_does_not_come_clean_is_closed() {
    let ended = ">3\r\n$11\r\nunsubscribe\r\n$2\r\nch\r\n:0\r\n";
    for answer in [
        "-NOPERM no\r\n".to_owned(),
        "+OK\r\n".to_owned(),
        ended.replace(":0", ":7"),
        ended.replace("unsubscribe", "subscribex"),
        format!("{ended}+PONG\r\n"),
        format!("{ended}>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"),
        "$3\r\nabc\r\n".to_owned(),
        "x\r\n".to_owned(),
    ] {
        let mut harness = Harness::new(8, without_alarms);
        let lease = left(&mut harness);
        harness.written(lease);
        harness.reply(lease, answer.as_bytes());
        assert_eq!(harness.closed, [lease], "{answer}");
    }
    // Nor is one waited for that says nothing.
    let mut harness = Harness::new(8, without_alarms);
    let lease = left(&mut harness);
    harness.written(lease);
    harness.advance(Duration::from_secs(4));
    assert_eq!(harness.closed, [lease]);
}

/// Each refusal would stand in the server's `ACL LOG`.
#[test]
fn a_user_who_may_not_take_back_what_is_left_is_not_asked_again() {
    let mut harness = Harness::new(8, without_alarms);
    let first = left(&mut harness);
    harness.written(first);
    harness.reply(first, b"-NOPERM no\r\n");
    assert_eq!(harness.closed, [first]);
    let client = harness.client();
    harness.send(client, "HELLO 3\r\nSUBSCRIBE ch\r\n");
    let second = harness.connect();
    assert!(harness.written(second).contains("SUBSCRIBE"));
    harness.reply(second, b">3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n");
    harness.engine.client_gone(client, harness.now);
    harness.turn();
    assert_eq!(harness.closed, [first, second]);
    assert_eq!(harness.written(second), "");
}
