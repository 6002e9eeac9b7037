//! How many leases there may be, by what they are for.

use crate::engine::cx::Cx;
use crate::engine::lease::holding::Lease;
use crate::engine::lease::state::{LeaseFor, LeaseState};

use super::Leases;

impl Leases {
    pub fn lease_over(&mut self, cx: &Cx, lease_state: &LeaseState) {
        for reason in lease_state.reasons() {
            let seconds = cx.now.saturating_sub(lease_state.since).as_secs();
            tracing::debug!(reason, seconds, "a client keeps its connection no more");
        }
        self.place_is_free(cx, lease_state.purpose);
    }

    /// Nothing is lent for `purpose` any more in the place of one lease.
    pub fn place_is_free(&mut self, cx: &Cx, purpose: LeaseFor) {
        self.counts.sub(purpose);
        if let Some(term) = purpose.term() {
            cx.shared.budget.lent_no_more(cx.worker, term);
        }
    }

    /// The lease of a backend that was lost is over.
    pub fn lease_lost(&mut self, cx: &Cx, lease: Lease) {
        self.lease_over(cx, &lease.state);
        let _ = lease.broken();
    }

    /// How many more leases there may be for `purpose`.
    pub fn lease_room(&self, cx: &Cx, purpose: LeaseFor) -> usize {
        let (pool, budget) = (&cx.rules.settings.pool, &cx.shared.budget);
        let left = |bound: usize, of: &[LeaseFor]| {
            bound.saturating_sub(of.iter().map(|other| self.counts.of(*other)).sum())
        };
        let bound = pool.leases_bound().min(budget.total() as usize);
        let room = match purpose {
            // Uploads get half at most.
            LeaseFor::Upload => {
                let uploads = left((bound / 2).max(1), &[purpose]);
                uploads.min(self.lease_room(cx, LeaseFor::Transaction))
            }
            LeaseFor::Transaction => left(bound, &[purpose, LeaseFor::Upload]),
            // Apart from transactions, which they would keep out for as long as they like.
            LeaseFor::Pin | LeaseFor::PushStream => {
                left(bound, &[LeaseFor::Pin, LeaseFor::PushStream])
            }
            // There is one place for them in the whole process.
            LeaseFor::OwnConnection => left(1, &[purpose]),
            LeaseFor::Blocking => left(pool.blocking_bound(), &[purpose]),
        };
        match purpose.term() {
            Some(term) => room.min(budget.room(term) as usize),
            None => room,
        }
    }
}
