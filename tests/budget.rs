//! The bound on connections to Redis holds whatever clients do, as Redis itself counts them, and
//! within it every client of every database and protocol gets its turn.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "budget/census.rs"]
mod census;
#[path = "budget/lifetime.rs"]
mod lifetime;
#[path = "faults/load.rs"]
mod load;
#[path = "faults/setup.rs"]
mod setup;
mod support;
#[path = "budget/turns.rs"]
mod turns;
#[path = "budget/upload.rs"]
mod upload;
