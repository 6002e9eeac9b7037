//! A TLS connection for a task that has it to itself and waits: from its handshake on.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::{AlertDescription, Error};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use crate::tls::connection::{HandshakeProgress, TlsConnection};

/// What is read at once, in bytes: a record.
const READ_BYTES: usize = 17 << 10;

/// Plaintext that is made records of at once, in bytes: what is sealed counts as written.
pub const SEALED_BYTES_MAX: usize = 64 << 10;

/// See the module.
#[derive(Debug)]
pub struct TlsStream {
    tcp: TcpStream,
    tls: Box<TlsConnection>,
    is_closing: bool,
}

impl TlsStream {
    /// One whose handshake is over.
    pub fn of(tcp: TcpStream, tls: Box<TlsConnection>) -> Self {
        Self {
            tcp,
            tls,
            is_closing: false,
        }
    }

    /// Has the handshake. The error is a sentence for people.
    pub async fn shake_hands(mut tcp: TcpStream, mut tls: Box<TlsConnection>) -> io::Result<Self> {
        let mut buffer = vec![0; READ_BYTES];
        let mut n = 0;
        loop {
            let outcome = tls.shake_hands(buffer.get(..n).unwrap_or_default());
            let unsent = tls.unsent().len();
            // If it has gone, what it has said before tells more.
            let sent = tcp.write_all(tls.unsent()).await;
            tls.sent(unsent);
            match outcome.map_err(|error| told(&error))? {
                HandshakeProgress::Done => {
                    sent?;
                    return Ok(Self::of(tcp, tls));
                }
                HandshakeProgress::NeedsInput => {}
            }
            n = tcp.read(&mut buffer).await?;
            if n == 0 {
                let why = "it closes the connection within the TLS handshake: does it speak TLS on this port?";
                return Err(io::Error::new(ErrorKind::UnexpectedEof, why));
            }
        }
    }

    /// The socket and what is known of its other end.
    pub fn into_parts(self) -> TlsParts {
        let Self { tcp, tls, .. } = self;
        TlsParts { tcp, tls }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.tls.unsent().is_empty() {
            let n = ready!(Pin::new(&mut self.tcp).poll_write(cx, self.tls.unsent()))?;
            if n == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
            self.tls.sent(n);
        }
        Poll::Ready(Ok(()))
    }
}

/// What a TLS connection is made of.
#[derive(Debug)]
pub struct TlsParts {
    /// Its socket.
    pub tcp: TcpStream,
    /// Its state.
    pub tls: Box<TlsConnection>,
}

impl AsyncRead for TlsStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.tls.has_ended() {
                return Poll::Ready(Ok(()));
            }
            let mut come = this.tls.kept();
            let kept = come.len();
            come.resize(kept + READ_BYTES, 0);
            let mut read = ReadBuf::new(come.get_mut(kept..).unwrap_or_default());
            let outcome = Pin::new(&mut this.tcp).poll_read(cx, &mut read);
            let n = read.filled().len();
            come.truncate(kept + n);
            let opened = this.tls.open(&mut come, buf.initialize_unfilled());
            let plaintext = opened.map_err(|error| told(&error))?;
            buf.advance(plaintext);
            match outcome {
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                _ if plaintext > 0 => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) if n == 0 => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        let taken = bytes.get(..SEALED_BYTES_MAX).unwrap_or(bytes);
        this.tls.seal(taken).map_err(|error| told(&error))?;
        match this.poll_send(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // The rest goes before whatever comes next.
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(taken.len())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !std::mem::replace(&mut this.is_closing, true) {
            // One that can carry no more is closed all the same.
            let _ = this.tls.close();
        }
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.tcp).poll_shutdown(cx)
    }
}

/// What is wrong, for people.
pub fn told(error: &Error) -> io::Error {
    let words = match error {
        Error::General(why) => why.clone(),
        Error::InvalidMessage(_) => {
            "it answers with something that is no TLS: does it speak TLS on this port?".to_owned()
        }
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "it asks for a certificate of narrows': name it in backend.tls.cert_file and key_file"
                .to_owned()
        }
        Error::AlertReceived(alert) => format!("it refuses TLS with narrows: {alert:?}"),
        other => format!("TLS: {other}"),
    };
    io::Error::new(ErrorKind::InvalidData, words)
}
