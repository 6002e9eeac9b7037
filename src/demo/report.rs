//! How the demo tells what it sees: one live line a second, and a table at the end, direct beside
//! through narrows.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use super::outcome::{RoundOutcome, RoundTarget};
use super::tally::Window;

/// What one live line tells.
#[derive(Debug)]
pub(super) struct Moment {
    pub(super) way: RoundTarget,
    pub(super) second: u64,
    pub(super) seconds: u64,
    pub(super) clients: u32,
    pub(super) connections: u64,
    pub(super) errors: u64,
    pub(super) span: Duration,
    pub(super) window: Window,
}

/// Writes the live line: over itself on a terminal, line by line elsewhere.
///
/// # Errors
/// When nobody reads standard output any more.
pub(super) fn show(moment: &Moment) -> io::Result<()> {
    let Moment {
        way,
        second,
        seconds,
        clients,
        connections,
        errors,
        span,
        window,
    } = moment;
    let line = format!(
        "{:<15} {second:>2}/{seconds} s   clients {}   at Redis {}   {} ops/s   p50 {}   p99 {}   errors {errors}",
        way.name(),
        grouped((*clients).into()),
        grouped(*connections),
        grouped(per_second(window.operations, *span)),
        duration(window.p50),
        duration(window.p99),
    );
    let mut out = io::stdout().lock();
    if out.is_terminal() {
        write!(out, "\r{line}\x1b[K")?;
        out.flush()
    } else {
        writeln!(out, "{line}")
    }
}

/// Writes a paragraph.
///
/// # Errors
/// As [`show`].
pub(super) fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// Ends the live line, so that what follows begins a line.
///
/// # Errors
/// As [`show`].
pub(super) fn end_live_line() -> io::Result<()> {
    let mut out = io::stdout().lock();
    if out.is_terminal() {
        writeln!(out)
    } else {
        Ok(())
    }
}

/// The table of the end.
pub(super) fn table(direct: &RoundOutcome, through: &RoundOutcome) -> String {
    let mut table = String::new();
    let mut row = |name: &str, figure: &dyn Fn(&RoundOutcome) -> String| {
        let (left, right) = (figure(direct), figure(through));
        // Writing to a String cannot fail.
        let _ = writeln!(table, "{name:<30} {left:>15} {right:>18}");
    };
    row("", &|outcome| way_of(outcome).name().to_owned());
    row("clients", &|outcome| grouped(outcome.clients.into()));
    row("connections at Redis, at most", &|outcome| {
        grouped(outcome.connections)
    });
    row("operations per second", &|outcome| {
        grouped(per_second(outcome.tally.operations(), outcome.elapsed))
    });
    for (name, share) in [
        ("latency p50", 0.5),
        ("latency p99", 0.99),
        ("latency p99.9", 0.999),
    ] {
        row(name, &|outcome| duration(outcome.tally.latency(share)));
    }
    row("CPU of Redis, µs per op", &|outcome| {
        per_operation(Some(outcome.redis_time), outcome)
    });
    row("CPU of narrows, µs per op", &|outcome| {
        per_operation(outcome.narrows_time, outcome)
    });
    row("CPU of both, µs per op", &|outcome| {
        let narrows_time = outcome.narrows_time.unwrap_or_default();
        per_operation(Some(outcome.redis_time + narrows_time), outcome)
    });
    row("replies verified", &|outcome| {
        grouped(outcome.tally.operations())
    });
    row("error replies", &|outcome| grouped(outcome.tally.errors()));
    // The first wrong reply ends the demo: whoever reads this table has seen none.
    row("wrong replies", &|_| "0".to_owned());
    table
}

fn way_of(outcome: &RoundOutcome) -> RoundTarget {
    if outcome.narrows_time.is_some() {
        RoundTarget::Through
    } else {
        RoundTarget::Direct
    }
}

fn per_second(operations: u64, span: Duration) -> u64 {
    let rate = operations as f64 / span.as_secs_f64();
    // From float to integer `as` saturates; an empty span gives zero.
    if rate.is_finite() {
        rate.round() as u64
    } else {
        0
    }
}

fn per_operation(time: Option<Duration>, outcome: &RoundOutcome) -> String {
    match (time, outcome.tally.operations()) {
        (Some(time), operations @ 1..) => {
            format!("{:.1}", time.as_secs_f64() * 1e6 / operations as f64)
        }
        _ => "-".to_owned(),
    }
}

fn duration(span: Duration) -> String {
    match span.as_micros() {
        micros @ 0..1_000 => format!("{micros} µs"),
        micros => format!("{:.1} ms", micros as f64 / 1e3),
    }
}

/// `1234567` as `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tally::Tally;
    use super::*;

    #[test]
    fn numbers_are_grouped_and_durations_have_a_fitting_unit() {
        assert_eq!(
            ["7", "123", "1,234", "1,234,567"],
            [7, 123, 1234, 1_234_567].map(grouped)
        );
        assert_eq!(duration(Duration::from_micros(999)), "999 µs");
        assert_eq!(duration(Duration::from_micros(12_345)), "12.3 ms");
    }

    #[test]
    fn the_table_shows_direct_beside_through() {
        let outcome = |connections, narrows_time| {
            let mut tally = Tally::new().unwrap();
            (0..2000).for_each(|_| tally.record(Duration::from_micros(900)));
            tally.take_window();
            let (elapsed, redis_time) = (Duration::from_secs(2), Duration::from_millis(13));
            RoundOutcome {
                clients: 1000,
                connections,
                tally,
                elapsed,
                redis_time,
                narrows_time,
            }
        };
        let text = table(
            &outcome(1000, None),
            &outcome(8, Some(Duration::from_millis(10))),
        );
        let row = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line[name.len()..]
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(row("connections at Redis, at most"), "1,000 8");
        assert_eq!(row("operations per second"), "1,000 1,000");
        assert_eq!(row("CPU of Redis, µs per op"), "6.5 6.5");
        assert_eq!(row("CPU of narrows, µs per op"), "- 5.0");
        assert_eq!(row("CPU of both, µs per op"), "6.5 11.5");
        assert_eq!(row("latency p99 "), "900 µs 900 µs");
    }
}
