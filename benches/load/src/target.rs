//! Where the load goes and how a connection to it is made: without waiting, from a given address.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use rustix::io::Errno;
use serde::{Serialize, Serializer};
use socket2::{Domain, SockAddr, Socket, Type};

/// The server or proxy under load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Over TCP.
    Tcp(SocketAddr),
    /// Over a unix socket.
    Unix(PathBuf),
}

/// The protocol of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// What a connection speaks at first.
    Resp2,
    /// After `HELLO 3`.
    Resp3,
}

impl Protocol {
    /// Its number in `HELLO`.
    pub fn number(self) -> i64 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}

impl Target {
    /// Begins to connect; the socket becomes writable when that has ended.
    pub(crate) fn connect(&self, source: Option<IpAddr>) -> io::Result<Socket> {
        let (socket, address) = match self {
            Self::Tcp(address) => {
                let socket = Socket::new(Domain::for_address(*address), Type::STREAM, None)?;
                socket.set_tcp_nodelay(true)?;
                if let Some(source) = source {
                    socket.bind(&SocketAddr::new(source, 0).into())?;
                }
                (socket, SockAddr::from(*address))
            }
            Self::Unix(path) => (
                Socket::new(Domain::UNIX, Type::STREAM, None)?,
                SockAddr::unix(path)?,
            ),
        };
        socket.set_nonblocking(true)?;
        match socket.connect(&address) {
            Ok(()) => Ok(socket),
            Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {
                Ok(socket)
            }
            Err(error) => Err(error),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    /// `127.0.0.1:6379`, `unix:/path` or `/path`.
    fn from_str(text: &str) -> Result<Self, String> {
        let path = text.strip_prefix("unix://").or(text.strip_prefix("unix:"));
        if let Some(path) = path.or(text.starts_with('/').then_some(text)) {
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        text.strip_prefix("redis://")
            .unwrap_or(text)
            .parse()
            .map(Self::Tcp)
            .map_err(|_| format!("{text}: neither IP:PORT nor unix:/PATH"))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "2" | "resp2" => Ok(Self::Resp2),
            "3" | "resp3" => Ok(Self::Resp3),
            _ => Err(format!("{text}: neither 2 nor 3")),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RESP{}", self.number())
    }
}

impl Serialize for Protocol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.number())
    }
}
