//! narrows as operators and clients meet it, the whole program in front of a real server: how it is
//! configured, begins and ends, what clients are given and may do, and what can be seen of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

#[path = "../support/mod.rs"]
mod support;

mod config;
mod demo;
mod embedded;
mod leases;
mod lifecycle;
mod limits;
mod many_clients;
mod metrics;
mod renames;
mod tls;
mod users;
