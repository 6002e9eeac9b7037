//! What an engine counts, with a clock that is given.

use std::time::Duration;

use narrows::telemetry::{ClientCloseReason, Way};

use crate::scenarios::harness::{Harness, without_alarms};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn the_time_of_one_request_at_a_time_is_taken_from_its_coming_to_its_reply() {
    let mut harness = Harness::new(1, without_alarms);
    let client = harness.client();
    harness.send(client, "PING\r\n");
    let backend = harness.connect();
    harness.written(backend);
    harness.now += ms(3);
    // The second one is written while the first one is watched, and is no sample.
    harness.send(client, "PING\r\n");
    harness.written(backend);
    harness.now += ms(4);
    harness.reply(backend, b"+PONG\r\n");
    harness.now += ms(100);
    harness.reply(backend, b"+PONG\r\n");
    let trips = harness.engine.survey().snapshot().counters.round_trip;
    assert_eq!(trips.count(), 1);
    assert!((trips.sum_seconds() - 0.007).abs() < 1e-9, "{trips:?}");
    harness.send(client, "PING\r\n");
    harness.written(backend);
    harness.now += ms(1);
    harness.reply(backend, b"+PONG\r\n");
    let trips = harness.engine.survey().snapshot().counters.round_trip;
    assert_eq!(trips.count(), 2);
    assert!((trips.sum_seconds() - 0.008).abs() < 1e-9, "{trips:?}");
}

#[test]
fn a_wait_is_counted_once_when_it_is_over_and_a_request_that_did_not_wait_is_not() {
    let mut harness = Harness::new(1, without_alarms);
    let client = harness.client();
    harness.send(client, "PING\r\n");
    let waiting = harness.engine.survey().snapshot();
    assert_eq!(waiting.gauges.waiting, 1);
    assert_eq!(waiting.counters.queue_wait.count(), 0);
    harness.now += ms(20);
    let backend = harness.connect();
    harness.send(client, "PING\r\n");
    harness.written(backend);
    harness.reply(backend, b"+PONG\r\n+PONG\r\n");
    let after = harness.engine.survey().snapshot();
    assert_eq!(after.gauges.waiting, 0);
    let waits = after.counters.queue_wait;
    assert_eq!(waits.count(), 1);
    assert!((waits.sum_seconds() - 0.020).abs() < 1e-9, "{waits:?}");
}

#[test]
fn a_read_that_is_asked_again_is_one_command_and_one_replay() {
    let mut harness = Harness::new(1, without_alarms);
    let client = harness.client();
    harness.send(client, "GET k\r\n");
    let lost = harness.connect();
    harness.written(lost);
    harness.engine.backend_gone(lost, harness.now);
    harness.turn();
    harness.now += ms(100);
    harness.turn();
    let backend = harness.connect();
    harness.written(backend);
    harness.reply(backend, b"$1\r\nv\r\n");
    assert_eq!(harness.received(client), "$1\r\nv\r\n");
    let counters = harness.engine.survey().snapshot().counters;
    assert_eq!((counters.ways(Way::Shared), counters.replays), (1, 1));
    assert_eq!((counters.losses["gone"], counters.poisoned), (1, 0));
}

#[test]
fn an_engine_that_follows_one_that_panicked_counts_on() {
    let mut harness = Harness::new(1, without_alarms);
    let client = harness.client();
    harness.send(client, "QUIT\r\n");
    harness.received(client);
    let left = harness.engine.survey().snapshot().counters;
    assert_eq!(
        (left.leaves(ClientCloseReason::Quit), left.ways(Way::Local)),
        (1, 1)
    );
    harness.restart();
    let client = harness.client();
    harness.send(client, "QUIT\r\n");
    harness.received(client);
    let both = harness.engine.survey().snapshot();
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
    let mut harness = Harness::new(1, without_alarms);
    let (asks, other) = (harness.client(), harness.client());
    harness.send(asks, "INFO\r\nGET a\r\n");
    let backend = harness.connect();
    harness.send(other, "GET b\r\n");
    harness.written(backend);
    let text = format!("$3000000\r\n{}\r\n", "i".repeat(3_000_000));
    let mut heard = String::new();
    for piece in text.as_bytes().chunks(70_000) {
        harness.reply(backend, piece);
        heard += &harness.received(asks);
    }
    harness.written(backend);
    harness.reply(backend, b"$1\r\nb\r\n$1\r\na\r\n");
    heard += &harness.received(asks);
    assert!(heard == text + "$1\r\na\r\n", "{} bytes", heard.len());
    assert_eq!(harness.received(other), "$1\r\nb\r\n");
    assert!(harness.closed.is_empty());
}

#[test]
fn what_is_held_for_a_client_is_counted_wherever_it_is() {
    let mut harness = Harness::new(2, without_alarms);
    let held = |harness: &Harness| harness.engine.survey().snapshot().gauges.buffered_bytes;
    let client = harness.client();
    harness.send(client, "WATCH k\r\n");
    let backend = harness.connect();
    harness.written(backend);
    harness.reply(backend, b"+OK\r\n");
    harness.received(client);
    harness.send(client, "MULTI\r\n");
    harness.written(backend);
    harness.reply(backend, b"+OK\r\n");
    harness.received(client);
    assert_eq!(held(&harness), 0);
    // Its connection: sent, and not answered.
    harness.send(client, &format!("SET k {}\r\n", "v".repeat(1000)));
    assert!(held(&harness) > 1000);
    harness.written(backend);
    assert!(held(&harness) > 1000);
    harness.reply(backend, b"+QUEUED\r\n");
    harness.received(client);
    assert_eq!(held(&harness), 0);
    // A place of its transaction.
    harness.send(client, &format!("CLIENT SETNAME {}\r\n", "n".repeat(2000)));
    harness.written(backend);
    harness.reply(backend, b"+QUEUED\r\n");
    harness.received(client);
    assert!((2000..3000).contains(&held(&harness)), "{}", held(&harness));
    // A reply that is looked at whole, and then its name.
    harness.send(client, "EXEC\r\n");
    harness.written(backend);
    harness.reply(backend, b"*2\r\n+OK\r\n+PO");
    assert!(held(&harness) > 2000);
    harness.reply(backend, b"NG\r\n");
    assert_eq!(harness.received(client), "*2\r\n+OK\r\n+OK\r\n");
    assert_eq!(held(&harness), 2000);
    assert!(harness.engine.survey().census().totals_agree);
    harness.engine.client_gone(client, harness.now);
    harness.turn();
    assert_eq!(held(&harness), 0);
}

#[test]
fn of_those_who_hold_something_nobody_is_closed_but_who_holds_too_much() {
    let mut harness = Harness::new(2, |settings| {
        without_alarms(settings);
        settings.clients.memory_bytes_max = 40_000;
    });
    let (hoarder, other) = (harness.client(), harness.client());
    harness.send(hoarder, "WATCH k\r\n");
    let lease = harness.connect();
    harness.written(lease);
    harness.reply(lease, b"+OK\r\n");
    assert_eq!(harness.received(hoarder), "+OK\r\n");
    // The other has something to be sent.
    harness.send(other, "CLIENT ID\r\n");
    let value = "v".repeat(30_000);
    for _ in 0..2 {
        harness.send(hoarder, &format!("SET k {value}\r\n"));
    }
    harness.turn();
    assert_eq!(harness.gone, [hoarder]);
    assert_eq!(harness.received(other), ":2\r\n");
}

#[test]
fn who_is_closed_for_memory_while_it_logs_in_takes_nobody_elses_login_along() {
    let mut harness = Harness::new(2, |settings| {
        without_alarms(settings);
        settings.clients.memory_bytes_max = 40_000;
    });
    harness.let_users_log_in();
    let (hoarder, other) = (harness.client(), harness.client());
    harness.send(hoarder, "AUTH user secret\r\n");
    harness.send(other, "AUTH user secret\r\n");
    let dials = harness.engine.survey().counters().dials;
    harness.send(hoarder, &format!("SET k {}\r\n", "v".repeat(50_000)));
    assert_eq!(harness.gone, [hoarder]);
    harness.advance(Duration::from_millis(100));
    assert_eq!(
        harness.engine.survey().counters().dials,
        dials,
        "it is still asked about"
    );
    assert_eq!(harness.engine.survey().census().logins, 1);
    assert!(harness.engine.survey().census().totals_agree);
    assert_eq!(harness.received(other), "");
}
