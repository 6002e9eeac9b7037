//! What may be typed, what it means, and the codes that narrows leaves with.

use std::fs;

use clap::CommandFactory;

use super::*;
use crate::config::BINDINGS;
use crate::runtime::settings::Listen;
use crate::topology::ServerAddress;

fn no_environment(_: &str) -> Option<OsString> {
    None
}

fn parsed(line: &str) -> Result<Invocation, Stop> {
    let words = std::iter::once("narrows").chain(line.split_whitespace());
    parse(words.map(OsString::from), &no_environment)
}

fn run(line: &str) -> (Config, Vec<String>, bool) {
    match parsed(line) {
        Ok(Invocation::Run {
            config,
            warnings,
            embedded,
            ..
        }) => (*config, warnings, embedded),
        other => panic!("{line}: {other:?}"),
    }
}

fn refused(line: &str) -> String {
    let stop = parsed(line).expect_err(line);
    assert_eq!(stop.code, 2, "{line}");
    stop.text
}

#[test]
fn without_words_narrows_runs_with_the_defaults() {
    assert_eq!(run(""), (Config::default(), vec![], false));
}

#[test]
fn flags_set_what_they_name() {
    let (config, _, _) = run(
        "--listen 127.0.0.1:1,[::1]:2 --listen unix:/n.sock --backend unix:///r.sock?db=2 \
         --max-backend-connections 9 --workers 3 --log-level debug --log-format json",
    );
    assert_eq!(config.runtime.listen.len(), 3);
    assert_eq!(
        config.runtime.listen.last(),
        Some(&Listen::Unix("/n.sock".into()))
    );
    assert_eq!(
        config.runtime.backend,
        ServerAddress::Unix("/r.sock".into())
    );
    assert_eq!(config.runtime.database, 2);
    assert_eq!(config.runtime.backend_connections_max, 9);
    assert_eq!(config.runtime.workers, 3);
    assert_eq!(config.log.level, "debug");
}

#[test]
fn mistakes_in_flags_are_told_together() {
    let text = refused("--workers many --listen 6380 --log-format xml --backend http://host");
    for part in [
        "4 mistakes",
        "--workers: ",
        "--listen: ",
        "--log-format: ",
        "--backend: the URL must begin",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(refused("--workers -1").contains("not a whole number"));
    assert!(refused("--max-backend-connections 1").contains("2 to 65535"));
}

#[test]
fn a_password_among_the_arguments_is_warned_about_and_never_repeated() {
    let (config, warnings, _) = run("--backend redis://:HUNTER2@host");
    assert_eq!(
        config.runtime.credentials.exposed_password(),
        Some("HUNTER2")
    );
    assert!(
        warnings.iter().any(|warning| warning.contains("ps")),
        "{warnings:?}"
    );
    assert!(!format!("{config:?}{warnings:?}").contains("HUNTER2"));
    for line in [
        "redis://:HUNTER2@host",
        "--bakend redis://:HUNTER2@host",
        "--bakend=redis://:HUNTER2@host",
        "--backend=redis://:HUNTER2@host extra",
        "--backend redis://:HUNTER2@ho!st",
        "--backend redis://u:HUNTER2/x@host",
        "--listen redis://:HUNTER2@host",
        "--workers redis://:HUNTER2@host",
        "--log-level redis://:HUNTER2@host",
        "--backend redis://:HUNTER2@host --workers 99",
        "demo --clients redis://:HUNTER2@host",
        "demo redis://:HUNTER2@host",
    ] {
        let text = refused(line);
        assert!(!text.contains("HUNTER2"), "{line}: {text}");
    }
}

#[test]
fn embedded_leaves_the_configured_server_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("narrows.toml");
    let text = "[backend]\nurl = 'redis://u@elsewhere:1/5'\npassword_file = '/nowhere'\n";
    fs::write(&file, text).unwrap();
    let (config, warnings, embedded) = run(&format!("--embedded --config {}", file.display()));
    assert!(embedded);
    assert_eq!((config, warnings), (Config::default(), vec![]));
    for line in [
        "--embedded --backend redis://h",
        "--embedded --backend-password-file f",
    ] {
        assert!(refused(line).contains("cannot be used with"), "{line}");
    }
}

#[test]
fn demo_has_bounded_clients_and_time() {
    let demo = |line: &str| match parsed(line) {
        Ok(Invocation::Demo(demo)) => demo,
        other => panic!("{line}: {other:?}"),
    };
    let plain = demo("demo");
    assert_eq!((plain.clients, plain.seconds), (1000, 10));
    let large = demo("demo --clients 9500 --seconds 3");
    assert_eq!((large.clients, large.seconds), (9500, 3));
    for line in [
        "demo --clients 0",
        "demo --clients 9501",
        "demo --seconds 0",
        "--workers 1 demo",
    ] {
        refused(line);
    }
    assert!(refused("demo --backend redis://h").contains("unexpected argument"));
}

#[test]
fn check_says_ok_with_a_summary_that_hides_the_password() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("narrows.toml");
    let text = "[backend]\nurl = 'redis://app:HUNTER2@cache/3'\n[pool]\nslice = '5ms'\n";
    fs::write(&file, text).unwrap();
    let (code, said) = checked(&file);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.starts_with(&format!("{}: ok\n", file.display())),
        "{said}"
    );
    for part in [
        "redis://cache:6379/3",
        "user app, password (set)",
        "pool.slice = \"5ms\"",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(said.contains("narrows.toml:4"), "{said}");
    assert!(!said.contains("HUNTER2"), "{said}");
}

#[test]
fn check_tells_all_mistakes_and_leaves_with_1() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("narrows.toml");
    fs::write(&file, "[pool]\nslcie = '5ms'\nmin_idle = -1\n").unwrap();
    let (code, said) = checked(&file);
    assert_eq!(code, 1);
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].contains("narrows.toml:2: pool.slcie: unknown key; did you mean slice?"));
    assert!(lines[1].contains("narrows.toml:3: pool.min_idle: -1 is out of range"));
    assert!(
        lines[2].ends_with("2 mistakes") && lines.len() == 3,
        "{said}"
    );
    let (code, said) = checked(&dir.path().join("none.toml"));
    assert!(code == 1 && said.contains("No such file"), "{said}");
}

fn checked(file: &std::path::Path) -> (u8, String) {
    let Ok(Invocation::Check(check)) = parsed(&format!("check {}", file.display())) else {
        panic!("not a check");
    };
    let mut out = Vec::new();
    let code = check.run(&no_environment, &mut out).unwrap();
    (code, String::from_utf8(out).unwrap())
}

#[test]
fn help_and_version_are_no_mistakes() {
    for line in [
        "--help",
        "-h",
        "--version",
        "-V",
        "demo --help",
        "check --help",
    ] {
        let stop = parsed(line).expect_err(line);
        assert_eq!(stop.code, 0, "{line}");
        assert!(stop.text.contains("narrows"), "{line}");
    }
    refused("check");
    refused("--unknown");
    refused("--config");
}

#[test]
fn help_names_the_variable_and_the_default_of_every_flag() {
    Arguments::command().debug_assert();
    let Config { runtime, log, .. } = Config::default();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let help = words(&parsed("--help").expect_err("help").text);
    for binding in BINDINGS {
        assert!(help.contains(binding.flag), "{}", binding.flag);
        assert!(
            help.contains(&format!("[env: {}]", binding.variable)),
            "{}",
            binding.variable
        );
    }
    for default in [
        "[default: 127.0.0.1:6380]".to_owned(),
        "[default: redis://127.0.0.1:6379/0]".to_owned(),
        format!("[default: {}]", runtime.backend_connections_max),
        format!("[default: {}]", runtime.workers),
        format!("[default: {}]", log.level),
    ] {
        assert!(help.contains(&default), "{default}");
    }
}

#[test]
fn what_was_given_is_read_again_and_hides_its_flags() {
    let Ok(Invocation::Run { given, .. }) = parsed("--backend redis://:s3cret@host --workers 2")
    else {
        panic!("it runs");
    };
    let config = given.load(&no_environment).unwrap().config;
    assert_eq!(config.runtime.workers, 2);
    let password = config.runtime.credentials.exposed_password();
    assert_eq!(password, Some("s3cret"));
    assert!(!format!("{given:?}").contains("s3cret"));
}
