//! The one source of chance of a simulation: the same seed makes the same choices, in the same
//! order, on every machine.

use std::time::Duration;

use narrows::admission::Jitter;

/// A seeded stream of choices.
pub struct Chance(Jitter);

impl Chance {
    pub fn new(seed: u64) -> Self {
        let mut jitter = Jitter::new(seed);
        jitter.bits();
        Self(jitter)
    }

    /// Evenly from `0..limit`; 0 where `limit` is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.0.bits() % limit.max(1) as u64) as usize
    }

    /// Evenly from `low..=high`.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// True in `percent` of all cases.
    pub fn hits(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    pub fn micros(&mut self, high: usize) -> Duration {
        Duration::from_micros(self.below(high) as u64)
    }
}
