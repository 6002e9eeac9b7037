//! A connection that sends in a thread of its own while nobody reads, and whose replies are known
//! byte by byte.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::JoinHandle;

use crate::support::Conn;

/// See the module.
pub(crate) struct Duplex {
    stream: TcpStream,
    sending: JoinHandle<()>,
}

impl Duplex {
    /// Sends all of `bytes`, however long that takes.
    pub(crate) fn send(address: &str, bytes: Vec<u8>) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Conn::READ_PATIENCE)).unwrap();
        let mut sender = stream.try_clone().unwrap();
        let sending = std::thread::spawn(move || sender.write_all(&bytes).unwrap());
        Self { stream, sending }
    }

    pub(crate) fn has_sent_all(&self) -> bool {
        self.sending.is_finished()
    }

    /// The next bytes must be these.
    #[track_caller]
    pub(crate) fn expect(&mut self, expected: &[u8]) {
        let mut found = vec![0; expected.len()];
        self.stream.read_exact(&mut found).unwrap();
        if let Some(at) = (0..found.len()).find(|at| found[*at] != expected[*at]) {
            let near = at.saturating_sub(20)..(at + 40).min(found.len());
            panic!(
                "byte {at}: \"{}\" instead of \"{}\"",
                found[near.clone()].escape_ascii(),
                expected[near].escape_ascii()
            );
        }
    }

    /// Everything was sent and answered.
    #[track_caller]
    pub(crate) fn end(self) {
        self.sending.join().unwrap();
    }
}
