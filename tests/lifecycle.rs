//! How narrows begins and ends: addresses and sockets, `check`, the embedded server, logs that
//! hold no secret, and an end that finishes what clients have begun.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "lifecycle/drain.rs"]
mod drain;
#[path = "lifecycle/log.rs"]
mod log;
#[path = "lifecycle/reload.rs"]
mod reload;
#[path = "faults/setup.rs"]
mod setup;
#[path = "lifecycle/start.rs"]
mod start;
mod support;
#[path = "lifecycle/systemd.rs"]
mod systemd;
