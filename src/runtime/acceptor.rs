//! Accepting clients: each is admitted and handed to the worker with the fewest.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc::UnboundedSender;

use crate::engine::Accepted;
use crate::resp::Refusal;
use crate::session::client_line::Address;

use super::current::Current;
use super::dial;
use super::inbox::{AcceptedSocket, Load, Message, NewClient, Place};
use super::settings::{Listen, Settings};

/// An open listener.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// unix, with its path.
    Unix(UnixListener, Box<Path>),
}

/// Hands accepted clients to workers.
#[derive(Clone)]
pub struct Acceptor {
    /// What holds now.
    pub current: Arc<Current>,
    /// Inbox and load of each worker.
    pub workers: Vec<(UnboundedSender<Message>, Load)>,
    /// The next `CLIENT ID`.
    pub next_id: Arc<AtomicU64>,
    /// Clients that were turned away.
    pub refused: Arc<AtomicUsize>,
}

/// Opens a listener.
pub fn open(listen: &Listen, settings: &Settings) -> io::Result<Listener> {
    match listen {
        Listen::Tcp(address) => {
            let domain = Domain::for_address(*address);
            let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?;
            socket.set_nonblocking(true)?;
            if address.is_ipv6() {
                socket.set_only_v6(true)?;
            }
            socket.bind(&(*address).into())?;
            let backlog = i32::try_from(settings.listen_backlog).unwrap_or(i32::MAX);
            socket.listen(backlog)?;
            Ok(Listener::Tcp(TcpListener::from_std(socket.into())?))
        }
        Listen::Unix(path) => {
            // A socket file that nobody listens on is left over from a process that was killed.
            if path.exists() && std::os::unix::net::UnixStream::connect(path).is_err() {
                std::fs::remove_file(path)?;
            }
            let listener = UnixListener::bind(path)?;
            let mode = std::fs::Permissions::from_mode(settings.unix_socket_mode);
            std::fs::set_permissions(path, mode)?;
            Ok(Listener::Unix(listener, path.clone().into()))
        }
    }
}

impl Listener {
    /// Where it listens, as a client would name it.
    pub fn name(&self) -> String {
        match self {
            Self::Tcp(listener) => listener
                .local_addr()
                .map_or_else(|_| "?".to_owned(), |a| a.to_string()),
            Self::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }
}

impl Acceptor {
    /// Accepts until it is aborted.
    pub async fn run(self, listener: Listener) {
        loop {
            let accepted = match &listener {
                Listener::Tcp(listener) => self.accept_tcp(listener).await,
                Listener::Unix(listener, path) => self.accept_unix(listener, path).await,
            };
            if let Err(error) = accepted {
                // Out of descriptors or memory: the client waits in the kernel's queue,
                // and trying again at once would only spin.
                tracing::warn!(%error, "cannot accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    async fn accept_tcp(&self, listener: &TcpListener) -> io::Result<()> {
        let (mut stream, peer) = listener.accept().await?;
        let Some((worker, place)) = self.admit() else {
            return self.turn_away(&mut stream, &peer.to_string()).await;
        };
        // A client that has gone already is noticed when it is read.
        let _ = dial::tune(&stream, self.current.settings().tcp_keepalive);
        let local = stream.local_addr().unwrap_or(SocketAddr::from(([0; 4], 0)));
        let accepted = Accepted::tcp(self.id(), peer, local);
        self.hand_over(
            worker,
            NewClient {
                socket: AcceptedSocket::Tcp(stream.into_std()?),
                accepted,
                place,
            },
        );
        Ok(())
    }

    async fn accept_unix(&self, listener: &UnixListener, path: &Path) -> io::Result<()> {
        let (mut stream, _) = listener.accept().await?;
        let name = path.display().to_string();
        let Some((worker, place)) = self.admit() else {
            return self.turn_away(&mut stream, &name).await;
        };
        let accepted = Accepted {
            id: self.id(),
            address: Address::Unix(name.into()),
        };
        self.hand_over(
            worker,
            NewClient {
                socket: AcceptedSocket::Unix(stream.into_std()?),
                accepted,
                place,
            },
        );
        Ok(())
    }

    /// The least loaded worker and a place there, unless there are too many clients.
    fn admit(&self) -> Option<(usize, Place)> {
        let load = |load: &Load| load.worker.load(Ordering::Relaxed);
        let least = self.workers.iter().enumerate();
        let (worker, (_, load)) = least.min_by_key(|(_, (_, l))| load(l))?;
        Some((worker, load.enter(self.max_clients())?))
    }

    fn max_clients(&self) -> usize {
        self.current.rules().settings.clients.max_clients
    }

    fn id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    fn hand_over(&self, worker: usize, client: NewClient) {
        if let Some((inbox, _)) = self.workers.get(worker) {
            // A worker that has ended closes the client by dropping it.
            let _ = inbox.send(Message::Client(client));
        }
    }

    /// Redis' own words, then the end (`acceptCommonHandler`, networking.c).
    async fn turn_away<S: AsyncWriteExt + Unpin>(
        &self,
        stream: &mut S,
        peer: &str,
    ) -> io::Result<()> {
        let before = self.refused.fetch_add(1, Ordering::Relaxed);
        if before.is_multiple_of(1000) {
            let max = self.max_clients();
            tracing::warn!(
                peer,
                max,
                refused = before + 1,
                "max number of clients reached"
            );
        }
        let mut words = Vec::new();
        Refusal::MaxClients.write(&mut words);
        // A fresh socket takes this much at once; one that does not is not waited for.
        let write = stream.write_all(&words);
        let _ = tokio::time::timeout(Duration::from_millis(10), write).await;
        Ok(())
    }
}
