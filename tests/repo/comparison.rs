//! `make compare-speed` at work for a moment: it measures what it says, it ends what it has started, and
//! its files keep to the sizes that hold for all code. Whether a figure is right no test can say.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use super::tidy::{FILE_LINES_MAX, FUNCTION_LINES_MAX};
use crate::support::{Child, process_exists, wait_until};

/// Several servers start and end one after the other.
const COMPARISON_PATIENCE: Duration = Duration::from_secs(60);

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// One short load in front of narrows as it is built for tests, without any peer.
fn comparison(arguments: &[&str]) -> Child {
    let mut command = Command::new(Path::new(ROOT).join("scripts/compare-speed"));
    command
        .args(["--narrows", env!("CARGO_BIN_EXE_narrows")])
        .args(["--skip", "haproxy,twemproxy,predixy,envoy"])
        .args(["--rows", "h", "--rounds", "1"])
        .args(arguments);
    Child::spawn(&mut command)
}

#[test]
fn the_comparison_measures_narrows_beside_redis_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (json, markdown) = (file("run.json"), file("run.md"));
    let mut comparison = comparison(&[
        "--seconds=0.1",
        "--idle-clients=20",
        "--json",
        &json,
        "--markdown",
        &markdown,
    ]);
    let status = comparison.wait(COMPARISON_PATIENCE);
    assert!(status.success(), "{}", comparison.log());

    let run: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    let sample = |name: &str, field: &str| run["samples"]["h"][name][0][field].as_f64().unwrap();
    assert!(sample("direct", "proxy_us") == 0.0 && sample("direct", "redis_us") > 0.0);
    assert!(sample("narrows", "proxy_us") > 0.0 && sample("narrows", "per_second") > 0.0);
    assert_eq!(run["idle"]["narrows"]["clients"], 20);
    let tables = std::fs::read_to_string(markdown).unwrap();
    for part in [
        "### h: ",
        "| direct | ",
        "| narrows | ",
        "Left out: haproxy",
    ] {
        assert!(tables.contains(part), "{part} in\n{tables}");
    }
}

#[test]
fn a_comparison_that_is_interrupted_leaves_nothing_running() {
    let mut comparison = comparison(&["--seconds=30", "--idle-clients=0"]);
    let pid = comparison.pid();
    let children = || {
        let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        let pids = list.split_whitespace().map(|pid| pid.parse().unwrap());
        pids.collect::<Vec<u32>>()
    };
    let mut running = Vec::new();
    wait_until("Redis and a load", COMPARISON_PATIENCE, || {
        running = children();
        running.len() == 2
    });
    comparison.signal(Signal::INT);
    assert!(!comparison.wait(COMPARISON_PATIENCE).success());
    assert!(comparison.log().contains("interrupted"));
    assert!(!running.into_iter().any(process_exists));
}

#[test]
fn files_of_the_comparison_are_short_and_say_their_subject() {
    let mut checked = 0;
    for entry in std::fs::read_dir(Path::new(ROOT).join("benches/compare")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "py") {
            continue;
        }
        let (text, name) = (std::fs::read_to_string(&path).unwrap(), path.display());
        assert!(
            text.starts_with("\"\"\""),
            "{name} begins without its subject"
        );
        assert!(text.lines().count() <= FILE_LINES_MAX, "{name}");
        // Up to the next one, which is as good as its end.
        for function in text.split("def ").skip(1) {
            assert!(
                function.lines().count() <= FUNCTION_LINES_MAX,
                "{name}: {:?}",
                function.lines().next()
            );
        }
        checked += 1;
    }
    assert!(checked > 5);
}
