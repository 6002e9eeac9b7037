//! Whose turn it is to be lent a backend: first come first served among the clients of one user, and
//! the users by turns, whoever has waited longest for one first. One user's crowd does not keep
//! the others waiting.

use std::collections::BTreeMap;

use super::Engine;
use super::backend::Want;
use super::credential::CredentialId;
use super::key::ClientId;
use super::lease::{LeaseFor, Leases};

/// A client in line: how many of its user's stand before it, when its user had its last turn, and
/// its own place.
type Place = (usize, u64, usize);

impl Engine {
    /// How many more leases there may be for `purpose`.
    fn lease_room(&self, purpose: LeaseFor) -> usize {
        let pool = &self.rules.settings.pool;
        let apart = self.leases.of(LeaseFor::Blocking) + self.leases.of(LeaseFor::Errand);
        let exclusive = self.leases.total() - apart;
        let left = pool.leases_max.saturating_sub(exclusive);
        match purpose {
            // Uploads get half at most.
            LeaseFor::Upload => {
                let uploads = (pool.leases_max / 2).max(1);
                left.min(uploads.saturating_sub(self.leases.of(purpose)))
            }
            LeaseFor::Bracket | LeaseFor::Pin | LeaseFor::Feed => left,
            // There is one place for them in the whole process.
            LeaseFor::Errand => 1_usize.saturating_sub(self.leases.of(purpose)),
            LeaseFor::Blocking => pool.blocking_max.saturating_sub(self.leases.of(purpose)),
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
        let full = |purpose: &LeaseFor| self.lease_room(*purpose) == 0;
        if self.lease_waiters.is_empty() || LeaseFor::ALL.iter().all(full) {
            return;
        }
        let mut asked = Leases::default();
        let mut next = Vec::new();
        for (_, id, purpose) in self.in_turns() {
            if asked.of(purpose) < self.lease_room(purpose) {
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
}
