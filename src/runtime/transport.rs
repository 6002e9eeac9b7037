//! A connected socket of any kind, read and written without blocking. A worker polls it itself, by the
//! methods of [`Transport`]; a task that has a connection of its own waits by tokio's traits. Nothing
//! outside knows what a kind does with the bytes on their way.

use std::future::Future;
use std::io::{self, IoSlice, Read};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use tokio::net::{TcpStream, UnixStream};

/// TCP or unix.
#[derive(Debug)]
pub enum Transport {
    /// A TCP connection.
    Tcp(TcpStream),
    /// A unix connection.
    Unix(UnixStream),
}

/// Pieces that one write takes at most.
const PIECES_MAX: usize = 32;

/// How the other end has ended, as far as can be seen without reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerEnd {
    /// It sends no more; what it has sent before can still be read.
    Sent,
    /// The connection is broken.
    Broken,
}

impl Transport {
    /// Reads once. A short read tells tokio that the socket is empty, so that the next call
    /// registers the waker of `cx` without a system call.
    #[inline]
    pub fn poll_read<'b>(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &'b mut [u8],
    ) -> Poll<io::Result<&'b [u8]>> {
        let mut buffer = ReadBuf::new(scratch);
        ready!(Pin::new(self).poll_read(cx, &mut buffer))?;
        let n = buffer.filled().len();
        Poll::Ready(Ok(scratch.get(..n).unwrap_or_default()))
    }

    /// Writes once; there has to be something to write. After a short write the socket counts as full,
    /// so that the next call registers the waker of `cx` without a system call.
    #[inline]
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::Unix(stream) => stream.try_write(bytes),
        };
        match written {
            Ok(n) if n == bytes.len() => Poll::Ready(Ok(n)),
            other => self.written_in_part(cx, bytes, other),
        }
    }

    /// Writes these pieces at once, or as many of them as one write takes.
    #[inline(never)]
    pub fn poll_write_pieces<'b>(
        &mut self,
        cx: &mut Context<'_>,
        pieces: impl Iterator<Item = &'b [u8]>,
    ) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); PIECES_MAX];
        let mut filled = 0;
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece);
            filled += 1;
        }
        let slices = slices.get(..filled).unwrap_or_default();
        let written = match self {
            Self::Tcp(stream) => stream.try_write_vectored(slices),
            Self::Unix(stream) => stream.try_write_vectored(slices),
        };
        match written {
            Ok(n) if n == slices.iter().map(|slice| slice.len()).sum::<usize>() => {
                Poll::Ready(Ok(n))
            }
            other => self.written_in_part(cx, slices.first().map_or(&[], |first| first), other),
        }
    }

    /// What follows a write of less than all there was.
    #[cold]
    fn written_in_part(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        written: io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let full = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
        match written {
            Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Ok(n) => {
                let _ = match self {
                    Self::Tcp(stream) => stream.try_io(Interest::WRITABLE, full),
                    Self::Unix(stream) => stream.try_io(Interest::WRITABLE, full),
                };
                Poll::Ready(Ok(n))
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {
                    Pin::new(self).poll_write(cx, bytes)
                }
                _ => Poll::Ready(Err(error)),
            },
        }
    }

    /// Whether the socket has all that was written.
    #[inline]
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self).poll_flush(cx)
    }

    /// Whether the other end has ended, without reading what it has sent. If not, the waker of `cx`
    /// is told of the end, and of whatever else comes. From then on
    /// [`read_now`](Transport::read_now) knows what there is to read, until that is read.
    pub fn poll_end(&self, cx: &mut Context<'_>) -> Poll<PeerEnd> {
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
            (Poll::Ready(Err(_)), _) => Poll::Ready(PeerEnd::Broken),
            (_, ready) if ready.is_error() => Poll::Ready(PeerEnd::Broken),
            (_, ready) if ready.is_read_closed() => Poll::Ready(PeerEnd::Sent),
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
}

impl AsyncRead for Transport {
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

impl AsyncWrite for Transport {
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

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::io::Write;
    use std::os::unix::net::UnixStream as Socket;

    fn pair() -> (Transport, Socket) {
        let (ours, theirs) = Socket::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let ours = UnixStream::from_std(ours).map(Transport::Unix);
        (ours.unwrap(), theirs)
    }

    #[tokio::test]
    async fn a_short_read_is_the_last_one_until_there_is_news() {
        let (mut ours, mut theirs) = pair();
        let mut scratch = [0; 64];
        theirs.write_all(b"one").unwrap();
        let read = poll_fn(|cx| ours.poll_read(cx, &mut scratch).map_ok(<[u8]>::to_vec)).await;
        assert_eq!(read.unwrap(), b"one");
        theirs.write_all(b"two").unwrap();
        // It would be read now if the socket were asked: its event loop has not been.
        let mut cx = Context::from_waker(Waker::noop());
        assert!(ours.poll_read(&mut cx, &mut scratch).is_pending());
        let read = poll_fn(|cx| ours.poll_read(cx, &mut scratch).map_ok(<[u8]>::to_vec)).await;
        assert_eq!(read.unwrap(), b"two");
    }

    #[tokio::test]
    async fn a_short_write_is_the_last_one_until_there_is_room() {
        let (mut ours, mut theirs) = pair();
        let bytes = vec![7; 4 << 20];
        let written = poll_fn(|cx| ours.poll_write(cx, &bytes)).await.unwrap();
        assert!(0 < written && written < bytes.len());
        let mut heard = vec![0; written];
        theirs.read_exact(&mut heard).unwrap();
        assert_eq!(heard, bytes[..written]);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(ours.poll_write(&mut cx, &bytes).is_pending());
        assert!(poll_fn(|cx| ours.poll_write(cx, &bytes)).await.unwrap() > 0);
        assert!(poll_fn(|cx| ours.poll_flush(cx)).await.is_ok());
    }
}
