//! Accepting clients: each is admitted and handed to the worker with the fewest.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::engine::Accepted;
use crate::session::client_line::ClientAddress;
use crate::telemetry::reject_counts::RejectReason;

use super::accept_policy::{self, AcceptPolicy, Admitted};
use super::current::Current;
use super::detached::DetachedSocket;
use super::dial;
use super::handshakes::Handshakes;
use super::message::{ConnectionGuard, NewClient};
use super::proxy_protocol;
use super::settings::{Listen, RuntimeSettings};
use super::socket_file;

mod tls;

/// An open listener, in no event loop yet.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(std::net::TcpListener),
    /// TCP, with TLS.
    Tls(std::net::TcpListener),
    /// unix, with its path.
    Unix(std::os::unix::net::UnixListener, Box<Path>),
}

/// Hands accepted clients to workers.
#[derive(Clone)]
pub struct Acceptor {
    /// What holds now.
    pub current: Arc<Current>,
    /// Who may come in.
    pub policy: Arc<AcceptPolicy>,
    /// The next `CLIENT ID`.
    pub next_id: Arc<AtomicU64>,
    /// Our end of the connection that came last: those that come to one address share it.
    pub local: Arc<Mutex<Option<Arc<SocketAddr>>>>,
    /// Those with clients that speak TLS, which all do that come this way; `None`: none does.
    pub handshakes: Option<Arc<Handshakes>>,
    /// Places for connections whose PROXY protocol header has not come.
    pub headers: Arc<Semaphore>,
    /// Counts the tasks of listeners, and those that wait for a header.
    pub tasks: TaskTracker,
    /// Ends all of them.
    pub ending: CancellationToken,
}

/// Connections whose PROXY protocol header has not come, at once. Each has a descriptor.
pub const HEADERS_PENDING_MAX: usize = 256;

/// How long such a header may take: a balancer sends it with the connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(3);

/// Opens a listener.
pub fn open(listen: &Listen, settings: &RuntimeSettings) -> io::Result<Listener> {
    match listen {
        Listen::Tcp(address) => Ok(Listener::Tcp(open_tcp(*address, settings)?)),
        Listen::Tls(address) => Ok(Listener::Tls(open_tcp(*address, settings)?)),
        Listen::Unix(path) => {
            let listener = socket_file::bind(path, settings)?;
            Ok(Listener::Unix(listener, path.clone().into()))
        }
    }
}

fn open_tcp(address: SocketAddr, settings: &RuntimeSettings) -> io::Result<std::net::TcpListener> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    let backlog = i32::try_from(settings.listen_backlog).unwrap_or(i32::MAX);
    socket.listen(backlog)?;
    Ok(socket.into())
}

impl Listener {
    /// Where it listens, as a client would name it.
    pub fn name(&self) -> String {
        let address = |listener: &std::net::TcpListener| match listener.local_addr() {
            Ok(address) => address.to_string(),
            Err(_) => "?".to_owned(),
        };
        match self {
            Self::Tcp(listener) => address(listener),
            Self::Tls(listener) => format!("tls:{}", address(listener)),
            Self::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }
}

impl Acceptor {
    /// Accepts, in a task of its own, until narrows ends.
    pub fn begin(&self, listener: Listener) -> io::Result<()> {
        let of_listener = Self {
            local: Arc::default(),
            ..self.clone()
        };
        match listener {
            Listener::Tcp(listener) | Listener::Tls(listener) => {
                let listener = TcpListener::from_std(listener)?;
                self.spawn(of_listener.run_tcp(listener));
            }
            Listener::Unix(listener, path) => {
                let listener = UnixListener::from_std(listener)?;
                let path = Arc::new(path.display().to_string().into_boxed_str());
                self.spawn(of_listener.run_unix(listener, path));
            }
        }
        Ok(())
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let ending = self.ending.clone();
        self.tasks.spawn(ending.run_until_cancelled_owned(task));
    }

    async fn run_tcp(self, listener: TcpListener) {
        loop {
            let accepted = self.accept_tcp(&listener).await;
            pause_after(accepted).await;
        }
    }

    async fn run_unix(self, listener: UnixListener, path: Arc<Box<str>>) {
        loop {
            let accepted = self.accept_unix(&listener, &path).await;
            pause_after(accepted).await;
        }
    }

    async fn accept_tcp(&self, listener: &TcpListener) -> io::Result<()> {
        let (stream, peer) = listener.accept().await?;
        let settings = self.current.settings();
        let mut balancers = settings.proxy_protocol_from.iter();
        if !balancers.any(|network| network.contains(peer.ip())) {
            return self.take(stream, peer).await;
        }
        match Arc::clone(&self.headers).try_acquire_owned() {
            Ok(place) => {
                let acceptor = self.clone();
                self.spawn(async move {
                    acceptor.take_behind_header(stream, peer).await;
                    drop(place);
                });
            }
            Err(_) => self.no_header(peer, "too many connections wait for their header"),
        }
        Ok(())
    }

    /// Takes a client whose balancer says who it is.
    async fn take_behind_header(&self, mut stream: TcpStream, peer: SocketAddr) {
        match timeout(HEADER_TIMEOUT, read_header(&mut stream)).await {
            Ok(Ok(client)) => {
                if let Err(error) = self.take(stream, client.unwrap_or(peer)).await {
                    tracing::warn!(%error, %peer, "client not taken over");
                }
            }
            Ok(Err(why)) => self.no_header(peer, &why),
            Err(_) => self.no_header(peer, "no PROXY protocol header in time"),
        }
    }

    /// What does not begin as its peer must is no client.
    fn no_header(&self, peer: SocketAddr, why: &str) {
        self.policy
            .reject(RejectReason::ProxyHeader, |turned_away| {
                let key = "listen.proxy_protocol_from";
                tracing::warn!(%peer, key, turned_away, "connection closed: {why}");
            });
    }

    async fn take(&self, mut stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
        if let Some(handshakes) = &self.handshakes {
            self.take_tls(Arc::clone(handshakes), stream, peer).await;
            return Ok(());
        }
        let guard = match self.policy.enter(Some(peer), false) {
            Ok(guard) => guard,
            Err(reason) => {
                say_last_words(&mut stream, reason).await;
                return Ok(());
            }
        };
        let accepted = self.accepted(&stream, peer);
        let socket = DetachedSocket::Tcp(stream.into_std()?);
        self.bring(socket, accepted, guard).await;
        Ok(())
    }

    /// What is known of a client that has come by TCP, whose socket is tuned.
    fn accepted(&self, stream: &TcpStream, peer: SocketAddr) -> Accepted {
        // A client that has gone already is noticed when it is read.
        let _ = dial::tune(stream, self.current.settings().tcp_keepalive);
        let local = stream.local_addr().unwrap_or(SocketAddr::from(([0; 4], 0)));
        Accepted::tcp(self.id(), peer, self.shared(local))
    }

    async fn bring(&self, socket: DetachedSocket, accepted: Accepted, guard: ConnectionGuard) {
        let Admitted { permit, guard } = self.policy.admit(guard).await;
        permit.bring(NewClient {
            socket,
            accepted,
            guard,
        });
    }

    async fn accept_unix(&self, listener: &UnixListener, path: &Arc<Box<str>>) -> io::Result<()> {
        let (mut stream, _) = listener.accept().await?;
        let guard = match self.policy.enter(None, false) {
            Ok(guard) => guard,
            Err(reason) => {
                say_last_words(&mut stream, reason).await;
                return Ok(());
            }
        };
        let accepted = Accepted::of(self.id(), ClientAddress::Unix(Arc::clone(path)));
        let socket = DetachedSocket::Unix(stream.into_std()?);
        self.bring(socket, accepted, guard).await;
        Ok(())
    }

    fn shared(&self, local: SocketAddr) -> Arc<SocketAddr> {
        let mut last = self.local.lock();
        match &*last {
            Some(last) if **last == local => Arc::clone(last),
            _ => Arc::clone(last.insert(Arc::new(local))),
        }
    }

    fn id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }
}

/// What follows an attempt to accept.
async fn pause_after(accepted: io::Result<()>) {
    if let Err(error) = accepted {
        // Out of descriptors or memory: the client waits in the kernel's queue,
        // and trying again at once would only spin.
        tracing::warn!(%error, "cannot accept");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Reads a PROXY protocol header and not a byte more: the client's address, `None` if the
/// connection is the balancer's own.
async fn read_header(stream: &mut TcpStream) -> Result<Option<SocketAddr>, String> {
    let mut fixed = [0; proxy_protocol::FIXED_BYTES];
    let mut filled = 0;
    let head = loop {
        let room = fixed.get_mut(filled..).unwrap_or_default();
        match stream.read(room).await {
            Ok(0) => return Err("it ended before its PROXY protocol header".to_owned()),
            Ok(bytes) => filled += bytes,
            Err(error) => return Err(error.to_string()),
        }
        let here = fixed.get(..filled).unwrap_or_default();
        if let Some(head) = proxy_protocol::head(here).map_err(|wrong| wrong.to_string())? {
            break head;
        }
    };
    let mut rest = vec![0; head.rest];
    let read = stream.read_exact(&mut rest).await;
    read.map_err(|error| error.to_string())?;
    head.client(&rest).map_err(|wrong| wrong.to_string())
}

/// Redis' own words, then the end (`acceptCommonHandler`, networking.c).
async fn say_last_words<S: AsyncWriteExt + Unpin>(stream: &mut S, reason: RejectReason) {
    let words = accept_policy::last_words(reason);
    // A fresh socket takes this much at once; one that does not is not waited for.
    let _ = timeout(Duration::from_millis(10), stream.write_all(&words)).await;
}
