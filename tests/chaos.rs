//! Chaos with real servers: Redis and Valkey are killed, stopped, paused, filled and cut off,
//! narrows is drained and killed, while a load verifies every reply. Each test is a schedule drawn
//! from a seed. It ends well when no reply was wrong, nothing acknowledged is lost, service is back
//! soon after each fault, the server never counts more connections than it may, no backend is given
//! up while nothing is broken, and narrows is as small afterwards as before.
//!
//! `make soak` plays the same nemeses for long: see `tests/soak.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "chaos/gauge.rs"]
mod gauge;
#[path = "chaos/nemesis.rs"]
mod nemesis;
#[path = "chaos/netns.rs"]
mod netns;
#[path = "chaos/play.rs"]
mod play;
#[path = "chaos/proxy.rs"]
mod proxy;
#[path = "chaos/schedule.rs"]
mod schedule;
#[path = "chaos/schedules.rs"]
mod schedules;
#[path = "chaos/stage.rs"]
mod stage;
mod support;
#[path = "chaos/traffic.rs"]
mod traffic;
#[path = "chaos/verdict.rs"]
mod verdict;
#[path = "chaos/wire.rs"]
mod wire;
#[path = "chaos/witness.rs"]
mod witness;
