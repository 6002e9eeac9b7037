//! What the clients of a round have counted: operations, errors and latencies, for the second under
//! way and in all.

use std::time::Duration;

use anyhow::Context;
use hdrhistogram::Histogram;

/// Counts of one round, or of several rounds of a kind added up.
#[derive(Debug)]
pub(super) struct Tally {
    /// Since the last [`Tally::take_window`]; not yet in `latencies`.
    window: Histogram<u64>,
    latencies: Histogram<u64>,
    errors: u64,
    first_error: Option<String>,
}

/// A second's figures, for the live line.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) operations: u64,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
}

impl Tally {
    /// # Errors
    /// Never in practice: the bounds are constants.
    pub(super) fn new() -> anyhow::Result<Self> {
        let empty = || {
            Histogram::new_with_bounds(1, LATENCY_MICROS_MAX, PRECISION_DIGITS)
                .context("the histogram of latencies")
        };
        Ok(Self {
            window: empty()?,
            latencies: empty()?,
            errors: 0,
            first_error: None,
        })
    }

    /// A verified reply and how long it took.
    pub(super) fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.window.saturating_record(micros);
    }

    pub(super) fn record_error(&mut self, text: String) {
        self.errors += 1;
        self.first_error.get_or_insert(text);
    }

    /// Ends the second under way.
    pub(super) fn take_window(&mut self) -> Window {
        let window = Window {
            operations: self.window.len(),
            p50: quantile(&self.window, 0.5),
            p99: quantile(&self.window, 0.99),
        };
        // Both have the same bounds, so adding cannot fail.
        let _ = self.latencies.add(&self.window);
        self.window.reset();
        window
    }

    /// Adds what another round has counted.
    pub(super) fn add(&mut self, mut other: Self) {
        other.take_window();
        let _ = self.latencies.add(&other.latencies);
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }

    /// Verified replies, all of them, the second under way included.
    pub(super) fn operations(&self) -> u64 {
        self.latencies.len() + self.window.len()
    }

    /// The latency that a share of `share` (0 to 1) of the operations did not exceed, up to the last
    /// whole second.
    pub(super) fn latency(&self, share: f64) -> Duration {
        quantile(&self.latencies, share)
    }

    pub(super) fn errors(&self) -> u64 {
        self.errors
    }

    pub(super) fn first_error(&self) -> Option<&str> {
        self.first_error.as_deref()
    }
}

fn quantile(histogram: &Histogram<u64>, share: f64) -> Duration {
    Duration::from_micros(histogram.value_at_quantile(share))
}

/// Latencies above a minute count as a minute.
const LATENCY_MICROS_MAX: u64 = 60_000_000;

/// Figures are right to one in a thousand.
const PRECISION_DIGITS: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_add_up_to_the_whole() {
        let mut tally = Tally::new().unwrap();
        (1..=100).for_each(|millis| tally.record(Duration::from_millis(millis)));
        assert_eq!(tally.take_window().operations, 100);
        assert_eq!(tally.take_window().operations, 0);
        tally.record(Duration::from_secs(3600));
        tally.record_error("first".to_owned());
        tally.record_error("second".to_owned());
        assert_eq!(
            (tally.operations(), tally.errors(), tally.first_error()),
            (101, 2, Some("first"))
        );

        let mut sum = Tally::new().unwrap();
        sum.add(tally);
        assert_eq!((sum.operations(), sum.errors()), (101, 2));
        assert_eq!(sum.latency(0.5).as_millis(), 51);
        assert_eq!(sum.latency(1.0).as_secs(), 60);
    }
}
