//! The line of those who have found no place to wait on the server: who has come first on a key is lent
//! one first.

use std::time::Duration;

use narrows::engine::BackendId;

use crate::scenarios::harness::{HELLO, Harness, without_alarms};

const ELEMENT: &str = "*2\r\n$1\r\nq\r\n$1\r\na\r\n";

fn waits_on(harness: &mut Harness, backend: BackendId) -> bool {
    let written = harness.written(backend);
    written.contains("$5\r\nBLPOP\r\n$1\r\nq\r\n")
}

/// The connection that was asked for while it waited the last time is not its own.
#[test]
fn who_waits_again_is_lent_nothing_before_those_who_have_come_meanwhile() {
    let mut harness = Harness::new(2, without_alarms);
    let (again, first) = (harness.client(), harness.client());
    harness.send(again, "BLPOP q 0.1\r\nBLPOP q 0\r\n");
    let place = harness.permits[0].0;
    harness.send(first, "BLPOP q 0\r\n");
    harness.advance(Duration::from_millis(100));
    assert_eq!(harness.received(again), "*-1\r\n");
    harness.connect_one(place);
    assert!(waits_on(&mut harness, place));
    harness.reply(place, ELEMENT.as_bytes());
    assert_eq!(harness.received(first), ELEMENT);
    assert_eq!(harness.received(again), "");
}

/// Though it could be used as it is by one who stands behind another.
#[test]
fn a_connection_that_comes_free_is_lent_to_nobody_before_those_who_stand_in_front_of_it() {
    // One place is kept back.
    let mut harness = Harness::new(5, without_alarms);
    let [other, holds, first, second] = [(); 4].map(|()| harness.client());
    harness.send(other, "GET a\r\n");
    let pipe = harness.connect();
    harness.written(pipe);
    harness.reply(pipe, b"$-1\r\n");
    harness.send(holds, "HELLO 3\r\n");
    harness.connect();
    harness.send(holds, "MULTI\r\n");
    let free = harness.connect();
    assert!(harness.written(free).contains("MULTI"));
    harness.reply(free, b"+OK\r\n");
    harness.send(first, "BLPOP q 0\r\n");
    let place = harness.permits.last().unwrap().0;
    // Whether it may be tried, and that there is nothing for it.
    harness.written(pipe);
    harness.reply(pipe, b"+OK\r\n*0\r\n");
    assert!(waits_on(&mut harness, pipe));
    harness.reply(pipe, b"+OK\r\n+QUEUED\r\n*1\r\n*-1\r\n");
    harness.send(second, "HELLO 3\r\nBLPOP q 0\r\n");
    harness.send(holds, "EXEC\r\n");
    assert!(harness.written(free).contains("EXEC"));
    harness.reply(free, b"*0\r\n");
    // Nobody waits on it: whoever comes first is tried once more.
    assert_eq!(harness.written(free), "");
    harness.connect_one(place);
    assert!(waits_on(&mut harness, place));
    assert!(waits_on(&mut harness, free));
}

/// All of them are clients of the user that a reload has made them.
#[test]
fn who_stands_in_line_when_a_reload_changes_its_user_keeps_its_place_before_those_who_come_later() {
    let mut harness = Harness::new(2, without_alarms);
    let [holds, first, second] = [(); 3].map(|()| harness.client());
    harness.send(holds, "BLPOP p 0\r\n");
    let place = harness.permits[0].0;
    harness.send(first, "BLPOP q 0\r\n");
    harness.connect_one(place);
    assert!(harness.written(place).contains("BLPOP"));
    harness.log_in_as("another");
    harness.send(second, "BLPOP q 0\r\n");
    harness.reply(place, b"*2\r\n$1\r\np\r\n$1\r\na\r\n");
    // What was dialled as the user before is closed, and another one dialled.
    let mut open = Vec::new();
    let place = loop {
        let mut ids = harness.permits.iter().map(|(id, _)| *id);
        let id = ids.rfind(|id| !open.contains(id));
        let id = id.expect("one of them waits");
        harness.engine.dialled(id, harness.now);
        match harness.written(id).contains("another") {
            true => harness.reply(id, &[b"+OK\r\n", HELLO, b"+OK\r\n+OK\r\n"].concat()),
            false => harness.reply(id, HELLO),
        }
        if waits_on(&mut harness, id) {
            break id;
        }
        open.push(id);
    };
    harness.reply(place, ELEMENT.as_bytes());
    assert_eq!(harness.received(first), ELEMENT);
    assert_eq!(harness.received(second), "");
}
