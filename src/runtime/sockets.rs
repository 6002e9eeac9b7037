//! The sockets of a worker, read and written once at a time without waiting.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, ReadBuf};

use super::message::Place;
use super::stream::{End, Stream};

/// A client's socket, and what its worker knows of it.
pub struct ClientSocket {
    /// The connection.
    pub stream: Stream,
    /// Queues its token when it can be read or written.
    pub waker: Waker,
    /// Its socket did not take all there was.
    pub blocked: bool,
    /// It was not read, and what there is to read is not known.
    watched: bool,
    _place: Place,
}

impl ClientSocket {
    /// A socket that has just been accepted.
    pub fn new(stream: Stream, waker: Waker, place: Place) -> Self {
        Self {
            stream,
            waker,
            blocked: false,
            watched: false,
            _place: place,
        }
    }

    /// Whether the client has ended, which is not read now.
    pub fn poll_end(&mut self) -> Poll<End> {
        self.watched = true;
        let mut cx = Context::from_waker(&self.waker);
        self.stream.poll_end(&mut cx)
    }

    /// Reads once.
    #[inline]
    pub fn poll_read<'b>(&mut self, scratch: &'b mut [u8]) -> Poll<io::Result<&'b [u8]>> {
        if self.watched {
            match self.stream.read_now(scratch) {
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
        poll_read(&mut self.stream, &self.waker, scratch)
    }
}

/// Reads once. A short read tells tokio that the socket is empty, so the next call
/// registers the waker without a system call.
#[inline]
pub fn poll_read<'b>(
    stream: &mut Stream,
    waker: &Waker,
    scratch: &'b mut [u8],
) -> Poll<io::Result<&'b [u8]>> {
    let mut cx = Context::from_waker(waker);
    let mut buffer = ReadBuf::new(scratch);
    match Pin::new(stream).poll_read(&mut cx, &mut buffer) {
        Poll::Pending => Poll::Pending,
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Ready(Ok(())) => {
            let n = buffer.filled().len();
            Poll::Ready(Ok(scratch.get(..n).unwrap_or_default()))
        }
    }
}

/// Writes once. `Ok(0)`: the socket is full and the waker is registered.
#[inline]
pub fn try_write(stream: &Stream, waker: &Waker, bytes: &[u8]) -> io::Result<usize> {
    let mut cx = Context::from_waker(waker);
    loop {
        match stream.try_write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => return Ok(n),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                match stream.poll_write_ready(&mut cx) {
                    Poll::Pending => return Ok(0),
                    Poll::Ready(ready) => ready?,
                }
            }
            Err(error) => return Err(error),
        }
    }
}
