//! Clients that say nothing: closed in time, looked at seldom, and by the limits that hold now.

use std::sync::Arc;
use std::time::Duration;

use narrows::engine::settings::EngineSettings;
use narrows::engine::{ClientId, Mail, Rules};
use narrows::session::AuthMode;
use narrows::telemetry::ClientCloseReason;

use crate::scenarios::desk::{Desk, without_alarms};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn ten_thousand_idle_clients_are_closed_in_time_and_cost_a_few_looks() {
    let mut desk = Desk::new(1, |settings| {
        without_alarms(settings);
        settings.clients.idle_timeout = 300 * SECOND;
    });
    let clients: Vec<ClientId> = (0..10_000).map(|_| desk.client()).collect();
    assert_eq!(
        desk.sleeps(200 * SECOND),
        0,
        "nobody is looked at before it may be idle"
    );
    for client in &clients[..5000] {
        desk.says(*client, "CLIENT ID\r\n");
        desk.hears(*client);
    }
    let wakes = desk.sleeps(102 * SECOND);
    assert_eq!(
        desk.engine.survey().clients_len(),
        5000,
        "those who have said something"
    );
    assert_eq!(
        desk.engine
            .survey()
            .counters()
            .leaves(ClientCloseReason::Idle),
        5000
    );
    let later = desk.sleeps(197 * SECOND);
    assert_eq!(desk.engine.survey().clients_len(), 5000);
    let last = desk.sleeps(3 * SECOND);
    assert_eq!(desk.engine.survey().clients_len(), 0);
    assert!(wakes + later + last < 20, "{wakes} {later} {last}");
    assert!(desk.engine.survey().census().totals_agree);
}

#[test]
fn a_client_that_waits_for_an_answer_is_idle_only_when_it_has_had_one_for_long() {
    let mut desk = Desk::new(1, |settings| {
        without_alarms(settings);
        settings.clients.idle_timeout = 2 * SECOND;
        settings.backend.stall_timeout = 100 * SECOND;
    });
    let client = desk.client();
    desk.says(client, "INCR a\r\n");
    let backend = desk.opens();
    desk.written(backend);
    desk.sleeps(9 * SECOND);
    assert_eq!(
        desk.engine.survey().clients_len(),
        1,
        "the server takes its time"
    );
    desk.answers(backend, b":1\r\n");
    assert_eq!(desk.hears(client), ":1\r\n");
    desk.sleeps(SECOND + SECOND / 2);
    assert_eq!(
        desk.engine.survey().clients_len(),
        1,
        "since it was answered"
    );
    desk.sleeps(SECOND);
    assert_eq!(desk.engine.survey().clients_len(), 0);
}

#[test]
fn a_limit_that_is_set_later_holds_for_those_who_are_there() {
    let mut desk = Desk::new(1, without_alarms);
    let clients: Vec<ClientId> = (0..10).map(|_| desk.client()).collect();
    desk.sleeps(1000 * SECOND);
    for (timeout, left) in [(2000, 10), (0, 10), (1500, 10), (500, 0)] {
        let rules = Arc::clone(desk.engine.survey().rules());
        let mut settings = rules.settings.clone();
        settings.clients.idle_timeout = timeout * SECOND;
        let rules = Rules {
            settings,
            commands: rules.commands.clone(),
            policy: rules.policy.clone(),
            access: rules.access.clone(),
        };
        desk.engine.mail(Mail::Rules(Arc::new(rules)), desk.now);
        desk.sleeps(2 * SECOND);
        assert_eq!(
            desk.engine.survey().clients_len(),
            left,
            "after {timeout} s"
        );
        assert!(desk.engine.survey().census().totals_agree);
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
    let mut desk = Desk::with_access(1, settings, AuthMode::Passthrough);
    let client = desk.client();
    desk.says(client, "GET a\r\n");
    desk.sleeps(SECOND);
    // It is told that there is no server, and does not read that yet.
    assert!(!desk.engine.writing().of_client(client).first().is_empty());
    let requests = format!("HELLO 3\r\n{}", "GET a\r\n".repeat(10_000));
    desk.says(client, &requests);
    let stands = desk.engine.survey().how_it_stands(client);
    assert!(
        desk.engine.may_read(client),
        "nothing moves any more: {stands}"
    );
}
