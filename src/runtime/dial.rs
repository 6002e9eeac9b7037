//! Connecting to the server, and taking leave of it. A socket and its permit are one:
//! nothing here opens a connection without one, and none is returned before the server
//! has seen the end.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout_at};

use crate::admission::Permit;
use crate::topology::{EndpointId, ServerAddress};

use super::current::Current;
use super::detached::DetachedSocket;
use super::linger::linger;
use super::settings::RuntimeSettings;
use super::tls_stream::TlsStream;
use super::transport::Transport;

/// What is told of a server that another one has taken the place of.
pub const REPLACED: &str = "another server has taken its place";

/// An open connection to the server and the right to hold it. The socket is closed
/// before the permit goes back.
#[derive(Debug)]
pub struct BackendSocket<S = Transport> {
    /// The socket.
    pub transport: S,
    permit: Permit,
}

impl<S> BackendSocket<S> {
    /// The same connection, whose socket `change` makes another of, or closes.
    pub fn map<T>(self, change: impl FnOnce(S) -> io::Result<T>) -> io::Result<BackendSocket<T>> {
        let Self { transport, permit } = self;
        let transport = change(transport)?;
        Ok(BackendSocket { transport, permit })
    }
}

/// What a dial has come to. The error is a sentence for people.
pub type DialOutcome = Result<BackendSocket<DetachedSocket>, String>;

/// Connects to `endpoint`, for another thread.
pub async fn dial_detached(current: &Current, endpoint: EndpointId, permit: Permit) -> DialOutcome {
    let socket = dial(current, endpoint, permit).await?;
    socket
        .map(Transport::detach)
        .map_err(|error| error.to_string())
}

/// Connects to `endpoint`, where that is now, with `permit`. The error is a sentence for people.
pub async fn dial(
    current: &Current,
    endpoint: EndpointId,
    permit: Permit,
) -> Result<BackendSocket, String> {
    let (settings, topology) = (current.settings(), current.topology());
    let address = topology.address_of(endpoint).ok_or(REPLACED)?;
    let deadline = Instant::now() + settings.connect_timeout;
    let connected = timeout_at(deadline, connect(address, &settings)).await;
    let transport = match connected {
        Ok(connected) => connected.map_err(|error| format!("{address}: {error}"))?,
        Err(_) => return Err(format!("{address}: connect timeout")),
    };
    let (transport, tls) = match (transport, &settings.backend_tls, address) {
        (Transport::Tcp(stream), Some(tls), ServerAddress::Tcp { host, .. }) => {
            (stream, tls.connect(host))
        }
        (transport, ..) => return Ok(BackendSocket { transport, permit }),
    };
    let tls = tls.map_err(|why| format!("{address}: {why}"))?;
    match timeout_at(deadline, TlsStream::shake_hands(transport, Box::new(tls))).await {
        Ok(Ok(stream)) => Ok(BackendSocket {
            transport: Transport::Tls(stream),
            permit,
        }),
        Ok(Err(error)) => Err(format!("{address}: {error}")),
        Err(_) => Err(format!(
            "{address}: no TLS handshake in time: does it speak TLS on this port?"
        )),
    }
}

async fn connect(address: &ServerAddress, settings: &RuntimeSettings) -> io::Result<Transport> {
    match address {
        ServerAddress::Tcp { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            tune(&stream, settings.tcp_keepalive)?;
            if !settings.tcp_keepalive.is_zero() {
                // Keepalive does not probe while data is on its way; this bounds that too.
                SockRef::from(&stream).set_tcp_user_timeout(Some(settings.tcp_keepalive))?;
            }
            Ok(Transport::Tcp(stream))
        }
        ServerAddress::Unix(path) => Ok(Transport::Unix(UnixStream::connect(path).await?)),
    }
}

/// What every TCP socket of narrows gets: no delay of small writes, keepalive probes.
pub fn tune(stream: &TcpStream, keepalive: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if !keepalive.is_zero() {
        // As Redis sets it (anetKeepAlive, anet.c): probes at a third of the time.
        let probes = TcpKeepalive::new()
            .with_time(keepalive)
            .with_interval((keepalive / 3).max(Duration::from_secs(1)))
            .with_retries(3);
        SockRef::from(stream).set_tcp_keepalive(&probes)?;
    }
    Ok(())
}

/// Ends a connection: the server is told, and the permit goes back when it has closed
/// its end too, so that it never counts more of our connections than the budget has.
pub async fn close_gracefully(mut socket: BackendSocket) {
    linger(&mut socket.transport).await;
    let BackendSocket { transport, permit } = socket;
    drop(transport);
    drop(permit);
}
