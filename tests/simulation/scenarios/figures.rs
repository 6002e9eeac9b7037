//! What an engine counts, with a clock that is given.

use std::time::Duration;

use narrows::telemetry::{ClientCloseReason, Way};

use crate::scenarios::desk::{Desk, without_alarms};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn the_time_of_one_request_at_a_time_is_taken_from_its_coming_to_its_reply() {
    let mut desk = Desk::new(1, without_alarms);
    let client = desk.client();
    desk.says(client, "PING\r\n");
    let backend = desk.opens();
    desk.written(backend);
    desk.now += ms(3);
    // The second one is written while the first one is watched, and is no sample.
    desk.says(client, "PING\r\n");
    desk.written(backend);
    desk.now += ms(4);
    desk.answers(backend, b"+PONG\r\n");
    desk.now += ms(100);
    desk.answers(backend, b"+PONG\r\n");
    let trips = desk.engine.survey().snapshot().counters.round_trip;
    assert_eq!(trips.count(), 1);
    assert!((trips.sum_seconds() - 0.007).abs() < 1e-9, "{trips:?}");
    desk.says(client, "PING\r\n");
    desk.written(backend);
    desk.now += ms(1);
    desk.answers(backend, b"+PONG\r\n");
    let trips = desk.engine.survey().snapshot().counters.round_trip;
    assert_eq!(trips.count(), 2);
    assert!((trips.sum_seconds() - 0.008).abs() < 1e-9, "{trips:?}");
}

#[test]
fn a_wait_is_counted_once_when_it_is_over_and_a_request_that_did_not_wait_is_not() {
    let mut desk = Desk::new(1, without_alarms);
    let client = desk.client();
    desk.says(client, "PING\r\n");
    let waiting = desk.engine.survey().snapshot();
    assert_eq!(waiting.gauges.waiting, 1);
    assert_eq!(waiting.counters.queue_wait.count(), 0);
    desk.now += ms(20);
    let backend = desk.opens();
    desk.says(client, "PING\r\n");
    desk.written(backend);
    desk.answers(backend, b"+PONG\r\n+PONG\r\n");
    let after = desk.engine.survey().snapshot();
    assert_eq!(after.gauges.waiting, 0);
    let waits = after.counters.queue_wait;
    assert_eq!(waits.count(), 1);
    assert!((waits.sum_seconds() - 0.020).abs() < 1e-9, "{waits:?}");
}

#[test]
fn a_read_that_is_asked_again_is_one_command_and_one_replay() {
    let mut desk = Desk::new(1, without_alarms);
    let client = desk.client();
    desk.says(client, "GET k\r\n");
    let lost = desk.opens();
    desk.written(lost);
    desk.engine.backend_gone(lost, desk.now);
    desk.turn();
    desk.now += ms(100);
    desk.turn();
    let backend = desk.opens();
    desk.written(backend);
    desk.answers(backend, b"$1\r\nv\r\n");
    assert_eq!(desk.hears(client), "$1\r\nv\r\n");
    let counters = desk.engine.survey().snapshot().counters;
    assert_eq!((counters.ways(Way::Shared), counters.replays), (1, 1));
    assert_eq!((counters.losses["gone"], counters.poisoned), (1, 0));
}

#[test]
fn an_engine_that_follows_one_that_panicked_counts_on() {
    let mut desk = Desk::new(1, without_alarms);
    let client = desk.client();
    desk.says(client, "QUIT\r\n");
    desk.hears(client);
    let left = desk.engine.survey().snapshot().counters;
    assert_eq!(
        (left.leaves(ClientCloseReason::Quit), left.ways(Way::Local)),
        (1, 1)
    );
    desk.restart();
    let client = desk.client();
    desk.says(client, "QUIT\r\n");
    desk.hears(client);
    let both = desk.engine.survey().snapshot();
    assert_eq!(
        (
            both.counters.leaves(ClientCloseReason::Quit),
            both.gauges.clients
        ),
        (2, 0)
    );
}

#[test]
fn an_info_too_long_to_be_looked_at_goes_on_as_it_is_and_closes_nobodys_connection() {
    let mut desk = Desk::new(1, without_alarms);
    let (asks, other) = (desk.client(), desk.client());
    desk.says(asks, "INFO\r\nGET a\r\n");
    let backend = desk.opens();
    desk.says(other, "GET b\r\n");
    desk.written(backend);
    let text = format!("$3000000\r\n{}\r\n", "i".repeat(3_000_000));
    let mut heard = String::new();
    for piece in text.as_bytes().chunks(70_000) {
        desk.answers(backend, piece);
        heard += &desk.hears(asks);
    }
    desk.written(backend);
    desk.answers(backend, b"$1\r\nb\r\n$1\r\na\r\n");
    heard += &desk.hears(asks);
    assert!(heard == text + "$1\r\na\r\n", "{} bytes", heard.len());
    assert_eq!(desk.hears(other), "$1\r\nb\r\n");
    assert!(desk.closed.is_empty());
}

#[test]
fn what_is_held_for_a_client_is_counted_wherever_it_is() {
    let mut desk = Desk::new(2, without_alarms);
    let held = |desk: &Desk| desk.engine.survey().snapshot().gauges.buffered_bytes;
    let client = desk.client();
    desk.says(client, "WATCH k\r\n");
    let backend = desk.opens();
    desk.written(backend);
    desk.answers(backend, b"+OK\r\n");
    desk.hears(client);
    desk.says(client, "MULTI\r\n");
    desk.written(backend);
    desk.answers(backend, b"+OK\r\n");
    desk.hears(client);
    assert_eq!(held(&desk), 0);
    // Its connection: sent, and not answered.
    desk.says(client, &format!("SET k {}\r\n", "v".repeat(1000)));
    assert!(held(&desk) > 1000);
    desk.written(backend);
    assert!(held(&desk) > 1000);
    desk.answers(backend, b"+QUEUED\r\n");
    desk.hears(client);
    assert_eq!(held(&desk), 0);
    // A place of its transaction.
    desk.says(client, &format!("CLIENT SETNAME {}\r\n", "n".repeat(2000)));
    desk.written(backend);
    desk.answers(backend, b"+QUEUED\r\n");
    desk.hears(client);
    assert!((2000..3000).contains(&held(&desk)), "{}", held(&desk));
    // A reply that is looked at whole, and then its name.
    desk.says(client, "EXEC\r\n");
    desk.written(backend);
    desk.answers(backend, b"*2\r\n+OK\r\n+PO");
    assert!(held(&desk) > 2000);
    desk.answers(backend, b"NG\r\n");
    assert_eq!(desk.hears(client), "*2\r\n+OK\r\n+OK\r\n");
    assert_eq!(held(&desk), 2000);
    assert!(desk.engine.survey().census().totals_agree);
    desk.engine.client_gone(client, desk.now);
    desk.turn();
    assert_eq!(held(&desk), 0);
}

#[test]
fn of_those_who_hold_something_nobody_is_closed_but_who_holds_too_much() {
    let mut desk = Desk::new(2, |settings| {
        without_alarms(settings);
        settings.clients.memory_bytes_max = 40_000;
    });
    let (hoarder, other) = (desk.client(), desk.client());
    desk.says(hoarder, "WATCH k\r\n");
    let lease = desk.opens();
    desk.written(lease);
    desk.answers(lease, b"+OK\r\n");
    assert_eq!(desk.hears(hoarder), "+OK\r\n");
    // The other has something to be sent.
    desk.says(other, "CLIENT ID\r\n");
    let value = "v".repeat(30_000);
    for _ in 0..2 {
        desk.says(hoarder, &format!("SET k {value}\r\n"));
    }
    desk.turn();
    assert_eq!(desk.gone, [hoarder]);
    assert_eq!(desk.hears(other), ":2\r\n");
}

#[test]
fn who_is_closed_for_memory_while_it_logs_in_takes_nobody_elses_login_along() {
    let mut desk = Desk::new(2, |settings| {
        without_alarms(settings);
        settings.clients.memory_bytes_max = 40_000;
    });
    desk.lets_users_log_in();
    let (hoarder, other) = (desk.client(), desk.client());
    desk.says(hoarder, "AUTH user secret\r\n");
    desk.says(other, "AUTH user secret\r\n");
    let dials = desk.engine.survey().counters().dials;
    desk.says(hoarder, &format!("SET k {}\r\n", "v".repeat(50_000)));
    assert_eq!(desk.gone, [hoarder]);
    desk.sleeps(Duration::from_millis(100));
    assert_eq!(
        desk.engine.survey().counters().dials,
        dials,
        "it is still asked about"
    );
    assert_eq!(desk.engine.survey().census().logins, 1);
    assert!(desk.engine.survey().census().totals_agree);
    assert_eq!(desk.hears(other), "");
}
