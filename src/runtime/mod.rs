//! The runtime: sockets, threads, signals. It carries bytes between the world and the
//! engines and knows nothing of what they mean.

mod acceptor;
mod control;
mod dial;
mod inbox;
mod observer;
mod ready;
mod serve;
pub mod settings;
mod stream;
mod worker;

pub use observer::Observer;
pub use serve::{Narrows, RunError, start};
