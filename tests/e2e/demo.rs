//! The demo against a stand-in for narrows that copies bytes, so that what is tested is the demo:
//! that it verifies, that it notices, and that it leaves nothing behind; and once with narrows itself.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Child, PATIENCE, process_exists, wait_until};
use narrows::demo::{DemoOptions, run};
use rustix::process::Signal;

#[test]
fn every_reply_is_verified_and_the_table_comes() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = start_demo(folder.path(), "");
    let status = demo.wait(PATIENCE);
    let log = demo.log();
    assert!(status.success() && log.contains("demo: Ok"), "{log}");
    assert!(
        log.contains("replies verified") && log.contains("20 clients do SET"),
        "{log}"
    );
    expect_nothing_left(&log);
}

#[test]
fn load_the_demo_verifies_every_reply_of_narrows_itself() {
    let options = DemoOptions {
        clients: 100,
        ..options(env!("CARGO_BIN_EXE_narrows").into())
    };
    run(&options).unwrap();
}

#[test]
fn a_wrong_reply_ends_it_with_both_sides_of_the_matter() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = start_demo(folder.path(), "swap the replies of two clients");
    demo.wait(PATIENCE);
    let log = demo.log();
    for part in [
        "a wrong reply",
        "request:",
        "expected:",
        "received:",
        "through narrows, round 1",
    ] {
        assert!(log.contains(part), "{part}: {log}");
    }
    expect_nothing_left(&log);
}

#[test]
fn a_narrows_that_does_not_listen_is_reported_with_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let program = write_program(folder.path(), "echo no such flag >&2; exit 2");
    let error = run(&options(program)).unwrap_err().to_string();
    assert!(
        error.contains("did not start to listen") && error.contains("no such flag"),
        "{error}"
    );
}

#[test]
fn ctrl_c_and_sigterm_end_all_that_it_started() {
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let folder = tempfile::tempdir().unwrap();
        let mut demo = start_demo(folder.path(), "");
        demo.wait_for_line(PATIENCE, |line| {
            line.contains("clients do SET").then_some(())
        });
        demo.signal(signal);
        demo.wait(PATIENCE);
        let log = demo.log();
        assert!(!log.contains("replies verified"), "{log}");
        expect_nothing_left(&log);
    }
}

fn options(program: PathBuf) -> DemoOptions {
    DemoOptions {
        clients: 20,
        seconds: 2,
        rate: 0,
        value_bytes: 64,
        max_backend_connections: 8,
        program: Some(program),
    }
}

/// The pids of the first line: `... (pid 12) on ..., narrows (pid 13) on ...`.
#[track_caller]
fn expect_nothing_left(log: &str) {
    let pids: Vec<u32> = log
        .split("(pid ")
        .skip(1)
        .filter_map(|rest| rest.split(')').next()?.parse().ok())
        .collect();
    assert_eq!(pids.len(), 2, "{log}");
    for pid in pids {
        wait_until("the end of what the demo started", PATIENCE, || {
            !process_exists(pid)
        });
    }
}

const PROGRAM: &str = "NARROWS_TEST_DEMO_PROGRAM";
const BACKEND: &str = "NARROWS_TEST_STAND_IN_BACKEND";
const FAULT: &str = "NARROWS_TEST_STAND_IN_FAULT";

/// The demo in a process of its own, over the stand-in.
fn start_demo(folder: &Path, fault: &str) -> Child {
    let stand_in = format!(
        "exec env {BACKEND}=\"$4\" {FAULT}='{fault}' '{}' --exact demo::stand_in_process --nocapture",
        std::env::current_exe().unwrap().display()
    );
    let program = write_program(folder, &stand_in);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "demo::demo_process", "--nocapture"])
        .env(PROGRAM, program);
    Child::spawn(&mut command)
}

fn write_program(folder: &Path, body: &str) -> PathBuf {
    let program = folder.join("narrows");
    fs::write(&program, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    program
}

/// Not a test by itself: the demo as `start_demo` runs it.
#[test]
fn demo_process() {
    if let Some(program) = std::env::var_os(PROGRAM) {
        println!("\ndemo: {:?}", run(&options(program.into())));
    }
}

/// Not a test by itself: a proxy that copies bytes, one connection to Redis for each client. With a
/// fault it mixes up the first client's replies after a while.
#[test]
fn stand_in_process() {
    let Ok(backend) = std::env::var(BACKEND) else {
        return;
    };
    let faulty = std::env::var(FAULT).is_ok_and(|fault| !fault.is_empty());
    let socket = PathBuf::from(backend.strip_prefix("unix://").unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    eprintln!("\nINFO listening addr={}", listener.local_addr().unwrap());
    for client in listener.incoming() {
        let client = client.unwrap();
        client.set_nodelay(true).unwrap();
        let backend = UnixStream::connect(&socket).unwrap();
        let (requests, replies) = (client.try_clone().unwrap(), backend.try_clone().unwrap());
        std::thread::spawn(move || copy(requests, backend, |_, _| {}));
        std::thread::spawn(move || {
            copy(replies, client, |count, chunk| mix_up(faulty, count, chunk))
        });
    }
}

fn mix_up(faulty: bool, count: u64, chunk: &mut [u8]) {
    if faulty && count == 50 {
        chunk[0] = b'+';
        chunk[1] ^= 1;
    }
}

fn copy(mut from: impl Read, mut to: impl Write, mut change: impl FnMut(u64, &mut [u8])) {
    let mut chunk = [0; 4096];
    let mut count = 0;
    while let Ok(bytes @ 1..) = from.read(&mut chunk) {
        change(count, &mut chunk[..bytes]);
        count += 1;
        if to.write_all(&chunk[..bytes]).is_err() {
            break;
        }
    }
}
