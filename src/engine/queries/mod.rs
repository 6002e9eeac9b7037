//! What is asked of all workers, or of the server before its turn.

pub mod fan_out;
pub mod kill;
