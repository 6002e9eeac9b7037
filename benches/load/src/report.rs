//! What a run has found, for machines as JSON and for people as a table.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::ask::COMMANDS;
use crate::gauge::{Counts, Percentiles, Phase, Shared, histogram};
use crate::plan::Plan;
use crate::shard::{ShardEnd, Tally};

/// The end of a run in which every reply was right.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was planned.
    pub plan: Plan,
    /// How long requests were made.
    pub seconds: f64,
    /// All counts.
    pub counts: Counts,
    /// Verified replies per second while requests were made.
    pub verified_per_s: f64,
    /// From the instant that a request was due to its reply; in a closed loop from its sending.
    pub latency: Percentiles,
    /// From a request's sending to its reply.
    pub service: Percentiles,
    /// From the instant that a request was due to its sending: how late the clients were.
    pub lag: Percentiles,
    /// The longest time without any verified reply.
    pub longest_gap_s: f64,
    /// Replies verified by command.
    pub commands: BTreeMap<String, u64>,
    /// Trouble by its first words.
    pub errors: BTreeMap<String, u64>,
    /// Clients whose keys could not be read at the end.
    pub unaudited: u64,
    /// Part of its time that the busiest thread had something to do: near 1, the load generator
    /// itself was the limit.
    pub busiest_thread: f64,
    /// The trouble that ended the run, when it does not endure any.
    pub trouble: Option<String>,
}

impl Report {
    pub(crate) fn of(shared: &Shared, ends: &[ShardEnd]) -> Self {
        let plan = &shared.rules.plan;
        let mut counts = Counts::default();
        let (mut latency, mut service, mut lag) = (histogram(), histogram(), histogram());
        let mut commands = BTreeMap::new();
        let mut unaudited = 0;
        for ShardEnd {
            tally,
            counts: part,
            unaudited: more,
            ..
        } in ends
        {
            counts.add(part);
            unaudited += more;
            // All are of the same bounds.
            let _ = latency.add(&tally.latency);
            let _ = service.add(&tally.service);
            let _ = lag.add(&tally.lag);
            for (name, count) in COMMANDS.iter().zip(tally.commands).filter(|(_, n)| *n > 0) {
                *commands.entry((*name).to_owned()).or_insert(0) += count;
            }
        }
        let (trouble, errors) = shared.take_trouble();
        let ran = ends.iter().map(|end| end.tally.ran).max().unwrap_or(0);
        let seconds = Duration::from_nanos(ran).as_secs_f64();
        let running_verified: u64 = ends.iter().map(|end| end.tally.verified).sum();
        Self {
            plan: plan.clone(),
            seconds,
            counts,
            verified_per_s: running_verified as f64 / seconds.max(1e-9),
            latency: Percentiles::of(&latency),
            service: Percentiles::of(&service),
            lag: Percentiles::of(&lag),
            longest_gap_s: shared.longest_gap().as_secs_f64(),
            commands,
            errors,
            unaudited,
            busiest_thread: ends.iter().map(|end| busy(&end.tally)).fold(0.0, f64::max),
            trouble,
        }
    }

    /// Whether nothing happened that the plan does not allow. Every reply was right in any case.
    pub fn is_good(&self) -> bool {
        self.trouble.is_none() && self.unaudited == 0
    }
}

fn busy(tally: &Tally) -> f64 {
    if tally.ran == 0 {
        return 0.0;
    }
    1.0 - tally.waited as f64 / tally.ran as f64
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_counts(out)?;
        self.write_latencies(out)?;
        write_table(out, "replies verified", &self.commands)?;
        write_table(out, "trouble", &self.errors)?;
        match &self.trouble {
            Some(trouble) => writeln!(out, "\nENDED BY TROUBLE: {trouble}"),
            None if self.unaudited > 0 => writeln!(out, "\nNOT ALL KEYS COULD BE READ AT THE END"),
            None => writeln!(out, "\ngood: every reply was the right one"),
        }
    }
}

impl Report {
    fn write_counts(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, counts, .. } = self;
        let rows = [
            ("target", plan.target.to_string()),
            (
                "ran",
                format!(
                    "{:.1} s, {} clients, {} thread(s)",
                    self.seconds, plan.connections, plan.threads
                ),
            ),
            (
                "verified",
                format!(
                    "{} replies, {:.0} per second",
                    counts.verified, self.verified_per_s
                ),
            ),
            ("not run", counts.not_run.to_string()),
            ("unknown", counts.unknown.to_string()),
            ("hangs", counts.hangs.to_string()),
            ("given up", counts.given_up.to_string()),
            (
                "connections",
                format!(
                    "{} made, {} refused, {} lost",
                    counts.connected, counts.refused, counts.lost
                ),
            ),
            (
                "audited",
                format!(
                    "{} clients, {} counters; {} clients not",
                    counts.audited, counts.counters_audited, self.unaudited
                ),
            ),
            (
                "longest gap",
                format!("{:.3} s without a verified reply", self.longest_gap_s),
            ),
            (
                "busy",
                format!("{:.0}% of the busiest thread", self.busiest_thread * 100.0),
            ),
        ];
        for (name, value) in rows {
            writeln!(out, "{name:<14}{value}")?;
        }
        Ok(())
    }

    fn write_latencies(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "\n{:<10}{:>12}{:>11}{:>11}{:>11}{:>11}{:>11}",
            "µs", "count", "p50", "p90", "p99", "p99.9", "max"
        )?;
        // In a closed loop a request is due when it is sent: the other two would say nothing.
        let (latency, service, lag) = (&self.latency, &self.service, &self.lag);
        let rows = [("latency", latency), ("service", service), ("lag", lag)];
        let shown = if self.plan.rate.is_some() { 3 } else { 1 };
        for (name, p) in rows.into_iter().take(shown) {
            writeln!(
                out,
                "{name:<10}{:>12}{:>11.0}{:>11.0}{:>11.0}{:>11.0}{:>11.0}",
                p.count, p.p50_us, p.p90_us, p.p99_us, p.p999_us, p.max_us
            )?;
        }
        Ok(())
    }
}

fn write_table(
    out: &mut fmt::Formatter<'_>,
    title: &str,
    table: &BTreeMap<String, u64>,
) -> fmt::Result {
    if table.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    for (name, count) in table {
        writeln!(out, "{count:>12}  {name}")?;
    }
    Ok(())
}

impl fmt::Display for Phase {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Opening => "opening",
            Self::Running => "running",
            Self::Draining => "draining",
            Self::Auditing => "auditing",
            Self::Ended => "ended",
        })
    }
}
