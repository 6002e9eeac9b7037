//! Watching from outside while a load runs: how many connections the server counts as narrows',
//! how many the kernel does, and what narrows takes of memory, descriptors and processor time. A
//! thread each for what may have to wait for the server and for what never waits.
#![allow(dead_code, reason = "the soak and the short tests use a part each")]

mod proc;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::chaos::system::{BACKENDS_MAX, System};
use crate::support::Conn;

use proc::held_sockets;
#[allow(
    unused_imports,
    reason = "the soak and the short tests use a part each"
)]
pub(crate) use proc::{cpu_seconds, fd_count, machine_seconds, rss_bytes};

/// How often the server's list is read.
const LIST_EVERY: Duration = Duration::from_millis(50);

/// How often the kernel's figures are read.
const SAMPLE_EVERY: Duration = Duration::from_millis(200);

/// One look at narrows' process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) at: Duration,
    pub(crate) pid: u32,
    pub(crate) rss_bytes: u64,
    pub(crate) fds: usize,
    /// Connections to the server that the process holds.
    pub(crate) backends: usize,
}

/// The figures so far.
#[derive(Default)]
struct Figures {
    /// The server's own count, for each process of narrows by its name; the highest.
    listed_max: AtomicUsize,
    /// The same while the server may count what narrows has closed.
    listed_blind_max: AtomicUsize,
    held_max: AtomicUsize,
    lists: AtomicUsize,
    samples: Mutex<Vec<Sample>>,
    blind: AtomicBool,
    ended: AtomicBool,
}

/// A running watch.
pub(crate) struct Monitor {
    figures: Arc<Figures>,
    proxy: SocketAddr,
    threads: Vec<JoinHandle<()>>,
}

impl Monitor {
    pub(crate) fn start(system: &System) -> Self {
        let figures = Arc::<Figures>::default();
        let server = system.server.address();
        let (proxy, pid) = (system.proxy.address(), system.pid());
        let threads = vec![
            std::thread::spawn({
                let figures = Arc::clone(&figures);
                move || figures.watch_list(&server)
            }),
            std::thread::spawn({
                let figures = Arc::clone(&figures);
                move || figures.watch_process(&pid, proxy)
            }),
        ];
        Self {
            figures,
            proxy,
            threads,
        }
    }

    /// From now on the server may count connections that are closed already, or no more.
    pub(crate) fn set_blind(&self, blind: bool) {
        self.figures.blind.store(blind, Ordering::SeqCst);
    }

    pub(crate) fn last(&self) -> Option<Sample> {
        self.figures.samples.lock().unwrap().last().copied()
    }

    pub(crate) fn samples(&self) -> Vec<Sample> {
        self.figures.samples.lock().unwrap().clone()
    }

    /// The most connections of one process of narrows in the server's list.
    pub(crate) fn listed_max(&self) -> usize {
        self.figures.listed_max.load(Ordering::SeqCst)
    }

    /// The same in the moments of [`Monitor::set_blind`].
    pub(crate) fn listed_blind_max(&self) -> usize {
        self.figures.listed_blind_max.load(Ordering::SeqCst)
    }

    /// The most that the kernel has seen narrows hold.
    pub(crate) fn held_max(&self) -> usize {
        self.figures.held_max.load(Ordering::SeqCst)
    }

    /// Connections to the server that narrows holds at this moment.
    pub(crate) fn held_now(&self) -> usize {
        held_connections(self.proxy)
    }

    /// How often the server's list was read.
    pub(crate) fn lists(&self) -> usize {
        self.figures.lists.load(Ordering::SeqCst)
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.figures.ended.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            // A panic of its own has been printed.
            let _ = thread.join();
        }
    }
}

impl Figures {
    fn goes_on(&self) -> bool {
        !self.ended.load(Ordering::SeqCst)
    }

    fn watch_list(&self, server: &str) {
        let mut conn = None;
        while self.goes_on() {
            let blind = self.blind.load(Ordering::SeqCst);
            match ask_for_list(&mut conn, server) {
                Some(list) => {
                    // Both before and after: what was asked for in a blind moment was seen in one.
                    let blind = blind || self.blind.load(Ordering::SeqCst);
                    let of = if blind {
                        &self.listed_blind_max
                    } else {
                        &self.listed_max
                    };
                    of.fetch_max(largest_instance(&list), Ordering::SeqCst);
                    self.lists.fetch_add(1, Ordering::SeqCst);
                }
                None => conn = None,
            }
            std::thread::sleep(LIST_EVERY);
        }
    }

    fn watch_process(&self, pid: &AtomicU32, proxy: SocketAddr) {
        let begin = Instant::now();
        while self.goes_on() {
            let pid = pid.load(Ordering::SeqCst);
            if let Some((rss_bytes, fds)) = rss_bytes(pid).zip(fd_count(pid)) {
                let backends = held_connections(proxy);
                self.held_max.fetch_max(backends, Ordering::SeqCst);
                self.samples.lock().unwrap().push(Sample {
                    at: begin.elapsed(),
                    pid,
                    rss_bytes,
                    fds,
                    backends,
                });
            }
            std::thread::sleep(SAMPLE_EVERY);
        }
    }
}

/// Connections to the server that narrows holds. An inode is not used twice, so what stands in two
/// readings existed all the time between them: more than are allowed are counted only so.
pub(crate) fn held_connections(proxy: SocketAddr) -> usize {
    let first = held_sockets(proxy);
    if first.len() <= BACKENDS_MAX {
        return first.len();
    }
    held_sockets(proxy).intersection(&first).count()
}

/// `None` when the server cannot be asked just now.
fn ask_for_list(conn: &mut Option<Conn>, server: &str) -> Option<String> {
    if conn.is_none() {
        *conn = Some(Conn::try_connect(server).ok()?);
    }
    let conn = conn.as_mut()?;
    conn.try_send(b"CLIENT LIST\r\n").ok()?;
    let reply = conn.try_reply().ok()?;
    (!reply.is_error()).then(|| reply.text())
}

/// How many connections have the name of one process of narrows: `narrows:<instance>:<pool>`.
pub(crate) fn largest_instance(list: &str) -> usize {
    let instances: Vec<&str> = list
        .lines()
        .filter_map(|line| {
            line.split_once(" name=narrows:")?
                .1
                .split([':', ' '])
                .next()
        })
        .collect();
    let count = |instance: &&str| instances.iter().filter(|other| *other == instance).count();
    instances.iter().map(count).max().unwrap_or(0)
}
