//! What must hold when the load has gone: narrows has let go of every client, is about as small as
//! it was, and has counted what it logged.

use std::time::Duration;

use crate::chaos::monitor::{Monitor, Sample, fd_count, rss_bytes};
use crate::chaos::runner::causes;
use crate::chaos::system::System;
use crate::support::wait_for;

/// Memory that may remain above the plateau of the load: buffers that the allocator keeps.
const RSS_MARGIN_BYTES: u64 = 16 << 20;

/// By then everybody has gone and idle backends have been closed.
const PATIENCE: Duration = Duration::from_secs(15);

/// narrows without clients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AtRest {
    /// Descriptors other than connections to the server, whose number differs.
    fds: usize,
}

impl AtRest {
    /// To be asked before the load comes.
    pub(crate) fn before(system: &System, monitor: &Monitor) -> Self {
        let served = system.narrows().connect().call(&["PING"]).text();
        assert_eq!(served, "PONG");
        // The connection that asked is gone when the figure stands still.
        let mut last = usize::MAX;
        let fds = wait_for("narrows at rest", PATIENCE, || {
            let now = own_fds(system, monitor);
            std::thread::sleep(Duration::from_millis(50));
            (std::mem::replace(&mut last, now) == now).then_some(now)
        });
        Self { fds }
    }

    /// Offences, in words.
    pub(crate) fn compare(self, system: &System, monitor: &Monitor) -> Vec<String> {
        let mut offences = Vec::new();
        let begin = std::time::Instant::now();
        let mut fds = own_fds(system, monitor);
        while fds > self.fds && begin.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(50));
            fds = own_fds(system, monitor);
        }
        if fds > self.fds {
            offences.push(format!(
                "{fds} descriptors are left without clients, {} were open before",
                self.fds
            ));
        }
        offences.extend(memory_offence(system, monitor));
        offences.extend(poison_offence(system));
        offences
    }
}

/// Descriptors of narrows other than connections to the server.
fn own_fds(system: &System, monitor: &Monitor) -> usize {
    // The backends first: one that is dialled in between then counts as a descriptor too many,
    // and the caller asks again.
    let backends = monitor.held_now();
    let fds = fd_count(system.narrows().pid()).expect("narrows runs");
    fds.saturating_sub(backends)
}

/// The plateau is what this process took when the load had run for a while.
fn memory_offence(system: &System, monitor: &Monitor) -> Option<String> {
    let pid = system.narrows().pid();
    let now = rss_bytes(pid).expect("narrows runs");
    let samples = monitor.samples();
    let own: Vec<&Sample> = samples.iter().filter(|sample| sample.pid == pid).collect();
    let plateau = own
        .iter()
        .take(own.len() / 4 + 1)
        .map(|sample| sample.rss_bytes);
    let plateau = plateau.max()?;
    (now > plateau + RSS_MARGIN_BYTES).then(|| {
        format!(
            "{} KiB of memory are left without clients, {} KiB were the first plateau",
            now / 1024,
            plateau / 1024
        )
    })
}

/// What `INFO` says of poisoned backends is what the log says.
fn poison_offence(system: &System) -> Option<String> {
    let text = system.narrows().connect().call(&["INFO", "narrows"]).text();
    let counted = text
        .lines()
        .find_map(|line| line.strip_prefix("narrows_backends_poisoned_total:"))
        .and_then(|count| count.parse::<u64>().ok());
    let mut logged = causes(&system.narrows().log());
    // The server or the wire ended these: nothing to hold against the backend.
    logged.remove("gone");
    let logged = logged.values().sum::<u64>();
    (counted != Some(logged))
        .then(|| format!("INFO counts {counted:?} poisoned backends, the log {logged}"))
}
