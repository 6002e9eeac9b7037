//! The report of a soak: figures, offences, and whether it has passed; as text and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use narrows_load::Report;
use serde::Serialize;

use crate::chaos::monitor::{Monitor, Sample};
use crate::chaos::runner::{Account, Causes};
use crate::chaos::system::BACKENDS_MAX;
use crate::limit::Limits;
use crate::timeline::{Minute, Span, Timeline};

/// From the start of a process until its memory counts for the slope.
const PLATEAU_AFTER_S: f64 = 30.0;

/// Growth of memory that is none: of the median of the first fifth of its life, and at least this.
const GROWTH_MAX: (f64, f64) = (0.15, 16.0 * 1024.0);

/// Everything that is to be told of a soak.
#[derive(Debug, Serialize)]
pub(crate) struct Record {
    seed: u64,
    minutes_asked: f64,
    minutes: f64,
    verified: u64,
    pub(crate) offences: Vec<String>,
    quiet: Latencies,
    faults: Latencies,
    /// By nemesis.
    recovery: BTreeMap<&'static str, Recovery>,
    closed_in_quiet: Causes,
    connections: Connections,
    memory: Memory,
    by_minute: Vec<Minute>,
    limits: Limits,
    /// What kept it from verifying more, where that was too few.
    limited_by: Option<String>,
    load: Option<Report>,
    spans: Vec<Span>,
}

/// Latencies of many spans.
#[derive(Debug, Serialize)]
struct Latencies {
    seconds: f64,
    replies: u64,
    /// Medians of the spans' own percentiles, weighted by nothing.
    p50_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
    /// The highest of the spans.
    p99_worst_ms: f64,
    max_ms: f64,
}

#[derive(Debug, Default, Serialize)]
struct Recovery {
    times: usize,
    seconds_max: f64,
    seconds_mean: f64,
    allowed: f64,
    /// Backends that narrows gave up meanwhile, by cause.
    closed: Causes,
}

#[derive(Debug, Default, Serialize)]
struct Connections {
    allowed: usize,
    listed_max: usize,
    listed_max_while_blind: usize,
    held_max: usize,
    lists: usize,
}

/// Of the last process of narrows, which lives for two thirds of the time.
#[derive(Debug, Default, Serialize)]
struct Memory {
    seconds: f64,
    first_kib: f64,
    last_kib: f64,
    max_kib: u64,
    slope_kib_per_minute: f64,
    fds_first: usize,
    fds_max: usize,
}

impl Record {
    pub(crate) fn new(
        seed: u64,
        minutes_asked: f64,
        account: Account,
        timeline: Timeline,
        outcome: Result<Report, String>,
        hangs: u64,
    ) -> Self {
        let mut offences = account.offences;
        if hangs > 0 {
            offences.push(format!("{hangs} requests were not answered in time"));
        }
        let load = outcome.map_err(|offence| offences.push(offence)).ok();
        if let Some(report) = load.as_ref().filter(|report| !report.is_good()) {
            let (trouble, unaudited) = (&report.trouble, report.unaudited);
            offences.push(format!(
                "{unaudited} clients could not be audited, {trouble:?}"
            ));
        }
        let mut recovery: BTreeMap<&'static str, Recovery> = BTreeMap::new();
        for window in account.windows {
            let entry = recovery.entry(window.name).or_default();
            let seconds = window.recovery.as_secs_f64();
            entry.seconds_mean += (seconds - entry.seconds_mean) / (entry.times + 1) as f64;
            entry.times += 1;
            entry.seconds_max = entry.seconds_max.max(seconds);
            entry.allowed = window.recovery_max.as_secs_f64();
            for (cause, count) in window.closed {
                *entry.closed.entry(cause).or_default() += count;
            }
        }
        let (spans, by_minute) = (timeline.spans, timeline.minutes);
        Self {
            seed,
            minutes_asked,
            minutes: spans.iter().map(|span| span.seconds).sum::<f64>() / 60.0,
            verified: spans.iter().map(|span| span.verified).sum(),
            offences,
            quiet: Latencies::of(spans.iter().filter(|span| span.nemesis.is_none())),
            faults: Latencies::of(spans.iter().filter(|span| span.nemesis.is_some())),
            recovery,
            closed_in_quiet: account.closed_in_quiet,
            connections: Connections::default(),
            memory: Memory::default(),
            by_minute,
            limits: Limits::of(&spans),
            limited_by: None,
            load,
            spans,
        }
    }

    /// What the watch has seen, of the process of narrows that is the last.
    pub(crate) fn watched(&mut self, monitor: &Monitor, pid: u32) {
        self.connections = Connections {
            allowed: BACKENDS_MAX,
            listed_max: monitor.listed_max(),
            listed_max_while_blind: monitor.listed_blind_max(),
            held_max: monitor.held_max(),
            lists: monitor.lists(),
        };
        self.memory = Memory::of(&monitor.samples(), pid);
        let growth = self.memory.last_kib - self.memory.first_kib;
        if growth > GROWTH_MAX.1.max(GROWTH_MAX.0 * self.memory.first_kib) {
            self.offences.push(format!(
                "memory grew from {:.0} to {:.0} KiB",
                self.memory.first_kib, self.memory.last_kib
            ));
        }
    }

    /// Too few verified replies prove too little.
    pub(crate) fn judge_volume(&mut self, per_minute: f64, rate: f64) {
        let wanted = per_minute * self.minutes_asked;
        if (self.verified as f64) < wanted {
            let limit = self.limits.name(rate);
            self.offences.push(format!(
                "{} replies verified, {wanted:.0} are wanted; limited by {limit}",
                self.verified
            ));
            self.limited_by = Some(limit);
        }
    }

    pub(crate) fn passed(&self) -> bool {
        self.offences.is_empty()
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_text(&mut out);
        out
    }

    fn write_text(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "\nSoak of {:.1} minutes, SEED={}: {} replies verified, {:.0} a minute",
            self.minutes,
            self.seed,
            self.verified,
            self.verified as f64 / self.minutes.max(0.001)
        )?;
        self.write_latencies(out)?;
        self.write_recovery(out)?;
        self.write_resources(out)?;
        for minute in &self.by_minute {
            writeln!(
                out,
                "    minute {:>3}: rss {} KiB, {} descriptors, {} backends, {} verified",
                minute.minute, minute.rss_kib, minute.fds, minute.backends, minute.verified
            )?;
        }
        if let Some(load) = &self.load {
            writeln!(out, "  errors: {:?}", load.errors)?;
            writeln!(out, "  load: {:?}", load.counts)?;
        }
        match self.passed() {
            true => writeln!(out, "PASSED"),
            false => writeln!(out, "FAILED:\n  {}", self.offences.join("\n  ")),
        }
    }

    fn write_latencies(&self, out: &mut String) -> std::fmt::Result {
        for (name, part) in [("quiet", &self.quiet), ("faults", &self.faults)] {
            writeln!(
                out,
                "  {name:<7}{:>6.0} s {:>11} replies  p50 {:.2} ms  p99 {:.2} ms  p99.9 {:.2} ms  \
                 worst p99 {:.0} ms  max {:.0} ms",
                part.seconds,
                part.replies,
                part.p50_ms,
                part.p99_ms,
                part.p999_ms,
                part.p99_worst_ms,
                part.max_ms
            )?;
        }
        Ok(())
    }

    fn write_recovery(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "  service after a fault:")?;
        for (name, recovery) in &self.recovery {
            writeln!(
                out,
                "    {name:<36}{:>3} times  mean {:.3} s  max {:.3} s of {} s  closed {:?}",
                recovery.times,
                recovery.seconds_mean,
                recovery.seconds_max,
                recovery.allowed,
                recovery.closed
            )?;
        }
        writeln!(
            out,
            "  backends closed in quiet: {:?}",
            self.closed_in_quiet
        )
    }

    fn write_resources(&self, out: &mut String) -> std::fmt::Result {
        let (connections, memory, limits) = (&self.connections, &self.memory, &self.limits);
        writeln!(
            out,
            "  connections to the server, {} allowed: it listed {} ({} while it could not see their \
             ends), narrows held {}; {} lists read",
            connections.allowed,
            connections.listed_max,
            connections.listed_max_while_blind,
            connections.held_max,
            connections.lists
        )?;
        writeln!(
            out,
            "  memory of the last narrows over {:.0} s: {:.0} to {:.0} KiB, at most {} KiB, slope \
             {:.1} KiB a minute; descriptors {} at first, at most {}",
            memory.seconds,
            memory.first_kib,
            memory.last_kib,
            memory.max_kib,
            memory.slope_kib_per_minute,
            memory.fds_first,
            memory.fds_max
        )?;
        writeln!(
            out,
            "  processors in quiet: narrows {:.2}, server {:.2}, load {:.2}, others {:.2}, idle \
             {:.2}; {:.0} replies a second; {:.0} % of the time in faults",
            limits.narrows,
            limits.server,
            limits.load,
            limits.others,
            limits.idle,
            limits.rate_in_quiet,
            100.0 * limits.in_faults
        )
    }

    /// Leaves `soak-SEED.txt` and `soak-SEED.json`.
    pub(crate) fn write(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        let file = |ending: &str| folder.join(format!("soak-{}.{ending}", self.seed));
        std::fs::write(file("txt"), self.text()).unwrap();
        std::fs::write(file("json"), serde_json::to_vec_pretty(self).unwrap()).unwrap();
        println!("report: {}", file("json").display());
    }
}

impl Latencies {
    fn of<'a>(spans: impl Iterator<Item = &'a Span>) -> Self {
        let spans: Vec<&Span> = spans.collect();
        let heard: Vec<&&Span> = spans
            .iter()
            .filter(|span| span.latencies.count > 0)
            .collect();
        let of = |pick: fn(&Span) -> f64| heard.iter().map(|span| pick(span) / 1e3).collect();
        let worst = |values: Vec<f64>| values.into_iter().fold(0.0, f64::max);
        Self {
            seconds: spans.iter().map(|span| span.seconds).sum(),
            replies: spans.iter().map(|span| span.verified).sum(),
            p50_ms: median(of(|span| span.latencies.p50_us)),
            p99_ms: median(of(|span| span.latencies.p99_us)),
            p999_ms: median(of(|span| span.latencies.p999_us)),
            p99_worst_ms: worst(of(|span| span.latencies.p99_us)),
            max_ms: worst(of(|span| span.latencies.max_us)),
        }
    }
}

impl Memory {
    fn of(samples: &[Sample], pid: u32) -> Self {
        let own: Vec<&Sample> = samples.iter().filter(|sample| sample.pid == pid).collect();
        let Some(born) = own.first().map(|sample| sample.at.as_secs_f64()) else {
            return Self::default();
        };
        let grown = |sample: &&&Sample| sample.at.as_secs_f64() > born + PLATEAU_AFTER_S;
        let own: Vec<&Sample> = own.iter().filter(grown).copied().collect();
        let (Some(first), Some(last)) = (own.first(), own.last()) else {
            return Self::default();
        };
        let kib = |part: &[&Sample]| {
            median(
                part.iter()
                    .map(|sample| sample.rss_bytes as f64 / 1024.0)
                    .collect(),
            )
        };
        let fifth = own.len() / 5 + 1;
        Self {
            seconds: (last.at - first.at).as_secs_f64(),
            first_kib: kib(&own[..fifth]),
            last_kib: kib(&own[own.len() - fifth..]),
            max_kib: own.iter().map(|sample| sample.rss_bytes).max().unwrap_or(0) >> 10,
            slope_kib_per_minute: slope(&own),
            fds_first: first.fds,
            fds_max: own.iter().map(|sample| sample.fds).max().unwrap_or(0),
        }
    }
}

/// Of memory over time, by least squares.
fn slope(samples: &[&Sample]) -> f64 {
    let count = samples.len() as f64;
    let point = |sample: &&Sample| {
        (
            sample.at.as_secs_f64() / 60.0,
            sample.rss_bytes as f64 / 1024.0,
        )
    };
    let (mean_x, mean_y) = samples
        .iter()
        .map(point)
        .fold((0.0, 0.0), |(x, y), (dx, dy)| {
            (x + dx / count, y + dy / count)
        });
    let (over, under) = samples
        .iter()
        .map(point)
        .fold((0.0, 0.0), |(over, under), (x, y)| {
            (
                over + (x - mean_x) * (y - mean_y),
                under + (x - mean_x).powi(2),
            )
        });
    if under > 0.0 { over / under } else { 0.0 }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
