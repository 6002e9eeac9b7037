//! Whose turn it is to be lent a backend: first come first served among the clients of one user, and
//! the users by turns, whoever has waited longest for one first. One user's crowd does not keep
//! the others waiting. The line itself is in `lease_line.rs`.

use std::time::Duration;

use crate::admission::Paused;

use crate::engine::blocking::allocator::PERMIT_POLL;
use crate::engine::clients::hold::Hold;
use crate::engine::key::ClientId;
use crate::engine::lease::state::LeaseFor;
use crate::engine::pool::backend::AcquireRequest;
use crate::engine::reach::{Blocking, Lending};

/// How soon it is looked again for a place for those who may wait for one as long as they like.
const LINE_POLL: Duration = Duration::from_millis(100);

impl Blocking<'_> {
    /// A client may be another user's: where it waits it stands among that one's, as if it always had.
    pub fn user_changed(&mut self, id: ClientId) {
        if let Some(client) = self.clients.get(id) {
            let (number, user) = (client.session.id, client.credential);
            let last_turn = self.pool.last_turn_of(user);
            self.waits.line_mut().becomes(id, user);
            self.leases.becomes(number, user, last_turn);
        }
    }

    /// Asks for backends for those whose turn it is, as many as there may be leases.
    #[inline]
    pub fn want_leases(&mut self) {
        if self.leases.waiting() == 0 && self.waits.line().is_empty() {
            return;
        }
        self.ask_for_leases();
    }

    fn ask_for_leases(&mut self) {
        // Places come back without an event: from other workers, or when control has looked how
        // near the server is to its own limit.
        let poll = match self.leases.waiting() {
            0 => LINE_POLL,
            _ => PERMIT_POLL,
        };
        self.cx.wake_at(self.cx.now + poll);
        let room = LeaseFor::ALL.map(|purpose| match self.leases.has_more(purpose) {
            true => self.leases.lease_room(self.cx, purpose),
            false => 0,
        });
        while let Some(turn) = self.leases.next_turn(&room) {
            self.cx.steps += 1;
            if self.clients.awaited_lease(turn.id) != Some(turn.purpose) {
                self.leases.leaves(turn.number);
                continue;
            }
            let (user, number) = turn.user;
            if let Some(user) = self.pool.credential_mut(user) {
                user.asked_for_at = number;
            }
            self.pool.request(AcquireRequest::Lease(turn.id));
        }
        let room = self.leases.lease_room(self.cx, LeaseFor::Blocking);
        self.want_places(room.saturating_sub(self.leases.waiting_for(LeaseFor::Blocking)));
    }
}

impl Lending<'_> {
    /// A client waits for a lease, from the moment that its request first had to wait.
    pub fn joins_line(&mut self, id: ClientId, since: Duration, purpose: LeaseFor) {
        if let Some(client) = self.clients.get(id) {
            let (number, user) = (client.session.id, client.credential);
            let last_turn = self.pool.last_turn_of(user);
            (self.leases).joins(number, id, since, purpose, user, last_turn);
        }
    }

    /// Clients that have waited for a lease as long as they may are told so.
    pub fn expire_lease_waiters(&mut self) {
        let limit = self.cx.rules.settings.pool.queue_timeout;
        while let Some((since, id, number)) = self.leases.oldest() {
            let awaited = self.clients.awaited_lease(id);
            let held_by = Paused::Writes;
            let at = self.cx.shared.pause.counts_from(since, held_by) + limit;
            if awaited.is_some() && self.cx.now < at {
                self.cx.wake_at(at);
                return;
            }
            self.cx.steps += 1;
            self.leases.leaves(number);
            if let Some(purpose) = awaited
                && let Some(client) = self.clients.get_mut(id)
            {
                client.head.queue_times_out(client.input.len());
                self.clients.end_hold(id, Hold::Lease(purpose));
            }
        }
    }
}
