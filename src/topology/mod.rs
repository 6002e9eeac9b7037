//! Where the servers are: an immutable picture that is handed to workers as a whole, and which of
//! its places a connection leads to. Knows nothing of clients, commands or sockets.

mod address;
mod endpoint;
mod snapshot;

pub use address::ServerAddress;
pub use endpoint::EndpointId;
pub use snapshot::Topology;
