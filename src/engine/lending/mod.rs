//! Leases: what they are for, and how they begin and end. The lease itself is in `holding.rs`.

pub mod cleaning;
pub mod lease_turns;
pub mod orphan;
pub mod subscribe;
pub mod upload;

use crate::admission::Term;
use crate::resp::NotExecuted;

use super::clients::Client;
use super::clients::hold::{Hold, RequestOutcome};
use super::event::EngineEvent;
use super::fault_injection::{self, Bug};
use super::key::{BackendId, ClientId};
use super::lease::holding::Clean;
use super::lease::holding::Lease;
use super::lease::state::{LeaseFor, LeaseState};
use super::pool::backend::{Backend, Phase};
use super::pool::close_reason::CloseReason;
use super::reach::{Blocking, Lending, Traffic};

impl Blocking<'_> {
    /// The client's next request needs a backend of its own.
    pub fn wait_for_lease(&mut self, id: ClientId, purpose: LeaseFor) -> RequestOutcome {
        let now = self.cx.now;
        let pool = &self.cx.rules.settings.pool;
        let limit = pool.queue_timeout;
        if self.is_line_full() {
            return self
                .clients
                .not_lent(self.cx, id, purpose, NotExecuted::QueueFull);
        }
        let Some(client) = self.clients.get_mut(id) else {
            return RequestOutcome::Ended;
        };
        if client.in_flight > 0 && !fault_injection::has(Bug::LeaseTooEarly) {
            return client.hold(Hold::Replies);
        }
        if client.head.has_queue_timed_out() {
            let outcome = self.traffic().queue_timed_out(id);
            return self.clients.refused_lease(self.cx, id, purpose, outcome);
        }
        let since = client.head.waits(now);
        let outcome = client.hold(Hold::Lease(purpose));
        self.lending().joins_line(id, since, purpose);
        self.cx.wake_at(since + limit);
        outcome
    }

    /// An idle backend in the client's context becomes its own.
    pub fn grant_lease(&mut self, id: BackendId, client_id: ClientId) {
        if self.waits.is_decided_by_try(client_id) {
            return self.cx.events.push_back(EngineEvent::BackendFree(id));
        }
        let Some(purpose) = self.clients.awaited_lease(client_id) else {
            // Who waits no more is dropped from the line when that is looked at.
            return self.cx.events.push_back(EngineEvent::BackendFree(id));
        };
        let (Some(client), Some(backend)) =
            (self.clients.get_mut(client_id), self.pool.backend_mut(id))
        else {
            return;
        };
        let (worker, budget) = (self.cx.worker, &self.cx.shared.budget);
        let lasts = || purpose.term().is_none_or(|term| budget.lend(worker, term));
        let Some(vacancy) = client.lease.vacancy().filter(|_| lasts()) else {
            // The room was another worker's by then: the client goes on waiting.
            self.leases.stays(client.session.id);
            return self.cx.events.push_back(EngineEvent::BackendFree(id));
        };
        backend.phase = Phase::Leased(client_id);
        vacancy.fill(id, LeaseState::new(purpose, self.cx.now));
        self.leases.begins(client.session.id, purpose);
        self.waits.line_mut().had_its_turn(client_id);
        self.waits.leave_line(self.cx, client_id);
        self.clients.end_hold(client_id, Hold::Lease(purpose));
    }
}

impl Lending<'_> {
    /// Gives a client's lease back once its reply is in and nothing of it is left.
    pub fn end_lease_if_done(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let dirty = fault_injection::has(Bug::LeaseDirty);
        let kept = |lease: &Lease| client.in_flight > 0 || (lease.state.is_kept() && !dirty);
        if client.lease.as_ref().is_none_or(kept) {
            return;
        }
        let Some(lease) = client.part_with_lease() else {
            return;
        };
        let half_sent = client.stream.is_some();
        if let Some(stream) = &mut client.stream {
            // Answered before it was whole, or given up: nobody waits for the rest.
            stream.swallow_rest();
        }
        self.leases.lease_over(self.cx, &lease.state);
        match self.traffic().prove_clean(&lease, id) {
            Some(proof) if !half_sent => {
                let had_push_stream = lease.state.push_stream.is_some();
                let backend = lease.give_back(proof);
                self.pool.make_idle(self.cx, backend);
                if had_push_stream {
                    // A connection that is still subscribed gives another answer to this, or
                    // something else before it, and nobody gets it before it has answered.
                    self.pool.ping(self.cx, backend);
                }
            }
            _ => {
                let own_connection = lease.state.purpose == LeaseFor::OwnConnection;
                if own_connection {
                    // It may have ended a script. If not, that is heard again.
                    self.cx.shared.busy.over(self.cx.now);
                }
                let backend = lease.broken();
                let quiet = self.pool.backend(backend).is_some_and(Backend::is_quiet);
                self.pool.close_backend(
                    self.cx,
                    backend,
                    match own_connection && quiet {
                        // It is in no db, so that nobody else has a use for it.
                        true => CloseReason::Retired,
                        false => CloseReason::Dirty,
                    },
                );
            }
        }
        // A reload may have made it another user meanwhile.
        self.traffic().enter_context(id);
        if self.cx.draining {
            self.clients.close_if_done(self.cx, id);
        }
    }

    /// Gives back a lease that the client does not use.
    pub fn end_lease_if_unused(&mut self, id: ClientId) {
        let unused = |client: &Client| client.lease.is_some() && client.stream.is_none();
        if self.clients.get(id).is_some_and(unused) {
            self.end_lease_if_done(id);
        }
    }

    /// A lease is held for something that may last longer from now on. False when there is no room
    /// for that: plain traffic, and what ends by itself, go on beside every such lease.
    pub fn lease_lasts(&mut self, id: ClientId, purpose: LeaseFor) -> bool {
        let Some(was) = self
            .clients
            .lease_state(id)
            .map(|lease_state| lease_state.purpose)
        else {
            return false;
        };
        let budget = &self.cx.shared.budget;
        let may_last = match (was.term(), purpose.term()) {
            (Some(from), Some(to)) => budget.lend_on(self.cx.worker, from, to),
            _ => self.traffic().may_last(purpose),
        };
        if may_last && let Some(lease_state) = self.clients.lease_state(id) {
            lease_state.purpose = purpose;
            self.leases.turns_to(was, purpose);
        }
        may_last
    }

    /// What would have lasted was refused, or has been undone: a transaction that it stood in ends
    /// by itself.
    pub fn lease_lasts_no_more(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        // More of the kind may be on its way.
        let alone = client.in_flight <= 1;
        let Some(lease_state) = client
            .lease
            .as_mut()
            .filter(|_| alone)
            .map(|l| &mut l.state)
        else {
            return;
        };
        let for_good = matches!(lease_state.purpose, LeaseFor::Pin | LeaseFor::PushStream);
        if for_good && lease_state.transaction.is_open() && !lease_state.outlives_its_transaction()
        {
            let was = std::mem::replace(&mut lease_state.purpose, LeaseFor::Transaction);
            self.leases.turns_to(was, LeaseFor::Transaction);
            self.cx
                .shared
                .budget
                .lent_no_more(self.cx.worker, Term::Lasting);
        }
    }

    /// A client that leaves, or leaves its state behind, breaks its lease.
    pub fn break_lease(&mut self, lease: Lease) {
        self.leases.lease_over(self.cx, &lease.state);
        let backend = lease.broken();
        self.pool
            .close_backend(self.cx, backend, CloseReason::ClientGone);
    }
}

impl Traffic<'_> {
    fn prove_clean(&self, lease: &Lease, client: ClientId) -> Option<Clean> {
        let backend = self.pool.backend(lease.backend())?;
        let context = self.clients.get(client)?.context();
        let own = matches!(backend.phase, Phase::Leased(owner) if owner == client);
        Clean::prove(lease, backend, context).filter(|_| own)
    }

    /// Takes the room for a lease that may last.
    fn may_last(&self, purpose: LeaseFor) -> bool {
        let lend = |term| self.cx.shared.budget.lend(self.cx.worker, term);
        purpose.term().is_none_or(lend)
    }
}
