//! What one client does on a backend of its own: plain values, which the parts pass on to one another.

pub mod feed;
pub mod holding;
pub mod lent;
pub mod wait;
