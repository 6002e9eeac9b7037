//! Clients that say nothing: closed in time, looked at seldom, and by the limits that hold now.

use std::sync::Arc;
use std::time::Duration;

use narrows::engine::settings::EngineSettings;
use narrows::engine::{ClientId, Mail, Rules};
use narrows::session::AuthMode;
use narrows::telemetry::ClientCloseReason;

use crate::scenarios::harness::{Harness, without_alarms};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn ten_thousand_idle_clients_are_closed_in_time_and_cost_a_few_looks() {
    let mut harness = Harness::new(1, |settings| {
        without_alarms(settings);
        settings.clients.idle_timeout = 300 * SECOND;
    });
    let clients: Vec<ClientId> = (0..10_000).map(|_| harness.client()).collect();
    assert_eq!(
        harness.advance(200 * SECOND),
        0,
        "nobody is looked at before it may be idle"
    );
    for client in &clients[..5000] {
        harness.send(*client, "CLIENT ID\r\n");
        harness.received(*client);
    }
    let wakes = harness.advance(102 * SECOND);
    assert_eq!(
        harness.engine.survey().clients_len(),
        5000,
        "those who have said something"
    );
    assert_eq!(
        harness
            .engine
            .survey()
            .counters()
            .leaves(ClientCloseReason::Idle),
        5000
    );
    let later = harness.advance(197 * SECOND);
    assert_eq!(harness.engine.survey().clients_len(), 5000);
    let last = harness.advance(3 * SECOND);
    assert_eq!(harness.engine.survey().clients_len(), 0);
    assert!(wakes + later + last < 20, "{wakes} {later} {last}");
    assert!(harness.engine.survey().census().totals_agree);
}

#[test]
fn a_client_that_waits_for_an_answer_is_idle_only_when_it_has_had_one_for_long() {
    let mut harness = Harness::new(1, |settings| {
        without_alarms(settings);
        settings.clients.idle_timeout = 2 * SECOND;
        settings.backend.stall_timeout = 100 * SECOND;
    });
    let client = harness.client();
    harness.send(client, "INCR a\r\n");
    let backend = harness.connect();
    harness.written(backend);
    harness.advance(9 * SECOND);
    assert_eq!(
        harness.engine.survey().clients_len(),
        1,
        "the server takes its time"
    );
    harness.reply(backend, b":1\r\n");
    assert_eq!(harness.received(client), ":1\r\n");
    harness.advance(SECOND + SECOND / 2);
    assert_eq!(
        harness.engine.survey().clients_len(),
        1,
        "since it was answered"
    );
    harness.advance(SECOND);
    assert_eq!(harness.engine.survey().clients_len(), 0);
}

#[test]
fn a_limit_that_is_set_later_holds_for_those_who_are_there() {
    let mut harness = Harness::new(1, without_alarms);
    let clients: Vec<ClientId> = (0..10).map(|_| harness.client()).collect();
    harness.advance(1000 * SECOND);
    for (timeout, left) in [(2000, 10), (0, 10), (1500, 10), (500, 0)] {
        let rules = Arc::clone(harness.engine.survey().rules());
        let mut settings = rules.settings.clone();
        settings.clients.idle_timeout = timeout * SECOND;
        let rules = Rules {
            settings,
            commands: rules.commands.clone(),
            policy: rules.policy.clone(),
            access: rules.access.clone(),
        };
        harness
            .engine
            .mail(Mail::Rules(Arc::new(rules)), harness.now);
        harness.advance(2 * SECOND);
        assert_eq!(
            harness.engine.survey().clients_len(),
            left,
            "after {timeout} s"
        );
        assert!(harness.engine.survey().census().totals_agree);
    }
    assert_eq!(clients.len(), 10);
}

#[test]
fn who_writes_all_before_it_reads_is_read_on_before_it_is_known_whether_it_has_to_log_in() {
    let settings = |settings: &mut EngineSettings| {
        without_alarms(settings);
        settings.pool.queue_timeout = SECOND / 2;
        settings.clients.output_pause_bytes = 50;
        settings.clients.handshake_timeout = Duration::ZERO;
    };
    let mut harness = Harness::with_access(1, settings, AuthMode::Passthrough);
    let client = harness.client();
    harness.send(client, "GET a\r\n");
    harness.advance(SECOND);
    // It is told that there is no server, and does not read that yet.
    assert!(
        !harness
            .engine
            .writing()
            .of_client(client)
            .first()
            .is_empty()
    );
    let requests = format!("HELLO 3\r\n{}", "GET a\r\n".repeat(10_000));
    harness.send(client, &requests);
    let stands = harness.engine.survey().how_it_stands(client);
    assert!(
        harness.engine.may_read(client),
        "nothing moves any more: {stands}"
    );
}
