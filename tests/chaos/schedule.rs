//! Which nemesis comes when: a sequence drawn from a seed, so that the same seed gives the same
//! schedule.

use std::time::Duration;

use crate::nemesis::Nemesis;

/// A quiet phase and the nemesis that ends it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) quiet: Duration,
    pub(crate) nemesis: Nemesis,
}

/// Each of `nemeses` once, in an order of the seed, after quiet phases of `quiet`.
pub(crate) fn each_once(nemeses: &[Nemesis], quiet: Duration, seed: u64) -> Vec<Step> {
    let mut nemeses = nemeses.to_vec();
    fastrand::Rng::with_seed(seed).shuffle(&mut nemeses);
    let step = |nemesis| Step { quiet, nemesis };
    nemeses.into_iter().map(step).collect()
}

/// For as long as somebody asks for more: every nemesis once before any comes again, with quiet
/// phases of a random length within `quiet_seconds`.
pub(crate) struct Endless {
    random: fastrand::Rng,
    nemeses: Vec<Nemesis>,
    left: Vec<Nemesis>,
    quiet_seconds: std::ops::Range<u64>,
}

impl Endless {
    pub(crate) fn new(nemeses: Vec<Nemesis>, quiet_seconds: std::ops::Range<u64>, seed: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            nemeses,
            left: Vec::new(),
            quiet_seconds,
        }
    }
}

impl Iterator for Endless {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if self.left.is_empty() {
            self.left.clone_from(&self.nemeses);
            self.random.shuffle(&mut self.left);
        }
        Some(Step {
            quiet: Duration::from_secs(self.random.u64(self.quiet_seconds.clone())),
            nemesis: self.left.pop()?,
        })
    }
}
