//! How long requests are under way, measured on one at a time for each pipe, the last of those that
//! are written together: a time stamp in every slot would cost each request, and a stream of samples
//! says as much.

use std::time::Duration;

/// The sample of one backend: how many replies are to come up to that of the request that is
/// watched, and since when it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct LatencySample {
    replies: usize,
    since: Duration,
}

impl LatencySample {
    /// Whether no request is watched.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.replies == 0
    }

    /// The last of `in_flight` requests is watched from `now` on.
    pub fn begin(&mut self, in_flight: usize, now: Duration) {
        (self.replies, self.since) = (in_flight, now);
    }

    /// `count` replies have come: how long the watched request took, if its was among them.
    #[inline]
    pub fn passed(&mut self, count: usize, now: Duration) -> Option<Duration> {
        if self.is_idle() || count == 0 {
            return None;
        }
        self.replies = self.replies.saturating_sub(count);
        self.is_idle().then(|| now.saturating_sub(self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_taken_when_the_watched_reply_comes_and_not_before() {
        let ms = Duration::from_millis;
        let mut latency_sample = LatencySample::default();
        assert_eq!(latency_sample.passed(5, ms(1)), None);
        latency_sample.begin(3, ms(10));
        assert_eq!(latency_sample.passed(2, ms(11)), None);
        assert_eq!(latency_sample.passed(0, ms(12)), None);
        assert_eq!(latency_sample.passed(4, ms(15)), Some(ms(5)));
        assert!(latency_sample.is_idle());
    }
}
