//! What an engine holds at one moment, counted anew from what is stored. For whoever checks
//! that nothing is left behind, and that the running totals have not drifted.

use std::time::Duration;

use crate::resp::Protocol;

use crate::engine::clients::Client;
use crate::engine::clients::hold::Hold;
use crate::engine::key::{BackendId, ClientId};
use crate::engine::pool::backend::{AcquireRequest, Backend, Phase};
use crate::engine::reach::Survey;
use crate::engine::request::own_connection::is_own_connection;
use crate::engine::slot::{Receiver, Slot};

/// What a connection is taken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenFor {
    /// The user that it is logged in as. `None`: as the server greets everybody.
    pub user: Option<Box<[u8]>>,
    /// The protocol that it speaks.
    pub protocol: Protocol,
    /// The db that it is in.
    pub db: u32,
}

/// What an engine holds now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Census {
    /// Clients connected.
    pub clients: usize,
    /// Backends, being dialled or open.
    pub backends: usize,
    /// Replies expected of backends, for clients and for narrows itself.
    pub in_flight: usize,
    /// Clients that wait for a pipe.
    pub waiting_clients: usize,
    /// Clients that wait for a lease.
    pub lease_waiters: usize,
    /// Those of them whose command waits, as the line for that has it, and those being tried.
    pub in_line: usize,
    /// Leases held.
    pub leases: usize,
    /// Huge requests that are passing through.
    pub uploads: usize,
    /// Bytes in the clients' inputs and outboxes.
    pub buffered_bytes: usize,
    /// Queries to other workers without an answer yet.
    pub fan_outs: usize,
    /// Logins that the server is to check.
    pub logins: usize,
    /// Contexts known.
    pub contexts: usize,
    /// Users of the server known, narrows' own and nobody among them.
    pub credentials: usize,
    /// Whether the running totals agree with all this.
    pub totals_agree: bool,
}

impl Survey<'_> {
    /// Whether what a client has left on this connection is being taken back.
    pub fn is_cleaning(&self, id: BackendId) -> bool {
        let phase = self.pool.backend(id).map(|backend| &backend.phase);
        matches!(phase, Some(Phase::Cleaning(_)))
    }

    /// What a connection on which nothing is on its way is taken for. `None` while something is, or where it does not matter.
    pub fn taken_for(&self, id: BackendId) -> Option<TakenFor> {
        let backend = self.pool.backend(id).filter(|backend| backend.is_quiet())?;
        let used = matches!(
            backend.phase,
            Phase::Idle | Phase::Leased(_) | Phase::Pipe { .. }
        );
        let context = self.pool.context(backend.context())?;
        let used = used && !is_own_connection(self.clients, self.pool, id) && !backend.kept_back;
        let login = self
            .pool
            .credentials()
            .login(context.credential)
            .filter(|_| used)?;
        Some(TakenFor {
            user: login.user,
            protocol: context.protocol,
            db: context.db,
        })
    }

    /// The request for which a client waits for a place to wait, if it does.
    pub fn stands_in_line_with(&self, id: ClientId) -> Option<Vec<u8>> {
        let client = self
            .clients
            .get(id)
            .filter(|_| self.waits.line().contains(id))?;
        let (request, _) = client.input.first(&self.cx.rules.settings.limits)?;
        Some(request)
    }

    /// How a client stands, for the text of a failure.
    pub fn how_it_stands(&self, id: ClientId) -> String {
        let Some(client) = self.clients.get(id) else {
            return "it is gone".to_owned();
        };
        format!(
            "held by {:?}, ending {:?}, {} in flight, {} bytes undealt with, {} unread by it, not read {}",
            client.head.hold,
            client.ending,
            client.in_flight,
            client.input.len(),
            client.out.len(),
            client.unread,
        )
    }

    /// Counts what the engine holds. Walks everything: not for each event.
    pub fn census(&self) -> Census {
        let held = |is: fn(Hold) -> bool| {
            let held = self
                .clients
                .values()
                .filter(|c| c.head.hold.is_some_and(is));
            held.count()
        };
        let left = |backend: &&Backend| backend.phase.left_by_its_client().is_some();
        let left = self.pool.backends().filter(left).count();
        let leases = self.clients.values().filter(|c| c.lease.is_some()).count() + left;
        let leased = self.pool.backends().filter(|b| b.phase.is_leased()).count();
        let buffered_bytes: usize = self.clients.values().map(Client::buffered_bytes).sum();
        let (within, in_lines) = (
            self.pool.contexts().count(),
            self.pool.endpoint().pools().count(),
        );
        Census {
            clients: self.clients.len(),
            backends: self.pool.backends().len(),
            in_flight: self.pool.backends().map(|b| b.in_flight.len()).sum(),
            waiting_clients: held(|hold| hold == Hold::Pipe),
            lease_waiters: held(|hold| matches!(hold, Hold::Lease(_))),
            in_line: self.waits.line().len() + self.waits.tries_len(),
            leases,
            uploads: self.clients.values().filter(|c| c.stream.is_some()).count(),
            buffered_bytes,
            fan_outs: self.fanout.len(),
            logins: self.auth.len(),
            contexts: self.pool.contexts().len(),
            credentials: self.pool.credentials().len(),
            totals_agree: buffered_bytes == self.clients.buffered_bytes()
                && leases == self.leases.total()
                && leases == leased
                && in_lines == self.pool.waiting()
                && self.figures_agree()
                && self.weights_agree()
                && within == self.clients.len() + self.pool.backends().len()
                && held(|hold| matches!(hold, Hold::Lease(_)))
                    == self.leases.waiting() + self.waits.line().len()
                && (self.leases.asked()).all(|id| {
                    self.pool
                        .acquire_queue()
                        .contains(AcquireRequest::Lease(id))
                })
                && self.auth.is_sound()
                && held(|hold| matches!(hold, Hold::Login(_))) == self.auth.waiting()
                && self.fanout.are_sound()
                && self.clients.idle_timers_len()
                    == self
                        .clients
                        .values()
                        .filter(|c| c.idle_timer.is_some())
                        .count(),
        }
    }

    /// Whether the engine still has this backend.
    pub fn has_backend(&self, id: BackendId) -> bool {
        self.pool.has(id)
    }

    /// Whether something is still to be seen to for clients that are gone: what was taken for them
    /// may have to be put back.
    pub fn is_tidying(&self) -> bool {
        let goes_back = |slot: &Slot| slot.receiver() == Receiver::PutBack;
        let busy = |backend: &Backend| {
            matches!(backend.phase, Phase::Orphaned(_)) || backend.in_flight.iter().any(goes_back)
        };
        !self.cx.events.is_empty() || self.waits.tries_len() > 0 || self.pool.backends().any(busy)
    }

    /// Whether there is something to do that no alarm and no socket will tell of: a turn is
    /// to follow at once. Writing can end holds, and what then goes on has output again.
    pub fn is_unfinished(&self) -> bool {
        !self.cx.effects.is_empty()
            || self.clients.any_dirty()
            || self.clients.any_resumed()
            || !self.cx.events.is_empty()
    }

    /// Whether another turn finds something to do now: what the last one has made possible is gone on
    /// with. An alarm would tell of it as well, but a timer's is up to two milliseconds late.
    pub fn wants_turn(&self) -> bool {
        self.is_unfinished() || self.cx.alarm().is_some_and(|at| at <= self.cx.now)
    }

    /// Whether backends have output that has not been looked at.
    pub fn has_unwritten(&self) -> bool {
        self.pool.any_dirty()
    }

    /// When [`tick`](crate::engine::Engine::tick) wants to be called next.
    pub fn alarm(&self) -> Option<Duration> {
        self.cx.alarm()
    }

    /// Steps taken so far of loops over what waits or merely exists, and not over what a turn has
    /// brought: for tests of what a turn costs.
    pub fn steps(&self) -> u64 {
        self.cx.steps
    }

    /// Clients connected to this worker.
    pub fn clients_len(&self) -> usize {
        self.clients.len()
    }
}
