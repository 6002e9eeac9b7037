//! What a turn costs where much waits that it has nothing to do with: counted in steps, not in time.

use std::time::Duration;

use narrows::engine::{BackendId, ClientId};

use crate::desk::{Desk, without_alarms};

/// A desk with a pipe that has carried something, and a client of it.
fn with_a_pipe(desk: &mut Desk) -> (ClientId, BackendId) {
    let client = desk.client();
    desk.says(client, "GET a\r\n");
    let pipe = desk.opens();
    desk.written(pipe);
    desk.answers(pipe, b"$1\r\na\r\n");
    assert_eq!(desk.hears(client), "$1\r\na\r\n");
    (client, pipe)
}

/// Steps over what waits, while one client asks 100 times and is answered.
fn steps_of_a_hundred_requests(desk: &mut Desk, (client, pipe): (ClientId, BackendId)) -> u64 {
    let before = desk.engine.steps();
    for _ in 0..100 {
        desk.now += Duration::from_micros(100);
        desk.says(client, "GET a\r\n");
        desk.written(pipe);
        desk.answers(pipe, b"$1\r\na\r\n");
        assert_eq!(desk.hears(client), "$1\r\na\r\n");
    }
    desk.engine.steps() - before
}

#[test]
fn who_waits_for_a_lease_costs_the_others_nothing_and_a_lease_costs_its_own_client_only() {
    let mut desk = Desk::new(2, |settings| {
        without_alarms(settings);
        settings.pool.leases_max = 1;
        settings.pool.queue_timeout = Duration::from_secs(600);
    });
    let asks = with_a_pipe(&mut desk);
    let holder = desk.client();
    desk.says(holder, "WATCH k\r\n");
    let lent = desk.opens();
    desk.written(lent);
    desk.answers(lent, b"+OK\r\n");
    let waiting: Vec<ClientId> = (0..4000).map(|_| desk.client()).collect();
    for client in &waiting {
        desk.says(*client, "WATCH k\r\n");
    }
    assert_eq!(desk.engine.census().lease_waiters, 4000);
    assert_eq!(steps_of_a_hundred_requests(&mut desk, asks), 0);
    let before = desk.engine.steps();
    let mut holds = holder;
    for next in &waiting[..100] {
        desk.says(holds, "UNWATCH\r\n");
        desk.written(lent);
        desk.answers(lent, b"+OK\r\n");
        assert!(desk.written(lent).contains("WATCH"));
        desk.answers(lent, b"+OK\r\n");
        assert_eq!(desk.hears(*next), "+OK\r\n");
        holds = *next;
    }
    assert_eq!(desk.engine.census().lease_waiters, 3900);
    let steps = desk.engine.steps() - before;
    assert!(steps <= 400, "{steps} steps for 100 leases");
}
