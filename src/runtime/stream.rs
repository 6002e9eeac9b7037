//! A connected socket of either kind, read and written without blocking.

use std::future::Future;
use std::io::{self, Read};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use tokio::net::{TcpStream, UnixStream};

/// TCP or unix.
#[derive(Debug)]
pub enum Stream {
    /// A TCP connection.
    Tcp(TcpStream),
    /// A unix connection.
    Unix(UnixStream),
}

/// How the other end has ended, as far as can be seen without reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It sends no more; what it has sent before can still be read.
    Sent,
    /// The connection is broken.
    Broken,
}

impl Stream {
    /// Whether the other end has ended, without reading what it has sent. If not, the waker of `cx`
    /// is told of the end, and of whatever else comes. From then on
    /// [`read_now`](Stream::read_now) knows what there is to read, until that is read.
    pub fn poll_end(&self, cx: &mut Context<'_>) -> Poll<End> {
        // What is known to be readable is forgotten, so that there can be news.
        let readable = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
        let news = match self {
            Self::Tcp(stream) => {
                let _ = stream.try_io(Interest::READABLE, readable);
                stream.poll_read_ready(cx)
            }
            Self::Unix(stream) => {
                let _ = stream.try_io(Interest::READABLE, readable);
                stream.poll_read_ready(cx)
            }
        };
        match (news, self.readiness()) {
            (Poll::Ready(Err(_)), _) => Poll::Ready(End::Broken),
            (_, ready) if ready.is_error() => Poll::Ready(End::Broken),
            (_, ready) if ready.is_read_closed() => Poll::Ready(End::Sent),
            // More has come meanwhile: the waker is not registered, and there will be other news.
            (Poll::Ready(Ok(())), _) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            (Poll::Pending, _) => Poll::Pending,
        }
    }

    fn readiness(&self) -> Ready {
        let interest = Interest::READABLE | Interest::WRITABLE | Interest::ERROR;
        let mut cx = Context::from_waker(Waker::noop());
        let ready = match self {
            Self::Tcp(stream) => pin!(stream.ready(interest)).poll(&mut cx),
            Self::Unix(stream) => pin!(stream.ready(interest)).poll(&mut cx),
        };
        match ready {
            Poll::Ready(Ok(ready)) => ready,
            Poll::Ready(Err(_)) | Poll::Pending => Ready::EMPTY,
        }
    }

    /// Reads what there is, whatever is known of the socket.
    pub fn read_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let socket = match self {
            Self::Tcp(stream) => SockRef::from(stream),
            Self::Unix(stream) => SockRef::from(stream),
        };
        (&mut &*socket).read(buffer)
    }

    /// Writes what the socket takes now. `WouldBlock` when that is nothing.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::Unix(stream) => stream.try_write(bytes),
        }
    }

    /// Whether the socket takes bytes; if not, the waker of `cx` is told when it does.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_write_ready(cx),
            Self::Unix(stream) => stream.poll_write_ready(cx),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
