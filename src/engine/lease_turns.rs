//! Whose turn it is to be lent a backend: first come first served among the clients of one user, and
//! the users by turns, whoever has waited longest for one first. One user's crowd does not keep
//! the others waiting. The line itself is in `lease_line.rs`.

use std::time::Duration;

use crate::admission::Paused;

use super::Engine;
use super::backend::Want;
use super::hold::Hold;
use super::key::ClientId;
use super::lease::LeaseFor;
use super::provision::PERMIT_POLL;

/// How soon it is looked again for a place for those who may wait for one as long as they like.
const LINE_POLL: Duration = Duration::from_millis(100);

impl Engine {
    /// How many more leases there may be for `purpose`.
    fn lease_room(&self, purpose: LeaseFor) -> usize {
        let (pool, budget) = (&self.rules.settings.pool, &self.shared.budget);
        let left = |bound: usize, of: &[LeaseFor]| {
            bound.saturating_sub(of.iter().map(|other| self.leases.of(*other)).sum())
        };
        let bound = pool.leases_bound().min(budget.total() as usize);
        let room = match purpose {
            // Uploads get half at most.
            LeaseFor::Upload => {
                let uploads = left((bound / 2).max(1), &[purpose]);
                uploads.min(self.lease_room(LeaseFor::Bracket))
            }
            LeaseFor::Bracket => left(bound, &[purpose, LeaseFor::Upload]),
            // Apart from transactions, which they would keep out for as long as they like.
            LeaseFor::Pin | LeaseFor::Feed => left(bound, &[LeaseFor::Pin, LeaseFor::Feed]),
            // There is one place for them in the whole process.
            LeaseFor::Errand => left(1, &[purpose]),
            LeaseFor::Blocking => left(pool.blocking_bound(), &[purpose]),
        };
        match purpose.term() {
            Some(term) => room.min(budget.room(term) as usize),
            None => room,
        }
    }

    /// A client waits for a lease, from the moment that its request first had to wait.
    pub(super) fn joins_line(&mut self, id: ClientId, since: Duration, purpose: LeaseFor) {
        let Some(client) = self.clients.get(id) else {
            return;
        };
        let user = self.credentials.get(client.credential);
        let last_turn = user.map_or(0, |user| user.asked_for_at);
        self.lease_line.joins(
            (client.session.id, id),
            (since, purpose),
            (client.credential, last_turn),
        );
    }

    /// Asks for backends for those whose turn it is, as many as there may be leases.
    pub(super) fn want_leases(&mut self) {
        if self.lease_line.len() == 0 && self.line.is_empty() {
            return;
        }
        // Places come back without an event: from other workers, or when control has looked how
        // near the server is to its own limit.
        let poll = match self.lease_line.len() {
            0 => LINE_POLL,
            _ => PERMIT_POLL,
        };
        self.wake_at(self.now + poll);
        let room = LeaseFor::ALL.map(|purpose| match self.lease_line.has_more(purpose) {
            true => self.lease_room(purpose),
            false => 0,
        });
        while let Some(turn) = self.lease_line.next(&room) {
            self.steps += 1;
            if self.awaited_lease(turn.id) != Some(turn.purpose) {
                self.lease_line.leaves(turn.number);
                continue;
            }
            let (user, number) = turn.user;
            if let Some(user) = self.credentials.get_mut(user) {
                user.asked_for_at = number;
            }
            self.want(Want::Lease(turn.id));
        }
        let room = self.lease_room(LeaseFor::Blocking);
        self.want_places(room.saturating_sub(self.lease_line.of(LeaseFor::Blocking)));
    }

    /// Clients that have waited for a lease as long as they may are told so.
    pub(super) fn expire_lease_waiters(&mut self) {
        let limit = self.rules.settings.pool.queue_timeout;
        while let Some((since, id, number)) = self.lease_line.oldest() {
            let awaited = self.awaited_lease(id);
            let held_by = Paused::Writes;
            let at = self.shared.pause.counts_from(since, held_by) + limit;
            if awaited.is_some() && self.now < at {
                self.wake_at(at);
                return;
            }
            self.steps += 1;
            self.lease_line.leaves(number);
            if let Some(purpose) = awaited
                && let Some(client) = self.clients.get_mut(id)
            {
                client.overdue_bytes = client.input.len().max(1);
                self.end_hold(id, Hold::Lease(purpose));
            }
        }
    }
}
