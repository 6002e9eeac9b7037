//! The open loop: instants at which requests are due, whatever became of the earlier ones. Latency
//! counts from there, so a server that stalls cannot slow the clients down to flatter itself.

use crate::plan::{Arrivals, Plan};

/// The schedule of one thread.
#[derive(Debug)]
pub(crate) struct Schedule {
    chance: fastrand::Rng,
    arrivals: Arrivals,
    /// Mean gap in nanoseconds.
    gap: f64,
    next: f64,
}

impl Schedule {
    /// The part of `thread` of a plan's rate; `None` for a closed loop.
    pub(crate) fn of(plan: &Plan, thread: usize) -> Option<Self> {
        let rate = plan.rate? / plan.threads as f64;
        Some(Self {
            chance: fastrand::Rng::with_seed(crate::tag::mix(
                plan.seed ^ (thread as u64 + 1) << 50,
            )),
            arrivals: plan.arrivals,
            gap: 1e9 / rate,
            next: 0.0,
        })
    }

    pub(crate) fn begin(&mut self, now: u64) {
        self.next = now as f64;
        self.advance();
    }

    /// When the next request is due.
    pub(crate) fn next(&self) -> u64 {
        self.next as u64
    }

    /// The next request that is due by now.
    pub(crate) fn due(&mut self, now: u64) -> Option<u64> {
        let due = self.next();
        (due <= now).then(|| {
            self.advance();
            due
        })
    }

    /// One of `choices`.
    pub(crate) fn pick(&mut self, choices: &[u32]) -> Option<u32> {
        choices
            .get(self.chance.usize(0..choices.len().max(1)))
            .copied()
    }

    fn advance(&mut self) {
        self.next += match self.arrivals {
            Arrivals::Uniform => self.gap,
            Arrivals::Exponential => -self.gap * (1.0 - self.chance.f64()).ln(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Target;

    #[test]
    fn requests_fall_due_at_the_rate_however_late_anyone_asks() {
        for arrivals in [Arrivals::Exponential, Arrivals::Uniform] {
            let mut plan = Plan::new(Target::Unix("/x".into()));
            (plan.rate, plan.threads, plan.arrivals) = (Some(20_000.0), 2, arrivals);
            let mut schedule = Schedule::of(&plan, 0).unwrap();
            schedule.begin(5);
            let second = 1_000_000_000;
            let due: Vec<u64> = std::iter::from_fn(|| schedule.due(second)).collect();
            assert!((9_700..10_300).contains(&due.len()), "{}", due.len());
            assert!(due.is_sorted() && due.iter().all(|due| (5..=second).contains(due)));
        }
    }
}
