//! What one client does on a backend of its own: plain values, which the parts pass on to one another.

pub mod holding;
pub mod push_stream;
pub mod state;
pub mod wait;
