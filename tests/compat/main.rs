//! What people use with Redis every day works on narrows as it is: clients (`client_libraries`), what is
//! built on them (`job_queues`), and the libraries of every language (`libraries`), each direct beside
//! through (`side_by_side`), of Java and .NET what they say on connecting (`handshakes`). The programs
//! in the folder of each language are run by these tests.
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
mod clients_page;
mod handshakes;
mod job_queues;
mod libraries;
mod side_by_side;
