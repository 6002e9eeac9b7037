//! Those who wait for a lease, and those who have one, as others ask for them. Clients go by their
//! `CLIENT ID`.

use std::time::Duration;

use crate::engine::key::{ClientId, CredentialId};
use crate::engine::lease::state::LeaseFor;

use super::Leases;
use super::lease_line::{LeaseRoom, Turn};

impl Leases {
    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.line.len()
    }

    /// How many wait for this.
    pub fn waiting_for(&self, purpose: LeaseFor) -> usize {
        self.line.of(purpose)
    }

    /// Whether more could be asked for this, were there room.
    pub fn has_more(&self, purpose: LeaseFor) -> bool {
        self.line.has_more(purpose)
    }

    /// The client of this number, if it waits for `purpose`.
    pub fn find(&self, number: u64, purpose: LeaseFor) -> Option<ClientId> {
        self.line.find(number, purpose)
    }

    /// A client waits behind all others of its user, which had its last turn then.
    pub fn joins(
        &mut self,
        number: u64,
        id: ClientId,
        since: Duration,
        purpose: LeaseFor,
        user: CredentialId,
        last_turn: u64,
    ) {
        (self.line).joins(number, id, since, purpose, user, last_turn);
    }

    /// A client waits no more.
    pub fn leaves(&mut self, number: u64) {
        self.line.leaves(number);
    }

    /// A client is another user's now, which had its last turn then. It stands where it stood.
    pub fn becomes(&mut self, number: u64, user: CredentialId, last_turn: u64) {
        self.line.becomes(number, user, last_turn);
    }

    /// For whom a backend is to be asked now. It has been, from then on.
    pub fn next_turn(&mut self, room: &LeaseRoom) -> Option<Turn> {
        self.line.next(room)
    }

    /// What was asked for a client did not come to a lease: it stands where it stood.
    pub fn stays(&mut self, number: u64) {
        self.line.stays(number);
    }

    /// Who has waited longest, and since when.
    pub fn oldest(&self) -> Option<(Duration, ClientId, u64)> {
        self.line.oldest()
    }

    /// All for whom a backend has been asked.
    pub fn asked(&self) -> impl Iterator<Item = ClientId> {
        self.line.asked()
    }

    /// How many backends are lent.
    pub fn total(&self) -> usize {
        self.counts.total()
    }

    /// How many are lent for this.
    pub fn lent_for(&self, purpose: LeaseFor) -> usize {
        self.counts.of(purpose)
    }

    /// A backend is lent to a client that has waited for it.
    pub fn begins(&mut self, number: u64, purpose: LeaseFor) {
        self.line.leaves(number);
        self.counts.add(purpose);
    }

    /// What one was lent for is another thing from now on.
    pub fn turns_to(&mut self, was: LeaseFor, purpose: LeaseFor) {
        self.counts.sub(was);
        self.counts.add(purpose);
    }
}
