//! What is written, from pictures made by hand.

use std::time::Duration;

use super::*;
use crate::telemetry::{Counters, Gauges};

fn worker(clients: u64, is_up: bool) -> WorkerPicture {
    let mut counters = Counters::new(&["arity"], &[("unsolicited_reply", true)]);
    counters.went(Way::Shared);
    counters.round_trip.observe(Duration::from_micros(120));
    let pools = Labelled::from([("exclusive", 8), ("blocking", 4)]);
    let gauges = Gauges {
        clients,
        pool_max: pools,
        ..Gauges::default()
    };
    let snapshot = Arc::new(Snapshot { counters, gauges });
    WorkerPicture { is_up, snapshot }
}

fn picture() -> Picture {
    Picture {
        workers: vec![worker(3, true), worker(4, false)],
        budget: BudgetPicture {
            held: 2,
            max: 13,
            ceiling: None,
        },
        ..Picture::default()
    }
}

fn has(text: &str, line: &str) {
    assert!(
        text.lines().any(|l| l == line),
        "{line} is missing:\n{text}"
    );
}

#[test]
fn workers_add_up_and_one_that_is_silent_keeps_its_last_figures() {
    let text = text(&picture()).unwrap();
    has(&text, "narrows_clients_connected{worker=\"1\"} 4");
    has(&text, "narrows_worker_up{worker=\"0\"} 1");
    has(&text, "narrows_worker_up{worker=\"1\"} 0");
    has(&text, "narrows_commands_total{route=\"shared\"} 2");
    has(&text, "narrows_commands_total{route=\"refused\"} 0");
    has(&text, "narrows_refusals_total{reason=\"arity\"} 0");
    has(&text, "narrows_round_trip_seconds_bucket{le=\"0.0001\"} 0");
    has(&text, "narrows_round_trip_seconds_bucket{le=\"0.00025\"} 2");
    has(&text, "narrows_round_trip_seconds_bucket{le=\"+Inf\"} 2");
    has(&text, "narrows_round_trip_seconds_sum 0.00024");
    has(&text, "narrows_unsolicited_replies_total 0");
}

#[test]
fn no_pool_is_bounded_by_more_than_what_all_share() {
    let text = text(&picture()).unwrap();
    let max = |pool: &str, max: u32| {
        let line = format!("redis_client_pool_max_connections{{pool=\"{pool}\"}} {max}");
        has(&text, &line);
    };
    max("shared", 12);
    max("exclusive", 12);
    max("blocking", 8);
    max("control", 1);
}

#[test]
fn what_is_not_known_is_absent_and_whether_the_server_answers_is_always_there() {
    let mut picture = picture();
    let silent = text(&picture).unwrap();
    has(&silent, "redis_up 0");
    for name in ["redis_connected_clients", "budget_connections_ceiling"] {
        assert!(!silent.contains(name), "{silent}");
    }
    picture.health = Health::Answering;
    picture
        .server
        .read("connected_clients:5\r\nmaxmemory:0\r\n");
    picture.budget.ceiling = Some(9);
    let known = text(&picture).unwrap();
    has(&known, "redis_up 1");
    has(&known, "redis_connected_clients 5");
    has(&known, "redis_memory_max_bytes 0");
    has(&known, "narrows_budget_connections_ceiling 9");
    has(
        &known,
        "redis_client_pool_connections_in_use{pool=\"control\"} 1",
    );
}

#[test]
fn a_certificate_is_shown_with_its_use_and_its_file() {
    let mut picture = picture();
    let metric = "narrows_tls_certificate_not_after_seconds";
    assert!(!text(&picture).unwrap().contains(metric));
    picture.certificates.push(CertificatePicture {
        used_for: "backend",
        file: "/etc/a.pem".to_owned(),
        not_after: 1_800_000_000,
    });
    let text = text(&picture).unwrap();
    let labels = "use=\"backend\",file=\"/etc/a.pem\"";
    has(&text, &format!("{metric}{{{labels}}} 1800000000"));
    has(&text, "narrows_tls_reload_failures_total 0");
}
