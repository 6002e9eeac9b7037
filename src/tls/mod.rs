//! TLS: the connection without its socket, and what holds of the other end's certificate. Knows nothing of
//! Redis, of clients or of pools.

pub mod backend;
pub mod connection;
pub mod expiry;
pub mod files;
pub mod listener;
pub mod subject;
pub mod verify;
