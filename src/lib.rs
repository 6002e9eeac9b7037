//! narrows
pub mod admission;
pub mod command;
pub mod config;
pub mod demo;
pub mod embedded;
pub mod engine;
pub mod resp;
pub mod runtime;
pub mod session;
pub mod telemetry;
