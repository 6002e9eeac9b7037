//! The runtime: sockets, threads, signals. It carries bytes between the world and the
//! engines and knows nothing of what they mean.

mod accept_policy;
mod acceptor;
mod asking;
mod coalescing;
mod control;
mod current;
mod detached;
mod dial;
mod drain;
mod event_loop;
mod exchange;
mod fault_injection;
mod figures;
mod handshakes;
mod heartbeat;
mod inbox;
mod linger;
mod message;
pub mod network;
mod observer;
pub mod proxy_protocol;
mod scratch;
mod serve;
pub mod settings;
mod socket;
pub mod socket_file;
pub mod systemd;
mod tasks;
pub mod tls_in_use;
mod tls_socket;
mod tls_stream;
mod transport;
mod watchdog;
mod worker;

pub use acceptor::HEADERS_PENDING_MAX;
pub use linger::CLIENTS_MAX as LINGERING_CLIENTS_MAX;
pub use observer::Observer;
pub use serve::{Narrows, RunError, start};
