//! A TCP proxy between narrows and Redis that breaks on demand: holes that swallow everything and
//! close nothing, half-open connections, resets, cuts at a byte, trickles, refusals. It has a
//! thread and a runtime of its own, passes bytes on as they are, and knows nothing of what they
//! mean. What was held up while a hole was open is delivered when it closes, as TCP does it.

mod link;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    /// From narrows to Redis.
    Requests,
    /// From Redis to narrows.
    Replies,
}

/// How a connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// In order: the rest is delivered, then FIN.
    Close,
    /// With RST.
    Reset,
}

/// What happens to every connection, those that are open and those that come, until it is
/// replaced by another fault.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Fault {
    None,
    /// Nothing is delivered in these ways, nothing is closed. `None` stands for both ways. New
    /// connections are accepted and hear nothing.
    Hole(Option<Direction>),
    /// What was read is delivered this much later.
    Delay(Duration),
    /// So many bytes a write.
    Trickle(usize),
    /// Each connection ends when so many bytes have gone this way, counted from here.
    CutAfter(Direction, usize, End),
    /// New connections are accepted and closed at once; those that are open go on.
    CloseNew,
    /// New connections are refused; those that are open are reset.
    Refuse,
}

/// What happens once to every connection that is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Disconnect {
    /// Both sides end like this.
    Ends(End),
    /// Redis' side is gone, narrows' side stays open and silent.
    ServerGone,
    /// narrows' side is gone, Redis' side stays open and silent.
    ClientGone,
}

/// What links look at. Each watches it for changes.
#[derive(Clone, Copy, Debug)]
struct Orders {
    fault: Fault,
    /// Links that were born before this have met `disconnect`.
    disconnected_before: u64,
    disconnect: Disconnect,
    /// Links born before this let go of the side that was left half-open.
    released_before: u64,
    ended: bool,
}

/// A running proxy. It ends with all its connections on drop.
pub(crate) struct FaultProxy {
    address: SocketAddr,
    orders: watch::Sender<Orders>,
    births: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl FaultProxy {
    /// In front of the server at `upstream`, on a free loopback port.
    pub(crate) fn in_front_of(upstream: SocketAddr) -> Self {
        let first = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let address = first.local_addr().unwrap();
        let (orders, watched) = watch::channel(Orders {
            fault: Fault::None,
            disconnected_before: 0,
            disconnect: Disconnect::Ends(End::Close),
            released_before: 0,
            ended: false,
        });
        let (births, open) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let gate = Gate {
            address,
            upstream,
            watched,
            births: Arc::clone(&births),
            open: Arc::clone(&open),
        };
        let thread = std::thread::spawn(move || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            let runtime = builder.enable_all().build().unwrap();
            // Dropping the runtime ends every link.
            runtime.block_on(gate.run(first));
        });
        Self {
            address,
            orders,
            births,
            open,
            thread: Some(thread),
        }
    }

    /// `127.0.0.1:PORT`
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections of narrows that are open at this side.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// From now on.
    pub(crate) fn set(&self, fault: Fault) {
        self.orders.send_modify(|orders| orders.fault = fault);
    }

    /// Now, to every connection that is open.
    pub(crate) fn strike(&self, disconnect: Disconnect) {
        let births = self.births.load(Ordering::SeqCst) as u64;
        self.orders.send_modify(|orders| {
            orders.disconnected_before = births;
            orders.disconnect = disconnect;
        });
    }

    /// No fault any more, and what was left half-open is closed.
    pub(crate) fn heal(&self) {
        let births = self.births.load(Ordering::SeqCst) as u64;
        self.orders.send_modify(|orders| {
            orders.fault = Fault::None;
            orders.released_before = births;
        });
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.orders.send_modify(|orders| orders.ended = true);
        if let Some(thread) = self.thread.take() {
            // A panic of its own would have been seen by the test already.
            let _ = thread.join();
        }
    }
}

/// The listening side.
struct Gate {
    address: SocketAddr,
    upstream: SocketAddr,
    watched: watch::Receiver<Orders>,
    births: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

impl Gate {
    async fn run(mut self, first: std::net::TcpListener) {
        // Links tell by its end that they have ended; nothing is ever sent.
        let (alive, mut all_ended) = mpsc::channel::<()>(1);
        let mut listener = Some(TcpListener::from_std(first).unwrap());
        loop {
            let orders = *self.watched.borrow_and_update();
            if orders.ended {
                break;
            }
            if orders.fault == Fault::Refuse {
                drop(listener.take());
                let _ = self.watched.changed().await;
                continue;
            }
            let listener = listener
                .get_or_insert_with(|| TcpListener::from_std(listen(self.address)).unwrap());
            // New orders come first: what is done after `set` meets the fault.
            tokio::select! {
                biased;
                _ = self.watched.changed() => {}
                accepted = listener.accept() => {
                    if let Ok((client, _)) = accepted {
                        self.welcome(client, &alive);
                    }
                }
            }
        }
        drop(alive);
        let _ = tokio::time::timeout(Duration::from_secs(2), all_ended.recv()).await;
    }

    fn welcome(&self, client: tokio::net::TcpStream, alive: &mpsc::Sender<()>) {
        if self.watched.borrow().fault == Fault::CloseNew {
            return;
        }
        let birth = self.births.fetch_add(1, Ordering::SeqCst) as u64;
        let link = link::Link::new(birth, self.watched.clone(), Arc::clone(&self.open));
        let (upstream, alive) = (self.upstream, alive.clone());
        tokio::spawn(async move {
            link.run(client, upstream).await;
            drop(alive);
        });
    }
}

/// The same port again after a refusal: connections of before may still linger on it.
fn listen(address: SocketAddr) -> std::net::TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket.listen(1024).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.into()
}

/// The next close of this socket sends RST.
fn reset_on_close(stream: &tokio::net::TcpStream) {
    // A socket that has ended by itself cannot be reset any more.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
