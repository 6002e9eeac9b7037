//! narrows' own connections are whoever the server takes its certificate for: one user on all of them.

use std::time::Duration;

use narrows::engine::{BackendId, ClientId};

use crate::scenarios::harness::{HELLO, Harness, without_alarms};

fn harness() -> Harness {
    Harness::new(3, |settings| {
        without_alarms(settings);
        settings.backend.presents_certificate = true;
    })
}

/// The dial under way comes to a connection that the server says is this user's.
fn connect_as(harness: &mut Harness, user: &str) -> BackendId {
    let id = harness.permits.last().expect("a dial under way").0;
    harness.engine.dialled(id, harness.now);
    let asked = harness.written(id);
    let asks = asked.contains("WHOAMI") && !asked.contains("RESET");
    assert!(asks && !asked.contains("INCR"), "{asked}");
    harness.reply(id, HELLO);
    let said = format!("${}\r\n{user}\r\n+OK\r\n+OK\r\n", user.len());
    harness.reply(id, said.as_bytes());
    id
}

fn serve(harness: &mut Harness, client: ClientId, backend: BackendId) {
    let request = harness.written(backend);
    assert!(request.contains("INCR"), "{request}");
    harness.reply(backend, b":1\r\n");
    assert_eq!(harness.received(client), ":1\r\n");
}

#[test]
fn a_new_connection_that_is_another_user_takes_nothing_beside_the_old_ones() {
    let mut harness = harness();
    let (client, other) = (harness.client(), harness.client());
    harness.send(client, "INCR a\r\n");
    let first = connect_as(&mut harness, "svc");
    serve(&mut harness, client, first);
    harness.send(client, "INCR a\r\n");
    let request = harness.written(first);
    harness.send(other, "WATCH k\r\n");
    assert_eq!((harness.dials.len(), request.contains("INCR")), (2, true));
    let second = connect_as(&mut harness, "other");
    assert_eq!(harness.closed, [second]);
    // What is on its way to the old one is answered, and then that is gone.
    harness.reply(first, b":2\r\n");
    assert_eq!(harness.received(client), ":2\r\n");
    assert_eq!(harness.closed, [second, first]);
    harness.advance(Duration::from_millis(100));
    let third = connect_as(&mut harness, "other");
    let waits = harness.written(third);
    assert!(waits.contains("WATCH"), "{waits}");
    assert_eq!(harness.gone, [], "nobody is disconnected for that");
}

#[test]
fn what_another_worker_has_heard_holds_here_too() {
    let mut harness = harness();
    let client = harness.client();
    harness.send(client, "INCR a\r\n");
    let first = connect_as(&mut harness, "svc");
    serve(&mut harness, client, first);
    harness.check_health(true);
    harness.turn();
    assert_eq!(harness.closed, []);
    harness.own_user.heard(harness.server(), b"other");
    harness.check_health(true);
    harness.turn();
    assert_eq!(harness.closed, [first]);
    harness.send(client, "INCR a\r\n");
    let second = connect_as(&mut harness, "other");
    serve(&mut harness, client, second);
    harness.check_health(true);
    harness.turn();
    assert_eq!(harness.closed, [first]);
}
