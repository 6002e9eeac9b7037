//! Leases: exclusive use of a backend, owned by one client.

use std::time::Duration;

use crate::resp::NotExecuted;

use super::Engine;
use super::backend::{Phase, Want};
use super::client::Client;
use super::hold::{Hold, Outcome};
use super::key::{BackendId, ClientId};
use super::loss::Loss;

/// One client's exclusive use of one backend.
///
/// Owned and not `Clone`. It ends in exactly two ways: given back with the proof that the
/// backend is clean, or broken, which closes the backend. Debug builds panic when one is
/// dropped otherwise.
#[derive(Debug)]
#[must_use]
pub struct Lease {
    backend: BackendId,
}

/// Proof that a leased backend carries no trace of its client: nothing is in flight, all
/// of it was written, no reply is under way, its context is the one it was lent in.
#[derive(Debug)]
pub struct Clean(());

impl Lease {
    /// The backend.
    pub fn backend(&self) -> BackendId {
        self.backend
    }

    fn end(self) -> BackendId {
        let backend = self.backend;
        std::mem::forget(self);
        backend
    }

    /// The backend is clean and goes back.
    pub fn give_back(self, _proof: Clean) -> BackendId {
        self.end()
    }

    /// The backend is to be closed.
    pub fn broken(self) -> BackendId {
        self.end()
    }
}

#[cfg(debug_assertions)]
impl Drop for Lease {
    fn drop(&mut self) {
        assert!(
            std::thread::panicking(),
            "a lease was dropped without being given back or broken"
        );
    }
}

impl Engine {
    /// The client's next request needs a backend of its own.
    pub(super) fn wait_for_lease(&mut self, id: ClientId) -> Outcome {
        let now = self.now;
        let pool = &self.rules.settings.pool;
        let (limit, full) = (
            pool.queue_timeout,
            self.lease_waiters.len() >= pool.queue_clients_max,
        );
        if full {
            return self.not_executed(id, NotExecuted::QueueFull);
        }
        let Some(client) = self.clients.get_mut(id) else {
            return Outcome::Ended;
        };
        let since = *client.waiting_since.get_or_insert(now);
        let outcome = client.hold(Hold::Lease);
        self.lease_waiters.push_back((id, since));
        self.wake_at(since + limit);
        outcome
    }

    /// Asks for backends for the first lease waiters, as many as there may be leases for
    /// uploads: half of the exclusive pool.
    pub(super) fn want_leases(&mut self) {
        let max = (self.rules.settings.pool.leases_max / 2).max(1);
        let free = max.saturating_sub(self.leases);
        if self.lease_waiters.is_empty() || free == 0 {
            return;
        }
        let clients = &self.clients;
        let waits = |id: ClientId| {
            let client = clients.get(id);
            client.is_some_and(|client| client.hold == Some(Hold::Lease))
        };
        // Those who wait no more must not stand before those who do.
        while self
            .lease_waiters
            .front()
            .is_some_and(|(id, _)| !waits(*id))
        {
            self.lease_waiters.pop_front();
        }
        let first: Vec<ClientId> = self
            .lease_waiters
            .iter()
            .map(|(id, _)| *id)
            .filter(|id| waits(*id))
            .take(free)
            .collect();
        for id in first {
            self.want(Want::Lease(id));
        }
    }

    /// A spare backend in the client's context becomes its own.
    pub(super) fn grant_lease(&mut self, id: BackendId, client_id: ClientId) {
        let waiter = |(waiter, _): &(ClientId, Duration)| *waiter == client_id;
        if let Some(at) = self.lease_waiters.iter().position(waiter) {
            self.lease_waiters.remove(at);
        }
        let Some(client) = self.clients.get_mut(client_id) else {
            return self.make_spare(id);
        };
        let Some(backend) = self.backends.get_mut(id) else {
            return;
        };
        backend.phase = Phase::Leased(client_id);
        backend.out.stream(true);
        client.lease = Some(Lease { backend: id });
        self.leases += 1;
        self.end_hold(client_id, Hold::Lease);
    }

    /// Gives a client's lease back once its reply is in.
    pub(super) fn end_lease_if_done(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        if client.in_flight > 0 {
            return;
        }
        let Some(lease) = client.lease.take() else {
            return;
        };
        let half_sent = client.stream.is_some();
        if let Some(stream) = &mut client.stream {
            // Answered before it was whole, or given up: nobody waits for the rest.
            stream.swallow_rest();
        }
        self.leases = self.leases.saturating_sub(1);
        match self.prove_clean(&lease, id) {
            Some(proof) if !half_sent => {
                let backend = lease.give_back(proof);
                if let Some(backend) = self.backends.get_mut(backend) {
                    backend.out.stream(false);
                }
                self.make_spare(backend);
            }
            _ => {
                let backend = lease.broken();
                self.lose(backend, Loss::Dirty);
            }
        }
    }

    /// Gives back a lease that the client does not use.
    pub(super) fn end_lease_if_unused(&mut self, id: ClientId) {
        let unused = |client: &Client| client.lease.is_some() && client.stream.is_none();
        if self.clients.get(id).is_some_and(unused) {
            self.end_lease_if_done(id);
        }
    }

    fn prove_clean(&self, lease: &Lease, client: ClientId) -> Option<Clean> {
        let backend = self.backends.get(lease.backend())?;
        let context = self.clients.get(client)?.context;
        let clean = backend.is_quiet()
            && backend.context == context
            && matches!(backend.phase, Phase::Leased(owner) if owner == client);
        clean.then_some(Clean(()))
    }

    /// A client that leaves breaks its lease.
    pub(super) fn break_lease(&mut self, lease: Lease) {
        self.leases = self.leases.saturating_sub(1);
        let backend = lease.broken();
        self.lose(backend, Loss::ClientGone);
    }

    /// Clients that have waited for a lease as long as they may are told so.
    pub(super) fn expire_lease_waiters(&mut self, limit: Duration) {
        while let Some((id, since)) = self.lease_waiters.front().copied() {
            let waits = self
                .clients
                .get(id)
                .is_some_and(|c| c.hold == Some(Hold::Lease));
            if waits && self.now.saturating_sub(since) < limit {
                self.wake_at(since + limit);
                return;
            }
            self.lease_waiters.pop_front();
            if waits {
                self.give_up_stream(id);
            }
        }
    }
}
