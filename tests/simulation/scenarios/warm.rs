//! Connections that are kept ready for those who will need one of their own.

use std::time::Duration;

use narrows::engine::BackendId;

use crate::scenarios::cleaning::pong;
use crate::scenarios::desk::{Desk, HELLO, without_alarms};

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// All dials come to connections.
fn open_all(desk: &mut Desk, open: &mut Vec<BackendId>) {
    loop {
        desk.turn();
        let mut dialled = desk.permits.iter().map(|(id, _)| *id);
        match dialled.find(|id| !open.contains(id)) {
            Some(id) => open.push(desk.opens_one(id)),
            None => return,
        }
    }
}

/// The server takes every connection and answers whatever it is asked.
fn answer_all(desk: &mut Desk, open: &mut Vec<BackendId>) {
    loop {
        desk.turn();
        let dialled = desk.permits.iter().map(|(id, _)| *id);
        let new: Vec<BackendId> = dialled.filter(|id| !open.contains(id)).collect();
        for id in &new {
            desk.engine.dialled(*id, desk.now);
        }
        open.extend(&new);
        let mut asked = !new.is_empty();
        for id in open.clone() {
            for word in desk.written(id).split("\r\n") {
                let reply = match word {
                    "HELLO" => HELLO,
                    "CLIENT" | "SELECT" => b"+OK\r\n",
                    "GET" => b"$-1\r\n",
                    _ => continue,
                };
                asked = true;
                desk.answers(id, reply);
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
        let mut desk = Desk::new(connections, |settings| {
            without_alarms(settings);
            settings.pool.min_idle_leases = wanted;
        });
        assert!(desk.permits.is_empty(), "nobody is there");
        let client = desk.client();
        desk.says(client, "GET k\r\n");
        let mut open = Vec::new();
        open_all(&mut desk, &mut open);
        assert_eq!(open.len(), 1 + kept, "{wanted} over {connections}");
        let listener = desk.client();
        desk.says(listener, "SUBSCRIBE ch\r\n");
        let mut written = open.iter().map(|id| desk.written(*id));
        let asked = written.any(|text| text.contains("SUBSCRIBE"));
        assert_eq!(asked, kept > 0, "{wanted} over {connections}");
        // Another one takes its place, as far as there are any.
        open_all(&mut desk, &mut open);
        let most = usize::try_from(connections).unwrap().min(2 + kept);
        assert!(open.len() <= most && desk.closed.is_empty());
    }
}

#[test]
fn what_is_kept_ready_stays_as_long_as_anybody_is_there() {
    let mut desk = Desk::new(15, |settings| {
        settings.pool.ping_interval = Duration::ZERO;
        settings.pool.max_lifetime = Duration::ZERO;
        settings.pool.min_idle_leases = 2;
    });
    let client = desk.client();
    desk.says(client, "GET k\r\n");
    open_all(&mut desk, &mut Vec::new());
    let pipe = desk.permits[0].0;
    assert!(desk.written(pipe).contains("GET"));
    desk.answers(pipe, b"$-1\r\n");
    desk.sleeps(10 * MINUTE);
    assert_eq!((desk.permits.len(), desk.closed.len()), (3, 0));
    desk.engine.client_gone(client, desk.now);
    desk.sleeps(10 * MINUTE);
    assert_eq!((desk.permits.len(), desk.closed.len()), (1, 2));
}

/// Otherwise they went, as those that are used least, and others were dialled, minute by minute.
#[test]
fn what_is_kept_ready_stays_beside_many_pipes_that_are_used_now_and_then() {
    let mut desk = Desk::new(15, |settings| {
        settings.pool.ping_interval = Duration::ZERO;
        settings.pool.max_lifetime = Duration::ZERO;
        settings.pool.min_idle_leases = 2;
    });
    let clients = [0, 1, 2, 3].map(|db| {
        let client = desk.client();
        desk.says(client, &format!("SELECT {db}\r\n"));
        client
    });
    let mut open = Vec::new();
    for _ in 0..10 {
        for client in clients {
            desk.says(client, "GET k\r\n");
            answer_all(&mut desk, &mut open);
        }
        desk.sleeps(MINUTE / 2);
    }
    assert_eq!((desk.permits.len(), desk.closed.len()), (6, 0));
}

/// A write that went there, were it as dead, would be taken for one that is paused.
#[test]
fn what_was_kept_ready_shows_that_it_lives_before_it_takes_over_from_what_says_nothing() {
    let mut desk = Desk::new(15, |settings| {
        settings.pool.ping_interval = Duration::ZERO;
        settings.pool.min_idle_leases = 1;
    });
    let (reader, writer) = (desk.client(), desk.client());
    desk.says(reader, "GET k\r\n");
    let mut open = Vec::new();
    open_all(&mut desk, &mut open);
    let (pipe, ready) = (open[0], open[1]);
    assert!(desk.written(pipe).contains("GET"));
    desk.sleeps(SECOND);
    desk.checks_health(true);
    desk.turn();
    let asked = desk.written(ready);
    assert!(asked.contains("PING"), "{asked}");
    desk.says(writer, "SET k v\r\n");
    assert_eq!(desk.written(ready), "");
    assert_eq!(desk.permits.len(), 3, "another is dialled");
    desk.answers(pipe, b"$-1\r\n");
    assert!(desk.written(pipe).contains("SET"), "it was only slow");
}

/// A read that moves on from a dead connection to one that was kept ready would be lost to that one
/// too, after as long a silence.
#[test]
fn a_server_that_has_fallen_silent_is_not_tried_on_what_was_kept_ready() {
    for by_tcp in [false, true] {
        for answers_pings in [false, true] {
            let mut desk = Desk::new(15, |settings| {
                settings.pool.ping_interval = MINUTE / 2;
                settings.pool.min_idle_leases = 2;
                settings.backend.stall_timeout = MINUTE;
                settings.backend.stall_timeout_answering = MINUTE;
            });
            let client = desk.client();
            desk.says(client, "GET k\r\n");
            let mut open = Vec::new();
            open_all(&mut desk, &mut open);
            assert_eq!(open.len(), 3);
            let (pipe, ready) = (open[0], [open[1], open[2]]);
            assert!(desk.written(pipe).contains("GET"));
            desk.sleeps(MINUTE / 2 + SECOND);
            for id in ready {
                let asked = desk.written(id);
                assert!(asked.contains("PING"), "{asked}");
                if answers_pings {
                    desk.answers(id, pong(&asked).as_bytes());
                }
            }
            if by_tcp {
                desk.engine.backend_gone(pipe, desk.now);
                desk.turn();
            } else {
                desk.sleeps(MINUTE / 2);
            }
            let asked = ready.map(|id| desk.written(id).contains("GET"));
            let expected = [false, answers_pings];
            assert!(
                asked == expected || asked == [answers_pings, false],
                "{asked:?}"
            );
        }
    }
}
