//! Connections that are kept ready for those who will need one of their own.

use std::time::Duration;

use narrows::engine::BackendId;

use crate::scenarios::cleaning::pong;
use crate::scenarios::harness::{HELLO, Harness, without_alarms};

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// All dials come to connections.
fn open_all(harness: &mut Harness, open: &mut Vec<BackendId>) {
    loop {
        harness.turn();
        let mut dialled = harness.permits.iter().map(|(id, _)| *id);
        match dialled.find(|id| !open.contains(id)) {
            Some(id) => open.push(harness.connect_one(id)),
            None => return,
        }
    }
}

/// The server takes every connection and answers whatever it is asked.
fn answer_all(harness: &mut Harness, open: &mut Vec<BackendId>) {
    loop {
        harness.turn();
        let dialled = harness.permits.iter().map(|(id, _)| *id);
        let new: Vec<BackendId> = dialled.filter(|id| !open.contains(id)).collect();
        for id in &new {
            harness.engine.dialled(*id, harness.now);
        }
        open.extend(&new);
        let mut asked = !new.is_empty();
        for id in open.clone() {
            for word in harness.written(id).split("\r\n") {
                let reply = match word {
                    "HELLO" => HELLO,
                    "CLIENT" | "SELECT" => b"+OK\r\n",
                    "GET" => b"$-1\r\n",
                    _ => continue,
                };
                asked = true;
                harness.reply(id, reply);
            }
        }
        if !asked {
            return;
        }
    }
}

#[test]
fn a_first_subscriber_waits_for_no_dial() {
    for (connections, wanted, kept) in [
        (15, 2, 2),
        (15, 100, 6),
        (4, 2, 1),
        (2, 2, 1),
        (1, 2, 0),
        (15, 0, 0),
    ] {
        let mut harness = Harness::new(connections, |settings| {
            without_alarms(settings);
            settings.pool.min_idle_leases = wanted;
        });
        assert!(harness.permits.is_empty(), "nobody is there");
        let client = harness.client();
        harness.send(client, "GET k\r\n");
        let mut open = Vec::new();
        open_all(&mut harness, &mut open);
        assert_eq!(open.len(), 1 + kept, "{wanted} over {connections}");
        let listener = harness.client();
        harness.send(listener, "SUBSCRIBE ch\r\n");
        let mut written = open.iter().map(|id| harness.written(*id));
        let asked = written.any(|text| text.contains("SUBSCRIBE"));
        assert_eq!(asked, kept > 0, "{wanted} over {connections}");
        // Another one takes its place, as far as there are any.
        open_all(&mut harness, &mut open);
        let most = usize::try_from(connections).unwrap().min(2 + kept);
        assert!(open.len() <= most && harness.closed.is_empty());
    }
}

#[test]
fn what_is_kept_ready_stays_as_long_as_anybody_is_there() {
    let mut harness = Harness::new(15, |settings| {
        settings.pool.ping_interval = Duration::ZERO;
        settings.pool.max_lifetime = Duration::ZERO;
        settings.pool.min_idle_leases = 2;
    });
    let client = harness.client();
    harness.send(client, "GET k\r\n");
    open_all(&mut harness, &mut Vec::new());
    let pipe = harness.permits[0].0;
    assert!(harness.written(pipe).contains("GET"));
    harness.reply(pipe, b"$-1\r\n");
    harness.advance(10 * MINUTE);
    assert_eq!((harness.permits.len(), harness.closed.len()), (3, 0));
    harness.engine.client_gone(client, harness.now);
    harness.advance(10 * MINUTE);
    assert_eq!((harness.permits.len(), harness.closed.len()), (1, 2));
}

/// Otherwise they went, as those that are used least, and others were dialled, minute by minute.
#[test]
fn what_is_kept_ready_stays_beside_many_pipes_that_are_used_now_and_then() {
    let mut harness = Harness::new(15, |settings| {
        settings.pool.ping_interval = Duration::ZERO;
        settings.pool.max_lifetime = Duration::ZERO;
        settings.pool.min_idle_leases = 2;
    });
    let clients = [0, 1, 2, 3].map(|db| {
        let client = harness.client();
        harness.send(client, &format!("SELECT {db}\r\n"));
        client
    });
    let mut open = Vec::new();
    for _ in 0..10 {
        for client in clients {
            harness.send(client, "GET k\r\n");
            answer_all(&mut harness, &mut open);
        }
        harness.advance(MINUTE / 2);
    }
    assert_eq!((harness.permits.len(), harness.closed.len()), (6, 0));
}

/// A write that went there, were it as dead, would be taken for one that is paused.
#[test]
fn what_was_kept_ready_shows_that_it_lives_before_it_takes_over_from_what_says_nothing() {
    let mut harness = Harness::new(15, |settings| {
        settings.pool.ping_interval = Duration::ZERO;
        settings.pool.min_idle_leases = 1;
    });
    let (reader, writer) = (harness.client(), harness.client());
    harness.send(reader, "GET k\r\n");
    let mut open = Vec::new();
    open_all(&mut harness, &mut open);
    let (pipe, ready) = (open[0], open[1]);
    assert!(harness.written(pipe).contains("GET"));
    harness.advance(SECOND);
    harness.check_health(true);
    harness.turn();
    let asked = harness.written(ready);
    assert!(asked.contains("PING"), "{asked}");
    harness.send(writer, "SET k v\r\n");
    assert_eq!(harness.written(ready), "");
    assert_eq!(harness.permits.len(), 3, "another is dialled");
    harness.reply(pipe, b"$-1\r\n");
    assert!(harness.written(pipe).contains("SET"), "it was only slow");
}

/// A read that moves on from a dead connection to one that was kept ready would be lost to that one
/// too, after as long a silence.
#[test]
fn a_server_that_has_fallen_silent_is_not_tried_on_what_was_kept_ready() {
    for by_tcp in [false, true] {
        for answers_pings in [false, true] {
            let mut harness = Harness::new(15, |settings| {
                settings.pool.ping_interval = MINUTE / 2;
                settings.pool.min_idle_leases = 2;
                settings.backend.stall_timeout = MINUTE;
                settings.backend.stall_timeout_answering = MINUTE;
            });
            let client = harness.client();
            harness.send(client, "GET k\r\n");
            let mut open = Vec::new();
            open_all(&mut harness, &mut open);
            assert_eq!(open.len(), 3);
            let (pipe, ready) = (open[0], [open[1], open[2]]);
            assert!(harness.written(pipe).contains("GET"));
            harness.advance(MINUTE / 2 + SECOND);
            for id in ready {
                let asked = harness.written(id);
                assert!(asked.contains("PING"), "{asked}");
                if answers_pings {
                    harness.reply(id, pong(&asked).as_bytes());
                }
            }
            if by_tcp {
                harness.engine.backend_gone(pipe, harness.now);
                harness.turn();
            } else {
                harness.advance(MINUTE / 2);
            }
            let asked = ready.map(|id| harness.written(id).contains("GET"));
            let expected = [false, answers_pings];
            assert!(
                asked == expected || asked == [answers_pings, false],
                "{asked:?}"
            );
        }
    }
}
