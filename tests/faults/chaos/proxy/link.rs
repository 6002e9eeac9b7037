//! One connection through the fault proxy: two pumps that obey the orders of the moment, and the
//! ways in which it can end.

use std::convert::Infallible;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::{Direction, Disconnect, End, Fault, Orders, reset_on_close};

/// One read. Large enough that the proxy is not what limits a load.
const CHUNK_BYTES: usize = 128 * 1024;

/// A trickle rests for a millisecond after so many writes.
const TRICKLE_BURST: usize = 64;

/// One connection.
pub(super) struct Link {
    birth: u64,
    watched: watch::Receiver<Orders>,
    open: Arc<AtomicUsize>,
}

/// Why both pumps ended.
enum Finish {
    /// Both sides have said all they had to say.
    Done,
    /// A cut, or an error of a socket.
    Broken(End),
    Disconnected(Disconnect),
}

/// Counts narrows' side as open while it exists.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Link {
    pub(super) fn new(
        birth: u64,
        watched: watch::Receiver<Orders>,
        open: Arc<AtomicUsize>,
    ) -> Self {
        open.fetch_add(1, Ordering::SeqCst);
        Self {
            birth,
            watched,
            open,
        }
    }

    pub(super) async fn run(mut self, client: TcpStream, upstream: SocketAddr) {
        let open = Open(Arc::clone(&self.open));
        // What comes through a hole is not dialled on: the server must not know of it.
        while let Fault::Hole(_) = self.orders().fault {
            if self.changed().await.is_err() {
                return;
            }
        }
        let Ok(server) = TcpStream::connect(upstream).await else {
            reset_on_close(&client);
            return;
        };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let finish = self.pump_both(&client, &server).await;
        match finish {
            Finish::Done
            | Finish::Broken(End::Close)
            | Finish::Disconnected(Disconnect::Ends(End::Close)) => {}
            Finish::Broken(End::Reset) | Finish::Disconnected(Disconnect::Ends(End::Reset)) => {
                reset_on_close(&client);
                reset_on_close(&server);
            }
            Finish::Disconnected(Disconnect::ServerGone) => {
                reset_on_close(&server);
                drop(server);
                self.stay_silent(&client).await;
            }
            Finish::Disconnected(Disconnect::ClientGone) => {
                reset_on_close(&client);
                drop(client);
                drop(open);
                self.stay_silent(&server).await;
            }
        }
    }

    async fn pump_both(&self, client: &TcpStream, server: &TcpStream) -> Finish {
        let both = async {
            tokio::try_join!(
                self.pump(Direction::Requests, client, server),
                self.pump(Direction::Replies, server, client),
            )
        };
        tokio::select! {
            biased;
            disconnect = self.disconnected() => Finish::Disconnected(disconnect),
            pumped = both => match pumped {
                Ok(_) => Finish::Done,
                Err(end) => Finish::Broken(end),
            },
        }
    }

    /// Passes bytes on until one side ends, which is passed on too.
    async fn pump(&self, way: Direction, from: &TcpStream, to: &TcpStream) -> Result<(), End> {
        let mut watched = self.watched.clone();
        let mut chunk = vec![0; CHUNK_BYTES];
        // Bytes that went this way since the present fault began.
        let (mut fault, mut passed) = (Fault::None, 0);
        loop {
            let now = watched.borrow_and_update().fault;
            if now != fault {
                (fault, passed) = (now, 0);
            }
            match fault {
                Fault::Refuse => return Err(End::Reset),
                Fault::Hole(which) if which.is_none_or(|which| which == way) => {
                    watched.changed().await.map_err(|_| End::Close)?;
                    continue;
                }
                _ => {}
            }
            tokio::select! {
                biased;
                _ = watched.changed() => continue,
                ready = from.readable() => ready.map_err(|_| End::Reset)?,
            }
            // What trickles is taken by the burst, so that none goes on when the fault is over.
            let room = match fault {
                Fault::Trickle(bytes) => CHUNK_BYTES.min(bytes * TRICKLE_BURST),
                _ => CHUNK_BYTES,
            };
            let count = match from.try_read(chunk.get_mut(..room).unwrap_or_default()) {
                Ok(0) => {
                    let _ = SockRef::from(to).shutdown(Shutdown::Write);
                    return Ok(());
                }
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(_) => return Err(End::Reset),
            };
            deliver(way, fault, passed, chunk.get(..count).unwrap_or(&[]), to).await?;
            passed += count;
        }
    }

    fn orders(&mut self) -> Orders {
        *self.watched.borrow_and_update()
    }

    /// An error when the proxy ends.
    async fn changed(&mut self) -> Result<(), ()> {
        self.watched.changed().await.map_err(|_| ())?;
        if self.orders().ended {
            return Err(());
        }
        Ok(())
    }

    /// Comes back when this link is struck, or when the proxy ends.
    async fn disconnected(&self) -> Disconnect {
        let mut watched = self.watched.clone();
        let struck =
            watched.wait_for(|orders| orders.ended || self.birth < orders.disconnected_before);
        match struck.await {
            Ok(orders) if !orders.ended => orders.disconnect,
            _ => Disconnect::Ends(End::Close),
        }
    }

    /// The side that is left of a half-open connection: what comes is lost, until the peer gives
    /// up or the fault ends.
    async fn stay_silent(&self, side: &TcpStream) {
        let mut watched = self.watched.clone();
        let released =
            watched.wait_for(|orders| orders.ended || self.birth < orders.released_before);
        tokio::select! {
            _ = released => {}
            _ = swallow(side) => {}
        }
        reset_on_close(side);
    }
}

/// Reads until the peer ends.
async fn swallow(side: &TcpStream) -> io::Result<Infallible> {
    let mut chunk = vec![0; 4096];
    loop {
        side.readable().await?;
        match side.try_read(&mut chunk) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes what was read, as the fault has it.
async fn deliver(
    way: Direction,
    fault: Fault,
    passed: usize,
    bytes: &[u8],
    to: &TcpStream,
) -> Result<(), End> {
    match fault {
        Fault::Delay(span) => tokio::time::sleep(span).await,
        Fault::Trickle(size) => {
            for (number, piece) in bytes.chunks(size).enumerate() {
                write_all(to, piece).await.map_err(|_| End::Reset)?;
                if number % TRICKLE_BURST == TRICKLE_BURST - 1 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            return Ok(());
        }
        Fault::CutAfter(which, limit, end) if which == way => {
            let left = limit.saturating_sub(passed);
            if let Some(last) = bytes.get(..left)
                && bytes.len() >= left
            {
                // It ends here whether or not the peer still takes it.
                let _ = write_all(to, last).await;
                return Err(end);
            }
        }
        _ => {}
    }
    write_all(to, bytes).await.map_err(|_| End::Reset)
}

async fn write_all(to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        to.writable().await?;
        match to.try_write(bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or(&[]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
