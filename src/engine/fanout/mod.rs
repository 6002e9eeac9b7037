//! Questions to all workers, and what is asked of the server before its turn.

pub mod gather;
mod gathers;
pub mod kill;

pub use self::gathers::Fanout;
