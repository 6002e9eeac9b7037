//! Which nemesis comes when: a sequence drawn from a seed, so that the same seed gives the same
//! schedule.
#![allow(dead_code, reason = "the soak and the short tests use a part each")]

use std::time::Duration;

use crate::chaos::nemesis::Nemesis;

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

/// Enough to fill `total`: every nemesis once before any comes again, with quiet phases of a random
/// length within `quiet_ms`. narrows itself is ended only in the first third, so that its memory can
/// be watched for the rest of the time.
pub(crate) fn fill(
    nemeses: &[Nemesis],
    total: Duration,
    quiet_ms: std::ops::Range<u64>,
    seed: u64,
) -> Vec<Step> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut steps = Vec::new();
    let mut left: Vec<Nemesis> = Vec::new();
    let mut filled = Duration::ZERO;
    while filled < total && steps.len() < STEPS_MAX {
        if left.is_empty() {
            left = nemeses.to_vec();
            random.shuffle(&mut left);
        }
        let Some(nemesis) = left.pop() else { break };
        if nemesis.ends_narrows && filled > total / 3 {
            continue;
        }
        let quiet = Duration::from_millis(random.u64(quiet_ms.clone()));
        filled += quiet + nemesis.lasts;
        steps.push(Step { quiet, nemesis });
    }
    steps
}

/// A day and more of chaos.
const STEPS_MAX: usize = 100_000;
