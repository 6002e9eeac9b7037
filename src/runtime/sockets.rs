//! The sockets of a worker, read and written once at a time without waiting.

use std::io;
use std::task::{Context, Poll, Waker};

use super::message::ConnectionGuard;
use super::transport::{PeerEnd, Transport};

/// A client's socket, and what its worker knows of it.
pub struct ClientSocket {
    /// The connection.
    pub transport: Transport,
    /// Queues its token when it can be read or written.
    pub waker: Waker,
    /// Its socket did not take all there was.
    pub blocked: bool,
    /// It was not read, and what there is to read is not known.
    watched: bool,
    _guard: ConnectionGuard,
}

impl ClientSocket {
    /// A socket that has just been accepted.
    pub fn new(transport: Transport, waker: Waker, guard: ConnectionGuard) -> Self {
        Self {
            transport,
            waker,
            blocked: false,
            watched: false,
            _guard: guard,
        }
    }

    /// Whether the client has ended, which is not read now.
    pub fn poll_end(&mut self) -> Poll<PeerEnd> {
        self.watched = true;
        let mut cx = Context::from_waker(&self.waker);
        self.transport.poll_end(&mut cx)
    }

    /// Reads once.
    #[inline]
    pub fn poll_read<'b>(&mut self, scratch: &'b mut [u8]) -> Poll<io::Result<&'b [u8]>> {
        if self.watched {
            match self.transport.read_now(scratch) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.watched = false,
                Err(error) => return Poll::Ready(Err(error)),
                Ok(n) => {
                    // A short read has emptied the socket, so that there will be news of more.
                    self.watched = n == scratch.len();
                    return Poll::Ready(Ok(scratch.get(..n).unwrap_or_default()));
                }
            }
        }
        let mut cx = Context::from_waker(&self.waker);
        self.transport.poll_read(&mut cx, scratch)
    }
}

/// Writes once what is to be written, or sees, when that is nothing, that all of it gets away:
/// `Ok(0)`, it has. The waker is registered where the socket is full.
#[inline]
pub fn poll_send(
    transport: &mut Transport,
    waker: &Waker,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    let mut cx = Context::from_waker(waker);
    if bytes.is_empty() {
        return transport.poll_flush(&mut cx).map_ok(|()| 0);
    }
    transport.poll_write(&mut cx, bytes)
}
