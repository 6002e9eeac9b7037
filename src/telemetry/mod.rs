//! Telemetry: what is counted, and how it is told.

mod counters;
pub mod log;
pub mod settings;

pub use counters::Counters;
