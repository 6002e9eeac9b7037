//! What each fuzz target checks, as plain functions of bytes. cargo-fuzz calls them with what it
//! invents, `tests/simulation/fuzz_corpus.rs` with what it has kept. A function that returns is content; one
//! that panics has found something. Nothing here knows libFuzzer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

pub mod command_learn;
pub mod config;
pub mod config_values;
pub mod cut;
pub mod engine;
pub mod proxy_protocol;
pub mod reply;
pub mod request;

/// Is content with an input, or panics.
pub type Target = fn(&[u8]);

/// The targets by their names, which are also those of their corpora.
pub const TARGETS: [(&str, Target); 7] = [
    ("command_learn", command_learn::run),
    ("config", config::run),
    ("config_values", config_values::run),
    ("engine", engine::run),
    ("proxy_protocol", proxy_protocol::run),
    ("reply", reply::run),
    ("request", request::run),
];
