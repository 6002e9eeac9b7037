//! A storm of TLS handshakes: connections that send nothing or half of a ClientHello, and beside them as many whole
//! handshakes as narrows takes; with somebody who is connected already and measures what it costs.
#![allow(dead_code, reason = "the soak and the short tests use a part each")]

use std::collections::VecDeque;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::support::Conn;
use crate::support::tls::Files;

/// Connections a second that never finish their handshake.
const IDLE_PER_SECOND: u64 = 2000;

/// Those of them that are open at once: as many as a machine has descriptors to spare.
const IDLE_OPEN_MAX: usize = 512;

/// The beginning of a ClientHello.
const HALF_A_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

/// A storm that goes on until it is [ended](HandshakeStorm::end).
pub(crate) struct HandshakeStorm {
    stop: Arc<AtomicBool>,
    whole: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
    probe: Probe,
    before: Duration,
}

/// What a storm has come to.
#[derive(Debug)]
pub(crate) struct StormReport {
    /// Whole handshakes.
    pub(crate) handshakes: u64,
    /// The 99th percentile of who was connected already, without it and within it.
    pub(crate) before: Duration,
    pub(crate) within: Duration,
}

impl StormReport {
    /// Whether whoever was connected has noticed it: more than twice as long, and longer than machines that
    /// are busy take now and then.
    pub(crate) fn offence(&self) -> Option<String> {
        let Self { before, within, .. } = *self;
        let noticed = within > (before * 2).max(Duration::from_millis(20));
        noticed.then(|| {
            format!("in a storm of handshakes the p99 was {within:?}, before it {before:?}")
        })
    }
}

impl HandshakeStorm {
    /// Begins one at `tls`, where these files are shown; whoever is connected is so at `plain`.
    pub(crate) fn begin(plain: &str, tls: &str, shown: &Files) -> Self {
        let calm = Probe::begin(plain);
        std::thread::sleep(Duration::from_millis(1500));
        let before = calm.end();
        let stop = Arc::new(AtomicBool::new(false));
        let whole = Arc::new(AtomicU64::new(0));
        let address: SocketAddr = tls.parse().unwrap();
        let config = Arc::new(trusting(&shown.authority));
        let idle = {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || open_idle(address, &stop))
        };
        let shaking = {
            let (stop, whole) = (Arc::clone(&stop), Arc::clone(&whole));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    // One that has made way for others is none.
                    whole.fetch_add(u64::from(shake_hands(address, &config)), Ordering::Relaxed);
                }
            })
        };
        Self {
            stop,
            whole,
            threads: vec![idle, shaking],
            probe: Probe::begin(plain),
            before,
        }
    }

    pub(crate) fn end(self) -> StormReport {
        let within = self.probe.end();
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
        StormReport {
            handshakes: self.whole.load(Ordering::Relaxed),
            before: self.before,
            within,
        }
    }
}

fn trusting(authority: &Path) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(authority).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn open_idle(address: SocketAddr, stop: &AtomicBool) {
    let mut open = VecDeque::new();
    let begun = Instant::now();
    let mut opened = 0;
    while !stop.load(Ordering::Relaxed) {
        let due = begun.elapsed().as_millis() as u64 * IDLE_PER_SECOND / 1000;
        while opened < due {
            opened += 1;
            if let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100))
            {
                if opened % 2 == 0 {
                    let _ = stream.write_all(HALF_A_HELLO);
                }
                open.push_back(stream);
            }
            if open.len() > IDLE_OPEN_MAX {
                open.pop_front();
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether there was a whole one.
fn shake_hands(address: SocketAddr, config: &Arc<ClientConfig>) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else {
        return false;
    };
    stream
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut connection = ClientConnection::new(Arc::clone(config), name).unwrap();
    while connection.is_handshaking() {
        if connection.complete_io(&mut stream).is_err() {
            return false;
        }
    }
    true
}

/// A client that asks something every millisecond, and keeps how long each answer took.
struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Probe {
    fn begin(address: &str) -> Self {
        let mut conn = Conn::connect(address);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut took = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let begun = Instant::now();
                // An error is an answer too: the server may be lost meanwhile.
                if conn.try_send(b"GET probe\r\n").is_err() || conn.try_reply().is_err() {
                    break;
                }
                took.push(begun.elapsed());
                std::thread::sleep(Duration::from_millis(1));
            }
            took
        });
        Self { stop, thread }
    }

    /// The 99th percentile.
    fn end(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        let mut took = self.thread.join().unwrap();
        took.sort_unstable();
        let at = took.len() * 99 / 100;
        took.get(at).copied().unwrap_or_default()
    }
}
