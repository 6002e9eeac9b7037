//! Where one server listens.

use std::fmt;
use std::path::PathBuf;

/// Where a server is. A host name is resolved at each dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerAddress {
    /// Host name or address, and port.
    Tcp {
        /// Name or address, without brackets.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// A unix socket.
    Unix(PathBuf),
}

/// Where Redis listens if it is told nothing else.
impl Default for ServerAddress {
    fn default() -> Self {
        Self::Tcp {
            host: "127.0.0.1".to_owned(),
            port: 6379,
        }
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
