//! A small seeded generator for jitter. The pure layers use no other randomness,
//! so that one seed replays one run exactly.

use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood, 2014): tiny, deterministic, good enough to spread timers.
/// Not for secrets.
#[derive(Debug, Clone)]
pub struct Jitter {
    state: u64,
}

impl Jitter {
    /// A generator that yields the same sequence for the same seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A duration in `[0, limit]`: "full jitter" when `limit` is the backoff's ceiling.
    pub fn up_to(&mut self, limit: Duration) -> Duration {
        let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.bits() % nanos.saturating_add(1).max(1))
    }

    /// `whole` shortened by up to `part` of itself, `part` in `0.0..=1.0`.
    pub fn shorten(&mut self, whole: Duration, part: f64) -> Duration {
        whole.saturating_sub(self.up_to(whole.mul_f64(part.clamp(0.0, 1.0))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence() {
        let (mut a, mut b) = (Jitter::new(7), Jitter::new(7));
        assert_eq!(
            (0..9).map(|_| a.bits()).collect::<Vec<_>>(),
            (0..9).map(|_| b.bits()).collect::<Vec<_>>()
        );
    }

    #[test]
    fn jitter_stays_within_its_bounds() {
        let mut j = Jitter::new(1);
        let whole = Duration::from_secs(10);
        for _ in 0..1000 {
            assert!(j.up_to(whole) <= whole);
            let s = j.shorten(whole, 0.1);
            assert!(s <= whole && s >= Duration::from_secs(9));
        }
        assert_eq!(j.up_to(Duration::ZERO), Duration::ZERO);
    }
}
