//! Runs against real servers: what is right is right in any weather, what is trouble is told, and
//! the program says so by its exit code.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod support;

use std::net::IpAddr;
use std::process::Command;
use std::time::Duration;

use narrows_load::{Arrivals, Data, OnTrouble, Persona, Phase, Plan, Protocol, Target, ValueSizes};
use support::{Child, Flavor, PATIENCE, RedisServer, plan, wait_for};

/// Everything that a plan can ask for, in a second and a half.
fn everything(address: &str) -> Plan {
    let mut plan = plan(address);
    plan.connections = 60;
    plan.duration = Duration::from_millis(1500);
    plan.personas = Persona::ALL.map(|persona| (persona, 1.0)).to_vec();
    plan.databases = vec![0, 3, 15];
    plan.protocols = vec![Protocol::Resp2, Protocol::Resp3];
    plan.values = "48-2k".parse().unwrap();
    plan.bulk_values = ValueSizes::between(16 * 1024, 512 * 1024);
    plan.storm_interval = Duration::from_millis(200);
    plan.leak_interval = Duration::from_millis(50);
    plan
}

#[test]
fn a_run_of_everything_is_good_on_every_server() {
    for flavor in Flavor::pair() {
        let server = RedisServer::start_flavor(flavor, &["--protected-mode", "no"]);
        let mut plan = everything(&server.address());
        plan.sources = ["127.0.0.2", "127.0.0.3"]
            .map(|ip| ip.parse::<IpAddr>().unwrap())
            .to_vec();
        plan.check().unwrap();
        let report = narrows_load::start(plan).wait().unwrap();
        assert!(report.is_good(), "{report}");
        assert_eq!(report.counts.audited, 60, "{report}");
        assert!(report.counts.counters_audited > 0, "{report}");
        assert!(
            report.counts.connected > 60,
            "storms connect again: {report}"
        );
        let all = [
            "GET",
            "SET",
            "GETSET",
            "MGET",
            "INCR",
            "RPUSH",
            "LPOP",
            "LRANGE",
            "EXISTS",
            "ECHO",
            "PING",
            "CLIENT ID",
            "CLIENT GETNAME",
            "HELLO",
            "SELECT",
            "DEL",
        ];
        for command in all {
            assert!(
                report.commands.contains_key(command),
                "{command} in {report}"
            );
        }
        // Shared keys go by themselves; everything else is deleted.
        let left = server.connect().call(&["KEYS", "nl:*"]).items();
        let left: Vec<String> = left.iter().map(|key| format!("{key:?}")).collect();
        assert_eq!(
            left.len(),
            server
                .connect()
                .call(&["KEYS", "nl:*:everyone:*"])
                .items()
                .len()
        );
    }
}

#[test]
fn load_an_open_loop_keeps_its_rate_and_counts_from_the_schedule() {
    for arrivals in [Arrivals::Exponential, Arrivals::Uniform] {
        let server = RedisServer::start();
        let mut plan = plan(&server.address());
        (plan.rate, plan.arrivals) = (Some(2_000.0), arrivals);
        plan.duration = Duration::from_secs(2);
        let running = narrows_load::start(plan);
        wait_for("the load", PATIENCE, || {
            (running.snapshot().phase == Phase::Running).then_some(())
        });
        // A server that stands still for half a second makes every fourth request late.
        server.connect().call(&["CLIENT", "PAUSE", "500"]);
        let report = running.wait().unwrap();
        assert!(report.is_good(), "{report}");
        assert!(
            (1_500.0..2_300.0).contains(&report.verified_per_s),
            "{report}"
        );
        assert!(report.latency.p90_us > 50_000.0, "{report}");
        assert!(report.longest_gap_s > 0.4, "{report}");
    }
}

#[test]
fn lost_connections_are_endured_and_leave_nothing_lost_or_done_twice() {
    let server = RedisServer::start();
    let mut plan = everything(&server.address());
    plan.duration = Duration::from_secs(3);
    plan.on_trouble = OnTrouble::Endure;
    let running = narrows_load::start(plan);
    let mut conn = server.connect();
    while running.snapshot().phase <= Phase::Running {
        conn.call(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        let connected = running.snapshot().counts.connected;
        wait_for("new connections", PATIENCE, || {
            let now = running.snapshot();
            (now.phase > Phase::Running || now.counts.connected > connected + 20).then_some(())
        });
    }
    let report = running.wait().unwrap();
    assert!(report.is_good(), "{report}");
    assert!(
        report.counts.lost > 20 && report.counts.unknown > 0,
        "{report}"
    );
    assert_eq!(report.counts.audited, 60, "{report}");
}

#[test]
fn a_server_that_restarts_empty_is_endured_if_that_is_allowed() {
    for (data, good) in [(Data::MayVanish, true), (Data::Kept, false)] {
        let mut server = RedisServer::start();
        let mut plan = plan(&server.address());
        plan.duration = Duration::from_secs(3);
        (plan.on_trouble, plan.data) = (OnTrouble::Endure, data);
        let running = narrows_load::start(plan);
        wait_for("replies", PATIENCE, || {
            (running.snapshot().counts.verified > 5_000).then_some(())
        });
        server.restart();
        let outcome = running.wait();
        assert_eq!(outcome.is_ok(), good, "{outcome:?}");
        if let Ok(report) = outcome {
            assert!(report.counts.lost >= 20, "{report}");
        }
    }
}

#[test]
fn a_request_without_reply_is_a_hang() {
    let mut server = RedisServer::start();
    let mut plan = plan(&server.address());
    plan.duration = Duration::from_secs(3);
    plan.request_deadline = Duration::from_millis(300);
    plan.on_trouble = OnTrouble::Endure;
    let running = narrows_load::start(plan);
    wait_for("replies", PATIENCE, || {
        (running.snapshot().counts.verified > 1_000).then_some(())
    });
    server.stop();
    wait_for("hangs of all", PATIENCE, || {
        (running.snapshot().counts.hangs >= 20).then_some(())
    });
    server.cont();
    assert!(
        running
            .history()
            .iter()
            .any(|event| event.text.contains("hang"))
    );
    // What lay in the sockets of the connections that were given up may run late: at most once.
    let report = running.wait().unwrap();
    assert!(
        report.is_good() && report.errors.keys().any(|name| name.contains("hang")),
        "{report}"
    );
}

#[test]
fn the_first_trouble_ends_a_run_that_does_not_endure_it() {
    let server = RedisServer::start();
    let mut plan = plan(&server.address());
    plan.duration = Duration::from_secs(60);
    let running = narrows_load::start(plan);
    wait_for("replies", PATIENCE, || {
        (running.snapshot().counts.verified > 100).then_some(())
    });
    server.connect().call(&["CLIENT", "KILL", "TYPE", "normal"]);
    let report = running.wait().unwrap();
    assert!(!report.is_good() && report.trouble.is_some(), "{report}");
}

#[test]
fn over_a_unix_socket_too() {
    let server = RedisServer::start();
    let mut plan = plan(&server.address());
    plan.target = Target::Unix(server.socket());
    assert!(narrows_load::start(plan).wait().unwrap().is_good());
}

#[test]
fn a_plan_that_cannot_be_is_refused_with_all_its_mistakes() {
    let mut plan = plan("127.0.0.1:1");
    plan.connections = 900_000;
    plan.pipeline = 0;
    plan.personas = vec![(Persona::Leak, 1.0)];
    plan.rate = Some(1.0);
    let mistakes = plan.check().unwrap_err().join("\n");
    for words in [
        "pipeline is 0",
        "descriptors",
        "name more sources",
        "a rate needs",
    ] {
        assert!(mistakes.contains(words), "{words} in {mistakes}");
    }
}

fn program(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_narrows-load"));
    let mut child = Child::spawn(command.args(arguments));
    let code = child.wait(PATIENCE * 3).code();
    let log = wait_for("its output", PATIENCE, || {
        Some(child.log()).filter(|log| !log.is_empty())
    });
    (code, log)
}

#[test]
fn the_program_tells_by_its_exit_code_how_it_went() {
    let server = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("report.json");
    let address = server.address();
    let json_path = json.to_str().unwrap();
    let (code, log) = program(&["--target", &address, "-d", "500ms", "--json", json_path]);
    assert_eq!(code, Some(0), "{log}");
    let report: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    assert!(report["counts"]["verified"].as_u64() > Some(0), "{report}");
    assert_eq!(report["plan"]["target"], address);

    let (code, log) = program(&["--target", "127.0.0.1:1", "-d", "1s"]);
    assert_eq!(code, Some(1), "{log}");
    let (code, log) = program(&["--target", &address, "-c", "900000"]);
    assert_eq!(code, Some(1), "{log}");
    let (code, log) = program(&["--print-plan", "-c", "7"]);
    assert!(
        code == Some(0) && log.contains("\"connections\": 7"),
        "{log}"
    );
}
