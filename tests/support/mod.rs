//! What the integration tests share: servers and narrows itself as child processes, a raw RESP
//! conversation, and waiting for a condition with a deadline. Each binary has it as
//! its module `support`. Nothing here knows what is being tested.
#![allow(
    dead_code,
    unused_imports,
    reason = "each test file uses its own part of this"
)]
#![allow(
    unreachable_pub,
    reason = "one module tree, compiled into every test file"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

pub mod bridge;
pub mod census;
pub mod certificates;
mod child;
mod conn;
mod flavor;
mod narrows;
mod redis_server;
mod reply;
pub mod setup;
pub mod tls;

pub use child::{Child, process_exists};
pub use conn::{Arrived, Conn, command};
pub use flavor::Flavor;
pub use narrows::Narrows;
pub use redis_server::RedisServer;
pub use reply::{Reply, Value, frame_bytes};

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// For whatever should happen within moments, on a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Polls until `probe` gives a value; panics with `what` when it has not after `patience`, and once
/// more as long: others may have had the processor. Only waits are tried again, never what was found.
#[track_caller]
pub fn wait_for<T>(what: &str, patience: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    for again in [false, true] {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(value) = probe() {
                return value;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        if !again {
            eprintln!("{what}: not within {patience:?}, tried once more");
        }
    }
    match probe() {
        Some(value) => value,
        None => panic!("{what}: not within twice {patience:?}"),
    }
}

/// [`wait_for`] of a condition.
#[track_caller]
pub fn wait_until(what: &str, patience: Duration, mut condition: impl FnMut() -> bool) {
    wait_for(what, patience, || condition().then_some(()));
}

/// The Python that has the `redis` package, as `make test` prepares it. Tests that need it fail
/// without it, with a sentence that says how to get it.
pub fn python() -> PathBuf {
    let prepared = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    let python = std::env::var_os("TEST_PYTHON").map_or(prepared, PathBuf::from);
    assert!(
        python.exists(),
        "{} is missing: run `make test` once, it prepares it",
        python.display()
    );
    python
}

/// The script of `tests/compat/node` on Node.js, with the libraries as `make test` prepares them; `None` on
/// a system whose Node.js is too old for them, which is said.
pub fn node(script: &str) -> Option<Command> {
    let home = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let folder = std::env::var_os("TEST_NODE").map_or(home.join("target/node"), PathBuf::from);
    if let Ok(reason) = std::fs::read_to_string(folder.join("too-old")) {
        eprintln!("{script} is not run: {}", reason.trim());
        return None;
    }
    let modules = folder.join("node_modules");
    assert!(
        modules.exists(),
        "{} is missing: run `make test` once, it prepares it",
        modules.display()
    );
    let mut command = Command::new("node");
    command
        .arg(home.join("tests/compat/node").join(script))
        .env("NODE_PATH", modules);
    Some(command)
}
