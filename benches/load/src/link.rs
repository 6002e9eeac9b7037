//! One connection of a client: its socket, what waits for a reply on it, and what could not be
//! written yet. An idle one owns no buffers.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};

use socket2::Socket;

use crate::ask::Ask;

/// A request on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flight {
    pub(crate) ask: Ask,
    /// When it should have been sent.
    pub(crate) due: u64,
    pub(crate) sent: u64,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) socket: Socket,
    pub(crate) opened: u64,
    pub(crate) is_connected: bool,
    pub(crate) flights: VecDeque<Flight>,
    /// The beginning of a reply.
    pub(crate) inbox: Vec<u8>,
    /// The reply in `inbox` has at least this many bytes.
    pub(crate) wanted: usize,
    outbox: Vec<u8>,
}

/// How a connection ends from outside.
#[derive(Debug)]
pub(crate) enum Ending {
    Closed,
    Failed(io::Error),
}

impl std::fmt::Display for Ending {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed => formatter.write_str("connection closed by the peer"),
            Self::Failed(error) => write!(formatter, "connection lost: {}", error.kind()),
        }
    }
}

impl Link {
    pub(crate) fn new(socket: Socket, now: u64) -> Self {
        Self {
            socket,
            opened: now,
            is_connected: false,
            flights: VecDeque::new(),
            inbox: Vec::new(),
            wanted: 0,
            outbox: Vec::new(),
        }
    }

    /// Where this end is bound.
    pub(crate) fn source(&self) -> String {
        let address = self.socket.local_addr().ok();
        match address.and_then(|address| address.as_socket()) {
            Some(address) => address.to_string(),
            None => "a unix socket".to_owned(),
        }
    }

    /// Sends what `out` holds, behind what has not left yet, and empties it.
    pub(crate) fn send(&mut self, out: &mut Vec<u8>) -> Result<(), Ending> {
        if !self.outbox.is_empty() {
            self.outbox.append(out);
            return self.flush();
        }
        let written = write_all(&self.socket, out)?;
        if written < out.len() {
            self.outbox
                .extend_from_slice(out.get(written..).unwrap_or_default());
        }
        out.clear();
        Ok(())
    }

    /// Goes on with what has not left yet.
    pub(crate) fn flush(&mut self) -> Result<(), Ending> {
        if self.outbox.is_empty() {
            return Ok(());
        }
        let written = write_all(&self.socket, &self.outbox)?;
        self.outbox.drain(..written);
        if self.outbox.is_empty() {
            self.outbox = Vec::new();
        }
        Ok(())
    }

    /// One read; `None` when nothing is there.
    pub(crate) fn read(&mut self, scratch: &mut [u8]) -> Result<Option<usize>, Ending> {
        loop {
            match (&self.socket).read(scratch) {
                Ok(0) => return Err(Ending::Closed),
                Ok(bytes) => return Ok(Some(bytes)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Ending::Failed(error)),
            }
        }
    }
}

/// Writes as much as the socket takes.
fn write_all(mut socket: &Socket, bytes: &[u8]) -> Result<usize, Ending> {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match socket.write(rest) {
            Ok(more) => written += more,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Ending::Failed(error)),
        }
    }
    Ok(written)
}
