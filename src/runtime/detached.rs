//! A connected socket that is in no event loop: on its way from one thread to another.

use std::io;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use crate::tls::connection::TlsConnection;

use super::tls_stream::{TlsParts, TlsStream};
use super::transport::Transport;

/// See the module. It does not block.
#[derive(Debug)]
pub enum DetachedSocket {
    /// TCP.
    Tcp(TcpStream),
    /// unix.
    Unix(UnixStream),
    /// TLS, whose handshake is over.
    Tls(TcpStream, Box<TlsConnection>),
}

impl DetachedSocket {
    /// Puts it into the event loop of the tokio runtime that this is called in.
    pub fn attach(self) -> io::Result<Transport> {
        Ok(match self {
            Self::Tcp(stream) => Transport::Tcp(tokio::net::TcpStream::from_std(stream)?),
            Self::Unix(stream) => Transport::Unix(tokio::net::UnixStream::from_std(stream)?),
            Self::Tls(stream, tls) => {
                Transport::Tls(TlsStream::of(tokio::net::TcpStream::from_std(stream)?, tls))
            }
        })
    }
}

impl Transport {
    /// Takes it out of its runtime's event loop.
    pub fn detach(self) -> io::Result<DetachedSocket> {
        Ok(match self {
            Self::Tcp(stream) => DetachedSocket::Tcp(stream.into_std()?),
            Self::Unix(stream) => DetachedSocket::Unix(stream.into_std()?),
            Self::Tls(stream) => {
                let TlsParts { tcp, tls } = stream.into_parts();
                DetachedSocket::Tls(tcp.into_std()?, tls)
            }
        })
    }
}
