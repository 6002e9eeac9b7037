//! Counting: the release build under valgrind in front of a server, under a load of redis-benchmark. What
//! it takes to start, to connect clients and to end is the same for a short load and a long one, so the
//! difference between the two is what their requests took.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use super::support::{Child, RedisServer, command};

/// Under valgrind everything takes fifty times as long, and others may have the machine too.
const PATIENCE: Duration = Duration::from_secs(240);

/// Every request finds its key.
const KEYS: usize = 1_000;

/// A load, and its two lengths.
pub(crate) struct Row {
    pub(crate) letter: char,
    pub(crate) clients: usize,
    pub(crate) pipeline: usize,
    /// `GET` of one, `MGET` of more.
    pub(crate) keys_per_request: usize,
    pub(crate) requests: [u64; 2],
}

impl Row {
    /// How many instructions of user space each further request takes.
    pub(crate) fn instructions_per_request(&self, server: &RedisServer) -> u64 {
        let [short, long] = self
            .requests
            .map(|requests| self.instructions(server, requests));
        long.saturating_sub(short) / (self.requests[1] - self.requests[0])
    }

    /// Of a whole life with so many requests.
    fn instructions(&self, server: &RedisServer, requests: u64) -> u64 {
        let folder = tempfile::tempdir().unwrap();
        let mut narrows = start(server, &folder.path().join("callgrind.out"));
        let port = narrows.wait_for_line(PATIENCE, listening_port);
        narrows.wait_for_line(PATIENCE, |line| {
            line.contains("narrows is ready").then_some(())
        });
        let mut load = Child::spawn(&mut self.load(&port, requests));
        let status = load.wait(PATIENCE);
        assert!(status.success(), "redis-benchmark: {}", load.log());
        narrows.signal(Signal::TERM);
        let status = narrows.wait(PATIENCE);
        assert!(
            status.success(),
            "narrows under valgrind: {}",
            narrows.log()
        );
        let log = narrows.log();
        let collected = log.lines().find_map(|line| line.split_once("Collected : "));
        let (_, collected) = collected.unwrap_or_else(|| panic!("valgrind counted nothing: {log}"));
        collected.trim().parse().unwrap()
    }

    fn load(&self, port: &str, requests: u64) -> Command {
        let mut load = Command::new("redis-benchmark");
        load.args(["-h", "127.0.0.1", "-p", port, "-q"])
            .args(["-c", &self.clients.to_string()])
            .args(["-P", &self.pipeline.to_string()])
            .args(["-n", &requests.to_string()])
            .args(["-r", &KEYS.to_string()])
            .arg(if self.keys_per_request == 1 {
                "GET"
            } else {
                "MGET"
            })
            .args(vec!["key:__rand_int__"; self.keys_per_request]);
        load
    }
}

/// Puts all keys there, with values of 64 bytes.
pub(crate) fn fill(server: &RedisServer) {
    let mut conn = server.connect();
    let value = "v".repeat(64);
    for number in 0..KEYS {
        conn.send(command(&["SET", &format!("key:{number:012}"), &value]));
    }
    for _ in 0..KEYS {
        conn.expect_reply("+OK\r\n");
    }
}

fn start(server: &RedisServer, output: &std::path::Path) -> Child {
    let mut valgrind = Command::new("valgrind");
    // What the developer has set for a narrows of their own must not leak in.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("NARROWS_") {
            valgrind.env_remove(name);
        }
    }
    valgrind
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", output.display()))
        .arg(release_build())
        .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
        .args(["--workers", "1", "--backend", &server.url()]);
    Child::spawn(&mut valgrind)
}

/// What ships, and not what cargo builds for tests, whose crates may have other features.
fn release_build() -> PathBuf {
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target"),
        PathBuf::from,
    );
    let program = std::env::var_os("INSTRUCTIONS_OF")
        .map_or_else(|| folder.join("release/narrows"), PathBuf::from);
    let name = program.display();
    assert!(
        program.exists(),
        "there is no {name}: `make instructions` builds it"
    );
    program
}

/// The port of a line such as `... listening addr=127.0.0.1:43210 ...`.
fn listening_port(line: &str) -> Option<String> {
    let (_, fields) = line.split_once("listening addr=127.0.0.1:")?;
    Some(fields.chars().take_while(char::is_ascii_digit).collect())
}
