//! Queries to all workers, and what is asked of the server before its turn.

pub mod kill;
pub mod pending;
mod queries;

pub use self::queries::Fanout;
