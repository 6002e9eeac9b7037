//! How many dials a second the whole process may make.

use std::time::Duration;

use parking_lot::Mutex;

/// A token bucket over dials, shared by all workers: after a restart of the server
/// nobody wants every worker of every proxy to dial at once (Redis accepts only
/// ten connections per turn of its event loop: `MAX_ACCEPTS_PER_CALL`).
#[derive(Debug)]
pub struct DialRate {
    state: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    per_second: f64,
    tokens: f64,
    at: Duration,
}

impl DialRate {
    /// `per_second` dials a second, with a burst of the same size (at least one).
    pub fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second.max(1));
        Self {
            state: Mutex::new(Bucket {
                per_second,
                tokens: per_second,
                at: Duration::ZERO,
            }),
        }
    }

    /// As many dials a second from now on; what has been saved up beyond that is lost.
    pub fn set(&self, per_second: u32) {
        let mut bucket = self.state.lock();
        bucket.per_second = f64::from(per_second.max(1));
        bucket.tokens = bucket.tokens.min(bucket.per_second);
    }

    /// Takes one token at time `now` (since the process started), or says how long until there is one.
    pub fn take(&self, now: Duration) -> Result<(), Duration> {
        let mut bucket = self.state.lock();
        let passed = now.saturating_sub(bucket.at);
        bucket.at = bucket.at.max(now);
        let per_second = bucket.per_second;
        bucket.tokens = (bucket.tokens + passed.as_secs_f64() * per_second).min(per_second);
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        let missing = 1.0 - bucket.tokens;
        Err(Duration::from_secs_f64(missing / per_second) + Duration::from_micros(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_followed_by_the_steady_rate() {
        let rate = DialRate::new(10);
        let start = Duration::from_secs(5);
        for _ in 0..10 {
            assert!(rate.take(start).is_ok());
        }
        let wait = rate.take(start).unwrap_err();
        assert!(wait <= Duration::from_millis(101) && wait > Duration::from_millis(90));
        assert!(rate.take(start + wait).is_ok());
        assert!(rate.take(start + wait).is_err());
    }

    #[test]
    fn another_rate_holds_at_once() {
        let rate = DialRate::new(10);
        rate.set(2);
        let start = Duration::from_secs(5);
        assert!(rate.take(start).is_ok() && rate.take(start).is_ok());
        let wait = rate.take(start).unwrap_err();
        assert!(wait > Duration::from_millis(490), "{wait:?}");
        rate.set(100);
        assert!(rate.take(start).unwrap_err() < Duration::from_millis(11));
    }

    #[test]
    fn a_clock_that_does_not_move_gives_nothing_away() {
        let rate = DialRate::new(1);
        assert!(rate.take(Duration::from_secs(1)).is_ok());
        for _ in 0..5 {
            assert!(rate.take(Duration::from_secs(1)).is_err());
            assert!(rate.take(Duration::ZERO).is_err());
        }
    }
}
