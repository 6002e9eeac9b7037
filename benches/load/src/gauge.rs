//! What a run has counted so far, and what its threads tell each other and the caller.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use serde::Serialize;

use crate::client::Rules;
use crate::offence::Offence;
use crate::plan::OnTrouble;

/// Plain counts, of one thread or of all.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Counts {
    /// Requests sent, those of handshakes and the audit included.
    pub sent: u64,
    /// Replies that were verified and right.
    pub verified: u64,
    /// Error replies that bad weather explains.
    pub errors: u64,
    /// Requests that certainly did not run.
    pub not_run: u64,
    /// Requests that may or may not have run.
    pub unknown: u64,
    /// Requests unanswered beyond the deadline.
    pub hangs: u64,
    /// Scheduled requests given up before they were sent: their client had no connection, or was
    /// too far behind.
    pub given_up: u64,
    /// Connections made.
    pub connected: u64,
    /// Connections that could not be made.
    pub refused: u64,
    /// Connections lost.
    pub lost: u64,
    /// Connections now open.
    pub open: u64,
    /// Clients whose keys were all read and found right at the end.
    pub audited: u64,
    /// Counters among them.
    pub counters_audited: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Bytes received.
    pub bytes_in: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.verified += other.verified;
        self.errors += other.errors;
        self.not_run += other.not_run;
        self.unknown += other.unknown;
        self.hangs += other.hangs;
        self.given_up += other.given_up;
        self.connected += other.connected;
        self.refused += other.refused;
        self.lost += other.lost;
        self.open += other.open;
        self.audited += other.audited;
        self.counters_audited += other.counters_audited;
        self.bytes_out += other.bytes_out;
        self.bytes_in += other.bytes_in;
    }
}

/// A run at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    /// Since the run was started.
    pub elapsed: Duration,
    /// What it is doing.
    pub phase: Phase,
    /// All counts so far.
    pub counts: Counts,
    /// Since the last verified reply of any client; zero before the load has begun.
    pub silence: Duration,
}

/// What a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Connections are made.
    Opening,
    /// Requests are made.
    Running,
    /// The last replies come in.
    Draining,
    /// All keys are read and compared.
    Auditing,
    /// It has ended.
    Ended,
}

/// Something out of the ordinary.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// Seconds since the run was started.
    pub at_s: f64,
    /// Whom it happened to.
    pub client: u32,
    /// What it was.
    pub text: String,
}

/// Percentiles of durations, in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Percentiles {
    /// How many durations.
    pub count: u64,
    /// Their mean.
    pub mean_us: f64,
    /// The median.
    pub p50_us: f64,
    /// 90 in 100 were shorter.
    pub p90_us: f64,
    /// 99 in 100 were shorter.
    pub p99_us: f64,
    /// 999 in 1000 were shorter.
    pub p999_us: f64,
    /// The longest.
    pub max_us: f64,
}

impl Percentiles {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            count: histogram.len(),
            mean_us: histogram.mean() / 1e3,
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: histogram.max() as f64 / 1e3,
        }
    }
}

/// Durations in nanoseconds, to three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    bounded(3)
}

/// The same to two digits, for short windows.
pub(crate) fn coarse_histogram() -> Histogram<u64> {
    bounded(2)
}

fn bounded(digits: u8) -> Histogram<u64> {
    // The bounds are constants that the constructor accepts; the fallback grows as needed.
    Histogram::new_with_bounds(1, 3_600_000_000_000, digits)
        .unwrap_or_else(|_| Histogram::new(3).unwrap_or_else(|_| unreachable!()))
}

/// What the threads of a run share.
pub(crate) struct Shared {
    pub(crate) rules: std::sync::Arc<Rules>,
    started: Instant,
    stop: AtomicBool,
    /// Threads whose connections are open.
    ready: AtomicUsize,
    /// Nanoseconds at which the load begins; 0 until all threads are ready.
    begins: AtomicU64,
    /// When the last reply was verified.
    last_verified: AtomicU64,
    longest_gap: AtomicU64,
    counts: Vec<Mutex<(Phase, Counts)>>,
    window: Mutex<Histogram<u64>>,
    events: Mutex<VecDeque<Event>>,
    errors: Mutex<BTreeMap<String, u64>>,
    trouble: Mutex<Option<String>>,
    pub(crate) offence: Mutex<Option<Offence>>,
}

impl Shared {
    pub(crate) fn new(rules: std::sync::Arc<Rules>) -> Self {
        let threads = rules.plan.threads;
        Self {
            rules,
            started: Instant::now(),
            stop: AtomicBool::new(false),
            ready: AtomicUsize::new(0),
            begins: AtomicU64::new(0),
            last_verified: AtomicU64::new(0),
            longest_gap: AtomicU64::new(0),
            counts: (0..threads)
                .map(|_| Mutex::new((Phase::Opening, Counts::default())))
                .collect(),
            window: Mutex::new(coarse_histogram()),
            events: Mutex::default(),
            errors: Mutex::default(),
            trouble: Mutex::new(None),
            offence: Mutex::new(None),
        }
    }

    /// Nanoseconds since the run was started; never 0.
    pub(crate) fn now(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64 + 1
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// A thread has opened its connections; the last one lets the load begin.
    pub(crate) fn is_ready(&self, now: u64) {
        if self.ready.fetch_add(1, Ordering::AcqRel) + 1 == self.counts.len() {
            self.last_verified.store(now, Ordering::Relaxed);
            self.begins.store(now, Ordering::Release);
        }
    }

    pub(crate) fn begins(&self) -> Option<u64> {
        let begins = self.begins.load(Ordering::Acquire);
        (begins > 0).then_some(begins)
    }

    /// Replies were verified now.
    pub(crate) fn verified(&self, now: u64) {
        let last = self.last_verified.fetch_max(now, Ordering::Relaxed);
        if last > 0 {
            let gap = now.saturating_sub(last);
            self.longest_gap.fetch_max(gap, Ordering::Relaxed);
        }
    }

    pub(crate) fn longest_gap(&self) -> Duration {
        Duration::from_nanos(self.longest_gap.load(Ordering::Relaxed))
    }

    pub(crate) fn publish(&self, thread: usize, phase: Phase, counts: &Counts) {
        if let Some(place) = self.counts.get(thread) {
            *place.lock() = (phase, *counts);
        }
    }

    pub(crate) fn publish_window(&self, window: &mut Histogram<u64>) {
        // Both are of the same bounds.
        let _ = self.window.lock().add(&*window);
        window.reset();
    }

    pub(crate) fn take_window(&self) -> Percentiles {
        let mut window = self.window.lock();
        let percentiles = Percentiles::of(&window);
        window.reset();
        percentiles
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut counts = Counts::default();
        let mut phase = Phase::Ended;
        for thread in &self.counts {
            let (at, part) = &*thread.lock();
            counts.add(part);
            phase = phase.min(*at);
        }
        let now = self.now();
        let last = self.last_verified.load(Ordering::Relaxed);
        let silence = if last == 0 {
            0
        } else {
            now.saturating_sub(last)
        };
        Snapshot {
            elapsed: Duration::from_nanos(now),
            phase,
            counts,
            silence: Duration::from_nanos(silence),
        }
    }

    pub(crate) fn note(&self, at: u64, client: u32, text: String) {
        let at_s = Duration::from_nanos(at).as_secs_f64();
        let mut events = self.events.lock();
        if events.len() >= EVENTS_MAX {
            events.pop_front();
        }
        events.push_back(Event { at_s, client, text });
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.lock().iter().cloned().collect()
    }

    /// Counts what happened under its name; it ends a run that does not endure trouble.
    pub(crate) fn trouble(&self, at: u64, client: u32, name: String) {
        self.note(at, client, name.clone());
        if self.rules.plan.on_trouble == OnTrouble::Fail {
            let mut trouble = self.trouble.lock();
            if trouble.is_none() {
                let at_s = Duration::from_nanos(at).as_secs_f64();
                *trouble = Some(format!("client {client}, after {at_s:.3} s: {name}"));
            }
            self.stop();
        }
        let mut errors = self.errors.lock();
        if errors.len() < ERRORS_MAX || errors.contains_key(&name) {
            *errors.entry(name).or_insert(0) += 1;
        } else {
            *errors.entry("(others)".to_owned()).or_insert(0) += 1;
        }
    }

    pub(crate) fn take_trouble(&self) -> (Option<String>, BTreeMap<String, u64>) {
        let errors = std::mem::take(&mut *self.errors.lock());
        (self.trouble.lock().take(), errors)
    }

    /// The first offence ends the run.
    pub(crate) fn accuse(&self, offence: Offence) {
        let mut first = self.offence.lock();
        if first.is_none() {
            *first = Some(offence);
        }
        self.stop();
    }

    pub(crate) fn is_accused(&self) -> bool {
        self.is_stopped() && self.offence.lock().is_some()
    }
}

const EVENTS_MAX: usize = 256;
const ERRORS_MAX: usize = 100;
