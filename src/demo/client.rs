//! One client of the demo: a connection, its script, and the comparison of every reply, byte by
//! byte, with the one that must come. It knows nothing of whether narrows is in between.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::script::Script;
use super::wire;

/// A connected client whose keys are in a known state.
#[derive(Debug)]
pub(super) struct DemoClient {
    address: SocketAddr,
    stream: TcpStream,
    script: Script,
    request: Vec<u8>,
    expected: Vec<u8>,
    received: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub(super) enum ReplyOutcome {
    /// Exactly the reply that was expected.
    Right,
    /// An error reply, or the connection was lost: no wrong answer, but none of use either.
    Error(String),
}

/// The one thing that must never happen: a reply that is not the one to this request.
#[derive(Debug)]
pub(super) struct WrongReply {
    request: Vec<u8>,
    expected: Vec<u8>,
    received: Vec<u8>,
}

impl DemoClient {
    /// Connects and writes the first values.
    ///
    /// # Errors
    /// When no connection comes about, or the first writes fail, within [`SETUP_PATIENCE`].
    pub(super) async fn connect(address: SocketAddr, script: Script) -> anyhow::Result<Self> {
        let setup = async {
            let stream = open(address).await?;
            let (request, expected, received) = (Vec::new(), Vec::new(), Vec::new());
            let mut client = Self {
                address,
                stream,
                script,
                request,
                expected,
                received,
            };
            client
                .script
                .reset(&mut client.request, &mut client.expected);
            match client.exchange().await? {
                ReplyOutcome::Right => Ok(client),
                ReplyOutcome::Error(text) => Err(anyhow::anyhow!(text)),
            }
        };
        timeout(SETUP_PATIENCE, setup).await?
    }

    /// Asks the next question of the script and compares the reply.
    pub(super) async fn step(&mut self) -> Result<ReplyOutcome, WrongReply> {
        self.script.advance(&mut self.request, &mut self.expected);
        self.exchange().await
    }

    /// After an error: brings the keys back to a known state, over a new connection.
    pub(super) async fn recover(&mut self) -> Result<ReplyOutcome, WrongReply> {
        match timeout(SETUP_PATIENCE, open(self.address)).await {
            Ok(Ok(stream)) => self.stream = stream,
            Ok(Err(error)) => return Ok(ReplyOutcome::Error(format!("connect: {error}"))),
            Err(elapsed) => return Ok(ReplyOutcome::Error(format!("connect: {elapsed}"))),
        }
        self.script.reset(&mut self.request, &mut self.expected);
        self.exchange().await
    }

    async fn exchange(&mut self) -> Result<ReplyOutcome, WrongReply> {
        self.received.clear();
        if let Err(error) = self.stream.write_all(&self.request).await {
            return Ok(ReplyOutcome::Error(format!("write: {error}")));
        }
        loop {
            match self.stream.read_buf(&mut self.received).await {
                Ok(0) => return Ok(ReplyOutcome::Error("closed by the peer".to_owned())),
                Ok(_) => {}
                Err(error) => return Ok(ReplyOutcome::Error(format!("read: {error}"))),
            }
            match compare(&self.received, &self.expected) {
                ReplyMatch::Right => return Ok(ReplyOutcome::Right),
                ReplyMatch::Incomplete => {}
                ReplyMatch::Error(text) => return Ok(ReplyOutcome::Error(text)),
                ReplyMatch::Wrong => {
                    return Err(WrongReply {
                        request: self.request.clone(),
                        expected: self.expected.clone(),
                        received: self.received.clone(),
                    });
                }
            }
        }
    }
}

impl fmt::Display for WrongReply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "a wrong reply\n  request:  {}\n  expected: {}\n  received: {}",
            self.request.escape_ascii(),
            self.expected.escape_ascii(),
            self.received.escape_ascii(),
        )
    }
}

impl std::error::Error for WrongReply {}

#[derive(PartialEq, Eq, Debug)]
enum ReplyMatch {
    Right,
    Incomplete,
    Error(String),
    Wrong,
}

/// Compares what has been received so far with the whole of what must come.
fn compare(received: &[u8], expected: &[u8]) -> ReplyMatch {
    if received == expected {
        return ReplyMatch::Right;
    }
    if expected.starts_with(received) {
        return ReplyMatch::Incomplete;
    }
    // The only pipelines here are writes: an error may stand in the place of any of their replies.
    let (mut received, mut expected) = (received, expected);
    while let (Some(next), Some(wanted)) = (received.strip_prefix(OK), expected.strip_prefix(OK)) {
        (received, expected) = (next, wanted);
    }
    if !received.starts_with(b"-") {
        return ReplyMatch::Wrong;
    }
    match wire::line(received) {
        Some(line) => ReplyMatch::Error(String::from_utf8_lossy(line).into_owned()),
        None => ReplyMatch::Incomplete,
    }
}

async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

const OK: &[u8] = b"+OK\r\n";

/// For a connection and the first writes, while a thousand others do the same.
const SETUP_PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_reply_is_right() {
        let expected = b"$3\r\nabc\r\n";
        for cut in 1..expected.len() {
            assert_eq!(compare(&expected[..cut], expected), ReplyMatch::Incomplete);
        }
        assert_eq!(compare(expected, expected), ReplyMatch::Right);
        assert_eq!(compare(b"$3\r\nabd\r\n", expected), ReplyMatch::Wrong);
        assert_eq!(
            compare(b"$3\r\nabc\r\n+OK\r\n", expected),
            ReplyMatch::Wrong
        );
        assert_eq!(compare(b"+OK\r\n", expected), ReplyMatch::Wrong);
    }

    #[test]
    fn an_error_in_the_place_of_a_reply_is_an_error() {
        let error = || ReplyMatch::Error("-LOADING x".to_owned());
        assert_eq!(compare(b"-LOADING", b"+OK\r\n"), ReplyMatch::Incomplete);
        assert_eq!(compare(b"-LOADING x\r\n", b"+OK\r\n"), error());
        assert_eq!(
            compare(b"+OK\r\n-LOADING x\r\n", b"+OK\r\n+OK\r\n"),
            error()
        );
        assert_eq!(
            compare(b"+OK\r\n:1\r\n", b"+OK\r\n+OK\r\n"),
            ReplyMatch::Wrong
        );
        assert_eq!(
            compare(b"$3\r\n-ab\r\n", b"$3\r\nxab\r\n"),
            ReplyMatch::Wrong
        );
    }
}
