//! TLS on one connection, without its socket: what has come goes in and plaintext comes out, plaintext goes in
//! and what is to be sent comes out. Nothing is kept of what was dealt with, so that an idle connection holds
//! its keys and no buffer; and no whole record is ever left undecrypted, so that nothing waits for a readiness
//! that does not come.

use std::fmt;
use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
    WriteTraffic,
};
use rustls::{ClientConfig, Error, ServerConfig};

/// Plaintext of one record at most, in bytes (RFC 8446, 5.1).
const RECORD_BYTES_MAX: usize = 16 << 10;

/// What a record takes beside its plaintext, at most, in bytes: header, padding and tag (RFC 8446, 5.2).
const OVERHEAD_BYTES_MAX: usize = 5 + 256;

/// See the module.
pub struct TlsConnection {
    side: Side,
    /// The beginning of a record whose rest has not come.
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    /// How much of `outgoing` has been sent.
    sent: usize,
    /// Plaintext that there was no room for.
    plain: Vec<u8>,
    has_ended: bool,
    /// What has come was not what the other end sent: nothing comes or goes any more.
    is_broken: bool,
}

enum Side {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

impl fmt::Debug for TlsConnection {
    /// Nothing of what it carries.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsConnection")
    }
}

/// How far a handshake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeProgress {
    /// More has to come from the other end.
    NeedsInput,
    /// It is over.
    Done,
}

/// Where plaintext goes.
struct Plaintext<'a> {
    room: &'a mut [u8],
    filled: usize,
    /// What is beyond the room.
    rest: &'a mut Vec<u8>,
}

impl Plaintext<'_> {
    fn push(&mut self, bytes: &[u8]) {
        let room = self.room.get_mut(self.filled..).unwrap_or_default();
        match room.get_mut(..bytes.len()) {
            Some(place) if self.rest.is_empty() => {
                place.copy_from_slice(bytes);
                self.filled += bytes.len();
            }
            _ => self.rest.extend_from_slice(bytes),
        }
    }
}

/// What follows a step.
enum NextStep {
    Again,
    NeedsInput,
    /// All that has come is dealt with, and plaintext can be sent.
    Traffic,
    /// Both ends have said that they send no more.
    Closed,
}

/// What is to be sent when the handshake is over.
#[derive(Clone, Copy)]
enum Sending<'a> {
    Nothing,
    Plaintext(&'a [u8]),
    Close,
}

impl TlsConnection {
    /// The end that connects, to `server`.
    ///
    /// # Errors
    /// A configuration that cannot be used.
    pub fn client(config: Arc<ClientConfig>, server: ServerName<'static>) -> Result<Self, Error> {
        UnbufferedClientConnection::new(config, server).map(|side| Self::of(Side::Client(side)))
    }

    /// The end that is connected to.
    ///
    /// # Errors
    /// A configuration that cannot be used.
    pub fn server(config: Arc<ServerConfig>) -> Result<Self, Error> {
        UnbufferedServerConnection::new(config).map(|side| Self::of(Side::Server(side)))
    }

    fn of(side: Side) -> Self {
        Self {
            side,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            sent: 0,
            plain: Vec::new(),
            has_ended: false,
            is_broken: false,
        }
    }

    /// Goes on with the handshake, with what has come since. Whatever comes of it, there may be something
    /// [to be sent](Self::unsent): with an error, why.
    ///
    /// # Errors
    /// Why there is no handshake.
    pub fn shake_hands(&mut self, come: &[u8]) -> Result<HandshakeProgress, Error> {
        let mut incoming = std::mem::take(&mut self.incoming);
        incoming.extend_from_slice(come);
        let mut rest = std::mem::take(&mut self.plain);
        let mut plaintext = Plaintext {
            room: &mut [],
            filled: 0,
            rest: &mut rest,
        };
        let outcome = self.process(&mut incoming, &mut plaintext, Sending::Nothing);
        self.plain = rest;
        let (used, next) = outcome?;
        self.keep(incoming.get(used..).unwrap_or_default());
        match next {
            NextStep::Traffic => Ok(HandshakeProgress::Done),
            NextStep::Closed => Err(Error::General("it was closed".to_owned())),
            NextStep::Again | NextStep::NeedsInput => Ok(HandshakeProgress::NeedsInput),
        }
    }

    /// The other end's own certificate, if it has shown one.
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        let shown = match &self.side {
            Side::Client(side) => side.peer_certificates(),
            Side::Server(side) => side.peer_certificates(),
        };
        shown.and_then(<[_]>::first).map(AsRef::as_ref)
    }

    /// Whether there is plaintext that there was no room for.
    pub fn has_plaintext(&self) -> bool {
        !self.plain.is_empty()
    }

    /// Whether there may be something to be read although nothing has come.
    pub fn has_kept(&self) -> bool {
        !self.plain.is_empty() || !self.incoming.is_empty() || self.has_ended
    }

    /// Whether the other end has said that it sends no more.
    pub fn has_ended(&self) -> bool {
        self.has_ended && self.plain.is_empty()
    }

    /// What has been kept of the record that has not come whole: what comes next goes behind it.
    pub fn kept(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.incoming)
    }

    /// Opens what has come, which begins with what was [kept](Self::kept). How many bytes of plaintext are in
    /// `room`. All of it is, if that is as large as what has come; otherwise the rest comes the next time.
    ///
    /// # Errors
    /// What has come is not what the other end sent: the connection is at its end.
    pub fn open(&mut self, come: &mut [u8], room: &mut [u8]) -> Result<usize, Error> {
        let mut rest = std::mem::take(&mut self.plain);
        let first = rest.len().min(room.len());
        let (now, later) = room.split_at_mut(first);
        now.copy_from_slice(rest.get(..first).unwrap_or_default());
        rest.drain(..first);
        let mut plaintext = Plaintext {
            room: later,
            filled: 0,
            rest: &mut rest,
        };
        let outcome = self.process(come, &mut plaintext, Sending::Nothing);
        let filled = first + plaintext.filled;
        if !rest.is_empty() {
            self.plain = rest;
        }
        let (used, _) = outcome?;
        self.keep(come.get(used..).unwrap_or_default());
        Ok(filled)
    }

    /// Makes records of plaintext, behind what has not been sent.
    ///
    /// # Errors
    /// The connection can carry no more.
    pub fn seal(&mut self, plaintext: &[u8]) -> Result<(), Error> {
        self.send(Sending::Plaintext(plaintext))
    }

    /// Tells the other end that nothing more comes.
    ///
    /// # Errors
    /// The connection can carry no more.
    pub fn close(&mut self) -> Result<(), Error> {
        self.send(Sending::Close)
    }

    fn send(&mut self, sending: Sending<'_>) -> Result<(), Error> {
        let mut incoming = std::mem::take(&mut self.incoming);
        let mut rest = std::mem::take(&mut self.plain);
        let mut plaintext = Plaintext {
            room: &mut [],
            filled: 0,
            rest: &mut rest,
        };
        let outcome = self.process(&mut incoming, &mut plaintext, sending);
        self.plain = rest;
        let (used, next) = outcome?;
        incoming.drain(..used);
        self.incoming = incoming;
        match next {
            NextStep::Traffic => Ok(()),
            _ => {
                // Whoever cannot send what is to be sent does not go on as if it had been.
                self.is_broken = true;
                Err(Error::HandshakeNotComplete)
            }
        }
    }

    fn keep(&mut self, rest: &[u8]) {
        self.incoming = rest.to_vec();
    }

    /// What is to be sent to the other end.
    #[inline]
    pub fn unsent(&self) -> &[u8] {
        self.outgoing.get(self.sent..).unwrap_or_default()
    }

    /// The first `n` bytes of that were sent.
    pub fn sent(&mut self, n: usize) {
        self.sent += n;
        if self.sent >= self.outgoing.len() {
            self.sent = 0;
            self.outgoing = Vec::new();
        }
    }

    /// Deals with all that has come, until nothing more can be done without more. How much of it has been used.
    fn process(
        &mut self,
        come: &mut [u8],
        plaintext: &mut Plaintext<'_>,
        mut sending: Sending<'_>,
    ) -> Result<(usize, NextStep), Error> {
        if self.is_broken {
            return Err(Error::General("it is broken".to_owned()));
        }
        let mut used = 0;
        loop {
            let rest = come.get_mut(used..).unwrap_or_default();
            let out = Out {
                outgoing: &mut self.outgoing,
                plaintext,
                sending: &mut sending,
                has_ended: &mut self.has_ended,
            };
            let (discard, step) = match &mut self.side {
                Side::Client(side) => out.step(side.process_tls_records(rest)),
                Side::Server(side) => out.step(side.process_tls_records(rest)),
            };
            used += discard;
            match step {
                Ok(NextStep::Again) => {}
                Ok(next) => return Ok((used, next)),
                Err(error) => {
                    self.is_broken = true;
                    self.put_alert(come.get_mut(used..).unwrap_or_default());
                    return Err(error);
                }
            }
        }
    }

    /// After an error: the other end is told, if there is anything to tell it.
    fn put_alert(&mut self, rest: &mut [u8]) {
        let (mut nothing, mut sending) = (Vec::new(), Sending::Nothing);
        let mut plaintext = Plaintext {
            room: &mut [],
            filled: 0,
            rest: &mut nothing,
        };
        let out = Out {
            outgoing: &mut self.outgoing,
            plaintext: &mut plaintext,
            sending: &mut sending,
            has_ended: &mut self.has_ended,
        };
        // It is an error again if there is nothing.
        let _ = match &mut self.side {
            Side::Client(side) => out.step(side.process_tls_records(rest)),
            Side::Server(side) => out.step(side.process_tls_records(rest)),
        };
    }
}

/// Where what comes of a step goes.
struct Out<'o, 'p, 's> {
    outgoing: &'o mut Vec<u8>,
    plaintext: &'o mut Plaintext<'p>,
    sending: &'o mut Sending<'s>,
    has_ended: &'o mut bool,
}

impl Out<'_, '_, '_> {
    fn step<Data>(
        self,
        status: UnbufferedStatus<'_, '_, Data>,
    ) -> (usize, Result<NextStep, Error>) {
        let UnbufferedStatus { mut discard, state } = status;
        let next = match state {
            Err(error) => Err(error),
            Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
                match traffic.next_record() {
                    None => break Ok(NextStep::Again),
                    Some(Err(error)) => break Err(error),
                    Some(Ok(record)) => {
                        discard += record.discard;
                        self.plaintext.push(record.payload);
                    }
                }
            },
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                let put = |room: &mut [u8]| match data.encode(room) {
                    Ok(n) => Ok(n),
                    Err(EncodeError::InsufficientSize(more)) => Err(Some(more)),
                    Err(EncodeError::AlreadyEncoded) => Err(None),
                };
                put_into(self.outgoing, 0, put).map(|()| NextStep::Again)
            }
            Ok(ConnectionState::TransmitTlsData(data)) => {
                // It is what is sent next, before anything that is sealed from now on.
                data.done();
                Ok(NextStep::Again)
            }
            Ok(ConnectionState::PeerClosed) => {
                *self.has_ended = true;
                Ok(NextStep::Again)
            }
            Ok(ConnectionState::Closed) => Ok(NextStep::Closed),
            Ok(ConnectionState::BlockedHandshake) => Ok(NextStep::NeedsInput),
            Ok(ConnectionState::WriteTraffic(traffic)) => {
                let sending = std::mem::replace(self.sending, Sending::Nothing);
                put_traffic(self.outgoing, traffic, sending).map(|()| NextStep::Traffic)
            }
            Ok(_) => Err(Error::General("early data".to_owned())),
        };
        (discard, next)
    }
}

fn put_traffic<Data>(
    outgoing: &mut Vec<u8>,
    mut traffic: WriteTraffic<'_, Data>,
    sending: Sending<'_>,
) -> Result<(), Error> {
    let insufficient = |error| match error {
        EncryptError::InsufficientSize(more) => Some(more),
        EncryptError::EncryptExhausted => None,
    };
    match sending {
        Sending::Nothing => Ok(()),
        Sending::Plaintext(bytes) => {
            let records = bytes.len() / RECORD_BYTES_MAX + 1;
            let room = bytes.len() + records * OVERHEAD_BYTES_MAX;
            let put = |room: &mut [u8]| traffic.encrypt(bytes, room).map_err(insufficient);
            put_into(outgoing, room, put)
        }
        Sending::Close => {
            let put = |room: &mut [u8]| traffic.queue_close_notify(room).map_err(insufficient);
            put_into(outgoing, OVERHEAD_BYTES_MAX, put)
        }
    }
}

/// Has `put` write behind `outgoing`, into `room` bytes, or into as many as it asks for.
fn put_into(
    outgoing: &mut Vec<u8>,
    mut room: usize,
    mut put: impl FnMut(&mut [u8]) -> Result<usize, Option<InsufficientSizeError>>,
) -> Result<(), Error> {
    let before = outgoing.len();
    loop {
        outgoing.resize(before + room, 0);
        let outcome = put(outgoing.get_mut(before..).unwrap_or_default());
        outgoing.truncate(before + outcome.as_ref().map_or(0, |n| *n));
        match outcome {
            Ok(_) => return Ok(()),
            Err(Some(more)) if more.required_size > room => room = more.required_size,
            Err(_) => return Err(Error::EncryptError),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
