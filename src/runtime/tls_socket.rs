//! A TLS connection in a worker's event loop, read and written once at a time without waiting.

use std::io::{self, ErrorKind, Read, Write};
use std::task::Poll;

use mio::net::TcpStream;

use crate::admission::fault_injection::{self, Bug};
use crate::tls::connection::TlsConnection;

use super::tls_stream::{SEALED_BYTES_MAX, told};

/// See the module.
#[derive(Debug)]
pub struct TlsSocket<S = TcpStream> {
    /// The socket.
    pub tcp: S,
    /// What is known of its other end.
    pub tls: Box<TlsConnection>,
}

/// What one read has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// So many bytes of plaintext are in the room.
    pub plaintext: usize,
    /// Why there are no more.
    pub then: Then,
}

/// What is to be expected after a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// There may be more in the socket.
    More,
    /// That was all.
    Emptied,
    /// Nothing had come.
    Nothing,
    /// There will be no more.
    End,
}

impl<S: Read + Write> TlsSocket<S> {
    /// Reads once. The first half of `scratch` is the room for plaintext: nothing that has come whole is left
    /// undecrypted.
    pub fn read(&mut self, scratch: &mut [u8]) -> io::Result<Opened> {
        let (room, come) = scratch.split_at_mut(scratch.len() / 2);
        let kept = self.tls.kept();
        let Some((before, free)) = come.split_at_mut_checked(kept.len()) else {
            return Err(ErrorKind::InvalidData.into());
        };
        before.copy_from_slice(&kept);
        let size = free.len();
        let read = loop {
            match self.tcp.read(free) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let (n, mut then) = match read {
            Ok(0) => (0, Then::End),
            Ok(n) if n == size => (n, Then::More),
            Ok(n) => (n, Then::Emptied),
            Err(error) if error.kind() == ErrorKind::WouldBlock => (0, Then::Nothing),
            Err(error) => return Err(error),
        };
        let all = come.get_mut(..kept.len() + n).unwrap_or_default();
        let plaintext = self.tls.open(all, room).map_err(|error| told(&error))?;
        if self.tls.has_ended() {
            then = Then::End;
        } else if self.tls.has_plaintext() {
            then = Then::More;
        }
        Ok(Opened { plaintext, then })
    }

    /// Takes what it can of these pieces and writes it, or as much of it as the socket takes. What is taken
    /// counts as written, whatever becomes of the socket: records of it may have left, and it can be sent no
    /// other way any more. A socket that breaks meanwhile says so again when it is used next.
    pub fn write<'b>(
        &mut self,
        pieces: impl Iterator<Item = &'b [u8]>,
    ) -> Poll<io::Result<TlsWritten>> {
        match self.send() {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return Poll::Pending,
        }
        let mut taken = 0;
        for piece in pieces {
            let part = piece.get(..SEALED_BYTES_MAX - taken).unwrap_or(piece);
            match self.tls.seal(part) {
                Ok(()) => {}
                Err(error) if taken == 0 => return Poll::Ready(Err(told(&error))),
                // Nor is it the next time.
                Err(_) => break,
            }
            taken += part.len();
            if taken >= SEALED_BYTES_MAX {
                break;
            }
        }
        self.send_of(taken)
    }

    /// Says that nothing more comes.
    pub fn say_goodbye(&mut self) {
        // One that can carry no more, or takes no more, is closed all the same.
        let _ = self.tls.close();
        let _ = self.send();
    }

    fn send_of(&mut self, taken: usize) -> Poll<io::Result<TlsWritten>> {
        match self.send() {
            Poll::Ready(Err(error)) if fault_injection::has(Bug::SealedForgotten) => {
                Poll::Ready(Err(error))
            }
            Poll::Pending if fault_injection::has(Bug::SealedUnwritten) => Poll::Pending,
            Poll::Pending => Poll::Ready(Ok(TlsWritten { taken, all: false })),
            Poll::Ready(_) => Poll::Ready(Ok(TlsWritten { taken, all: true })),
        }
    }

    /// Writes what is left of what was taken.
    pub fn send(&mut self) -> Poll<io::Result<()>> {
        while !self.tls.unsent().is_empty() {
            match self.tcp.write(self.tls.unsent()) {
                Ok(0) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                Ok(n) => self.tls.sent(n),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// What one write has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsWritten {
    /// So many bytes of plaintext were taken.
    pub taken: usize,
    /// The socket did not say that it takes no more for now.
    pub all: bool,
}

#[cfg(test)]
mod tests;
