//! A raw conversation with a Redis endpoint, the way a wire test reads: send this, expect that.
//! Blocking, with a limit on every read; replies keep their exact bytes.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::reply::{Reply, frame_bytes};

/// One client connection.
pub struct Conn {
    stream: Stream,
    /// Received and not yet taken by a reply.
    pending: Vec<u8>,
}

/// What has come by now.
pub struct Arrived {
    pub replies: Vec<Reply>,
    /// Bytes behind them of one that has not come whole.
    pub partial: usize,
    /// Whether the peer has closed behind them.
    pub ended: bool,
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream>),
}

/// A client's end of a TLS connection.
pub type TlsStream = rustls::StreamOwned<rustls::ClientConnection, TcpStream>;

impl Conn {
    /// How long a reply may take before the test fails.
    pub const READ_PATIENCE: Duration = Duration::from_secs(10);

    /// To `127.0.0.1:PORT`.
    #[track_caller]
    pub fn connect(address: &str) -> Self {
        Self::try_connect(address).unwrap_or_else(|error| panic!("connect to {address}: {error}"))
    }

    pub fn try_connect(address: &str) -> io::Result<Self> {
        let address: SocketAddr = address.parse().map_err(io::Error::other)?;
        let stream = TcpStream::connect_timeout(&address, Self::READ_PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Self::READ_PATIENCE))?;
        stream.set_write_timeout(Some(Self::READ_PATIENCE))?;
        Ok(Self {
            stream: Stream::Tcp(stream),
            pending: Vec::new(),
        })
    }

    /// To `127.0.0.1:PORT` from another address of this machine's loopback network.
    #[track_caller]
    pub fn connect_from(source: &str, address: &str) -> Self {
        let [source, address]: [SocketAddr; 2] =
            [format!("{source}:0"), address.to_owned()].map(|text| text.parse().unwrap());
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.unwrap();
        socket.bind(&source.into()).unwrap();
        socket.connect(&address.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Self::READ_PATIENCE)).unwrap();
        stream.set_write_timeout(Some(Self::READ_PATIENCE)).unwrap();
        Self {
            stream: Stream::Tcp(stream),
            pending: Vec::new(),
        }
    }

    /// Over a TLS connection that there is.
    pub fn over_tls(stream: TlsStream) -> Self {
        stream
            .sock
            .set_read_timeout(Some(Self::READ_PATIENCE))
            .unwrap();
        Self {
            stream: Stream::Tls(Box::new(stream)),
            pending: Vec::new(),
        }
    }

    /// Is gone at once, as with its machine: the peer may send it nothing more.
    pub fn reset(self) {
        if let Stream::Tcp(stream) = &self.stream {
            let socket = socket2::SockRef::from(stream);
            socket.set_linger(Some(Duration::ZERO)).unwrap();
        }
    }

    #[track_caller]
    pub fn connect_unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(Self::READ_PATIENCE)).unwrap();
        stream.set_write_timeout(Some(Self::READ_PATIENCE)).unwrap();
        Self {
            stream: Stream::Unix(stream),
            pending: Vec::new(),
        }
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap();
    }

    /// For sending to a peer that may have closed already.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(bytes.as_ref()),
            Stream::Unix(stream) => stream.write_all(bytes.as_ref()),
            Stream::Tls(stream) => stream.write_all(bytes.as_ref()),
        }
    }

    /// Sends these bytes and the end of our sending behind them, in one segment where they fit into
    /// one: who reads them finds both.
    pub fn try_send_last(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let more = rustix::net::SendFlags::MORE;
            let sent = match &self.stream {
                Stream::Tcp(stream) => rustix::net::send(stream, rest, more),
                Stream::Unix(stream) => rustix::net::send(stream, rest, more),
                Stream::Tls(_) => panic!("TLS decides on its segments itself"),
            };
            rest = rest.get(sent?..).unwrap_or_default();
        }
        self.try_finish_sending()
    }

    /// Sends one command as an array of bulk strings, without waiting for its reply.
    #[track_caller]
    pub fn send_command<A: AsRef<[u8]>>(&mut self, arguments: &[A]) {
        self.send(command(arguments));
    }

    /// Sends one command and takes the next reply.
    #[track_caller]
    pub fn call<A: AsRef<[u8]>>(&mut self, arguments: &[A]) -> Reply {
        self.send_command(arguments);
        self.reply()
    }

    /// Sends one command; the next reply must be exactly these bytes.
    #[track_caller]
    pub fn expect<A: AsRef<[u8]>>(&mut self, arguments: &[A], reply: impl AsRef<[u8]>) {
        self.send_command(arguments);
        self.expect_reply(reply);
    }

    /// The next reply must be exactly these bytes.
    #[track_caller]
    pub fn expect_reply(&mut self, reply: impl AsRef<[u8]>) {
        let expected = reply.as_ref().escape_ascii().to_string();
        let found = self.reply().raw().escape_ascii().to_string();
        assert_eq!(found, expected);
    }

    /// The next reply, whatever it is: a push of RESP3 counts as one. It is waited for once more if
    /// it did not come in time.
    #[track_caller]
    pub fn reply(&mut self) -> Reply {
        let first = self.try_reply();
        let late = |error: &io::Error| {
            matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
            )
        };
        let reply = match first {
            Err(error) if late(&error) => {
                eprintln!(
                    "no reply within {:?}, waited once more",
                    Self::READ_PATIENCE
                );
                self.try_reply()
            }
            first => first,
        };
        reply.unwrap_or_else(|error| {
            panic!(
                "no reply ({error}); received so far: \"{}\"",
                self.pending.escape_ascii()
            )
        })
    }

    /// The next reply, or why there is none: closed, reset, nothing in time, not RESP.
    pub fn try_reply(&mut self) -> io::Result<Reply> {
        loop {
            match frame_bytes(&self.pending) {
                Ok(Some(bytes)) => {
                    let rest = self.pending.split_off(bytes);
                    return Ok(Reply::new(std::mem::replace(&mut self.pending, rest)));
                }
                Ok(None) if self.receive()? == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(None) => {}
                Err(text) => return Err(io::Error::new(io::ErrorKind::InvalidData, text)),
            }
        }
    }

    /// The replies that are here already, without waiting for more.
    pub fn arrived(&mut self) -> Arrived {
        let ended = self.receive_all_now();
        let mut replies = Vec::new();
        while let Ok(Some(bytes)) = frame_bytes(&self.pending) {
            let rest = self.pending.split_off(bytes);
            replies.push(Reply::new(std::mem::replace(&mut self.pending, rest)));
        }
        Arrived {
            replies,
            partial: self.pending.len(),
            ended,
        }
    }

    /// Reads until there is nothing left to read at present; whether the peer has closed.
    fn receive_all_now(&mut self) -> bool {
        if let Stream::Tls(_) = &self.stream {
            panic!("what has come by TLS is known when it has been read");
        }
        loop {
            let mut chunk = [0; 16 * 1024];
            let flags = rustix::net::RecvFlags::DONTWAIT;
            let outcome = match &self.stream {
                Stream::Tcp(stream) => rustix::net::recv(stream, &mut chunk, flags),
                Stream::Unix(stream) => rustix::net::recv(stream, &mut chunk, flags),
                Stream::Tls(_) => return false,
            };
            match outcome {
                Ok((0, _)) => return true,
                Ok((bytes, _)) => self.pending.extend_from_slice(&chunk[..bytes]),
                Err(rustix::io::Errno::WOULDBLOCK) => return false,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return true,
            }
        }
    }

    /// [`Conn::try_reply`] with another limit on how long it may take.
    pub fn try_reply_within(&mut self, patience: Duration) -> io::Result<Reply> {
        self.set_read_timeout(patience);
        let reply = self.try_reply();
        self.set_read_timeout(Self::READ_PATIENCE);
        reply
    }

    /// The peer closes (or resets) without a further byte.
    #[track_caller]
    pub fn expect_closed(&mut self) {
        let outcome = self.receive();
        let reset = outcome
            .as_ref()
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset);
        let closed = reset || outcome.as_ref().is_ok_and(|bytes| *bytes == 0);
        assert!(
            closed && self.pending.is_empty(),
            "expected the end, found {outcome:?} and \"{}\"",
            self.pending.escape_ascii()
        );
    }

    /// Nothing arrives for as long as `span`.
    #[track_caller]
    pub fn expect_silence(&mut self, span: Duration) {
        self.set_read_timeout(span);
        let outcome = self.receive();
        self.set_read_timeout(Self::READ_PATIENCE);
        let quiet = outcome.as_ref().is_err_and(|error| {
            matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
            )
        });
        assert!(
            quiet && self.pending.is_empty(),
            "expected silence, found {outcome:?} and \"{}\"",
            self.pending.escape_ascii()
        );
    }

    /// Ends our sending half; the peer may still answer.
    pub fn finish_sending(&mut self) {
        self.try_finish_sending().unwrap();
    }

    /// The same, of a peer that may have closed already.
    pub fn try_finish_sending(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.shutdown(std::net::Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(std::net::Shutdown::Write),
            Stream::Tls(stream) => {
                stream.conn.send_close_notify();
                stream.flush()?;
                stream.sock.shutdown(std::net::Shutdown::Write)
            }
        }
    }

    /// Reads once into `pending`; the number of bytes, 0 at the end.
    fn receive(&mut self) -> io::Result<usize> {
        let mut chunk = vec![0; 64 * 1024];
        let bytes = match &mut self.stream {
            Stream::Tcp(stream) => stream.read(&mut chunk)?,
            Stream::Unix(stream) => stream.read(&mut chunk)?,
            Stream::Tls(stream) => stream.read(&mut chunk)?,
        };
        self.pending.extend_from_slice(&chunk[..bytes]);
        Ok(bytes)
    }

    fn set_read_timeout(&self, span: Duration) {
        match &self.stream {
            Stream::Tcp(stream) => stream.set_read_timeout(Some(span)).unwrap(),
            Stream::Unix(stream) => stream.set_read_timeout(Some(span)).unwrap(),
            Stream::Tls(stream) => stream.sock.set_read_timeout(Some(span)).unwrap(),
        }
    }
}

/// A command as clients send it: an array of bulk strings.
pub fn command<A: AsRef<[u8]>>(arguments: &[A]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        let argument = argument.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        bytes.extend_from_slice(argument);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}
