//! The places of commands in `EXEC`'s reply, which decide where a connection and its client are.

use crate::scenarios::desk::{Desk, without_alarms};

/// A client in a transaction on the one connection for leases, with the replies so far heard.
fn in_multi(desk: &mut Desk) -> (narrows::engine::ClientId, narrows::engine::BackendId) {
    let client = desk.client();
    desk.says(client, "MULTI\r\n");
    let backend = desk.opens();
    desk.written(backend);
    desk.answers(backend, b"+OK\r\n");
    assert_eq!(desk.hears(client), "+OK\r\n");
    (client, backend)
}

#[test]
fn a_select_behind_a_refused_watch_moves_its_client_and_its_connection() {
    let mut desk = Desk::new(1, without_alarms);
    let (client, backend) = in_multi(&mut desk);
    desk.says(client, "WATCH a\r\nSELECT 5\r\nEXEC\r\n");
    desk.written(backend);
    desk.answers(backend, b"-ERR WATCH inside MULTI is not allowed\r\n");
    desk.written(backend);
    desk.answers(backend, b"+QUEUED\r\n");
    desk.written(backend);
    desk.answers(backend, b"*1\r\n+OK\r\n");
    assert!(desk.hears(client).ends_with("*1\r\n+OK\r\n"));

    // It is in db 5 now, so that one who is in db 0 has it switched first.
    let other = desk.client();
    desk.says(other, "SET a 1\r\n");
    let written = desk.written(backend);
    assert!(
        written.contains("$6\r\nSELECT\r\n$1\r\n0\r\n") && !written.contains("SET"),
        "{written}"
    );
}

#[test]
fn an_exec_that_ran_more_or_less_than_was_queued_ends_its_client_and_its_connection() {
    for reply in ["*1\r\n+OK\r\n", "*3\r\n+OK\r\n+OK\r\n:1\r\n"] {
        let mut desk = Desk::new(1, without_alarms);
        let (client, backend) = in_multi(&mut desk);
        desk.says(client, "SELECT 5\r\n");
        desk.written(backend);
        desk.answers(backend, b"+QUEUED\r\n");
        desk.says(client, "INCR a\r\nEXEC\r\n");
        desk.written(backend);
        desk.answers(backend, format!("+QUEUED\r\n{reply}").as_bytes());
        assert_eq!(desk.closed, [backend], "{reply}");
        assert!(desk.hears(client).ends_with(reply));
        assert!(!desk.engine.may_read(client), "{reply}");
    }
}
