//! What happens in a soak, as it happens: a line every ten seconds, and for each quiet phase and
//! each fault how many replies came, how late they were and who used the processors meanwhile.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::chaos::monitor::{Monitor, cpu_seconds};
use crate::chaos::runner::Observer;
use crate::chaos::system::System;
use crate::chaos::traffic::Traffic;

/// A progress line comes this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// From one change between quiet and fault, or one progress line, to the next.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Span {
    /// The nemesis at work, none in quiet.
    pub(crate) nemesis: Option<String>,
    pub(crate) begin_s: f64,
    pub(crate) seconds: f64,
    pub(crate) verified: u64,
    /// Latencies from the scheduled instants.
    pub(crate) latencies: narrows_load::Percentiles,
    pub(crate) cpu: Cpu,
}

/// Processor seconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Cpu {
    pub(crate) narrows_s: f64,
    pub(crate) server_s: f64,
    /// The load, the fault proxy and the watch.
    pub(crate) load_s: f64,
    /// Everything on the machine.
    pub(crate) machine_busy_s: f64,
    pub(crate) machine_total_s: f64,
}

/// The figures of narrows at the end of a minute.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Minute {
    pub(crate) minute: u64,
    pub(crate) pid: u32,
    pub(crate) rss_kib: u64,
    pub(crate) fds: usize,
    pub(crate) backends: usize,
    pub(crate) verified: u64,
}

/// A timeline being written.
pub(crate) struct Timeline {
    begin: Instant,
    line_at: Instant,
    span_at: Instant,
    doing: Option<String>,
    verified: u64,
    readings: Readings,
    pub(crate) spans: Vec<Span>,
    pub(crate) minutes: Vec<Minute>,
}

/// Processor time of the processes, which may have been started again since.
#[derive(Clone, Copy, Default)]
struct Readings {
    narrows: (u32, f64),
    server: (u32, f64),
    load_s: f64,
    busy_s: f64,
    total_s: f64,
}

impl Timeline {
    pub(crate) fn begin(system: &System) -> Self {
        let now = Instant::now();
        Self {
            begin: now,
            line_at: now,
            span_at: now,
            doing: None,
            verified: 0,
            readings: Readings::now(system),
            spans: Vec::new(),
            minutes: Vec::new(),
        }
    }

    pub(crate) fn end(mut self, system: &System, traffic: &Traffic) -> Self {
        self.close_span(system, traffic, None);
        self
    }

    fn close_span(&mut self, system: &System, traffic: &Traffic, doing: Option<&str>) {
        let now = Instant::now();
        let verified = traffic.verified();
        let readings = Readings::now(system);
        self.spans.push(Span {
            nemesis: self.doing.take(),
            begin_s: (self.span_at - self.begin).as_secs_f64(),
            seconds: (now - self.span_at).as_secs_f64(),
            verified: verified - self.verified,
            latencies: traffic.take_latencies(),
            cpu: readings.since(&self.readings),
        });
        self.span_at = now;
        self.doing = doing.map(str::to_owned);
        self.verified = verified;
        self.readings = readings;
    }

    fn print_line(&self, monitor: &Monitor, seconds: f64) {
        let Some(span) = self.spans.last() else {
            return;
        };
        let since = self.begin.elapsed().as_secs_f64();
        // The spans of this line: one, or several where faults began and ended.
        let of_line = self.spans.iter().rev();
        let of_line = of_line.take_while(|span| span.begin_s >= since - seconds - 0.1);
        let replies: u64 = of_line.map(|span| span.verified).sum();
        let (rss, fds, backends) = monitor.last().map_or((0, 0, 0), |sample| {
            (sample.rss_bytes >> 10, sample.fds, sample.backends)
        });
        println!(
            "{since:>6.0} s  {:>11} verified  {:>7.0}/s  p50 {:>6.2} ms  p99 {:>8.2} ms  \
             rss {rss} KiB  fds {fds}  backends {backends}  {}",
            self.verified,
            replies as f64 / seconds,
            span.latencies.p50_us / 1e3,
            span.latencies.p99_us / 1e3,
            self.doing.as_deref().unwrap_or("quiet"),
        );
    }

    fn note_minute(&mut self, monitor: &Monitor) {
        let minute = self.begin.elapsed().as_secs() / 60;
        if minute <= self.minutes.len() as u64 {
            return;
        }
        if let Some(sample) = monitor.last() {
            self.minutes.push(Minute {
                minute,
                pid: sample.pid,
                rss_kib: sample.rss_bytes >> 10,
                fds: sample.fds,
                backends: sample.backends,
                verified: self.verified,
            });
        }
    }
}

impl Observer for Timeline {
    fn observe(
        &mut self,
        system: &System,
        monitor: &Monitor,
        traffic: &Traffic,
        doing: Option<&str>,
    ) {
        let lasted = self.line_at.elapsed();
        if self.doing.as_deref() != doing {
            self.close_span(system, traffic, doing);
        }
        if lasted >= LINE_EVERY {
            self.close_span(system, traffic, doing);
            self.print_line(monitor, lasted.as_secs_f64());
            self.line_at = Instant::now();
        }
        self.note_minute(monitor);
    }
}

impl Readings {
    fn now(system: &System) -> Self {
        let read = |pid: u32| (pid, cpu_seconds(pid).unwrap_or(0.0));
        let (busy_s, total_s) = crate::chaos::monitor::machine_seconds();
        Self {
            narrows: read(system.narrows_pid()),
            server: read(system.server.pid()),
            load_s: read(std::process::id()).1,
            busy_s,
            total_s,
        }
    }

    fn since(&self, earlier: &Self) -> Cpu {
        // A process that has been started again is counted from its own beginning.
        let more = |(pid, now): (u32, f64), (old_pid, then): (u32, f64)| {
            let since = if pid == old_pid { now - then } else { now };
            since.max(0.0)
        };
        Cpu {
            narrows_s: more(self.narrows, earlier.narrows),
            server_s: more(self.server, earlier.server),
            load_s: self.load_s - earlier.load_s,
            machine_busy_s: self.busy_s - earlier.busy_s,
            machine_total_s: self.total_s - earlier.total_s,
        }
    }
}
