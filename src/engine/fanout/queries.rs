//! The queries that are under way, by their numbers and by when each has waited long enough: one
//! that may take long keeps no other past its time. Plain data, which knows no clients.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::engine::effect::Reply;
use crate::engine::key::ClientId;

use super::kill::Kill;
use super::pending::PendingFanOut;

/// See the module.
#[derive(Debug, Default)]
pub struct Fanout {
    all: BTreeMap<u64, PendingFanOut>,
    due: BTreeSet<(Duration, u64)>,
    bytes: usize,
    last: u64,
    /// `SCRIPT KILL` and its like that go before their turn.
    kills: BTreeMap<ClientId, Kill>,
}

impl Fanout {
    /// The number of the query that is asked next.
    pub fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// A query is asked, under this number.
    pub fn add(&mut self, ticket: u64, fan_out: PendingFanOut) {
        self.due.insert((fan_out.deadline(), ticket));
        self.bytes += fan_out.held_bytes();
        self.all.insert(ticket, fan_out);
    }

    /// It is answered, or nobody waits for the answer any more.
    pub fn remove(&mut self, ticket: u64) -> Option<PendingFanOut> {
        let fan_out = self.all.remove(&ticket)?;
        self.due.remove(&(fan_out.deadline(), ticket));
        self.bytes -= fan_out.held_bytes();
        Some(fan_out)
    }

    pub fn get(&self, ticket: u64) -> Option<&PendingFanOut> {
        self.all.get(&ticket)
    }

    pub fn get_mut(&mut self, ticket: u64) -> Option<&mut PendingFanOut> {
        self.all.get_mut(&ticket)
    }

    /// Another worker has answered. For whom the query was asked.
    pub fn answered(&mut self, ticket: u64, answer: Reply) -> Option<ClientId> {
        let fan_out = self.all.get_mut(&ticket)?;
        self.bytes += fan_out.answered(answer);
        Some(fan_out.client())
    }

    /// The one whose time is over first.
    pub fn first_due(&self) -> Option<(Duration, u64)> {
        self.due.first().copied()
    }

    /// Bytes that all of them hold.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether the totals are those of all of them. Walks them.
    pub fn are_sound(&self) -> bool {
        let bytes: usize = self.all.values().map(PendingFanOut::held_bytes).sum();
        let due =
            |(ticket, one): (&u64, &PendingFanOut)| self.due.contains(&(one.deadline(), *ticket));
        bytes == self.bytes && self.due.len() == self.all.len() && self.all.iter().all(due)
    }

    /// How far what a client has sent before its turn has come.
    pub fn kill(&self, id: &ClientId) -> Option<&Kill> {
        self.kills.get(id)
    }

    pub fn kill_mut(&mut self, id: &ClientId) -> Option<&mut Kill> {
        self.kills.get_mut(id)
    }

    /// What a client has asked for goes before its turn.
    pub fn set_kill(&mut self, id: ClientId, kill: Kill) {
        self.kills.insert(id, kill);
    }

    /// It has had its turn, or its client is gone.
    pub fn end_kill(&mut self, id: &ClientId) -> Option<Kill> {
        self.kills.remove(id)
    }
}
