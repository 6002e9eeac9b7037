//! Whose turn it is to be lent a backend: first come first served among the clients of one user, and
//! the users by turns, whoever has waited longest for one first. One user's crowd does not keep
//! the others waiting.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::admission::Paused;

use super::Engine;
use super::backend::Want;
use super::credential::CredentialId;
use super::hold::Hold;
use super::key::ClientId;
use super::lease::{LeaseFor, Leases};
use super::provision::PERMIT_POLL;

/// A client in line: how many of its user's stand before it, when its user had its last turn, and
/// its own place.
type Place = (usize, u64, usize);

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

    /// Asks for backends for those whose turn it is, as many as there may be leases.
    pub(super) fn want_leases(&mut self) {
        // Those who wait no more must not stand before those who do.
        while let Some((id, _)) = self.lease_waiters.front()
            && self.awaited_lease(*id).is_none()
        {
            self.lease_waiters.pop_front();
        }
        if self.lease_waiters.is_empty() {
            return;
        }
        // Places come back without an event: from other workers, or when control has looked how
        // near the server is to its own limit.
        self.wake_at(self.now + PERMIT_POLL);
        let full = |purpose: &LeaseFor| self.lease_room(*purpose) == 0;
        if LeaseFor::ALL.iter().all(full) {
            return;
        }
        let mut asked = Leases::default();
        let mut next = Vec::new();
        let room = LeaseFor::ALL.map(|purpose| self.lease_room(purpose));
        for (_, id, purpose) in self.in_turns() {
            if room
                .get(purpose as usize)
                .is_some_and(|room| asked.of(purpose) < *room)
            {
                asked.add(purpose);
                next.push(id);
            }
        }
        for id in next {
            self.want(Want::Lease(id));
        }
    }

    /// Those who wait for a lease, in the order of their turns.
    fn in_turns(&self) -> Vec<(Place, ClientId, LeaseFor)> {
        let mut before: BTreeMap<CredentialId, usize> = BTreeMap::new();
        let mut line = Vec::with_capacity(self.lease_waiters.len());
        for (at, (id, _)) in self.lease_waiters.iter().enumerate() {
            let (Some(client), Some(purpose)) = (self.clients.get(*id), self.awaited_lease(*id))
            else {
                continue;
            };
            let user = self.credentials.get(client.credential);
            let last_turn = user.map_or(0, |user| user.lent_at);
            let mine = before.entry(client.credential).or_default();
            line.push(((*mine, last_turn, at), *id, purpose));
            *mine += 1;
        }
        if before.len() > 1 {
            line.sort_by_key(|(place, ..)| *place);
        }
        line
    }

    /// A client was lent a backend: its user's turn is over.
    pub(super) fn had_its_turn(&mut self, id: ClientId) {
        self.lease_turn += 1;
        let turn = self.lease_turn;
        let credential = self.clients.get(id).map(|client| client.credential);
        if let Some(user) = credential.and_then(|id| self.credentials.get_mut(id)) {
            user.lent_at = turn;
        }
    }

    /// Clients that have waited for a lease as long as they may are told so.
    pub(super) fn expire_lease_waiters(&mut self, limit: Duration) {
        while let Some((id, since)) = self.lease_waiters.front().copied() {
            let awaited = self.awaited_lease(id);
            let held_by = Paused::Writes;
            let at = self.shared.pause.counts_from(since, held_by) + limit;
            if awaited.is_some() && self.now < at {
                self.wake_at(at);
                return;
            }
            self.lease_waiters.pop_front();
            if let Some(purpose) = awaited
                && let Some(client) = self.clients.get_mut(id)
            {
                client.overdue_bytes = client.input.len().max(1);
                self.end_hold(id, Hold::Lease(purpose));
            }
        }
    }
}
