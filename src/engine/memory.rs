//! What is held of clients, whoever holds it, and what follows when that is too much: the one with
//! the most is closed, and nobody else.
//!
//! What stands in inputs and outboxes is counted as it comes and goes, and so are logins that the
//! server is asked about and answers that are being gathered. The rest is with backends that are
//! lent: requests unsent and unanswered, replies that are wanted whole, places of `EXEC`, frames
//! half here. Those are weighed once a turn on which something has happened, so in between it can
//! be off by what a turn reads and moves.

use crate::telemetry::ClientCloseReason;

use super::auth::Auth;
use super::auth::LoginCheck;
use super::clients::debtors::Debtors;
use super::clients::hold::Hold;
use super::clients::{Client, Clients};
use super::event::EngineEvent;
use super::fanout::Fanout;
use super::fanout::pending::PendingFanOut;
use super::key::{BackendId, ClientId};
use super::lease::state::LeaseState;
use super::pool::backend::Backend;
use super::reach::{Memory, Survey};

impl LeaseState {
    fn held_bytes(&self) -> usize {
        let push_stream = self.push_stream.as_ref();
        self.transaction.held_bytes()
            + push_stream.map_or(0, |push_stream| push_stream.held_bytes())
    }
}

impl Survey<'_> {
    /// Bytes of clients that are with their backends now.
    pub fn count_leased_bytes(&self) -> usize {
        let backends = self.pool.backends();
        backends
            .map(|backend| bytes_with(self.clients, backend))
            .sum()
    }

    /// All that is held of clients, on connections that they share too.
    pub fn held_bytes(&self) -> usize {
        let own = self.clients.buffered_bytes() + aside_bytes(self.auth, self.fanout);
        own + self.count_leased_bytes() + self.pool.count_shared_bytes()
    }

    /// Whether what is with backends is what they were weighed at, if nothing has happened since.
    pub fn weights_agree(&self) -> bool {
        let touched = |id: &BackendId| self.pool.weights().is_touched(*id);
        let mut all = self.pool.backends_by_id();
        let agree = all.all(|(id, backend)| {
            let weighed = self.pool.weights().of(id);
            weighed == bytes_with(self.clients, backend) || touched(&id)
        });
        let weights = self.pool.weights();
        agree && weights.add_up() && weights.known().all(|id| self.pool.has(id) || touched(&id))
    }
}

impl Memory<'_> {
    /// What is held for a client by what it waits for.
    fn aside_of(&self, client: &Client) -> usize {
        match client.head.hold {
            Some(Hold::Login(check)) => self.auth.get(check).map_or(0, LoginCheck::held_bytes),
            Some(Hold::FanOut(ticket)) => {
                self.fanout.get(ticket).map_or(0, PendingFanOut::held_bytes)
            }
            _ => 0,
        }
    }

    /// Those who are gone, or wait for nothing any more, hold nothing, long before what they leave is
    /// seen to. Whoever makes room has to know that: nobody is closed for what they held.
    ///
    /// The first `seen` events have been looked at. How many have been then.
    fn count_out_gone(&mut self, seen: usize) -> usize {
        let events = self.cx.events.len();
        let new = self.cx.events.iter().skip(seen);
        let gone = new.filter_map(|event| match event {
            EngineEvent::ClientGone(gone) => {
                let lease = gone.lease.as_ref().map(|lease| lease.backend());
                Some((gone.id, gone.hold, lease))
            }
            EngineEvent::ClientWaitsNoMore { id, hold, .. } => Some((*id, *hold, None)),
            _ => None,
        });
        let gone: Vec<(ClientId, Option<Hold>, Option<BackendId>)> = gone.collect();
        for (id, hold, lease) in gone {
            if let Some(lease) = lease {
                self.pool.touch_if_known(lease);
            }
            match hold {
                Some(Hold::Login(check)) => self.gate().waits_no_more(check, id),
                Some(Hold::FanOut(ticket)) => drop(self.fanout.remove(ticket)),
                _ => {}
            }
        }
        events
    }

    /// All that is held for one client.
    fn debt(&self, client: &Client) -> usize {
        let backend = client.lease.as_ref().map(|lease| lease.backend());
        let backend = backend.and_then(|id| self.pool.backend(id));
        let with_backend = backend.map_or(0, |backend| bytes_with(self.clients, backend));
        client.buffered_bytes() + with_backend + self.aside_of(client)
    }

    /// A turn begins: what is with backends is weighed.
    #[inline]
    pub fn weigh(&mut self) {
        if self.clients.debtors().are_known() {
            *self.clients.debtors() = Debtors::default();
        }
        if self.pool.weights().any_touched() {
            self.weigh_touched();
        }
        self.bound_memory();
    }

    fn weigh_touched(&mut self) {
        while let Some(id) = self.pool.next_touched() {
            let backend = self.pool.backend(id);
            let bytes = backend.map_or(0, |backend| bytes_with(self.clients, backend));
            let owner = backend.and_then(Backend::owner);
            self.pool.weighs(id, bytes);
            if let Some(owner) = owner {
                self.debt_grows(owner);
            }
        }
    }

    /// More is held for this client than before: closes the largest debtors while more is held than may
    /// be.
    #[inline]
    pub fn shed_memory(&mut self, grown: ClientId) {
        if self.clients.debtors().are_known() {
            self.debt_grows(grown);
        }
        self.bound_memory();
    }

    #[inline]
    fn bound_memory(&mut self) {
        let limit = self.pool.weights().limit();
        if self.held() > limit {
            self.shed(limit);
        }
    }

    /// All that counts in the bound.
    #[inline]
    fn held(&self) -> usize {
        self.clients.buffered_bytes()
            + self.pool.weights().total()
            + aside_bytes(self.auth, self.fanout)
    }

    fn debt_grows(&mut self, id: ClientId) {
        if !self.clients.debtors().are_known() {
            return;
        }
        let debt = self.clients.get(id).map_or(0, |client| self.debt(client));
        self.clients.debtors().grows(debt, id);
    }

    #[cold]
    fn shed(&mut self, limit: usize) {
        let mut seen = 0;
        loop {
            seen = self.count_out_gone(seen);
            self.weigh_touched();
            if self.held() <= limit {
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
            self.clients
                .close_for(self.cx, id, ClientCloseReason::MemoryLimit);
        }
    }

    /// Who holds most, and how much that is. It is looked for in vain where nobody holds anything.
    fn largest_debtor(&mut self) -> Option<(usize, ClientId)> {
        if !self.clients.debtors().are_known() {
            self.cx.steps += self.clients.len() as u64;
            let debts = (self.clients.iter()).map(|(id, client)| (self.debt(client), id));
            let mut debtors = Debtors::default();
            debtors.know(debts);
            *self.clients.debtors() = debtors;
        }
        loop {
            let (known, id) = self.clients.debtors().pop()?;
            let debt = self.clients.get(id).map_or(0, |client| self.debt(client));
            if debt >= known {
                return Some((debt, id));
            }
            // It has got rid of some of it since.
            self.clients.debtors().grows(debt, id);
        }
    }
}

/// Bytes that are held for the client that a backend is lent to, with the backend.
fn bytes_with(clients: &Clients, backend: &Backend) -> usize {
    let Some(owner) = backend.owner().and_then(|owner| clients.get(owner)) else {
        return 0;
    };
    let held = owner
        .lease
        .as_ref()
        .map_or(0, |lease| lease.state.held_bytes());
    backend.out.unanswered_len() + backend.collected.len() + held
}

/// What is held for clients neither with them nor with a backend.
#[inline]
fn aside_bytes(auth: &Auth, fanout: &Fanout) -> usize {
    auth.bytes() + fanout.bytes()
}
