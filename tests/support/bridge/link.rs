//! One connection over the bridge.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection};
use socket2::SockRef;
use tokio::net::TcpStream;

use super::reset_on_close;

/// One read from the client.
const CHUNK_BYTES: usize = 32 * 1024;

/// Reads from the client that go out in one write: an end right behind its bytes goes with them.
const READS_MAX: usize = 8;

/// See the module.
pub(super) struct Link {
    /// Without TLS.
    client: TcpStream,
    /// With TLS.
    port: TcpStream,
    tls: ClientConnection,
    /// Has come for the client, and has not gone.
    for_client: Vec<u8>,
    from_client: Way,
    from_port: Way,
}

/// How far what one side says has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Open,
    /// It has ended, and the other side does not know yet.
    Ended,
    /// The other side knows.
    Told,
}

impl Link {
    pub(super) fn new(client: TcpStream, port: TcpStream, config: Arc<ClientConfig>) -> Self {
        let name = port.peer_addr().map(|address| address.ip().into());
        let mut tls = ClientConnection::new(config, name.unwrap()).unwrap();
        // What is not taken waits at the client.
        tls.set_buffer_limit(None);
        let _ = (client.set_nodelay(true), port.set_nodelay(true));
        Self {
            client,
            port,
            tls,
            for_client: Vec::new(),
            from_client: Way::Open,
            from_port: Way::Open,
        }
    }

    /// Until both sides have ended, or one is gone: then the other is reset.
    pub(super) async fn run(mut self) {
        let mut chunk = vec![0; CHUNK_BYTES];
        while let Ok(true) = self.tell_ends() {
            if self.step(&mut chunk).await.is_err() {
                // What had come before a reset is heard, as without a bridge.
                let _ = self.deliver_rest().await;
                break;
            }
        }
        if (self.from_client, self.from_port) != (Way::Told, Way::Told) {
            reset_on_close(&self.client);
            reset_on_close(&self.port);
        }
    }

    /// Passes on that a side has ended, when all that it said has gone; whether there is more to do.
    fn tell_ends(&mut self) -> io::Result<bool> {
        if self.from_client == Way::Ended && !self.tls.wants_write() {
            SockRef::from(&self.port).shutdown(Shutdown::Write)?;
            self.from_client = Way::Told;
        }
        if self.from_port == Way::Ended && self.for_client.is_empty() {
            SockRef::from(&self.client).shutdown(Shutdown::Write)?;
            self.from_port = Way::Told;
        }
        Ok((self.from_client, self.from_port) != (Way::Told, Way::Told))
    }

    /// Waits for one of the sockets, and does what it is ready for.
    async fn step(&mut self, chunk: &mut [u8]) -> io::Result<()> {
        let sends = self.tls.wants_write();
        let hears = self.from_port == Way::Open && self.for_client.is_empty();
        let asks = self.from_client == Way::Open && !sends && !self.tls.is_handshaking();
        let answers = !self.for_client.is_empty();
        tokio::select! {
            ready = self.port.writable(), if sends => {
                ready?;
                self.send()
            }
            ready = self.client.writable(), if answers => {
                ready?;
                self.answer()
            }
            ready = self.port.readable(), if hears => {
                ready?;
                self.hear().map(drop)
            }
            ready = self.client.readable(), if asks => {
                ready?;
                self.ask(chunk)
            }
        }
    }

    fn ask(&mut self, chunk: &mut [u8]) -> io::Result<()> {
        for _ in 0..READS_MAX {
            match self.client.try_read(chunk) {
                Ok(0) => {
                    self.from_client = Way::Ended;
                    self.tls.send_close_notify();
                    break;
                }
                Ok(bytes) => self.tls.writer().write_all(&chunk[..bytes])?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.send()
    }

    fn send(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            if is_blocked(self.tls.write_tls(&mut Nonblocking(&self.port)))? {
                break;
            }
        }
        Ok(())
    }

    async fn deliver_rest(&mut self) -> io::Result<()> {
        loop {
            while !self.for_client.is_empty() {
                self.client.writable().await?;
                self.answer()?;
            }
            if self.from_port != Way::Open || !self.hear()? {
                return Ok(());
            }
        }
    }

    /// Reads once, and passes on what came; whether there was anything to read.
    fn hear(&mut self) -> io::Result<bool> {
        match self.tls.read_tls(&mut Nonblocking(&self.port)) {
            Ok(0) if self.tls.is_handshaking() => return Err(io::ErrorKind::UnexpectedEof.into()),
            // With close_notify before it or without: a client without TLS could not tell either.
            Ok(0) => self.from_port = Way::Ended,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        let state = self.tls.process_new_packets().map_err(io::Error::other)?;
        let length = self.for_client.len() + state.plaintext_bytes_to_read();
        self.for_client.resize(length, 0);
        let begin = length - state.plaintext_bytes_to_read();
        self.tls
            .reader()
            .read_exact(&mut self.for_client[begin..])?;
        if state.peer_has_closed() {
            self.from_port = Way::Ended;
        }
        self.answer()?;
        Ok(true)
    }

    fn answer(&mut self) -> io::Result<()> {
        while !self.for_client.is_empty() {
            match self.client.try_write(&self.for_client) {
                Ok(bytes) => drop(self.for_client.drain(..bytes)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A socket as rustls reads and writes it.
struct Nonblocking<'a>(&'a TcpStream);

impl Read for Nonblocking<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Nonblocking<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn is_blocked(outcome: io::Result<usize>) -> io::Result<bool> {
    match outcome {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
        Err(error) => Err(error),
    }
}
