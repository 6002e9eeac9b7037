//! The runtime: sockets, threads, signals. It carries bytes between the world and the
//! engines and knows nothing of what they mean.

mod accept_policy;
mod acceptor;
mod asking;
mod control;
mod current;
mod dial;
mod drain;
mod exchange;
mod fault_injection;
mod figures;
mod heartbeat;
mod inbox;
mod message;
pub mod network;
mod observer;
pub mod proxy_protocol;
mod ready;
mod scratch;
mod serve;
pub mod settings;
pub mod socket_file;
mod sockets;
pub mod systemd;
mod transport;
mod watchdog;
mod worker;

pub use acceptor::HEADERS_PENDING_MAX;
pub use observer::Observer;
pub use serve::{Narrows, RunError, start};
