//! Which resource kept a soak from verifying more replies.

use serde::Serialize;

use crate::timeline::Span;

/// Of a machine busier than this nothing is left to be had.
const BUSY: f64 = 0.9;

/// A single thread busier than this is the limit of its process.
const THREAD_BUSY: f64 = 0.85;

/// Where the time and the processors went.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Limits {
    /// Part of the time in which something was broken.
    pub(crate) in_faults: f64,
    /// The following: processors in use in quiet phases.
    pub(crate) narrows: f64,
    pub(crate) server: f64,
    pub(crate) load: f64,
    /// Processes that have nothing to do with the soak.
    pub(crate) others: f64,
    pub(crate) idle: f64,
    /// Replies a second in quiet phases.
    pub(crate) rate_in_quiet: f64,
}

impl Limits {
    pub(crate) fn of(spans: &[Span]) -> Self {
        let all: f64 = spans.iter().map(|span| span.seconds).sum();
        let quiet: Vec<&Span> = spans.iter().filter(|span| span.nemesis.is_none()).collect();
        let seconds: f64 = quiet.iter().map(|span| span.seconds).sum();
        let per_second = |pick: fn(&Span) -> f64| {
            quiet.iter().map(|span| pick(span)).sum::<f64>() / seconds.max(0.001)
        };
        let (narrows, server, load) = (
            per_second(|span| span.cpu.narrows_s),
            per_second(|span| span.cpu.server_s),
            per_second(|span| span.cpu.load_s),
        );
        let busy = per_second(|span| span.cpu.machine_busy_s);
        Self {
            in_faults: 1.0 - seconds / all.max(0.001),
            narrows,
            server,
            load,
            others: (busy - narrows - server - load).max(0.0),
            idle: (per_second(|span| span.cpu.machine_total_s) - busy).max(0.0),
            rate_in_quiet: per_second(|span| span.verified as f64),
        }
    }

    /// In words, for one who asked for `rate` requests a second.
    pub(crate) fn name(&self, rate: f64) -> String {
        let used = self.narrows + self.server + self.load + self.others;
        let whole = used + self.idle;
        let mut users = [
            ("narrows", self.narrows),
            ("the server", self.server),
            ("the load generator", self.load),
            ("other processes of this machine", self.others),
        ];
        users.sort_by(|a, b| b.1.total_cmp(&a.1));
        let (who, most) = users[0];
        if self.rate_in_quiet > 0.95 * rate {
            return format!(
                "waiting: {:.0} % of the time something was broken; in quiet phases all of the \
                 {rate:.0} requests a second were answered",
                100.0 * self.in_faults
            );
        }
        if used > BUSY * whole {
            return format!(
                "the processors: {used:.2} of {whole:.2} were in use in quiet phases, most of all \
                 by {who} ({most:.2})"
            );
        }
        let single = users[..3.min(users.len())]
            .iter()
            .find(|(who, share)| *share > THREAD_BUSY && *who != "other processes of this machine");
        match single {
            Some((who, share)) => format!("one processor, by {who} ({share:.2} in use)"),
            None => format!(
                "none of the processors ({used:.2} of {whole:.2} in use, most by {who}, \
                 {most:.2}): latency"
            ),
        }
    }
}
