//! How long to wait before the next dial after failed ones: exponential, with full jitter.

use std::time::Duration;

use super::Jitter;

/// Consecutive failures of one endpoint and the pause that follows from them.
///
/// The ceiling doubles from `min` to `max` with each failure; the pause is drawn
/// evenly from `[0, ceiling]`, so that many workers and many proxies do not return
/// to a restarted server in step (full jitter).
#[derive(Debug, Clone)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// No failures yet. `min` and `max` bound the ceiling of the pause.
    pub fn new(min: Duration, max: Duration) -> Self {
        Self {
            min,
            max: max.max(min),
            failures: 0,
        }
    }

    /// Other bounds hold from the next failure on.
    pub fn set_bounds(&mut self, min: Duration, max: Duration) {
        (self.min, self.max) = (min, max.max(min));
    }

    /// One more failure: the pause before the next attempt.
    pub fn failed(&mut self, jitter: &mut Jitter) -> Duration {
        let doubled = self.min.saturating_mul(1 << self.failures.min(20));
        self.failures = self.failures.saturating_add(1);
        jitter.up_to(doubled.min(self.max))
    }

    /// A success: the next failure starts from `min` again.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_never_exceeds_its_ceiling_and_a_success_resets_it() {
        let (min, max) = (Duration::from_millis(50), Duration::from_secs(1));
        let mut jitter = Jitter::new(3);
        let mut backoff = Backoff::new(min, max);
        for n in 0..100u32 {
            assert!(backoff.failed(&mut jitter) <= max.min(min * (1 << n.min(10))));
        }
        backoff.succeeded();
        assert!(backoff.failed(&mut jitter) <= min);
        assert_eq!(backoff.failures(), 1);
    }
}
