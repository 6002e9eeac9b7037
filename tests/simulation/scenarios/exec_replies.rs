//! The places of commands in `EXEC`'s reply, which decide where a connection and its client are.

use crate::scenarios::harness::{Harness, without_alarms};

/// A client in a transaction on the one connection for leases, with the replies so far heard.
fn in_multi(harness: &mut Harness) -> (narrows::engine::ClientId, narrows::engine::BackendId) {
    let client = harness.client();
    harness.send(client, "MULTI\r\n");
    let backend = harness.connect();
    harness.written(backend);
    harness.reply(backend, b"+OK\r\n");
    assert_eq!(harness.received(client), "+OK\r\n");
    (client, backend)
}

#[test]
fn a_select_behind_a_refused_watch_moves_its_client_and_its_connection() {
    let mut harness = Harness::new(1, without_alarms);
    let (client, backend) = in_multi(&mut harness);
    harness.send(client, "WATCH a\r\nSELECT 5\r\nEXEC\r\n");
    harness.written(backend);
    harness.reply(backend, b"-ERR WATCH inside MULTI is not allowed\r\n");
    harness.written(backend);
    harness.reply(backend, b"+QUEUED\r\n");
    harness.written(backend);
    harness.reply(backend, b"*1\r\n+OK\r\n");
    assert!(harness.received(client).ends_with("*1\r\n+OK\r\n"));

    // It is in db 5 now, so that one who is in db 0 has it switched first.
    let other = harness.client();
    harness.send(other, "SET a 1\r\n");
    let written = harness.written(backend);
    assert!(
        written.contains("$6\r\nSELECT\r\n$1\r\n0\r\n") && !written.contains("SET"),
        "{written}"
    );
}

#[test]
fn an_exec_that_ran_more_or_less_than_was_queued_ends_its_client_and_its_connection() {
    for reply in ["*1\r\n+OK\r\n", "*3\r\n+OK\r\n+OK\r\n:1\r\n"] {
        let mut harness = Harness::new(1, without_alarms);
        let (client, backend) = in_multi(&mut harness);
        harness.send(client, "SELECT 5\r\n");
        harness.written(backend);
        harness.reply(backend, b"+QUEUED\r\n");
        harness.send(client, "INCR a\r\nEXEC\r\n");
        harness.written(backend);
        harness.reply(backend, format!("+QUEUED\r\n{reply}").as_bytes());
        assert_eq!(harness.closed, [backend], "{reply}");
        assert!(harness.received(client).ends_with(reply));
        assert!(!harness.engine.may_read(client), "{reply}");
    }
}
