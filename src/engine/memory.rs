//! What is held of clients, whoever holds it, and what follows when that is too much: the one with
//! the most is closed, and nobody else.
//!
//! What stands in inputs and outboxes is counted as it comes and goes, and so are logins that the
//! server is asked about and answers that are being gathered. The rest is with backends that are
//! lent: requests unsent and unanswered, replies that are wanted whole, places of `EXEC`, frames
//! half here. Those are weighed once a turn on which something has happened, so in between it can
//! be off by what a turn reads.

use std::collections::{BTreeMap, BinaryHeap};

use crate::session::state::NameOf;
use crate::telemetry::Leave;

use super::Engine;
use super::backend::{Backend, Phase};
use super::client::Client;
use super::gather::Gather;
use super::hold::Hold;
use super::key::{BackendId, ClientId};
use super::lease::Lent;
use super::login_checks::LoginCheck;

/// Bytes of clients that are with their backends.
#[derive(Debug, Default)]
pub struct Weights {
    of: BTreeMap<BackendId, usize>,
    total: usize,
    /// Those on which something has happened since they were weighed.
    touched: Vec<BackendId>,
    /// How much may be held by this worker: asked for with each reply.
    limit: usize,
}

impl Weights {
    /// None yet, where all workers together may hold so many bytes.
    pub fn within(bytes_max: usize, workers: usize) -> Self {
        Self {
            limit: bytes_max / workers.max(1),
            ..Self::default()
        }
    }

    /// Something happens on a backend that is lent, or was.
    #[inline]
    pub fn touch(&mut self, id: BackendId) {
        if self.touched.last() != Some(&id) {
            self.touched.push(id);
        }
    }

    /// The same, if it has been weighed.
    pub fn touch_if_known(&mut self, id: BackendId) {
        if self.of.contains_key(&id) {
            self.touch(id);
        }
    }

    fn set(&mut self, id: BackendId, bytes: usize) {
        let before = match bytes {
            0 => self.of.remove(&id),
            _ => self.of.insert(id, bytes),
        };
        self.total = self.total + bytes - before.unwrap_or_default();
    }
}

/// Who holds how much, from the first time in a turn that too much is held up to the end of that turn:
/// so a turn looks at all clients once at most, however many have to go. What it says of one is what
/// that one held at most since.
#[derive(Debug, Default)]
pub struct Debtors(Option<BinaryHeap<(usize, ClientId)>>);

impl Lent {
    fn held_bytes(&self) -> usize {
        let feed = self.feed.as_ref();
        self.bracket.held_bytes() + feed.map_or(0, |feed| feed.held_bytes())
    }
}

impl Backend {
    /// Whose it is, if it is somebody's.
    fn owner(&self) -> Option<ClientId> {
        match self.phase {
            Phase::Leased(owner) => Some(owner),
            _ => None,
        }
    }
}

impl Engine {
    /// Bytes that are held for the client that a backend is lent to, with the backend.
    fn bytes_with(&self, backend: &Backend) -> usize {
        let Some(owner) = backend.owner().and_then(|owner| self.clients.get(owner)) else {
            return 0;
        };
        let lent = owner
            .lease
            .as_ref()
            .map_or(0, |lease| lease.lent.held_bytes());
        backend.out.unanswered_len() + backend.collected.len() + lent
    }

    /// Bytes of clients that are with their backends now.
    pub(super) fn count_lent_bytes(&self) -> usize {
        let backends = self.backends.values();
        backends.map(|backend| self.bytes_with(backend)).sum()
    }

    /// Bytes that shared connections and those being made hold.
    pub(super) fn count_shared_bytes(&self) -> usize {
        let shared = self.backends.values().filter(|b| b.owner().is_none());
        let bytes = |b: &Backend| {
            let feed = match &b.phase {
                Phase::Cleaning(cleaning) => cleaning.feed.as_ref(),
                _ => None,
            };
            let held = feed.map_or(0, |feed| feed.held_bytes());
            b.out.unanswered_len() + b.collected.len() + held
        };
        shared.map(bytes).sum()
    }

    /// All that is held of clients, on connections that they share too.
    pub(super) fn held_bytes(&self) -> usize {
        let own = self.buffered_bytes + self.aside_bytes();
        own + self.count_lent_bytes() + self.count_shared_bytes()
    }

    /// What is held for clients neither with them nor with a backend.
    #[inline]
    fn aside_bytes(&self) -> usize {
        self.logins.bytes() + self.gathers.bytes()
    }

    /// What is held for a client by what it waits for.
    fn aside_of(&self, client: &Client) -> usize {
        match client.hold {
            Some(Hold::Login(check)) => self.logins.get(check).map_or(0, LoginCheck::held_bytes),
            Some(Hold::Gather(ticket)) => self.gathers.get(ticket).map_or(0, Gather::held_bytes),
            _ => 0,
        }
    }

    /// A client is gone: nothing is held for it any more by what it has waited for.
    pub(super) fn end_aside(&mut self, id: ClientId, client: &Client) {
        match client.hold {
            Some(Hold::Login(check)) => self.waits_no_more(check, id),
            Some(Hold::Gather(ticket)) => self.forget_gather(ticket),
            _ => {}
        }
    }

    /// All that is held for one client.
    fn debt(&self, client: &Client) -> usize {
        let backend = client.lease.as_ref().map(|lease| lease.backend());
        let backend = backend.and_then(|id| self.backends.get(id));
        let lent = backend.map_or(0, |backend| self.bytes_with(backend));
        client.buffered_bytes() + lent + self.aside_of(client)
    }

    /// A turn begins: what is with backends is weighed.
    #[inline]
    pub(super) fn weigh(&mut self) {
        if self.debtors.0.is_some() {
            self.debtors = Debtors::default();
        }
        if !self.weights.touched.is_empty() {
            self.weigh_touched();
        }
        self.bound_memory();
    }

    fn weigh_touched(&mut self) {
        while let Some(id) = self.weights.touched.pop() {
            let backend = self.backends.get(id);
            let bytes = backend.map_or(0, |backend| self.bytes_with(backend));
            let owner = backend.and_then(Backend::owner);
            self.weights.set(id, bytes);
            if let Some(owner) = owner {
                self.debt_grows(owner);
            }
        }
    }

    /// Whether what is with backends is what they were weighed at, if nothing has happened since.
    pub(super) fn weights_agree(&self) -> bool {
        let touched = |id: &BackendId| self.weights.touched.contains(id);
        let mut all = self.backends.iter();
        let agree = all.all(|(id, backend)| {
            let weighed = self.weights.of.get(&id).copied().unwrap_or_default();
            weighed == self.bytes_with(backend) || touched(&id)
        });
        let total: usize = self.weights.of.values().sum();
        let mut known = self.weights.of.keys();
        agree
            && total == self.weights.total
            && known.all(|id| self.backends.contains_key(*id) || touched(id))
    }

    /// A client is called so from now on.
    pub(super) fn rename(&mut self, id: ClientId, name: &[u8]) {
        if let Some(client) = self.clients.get_mut(id) {
            let before = client.session.names_bytes();
            client.session.set_name(NameOf::Client, name);
            self.renamed(id, before);
        }
    }

    /// The names of a client are others than those of so many bytes that it had.
    pub(super) fn renamed(&mut self, id: ClientId, bytes_before: usize) {
        let now = self
            .clients
            .get(id)
            .map_or(0, |client| client.session.names_bytes());
        if now != bytes_before {
            self.buffered_bytes = (self.buffered_bytes + now).saturating_sub(bytes_before);
            self.shed_memory(id);
        }
    }

    /// More is held for this client than before: closes the largest debtors while more is held than may
    /// be.
    #[inline]
    pub(super) fn shed_memory(&mut self, grown: ClientId) {
        if self.debtors.0.is_some() {
            self.debt_grows(grown);
        }
        self.bound_memory();
    }

    #[inline]
    fn bound_memory(&mut self) {
        if self.memory() > self.weights.limit {
            self.shed(self.weights.limit);
        }
    }

    /// How much may be held is another than before.
    pub(super) fn memory_limit_changed(&mut self) {
        let all = self.rules.settings.clients.memory_bytes_max;
        self.weights.limit = Weights::within(all, self.workers).limit;
    }

    /// All that counts in the bound.
    #[inline]
    fn memory(&self) -> usize {
        self.buffered_bytes + self.weights.total + self.aside_bytes()
    }

    fn debt_grows(&mut self, id: ClientId) {
        if self.debtors.0.is_none() {
            return;
        }
        let debt = self.clients.get(id).map_or(0, |client| self.debt(client));
        if let Some(debtors) = self.debtors.0.as_mut().filter(|_| debt > 0) {
            debtors.push((debt, id));
        }
    }

    #[cold]
    fn shed(&mut self, limit: usize) {
        loop {
            self.weigh_touched();
            if self.memory() <= limit {
                return;
            }
            let Some((bytes, id)) = self.largest_debtor() else {
                return;
            };
            let client_id = self.clients.get(id).map(|client| client.session.id);
            let key = "clients.memory_bytes_max";
            tracing::warn!(
                client_id,
                key,
                bytes,
                "client closed: out of memory for buffers"
            );
            self.close_for(id, Leave::MemoryLimit);
        }
    }

    /// Who holds most, and how much that is. It is looked for in vain where nobody holds anything.
    fn largest_debtor(&mut self) -> Option<(usize, ClientId)> {
        if self.debtors.0.is_none() {
            self.steps += self.clients.len() as u64;
            let debts = (self.clients.iter()).map(|(id, client)| (self.debt(client), id));
            let debtors = debts.filter(|(debt, _)| *debt > 0).collect();
            self.debtors = Debtors(Some(debtors));
        }
        loop {
            let (known, id) = self.debtors.0.as_mut()?.pop()?;
            let debt = self.clients.get(id).map_or(0, |client| self.debt(client));
            if debt >= known {
                return Some((debt, id));
            }
            // It has got rid of some of it since.
            if let Some(debtors) = self.debtors.0.as_mut().filter(|_| debt > 0) {
                debtors.push((debt, id));
            }
        }
    }
}
