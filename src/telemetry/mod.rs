//! telemetry
pub mod log;
pub mod settings;
