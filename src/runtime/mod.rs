//! runtime
pub mod settings;
