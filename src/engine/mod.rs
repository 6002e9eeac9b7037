//! engine
pub mod settings;
