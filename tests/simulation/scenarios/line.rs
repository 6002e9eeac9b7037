//! The line of those who have found no place to wait on the server: who has come first on a key is lent
//! one first.

use std::time::Duration;

use narrows::engine::BackendId;

use crate::scenarios::desk::{Desk, HELLO, without_alarms};

const ELEMENT: &str = "*2\r\n$1\r\nq\r\n$1\r\na\r\n";

fn waits_on(desk: &mut Desk, backend: BackendId) -> bool {
    let written = desk.written(backend);
    written.contains("$5\r\nBLPOP\r\n$1\r\nq\r\n")
}

/// The connection that was asked for while it waited the last time is not its own.
#[test]
fn who_waits_again_is_lent_nothing_before_those_who_have_come_meanwhile() {
    let mut desk = Desk::new(2, without_alarms);
    let (again, first) = (desk.client(), desk.client());
    desk.says(again, "BLPOP q 0.1\r\nBLPOP q 0\r\n");
    let place = desk.permits[0].0;
    desk.says(first, "BLPOP q 0\r\n");
    desk.sleeps(Duration::from_millis(100));
    assert_eq!(desk.hears(again), "*-1\r\n");
    desk.opens_one(place);
    assert!(waits_on(&mut desk, place));
    desk.answers(place, ELEMENT.as_bytes());
    assert_eq!(desk.hears(first), ELEMENT);
    assert_eq!(desk.hears(again), "");
}

/// Though it could be used as it is by one who stands behind another.
#[test]
fn a_connection_that_comes_free_is_lent_to_nobody_before_those_who_stand_in_front_of_it() {
    // One place is kept back.
    let mut desk = Desk::new(5, without_alarms);
    let [other, holds, first, second] = [(); 4].map(|()| desk.client());
    desk.says(other, "GET a\r\n");
    let pipe = desk.opens();
    desk.written(pipe);
    desk.answers(pipe, b"$-1\r\n");
    desk.says(holds, "HELLO 3\r\n");
    desk.opens();
    desk.says(holds, "MULTI\r\n");
    let free = desk.opens();
    assert!(desk.written(free).contains("MULTI"));
    desk.answers(free, b"+OK\r\n");
    desk.says(first, "BLPOP q 0\r\n");
    let place = desk.permits.last().unwrap().0;
    // Whether it may be tried, and that there is nothing for it.
    desk.written(pipe);
    desk.answers(pipe, b"+OK\r\n*0\r\n");
    assert!(waits_on(&mut desk, pipe));
    desk.answers(pipe, b"+OK\r\n+QUEUED\r\n*1\r\n*-1\r\n");
    desk.says(second, "HELLO 3\r\nBLPOP q 0\r\n");
    desk.says(holds, "EXEC\r\n");
    assert!(desk.written(free).contains("EXEC"));
    desk.answers(free, b"*0\r\n");
    // Nobody waits on it: whoever comes first is tried once more.
    assert_eq!(desk.written(free), "");
    desk.opens_one(place);
    assert!(waits_on(&mut desk, place));
    assert!(waits_on(&mut desk, free));
}

/// All of them are clients of the user that a reload has made them.
#[test]
fn who_stands_in_line_when_a_reload_changes_its_user_keeps_its_place_before_those_who_come_later() {
    let mut desk = Desk::new(2, without_alarms);
    let [holds, first, second] = [(); 3].map(|()| desk.client());
    desk.says(holds, "BLPOP p 0\r\n");
    let place = desk.permits[0].0;
    desk.says(first, "BLPOP q 0\r\n");
    desk.opens_one(place);
    assert!(desk.written(place).contains("BLPOP"));
    desk.logs_in_as("another");
    desk.says(second, "BLPOP q 0\r\n");
    desk.answers(place, b"*2\r\n$1\r\np\r\n$1\r\na\r\n");
    // What was dialled as the user before is closed, and another one dialled.
    let mut open = Vec::new();
    let place = loop {
        let mut ids = desk.permits.iter().map(|(id, _)| *id);
        let id = ids.rfind(|id| !open.contains(id));
        let id = id.expect("one of them waits");
        desk.engine.dialled(id, desk.now);
        match desk.written(id).contains("another") {
            true => desk.answers(id, &[b"+OK\r\n", HELLO, b"+OK\r\n+OK\r\n"].concat()),
            false => desk.answers(id, HELLO),
        }
        if waits_on(&mut desk, id) {
            break id;
        }
        open.push(id);
    };
    desk.answers(place, ELEMENT.as_bytes());
    assert_eq!(desk.hears(first), ELEMENT);
    assert_eq!(desk.hears(second), "");
}
