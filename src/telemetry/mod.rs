//! Telemetry: what is counted, and how it is told. [`Counters`] are plain numbers that one worker
//! keeps for itself; [`log`] sets up the one log of the process, on stderr. It stands beside the
//! layers, so that each may count and log; it knows none of them, and nobody decides by what is
//! counted here.

mod counters;
pub mod door;
pub mod log;
pub mod settings;

pub use counters::Counters;
