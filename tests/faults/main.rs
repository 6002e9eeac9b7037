//! Whatever breaks, everybody gets the one true answer, nobody gets what is another's, and no bound is
//! passed. Redis breaks, stops, refuses or is not there (`crash`, `silence`, `refusal`, `role`,
//! `replaced`); a worker panics (`panic`); all of it in the order of a seed, with the network broken
//! too, while a load verifies every reply (`schedules`, made of what is in `chaos`; `wire` proves the
//! network's faults); clients send garbage, too much or nothing (`hostile`), or want more connections
//! than there are (`budget`). `soak/` is a program of its own: the same chaos for long.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

#[path = "../support/mod.rs"]
mod support;

mod budget;
mod chaos;
mod crash;
mod hostile;
mod load;
mod netns;
#[cfg(feature = "fault_injection")]
mod panic;
mod refusal;
mod replaced;
mod role;
mod schedules;
mod silence;
mod wire;
