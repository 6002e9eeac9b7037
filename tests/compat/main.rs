//! What people use with Redis every day works on narrows as it is: clients (`client_libraries`) and
//! what is built on them (`job_queues`). The scripts in `python/` and `node/` are run by these tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

#[path = "../support/mod.rs"]
mod support;

mod client_libraries;
mod job_queues;
