//! TLS handshakes with clients, all on one thread: so many at once, for so long, and with so much of a processor.
//! A storm of them delays nobody who is connected, and those of it that keep narrows waiting make way for others.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use rustls::{CertificateError, Error};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::tls::connection::{HandshakeProgress, TlsConnection};

use super::detached::DetachedSocket;
use super::linger;
use super::settings::HandshakeLimits;

/// What a client may send until its handshake is over, in bytes. Its certificates are the most of it.
const RECEIVED_BYTES_MAX: usize = 64 << 10;

/// What is read at once, in bytes: a record.
const READ_BYTES: usize = 17 << 10;

/// Processor time that may be used at once. Behind that come pauses, so that it becomes the share it is to be.
const BURST: Duration = Duration::from_millis(5);

/// The first byte of every TLS connection: a record with a handshake (RFC 8446, 5.1).
const HANDSHAKE_RECORD: u8 = 0x16;

/// See the module.
pub struct Handshakes {
    state: Mutex<HandshakesState>,
    /// Told when a place is free, or may be made so.
    room: Notify,
    cpu: tokio::sync::Mutex<CpuShare>,
    /// Places for those that are told why not.
    lingering: Semaphore,
}

#[derive(Default)]
struct HandshakesState {
    under_way: usize,
    next: u64,
    /// Places that are waited for.
    wanted: usize,
    /// Those that keep narrows waiting, in the order in which they have come.
    waited_for: BTreeMap<u64, CancellationToken>,
}

/// Why there was no handshake.
#[derive(Debug)]
pub enum HandshakeFailure {
    /// It was not over in time.
    TimedOut,
    /// Others wanted its place, and it kept narrows waiting.
    MadeWay,
    /// The client was gone before it had sent anything, as one that only looks whether somebody listens.
    Gone,
    /// It began with something else.
    NoTls(u8),
    /// A sentence for people.
    Failed(String),
}

/// A place among those that have a handshake.
pub struct HandshakePlace {
    handshakes: Arc<Handshakes>,
    number: u64,
    /// Set when it is to make way.
    makes_way: CancellationToken,
}

/// How much processor time the thread has used beyond its share.
struct CpuShare {
    used: Duration,
    debt: Duration,
    at: Instant,
    buffer: Vec<u8>,
}

impl Handshakes {
    /// None yet. To be called by the thread that has them.
    pub fn new() -> Self {
        Self {
            state: Mutex::default(),
            room: Notify::new(),
            cpu: tokio::sync::Mutex::new(CpuShare::new()),
            lingering: Semaphore::new(linger::CLIENTS_MAX),
        }
    }

    /// A place, when there is one: somebody makes way if all are taken and one keeps narrows waiting.
    pub async fn place(self: &Arc<Self>, limits: HandshakeLimits) -> HandshakePlace {
        self.cpu.lock().await.allowed(limits.cpu_max).await;
        loop {
            let room = self.room.notified();
            {
                let mut state = self.state.lock();
                if state.under_way < limits.max {
                    state.under_way += 1;
                    state.next += 1;
                    return HandshakePlace {
                        handshakes: Arc::clone(self),
                        number: state.next,
                        makes_way: CancellationToken::new(),
                    };
                }
                if let Some((_, longest)) = state.waited_for.pop_first() {
                    longest.cancel();
                }
                state.wanted += 1;
            }
            room.await;
            self.state.lock().wanted -= 1;
        }
    }

    /// Has the handshake, in this place.
    pub async fn shake_hands(
        &self,
        tcp: &TcpStream,
        tls: &mut TlsConnection,
        place: &HandshakePlace,
        limits: HandshakeLimits,
    ) -> Result<(), HandshakeFailure> {
        let makes_way = place.makes_way.clone();
        let done = timeout(limits.timeout, self.steps(tcp, tls, place, limits.cpu_max));
        match makes_way.run_until_cancelled(done).await {
            None => Err(HandshakeFailure::MadeWay),
            Some(Err(_)) => Err(HandshakeFailure::TimedOut),
            Some(Ok(outcome)) => outcome,
        }
    }

    /// Closes the connection of one that had none, which may not have read yet why.
    pub async fn close(&self, socket: DetachedSocket) {
        linger::close_client(socket, &self.lingering).await;
    }

    async fn steps(
        &self,
        tcp: &TcpStream,
        tls: &mut TlsConnection,
        place: &HandshakePlace,
        cpu_max: f64,
    ) -> Result<(), HandshakeFailure> {
        let gone = |error: io::Error| HandshakeFailure::Failed(error.to_string());
        let mut received = 0;
        loop {
            place.waits_for(tcp.readable()).await.map_err(gone)?;
            let mut cpu = self.cpu.lock().await;
            cpu.allowed(cpu_max).await;
            let CpuShare { buffer, .. } = &mut *cpu;
            let come = match tcp.try_read(buffer) {
                Ok(n) => buffer.get(..n).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(_) if received == 0 => return Err(HandshakeFailure::Gone),
                Err(error) => return Err(gone(error)),
            };
            match come.first() {
                None if received == 0 => return Err(HandshakeFailure::Gone),
                None => return Err(ended_early()),
                Some(&first) if received == 0 && first != HANDSHAKE_RECORD => {
                    return Err(HandshakeFailure::NoTls(first));
                }
                Some(_) => {}
            }
            received += come.len();
            let outcome = tls.shake_hands(come);
            drop(cpu);
            place.waits_for(send(tcp, tls)).await.map_err(gone)?;
            match outcome.map_err(|error| HandshakeFailure::Failed(told(&error)))? {
                HandshakeProgress::Done => return Ok(()),
                HandshakeProgress::NeedsInput if received > RECEIVED_BYTES_MAX => {
                    let why = format!("its handshake is longer than {RECEIVED_BYTES_MAX} bytes");
                    return Err(HandshakeFailure::Failed(why));
                }
                HandshakeProgress::NeedsInput => {}
            }
        }
    }
}

impl HandshakePlace {
    /// What the other end has to do for it to go on.
    async fn waits_for<T>(&self, what: impl Future<Output = T>) -> T {
        let is_wanted = {
            let mut state = self.handshakes.state.lock();
            state.waited_for.insert(self.number, self.makes_way.clone());
            state.wanted > 0
        };
        let _waiting = WaitedFor(self);
        if is_wanted {
            self.handshakes.room.notify_one();
        }
        what.await
    }
}

/// As long as this is there, one keeps narrows waiting.
struct WaitedFor<'a>(&'a HandshakePlace);

impl Drop for WaitedFor<'_> {
    fn drop(&mut self) {
        let HandshakePlace {
            handshakes, number, ..
        } = self.0;
        handshakes.state.lock().waited_for.remove(number);
    }
}

impl Drop for HandshakePlace {
    fn drop(&mut self) {
        self.handshakes.state.lock().under_way -= 1;
        self.handshakes.room.notify_one();
    }
}

impl CpuShare {
    fn new() -> Self {
        Self {
            used: cpu_of_this_thread(),
            debt: Duration::ZERO,
            at: Instant::now(),
            buffer: vec![0; READ_BYTES],
        }
    }

    /// Waits until the thread may go on, with `share` of a processor.
    async fn allowed(&mut self, share: f64) {
        self.account(share);
        while self.debt > BURST {
            sleep((self.debt - BURST).div_f64(share)).await;
            self.account(share);
        }
    }

    fn account(&mut self, share: f64) {
        let (used, now) = (cpu_of_this_thread(), Instant::now());
        let passed = now.saturating_duration_since(self.at).mul_f64(share);
        self.debt = (self.debt + used.saturating_sub(self.used)).saturating_sub(passed);
        (self.used, self.at) = (used, now);
    }
}

fn cpu_of_this_thread() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

async fn send(tcp: &TcpStream, tls: &mut TlsConnection) -> io::Result<()> {
    while !tls.unsent().is_empty() {
        match tcp.try_write(tls.unsent()) {
            Ok(n) => tls.sent(n),
            Err(error) if error.kind() == ErrorKind::WouldBlock => tcp.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn ended_early() -> HandshakeFailure {
    HandshakeFailure::Failed("it ended within the TLS handshake".to_owned())
}

/// What is wrong with a client's handshake, for people.
fn told(error: &Error) -> String {
    match error {
        Error::General(why) => why.clone(),
        Error::NoCertificatesPresented => {
            "it has shown no certificate, which tls.clients = \"required\" asks for".to_owned()
        }
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => "its certificate is signed by nobody of tls.client_ca_file".to_owned(),
        Error::InvalidCertificate(why) => format!("its certificate is refused: {why}"),
        // It says no more than that.
        Error::AlertReceived(alert) => format!("it refuses narrows' certificate or TLS: {alert:?}"),
        other => other.to_string(),
    }
}
