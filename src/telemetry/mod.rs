//! telemetry
pub mod settings;
