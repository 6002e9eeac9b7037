//! A connected socket in a worker's event loop, read and written once at a time without waiting. Nothing
//! outside knows what a kind does with the bytes on their way.
//!
//! The loop tells of each change once, so what holds since is kept here: a read that fills less than it could
//! has emptied the socket, a write that takes less than there was has filled it, and neither is tried again
//! before there is news.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::task::Poll;

use mio::{Interest, Registry};

use super::detached::DetachedSocket;
use super::event_loop::{Readiness, Token};
use super::tls_socket::{Opened, Then, TlsSocket, TlsWritten};

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

/// See the module.
#[derive(Debug)]
pub struct Socket {
    stream: Stream,
    /// There may be something to read.
    readable: bool,
    /// It took less than there was.
    full: bool,
    end: Option<PeerEnd>,
}

#[derive(Debug)]
enum Stream {
    Tcp(mio::net::TcpStream),
    Unix(mio::net::UnixStream),
    Tls(Box<TlsSocket>),
}

impl Socket {
    /// Puts a socket into an event loop. Its first news says whether there is something to read, unless there
    /// [is already](Self::may_have_more).
    pub fn open(socket: DetachedSocket, events: &Registry, token: Token) -> io::Result<Self> {
        let both = Interest::READABLE | Interest::WRITABLE;
        let mut readable = false;
        let stream = match socket {
            DetachedSocket::Tls(tcp, tls) => {
                let mut tcp = mio::net::TcpStream::from_std(tcp);
                events.register(&mut tcp, token.number(), both)?;
                // What came right behind the handshake has been read with it.
                readable = tls.has_kept();
                Stream::Tls(Box::new(TlsSocket { tcp, tls }))
            }
            DetachedSocket::Tcp(stream) => {
                let mut stream = mio::net::TcpStream::from_std(stream);
                events.register(&mut stream, token.number(), both)?;
                Stream::Tcp(stream)
            }
            DetachedSocket::Unix(stream) => {
                let mut stream = mio::net::UnixStream::from_std(stream);
                events.register(&mut stream, token.number(), both)?;
                Stream::Unix(stream)
            }
        };
        Ok(Self {
            stream,
            readable,
            full: false,
            end: None,
        })
    }

    /// Takes it out of its event loop.
    pub fn detach(self, events: &Registry) -> io::Result<DetachedSocket> {
        Ok(match self.stream {
            Stream::Tcp(mut stream) => {
                events.deregister(&mut stream)?;
                DetachedSocket::Tcp(stream.into())
            }
            Stream::Unix(mut stream) => {
                events.deregister(&mut stream)?;
                DetachedSocket::Unix(stream.into())
            }
            Stream::Tls(stream) => {
                let TlsSocket { mut tcp, tls } = *stream;
                events.deregister(&mut tcp)?;
                DetachedSocket::Tls(tcp.into(), tls)
            }
        })
    }

    /// Something has changed. Whether it was full and has room now.
    pub fn changed(&mut self, now: Readiness) -> bool {
        self.readable |= now.is_of_reading();
        if now.broken {
            self.end = Some(PeerEnd::Broken);
        } else if now.ended && self.end.is_none() {
            self.end = Some(PeerEnd::Sent);
        }
        now.writable && std::mem::take(&mut self.full)
    }

    /// Whether there may be something to read, so that a read is due although there is no news.
    pub fn may_have_more(&self) -> bool {
        self.readable
    }

    /// Whether the other end has ended, without reading what it has sent.
    pub fn end(&self) -> Option<PeerEnd> {
        self.end
    }

    /// Reads once. Nothing read is the end.
    #[inline(always)]
    pub fn read<'b>(&mut self, scratch: &'b mut [u8]) -> Poll<io::Result<&'b [u8]>> {
        if !self.readable {
            return Poll::Pending;
        }
        let read = loop {
            let read = match &mut self.stream {
                Stream::Tcp(stream) => stream.read(scratch),
                Stream::Unix(stream) => stream.read(scratch),
                Stream::Tls(_) => return self.read_tls(scratch),
            };
            match read {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        match read {
            Ok(n) => {
                // Of an end that it was told of there will be no more news.
                self.readable = n == scratch.len() || self.end.is_some();
                Poll::Ready(Ok(scratch.get(..n).unwrap_or_default()))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Writes once; there has to be something to write.
    #[inline]
    pub fn write(&mut self, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.full {
            return Poll::Pending;
        }
        let written = match &mut self.stream {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
            Stream::Tls(_) => return self.write_tls(std::iter::once(bytes)),
        };
        match written {
            Ok(n) if n == bytes.len() => Poll::Ready(Ok(n)),
            Err(error) if error.kind() == ErrorKind::Interrupted => self.write(bytes),
            other => self.written_in_part(other),
        }
    }

    /// Writes these pieces at once, or as many of them as one write takes.
    #[inline(never)]
    pub fn write_pieces<'b>(
        &mut self,
        pieces: impl Iterator<Item = &'b [u8]>,
    ) -> Poll<io::Result<usize>> {
        if self.full {
            return Poll::Pending;
        }
        if let Stream::Tls(_) = &self.stream {
            return self.write_tls(pieces);
        }
        let mut slices = [IoSlice::new(&[]); PIECES_MAX];
        let mut filled = 0;
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece);
            filled += 1;
        }
        let slices = slices.get(..filled).unwrap_or_default();
        loop {
            let written = match &mut self.stream {
                Stream::Tcp(stream) => stream.write_vectored(slices),
                Stream::Unix(stream) => stream.write_vectored(slices),
                Stream::Tls(_) => return Poll::Pending,
            };
            return match written {
                Ok(n) if n == slices.iter().map(|slice| slice.len()).sum::<usize>() => {
                    Poll::Ready(Ok(n))
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => self.written_in_part(other),
            };
        }
    }

    /// What follows a write of less than all there was: its event loop tells when there is room again.
    #[cold]
    fn written_in_part(&mut self, written: io::Result<usize>) -> Poll<io::Result<usize>> {
        match written {
            Ok(0) => Poll::Ready(Err(ErrorKind::WriteZero.into())),
            Ok(n) => {
                self.full = true;
                Poll::Ready(Ok(n))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.full = true;
                Poll::Pending
            }
            Err(error) => {
                // What was said before it broke is still to be read.
                self.readable = true;
                Poll::Ready(Err(error))
            }
        }
    }

    /// Whether the network has all that was written.
    #[inline]
    pub fn flush(&mut self) -> Poll<io::Result<()>> {
        match &self.stream {
            // These kinds hold nothing back.
            Stream::Tcp(_) | Stream::Unix(_) => Poll::Ready(Ok(())),
            Stream::Tls(_) => self.flush_tls(),
        }
    }

    /// Tells the other end that nothing more comes, as far as its kind has words for that and it takes them at
    /// once. The socket is to be closed next.
    pub fn say_goodbye(&mut self) {
        if let Stream::Tls(stream) = &mut self.stream {
            stream.say_goodbye();
        }
    }

    #[inline(never)]
    fn flush_tls(&mut self) -> Poll<io::Result<()>> {
        let Stream::Tls(stream) = &mut self.stream else {
            return Poll::Ready(Ok(()));
        };
        if self.full {
            return Poll::Pending;
        }
        let sent = stream.send();
        self.full = sent.is_pending();
        // What was said before it broke is still to be read.
        self.readable |= matches!(sent, Poll::Ready(Err(_)));
        sent
    }

    /// Goes on until there is plaintext, or until there is nothing more to be read.
    #[inline(never)]
    fn read_tls<'b>(&mut self, scratch: &'b mut [u8]) -> Poll<io::Result<&'b [u8]>> {
        let Stream::Tls(stream) = &mut self.stream else {
            return Poll::Pending;
        };
        loop {
            let Opened { plaintext, then } = match stream.read(scratch) {
                Ok(opened) => opened,
                Err(error) => {
                    // The other end is told why, if it still listens.
                    let _ = stream.send();
                    return Poll::Ready(Err(error));
                }
            };
            // What is to be answered without anybody's asking: a change of keys.
            self.full |= stream.send().is_pending();
            self.readable = match then {
                Then::More | Then::End => true,
                // Of an end that it was told of there will be no more news.
                Then::Emptied => self.end.is_some(),
                Then::Nothing => false,
            };
            if plaintext > 0 || then == Then::End {
                return Poll::Ready(Ok(scratch.get(..plaintext).unwrap_or_default()));
            }
            if !self.readable {
                return Poll::Pending;
            }
        }
    }

    #[inline(never)]
    fn write_tls<'b>(&mut self, pieces: impl Iterator<Item = &'b [u8]>) -> Poll<io::Result<usize>> {
        let Stream::Tls(stream) = &mut self.stream else {
            return Poll::Pending;
        };
        match stream.write(pieces) {
            Poll::Ready(Ok(TlsWritten { taken, all })) => {
                self.full = !all;
                Poll::Ready(Ok(taken))
            }
            Poll::Ready(Err(error)) => self.written_in_part(Err(error)),
            Poll::Pending => {
                self.full = true;
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests;
