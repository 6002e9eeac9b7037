//! A histogram of durations with fixed bounds: plain numbers, counted by one thread.

use std::time::Duration;

/// Upper bounds of the buckets, in microseconds. From below what a loopback round trip takes to
/// above the longest wait that is usual (`pool.queue_timeout` is 3 s): three to a decade, so that
/// a quantile read off them is off by at most a factor of 2.5. The same for all histograms, so
/// that one can be subtracted from another.
pub const BOUNDS_MICROS: [u64; 17] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Histogram {
    /// Durations by bucket; the last one has no upper bound.
    counts: [u64; BOUNDS_MICROS.len() + 1],
    sum_micros: u64,
}

impl Histogram {
    /// One more duration.
    pub fn observe(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.sum_micros = self.sum_micros.saturating_add(micros);
    }

    /// Adds what another one has counted.
    pub fn add(&mut self, more: &Self) {
        for (count, more) in self.counts.iter_mut().zip(more.counts) {
            *count += more;
        }
        self.sum_micros = self.sum_micros.saturating_add(more.sum_micros);
    }

    /// How many durations.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum, in seconds.
    pub fn sum_seconds(&self) -> f64 {
        self.sum_micros as f64 / 1e6
    }

    /// Each bound in seconds, and how many durations were not above it.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let mut sum = 0;
        BOUNDS_MICROS
            .iter()
            .zip(self.counts)
            .map(move |(bound, count)| {
                sum += count;
                (*bound as f64 / 1e6, sum)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_the_first_bucket_that_holds_it_and_in_all_above() {
        let mut histogram = Histogram::default();
        for micros in [0, 50, 51, 10_000_000, 10_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        let mut more = Histogram::default();
        more.observe(Duration::from_micros(200));
        histogram.add(&more);
        let buckets: Vec<(f64, u64)> = histogram.cumulative().collect();
        assert_eq!(&buckets[..3], &[(0.00005, 2), (0.0001, 3), (0.00025, 4)]);
        assert_eq!(buckets.last(), Some(&(10.0, 5)));
        assert_eq!(histogram.count(), 6);
        assert!((histogram.sum_seconds() - 20.000_302).abs() < 1e-9);
    }
}
