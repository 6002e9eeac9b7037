//! A client must not be able to tell narrows from a direct connection. The judge is always a real
//! server: of what it hears of narrows (`conversations` that are written, `differential` sessions that
//! are drawn from a seed), of where a request begins and ends (`framing`), and of what each command
//! is (`command_table`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

#[path = "../support/mod.rs"]
mod support;

mod command_table;
mod conversations;
mod differences;
mod differential;
mod framing;
mod rng;
mod shapes;
