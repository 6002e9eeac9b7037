//! What holds whatever happens, and in whatever order, without a socket, a thread or a clock: the
//! engine in a simulated world, seed by seed (`seeds`, `sim`); the bugs that the simulation must find
//! (`fault_injection`); orderings that once went wrong, by name (`scenarios`); and all that fuzzing
//! has kept (`fuzz_corpus`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

#[cfg(feature = "fault_injection")]
mod fault_injection;
mod fuzz_corpus;
mod scenarios;
mod seeds;
mod sim;
