//! The configuration as operators meet it: files, variables, flags, and what is said of
//! mistakes. Every test hands in its own environment.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod contradictions;
mod mistakes;
mod secrets;
mod settings;
mod setup;
mod users;
