//! Redis breaks, stops, refuses or is not there, and clients of narrows get the one true answer:
//! a reply, "it has not run", or "it may have run". Never another client's reply, never a command
//! run twice, never silence past a deadline; and service resumes by itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "faults/crash.rs"]
mod crash;
#[path = "faults/load.rs"]
mod load;
#[cfg(feature = "fault_injection")]
#[path = "faults/panic.rs"]
mod panic;
#[path = "faults/refusal.rs"]
mod refusal;
#[path = "faults/replaced.rs"]
mod replaced;
#[path = "faults/role.rs"]
mod role;
#[path = "faults/setup.rs"]
mod setup;
#[path = "faults/silence.rs"]
mod silence;
mod support;
