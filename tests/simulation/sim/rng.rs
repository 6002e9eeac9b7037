//! The one random generator of a simulation: the same seed makes the same choices, in the same
//! order, on every machine. Each step with faults has a stream of its own, so that leaving one
//! step out does not change what the others choose.

use std::time::Duration;

use narrows::admission::Jitter;

/// Which part of a simulation chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Settings, servers, the number of steps.
    Setup,
    /// One step with faults.
    Step(u64),
    /// All that follows them.
    Quiescence,
}

/// A seeded stream of choices.
pub struct Rng(Jitter);

impl Rng {
    pub fn of(seed: u64, part: Part) -> Self {
        let part = match part {
            Part::Setup => 0,
            Part::Step(step) => step,
            Part::Quiescence => u64::MAX,
        };
        let mixed = Jitter::new(seed).bits() ^ part.wrapping_mul(0xd1b5_4a32_d192_ed03);
        Self(Jitter::new(mixed))
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
