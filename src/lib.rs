//! narrows
pub mod resp;
pub mod command;
pub mod session;
pub mod admission;
pub mod engine;
pub mod telemetry;
pub mod runtime;
pub mod config;
