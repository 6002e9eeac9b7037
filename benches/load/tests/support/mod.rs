//! What the load generator's tests share: the repository's own server starter and raw conversation,
//! and a relay that tampers with replies.
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

#[path = "../../../../tests/support/child.rs"]
mod child;
#[path = "../../../../tests/support/conn.rs"]
mod conn;
#[path = "../../../../tests/support/flavor.rs"]
mod flavor;
#[path = "../../../../tests/support/redis_server.rs"]
mod redis_server;
mod relay;
#[path = "../../../../tests/support/reply.rs"]
mod reply;
mod tls;

pub use child::Child;
pub use conn::{Conn, command};
pub use flavor::Flavor;
pub use redis_server::RedisServer;
pub use relay::{Hand, Relay};
pub use reply::Value;

use std::time::{Duration, Instant};

use narrows_load::{Plan, Target};

/// For whatever should happen within moments, on a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Polls until `probe` gives a value; panics with `what` when it has not after `patience`.
#[track_caller]
pub fn wait_for<T>(what: &str, patience: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what}: not within {patience:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// [`wait_for`] of a condition.
#[track_caller]
pub fn wait_until(what: &str, patience: Duration, mut condition: impl FnMut() -> bool) {
    wait_for(what, patience, || condition().then_some(()));
}

/// A short run of twenty clients on two threads.
pub fn plan(address: &str) -> Plan {
    let mut plan = Plan::new(Target::Tcp(address.parse().unwrap()));
    plan.connections = 20;
    plan.threads = 2;
    plan.duration = Duration::from_millis(700);
    plan.warm_up = Duration::from_millis(100);
    plan
}
