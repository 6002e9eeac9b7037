//! Commands that have to get through while pipes are stuck: `SCRIPT KILL` and its like. Each is lent
//! a connection that is dialled for it and closed behind it, as its client's own user, under the
//! place of the budget that is kept back for this. Its handshake is what a server answers that is
//! busy with a script. Where no place is kept back, and the server is heard to be busy, control gives its
//! own for a moment (`server_busy.rs`).

use crate::admission::Claim;
use crate::command::Spec;
use crate::resp::Refusal;
use crate::session::StateChange;

use crate::engine::clients::Clients;
use crate::engine::clients::hold::RequestOutcome;
use crate::engine::context::Context;
use crate::engine::key::{BackendId, ClientId, PoolKey};
use crate::engine::lease::state::LeaseFor;
use crate::engine::pause::PauseOrder;
use crate::engine::pool::Pool;
use crate::engine::pool::allocation::Allocation;
use crate::engine::pool::backend::{AcquireRequest, Backend, Phase};
use crate::engine::pool::users::REFUSED_USER;
use crate::engine::reach::Traffic;
use crate::engine::slot::Receiver;
use crate::engine::{Engine, Rules};

impl Engine {
    /// Such a command, of a client that holds no backend, or the one for this. That one carries
    /// nothing else: it is in no db, and what follows waits until it is gone. `refusal`: what the
    /// server would say instead of running it.
    pub fn own_connection(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        spec: &Spec,
        refusal: Option<Refusal<'_>>,
    ) -> RequestOutcome {
        if !self
            .clients
            .lease_state(id)
            .is_some_and(|lease_state| lease_state.own_command_due)
        {
            if let Some(outcome) = self
                .queries()
                .kill_at_once(id, bytes, spec, refusal.is_some())
            {
                return outcome;
            }
            return match refusal {
                Some(refusal) => self.clients.refuse(&mut self.cx, id, &refusal),
                None => self.blocking().wait_for_lease(id, LeaseFor::OwnConnection),
            };
        }
        let pause = PauseOrder::of(bytes);
        let receiver = match pause {
            Some(_) => Receiver::OnLease(StateChange::Pause),
            None => Receiver::Client,
        };
        let outcome = self
            .traffic()
            .send_on_lease(id, rules, bytes, spec, receiver);
        if let Some(lease_state) = self
            .clients
            .lease_state(id)
            .filter(|_| outcome == RequestOutcome::Taken)
        {
            lease_state.own_command_due = false;
            lease_state.pause = pause;
        }
        outcome
    }
}

impl Traffic<'_> {
    /// A connection for a client's command that needs one of its own.
    pub fn allocate_own_connection(
        &mut self,
        request: AcquireRequest,
        id: ClientId,
        starved: &mut bool,
    ) -> Allocation {
        let Some(client) = self.clients.get(id) else {
            return Allocation::Done;
        };
        let nowhere = Context {
            credential: client.credential,
            protocol: client.session.protocol,
            db: 0,
        };
        let mut for_it = self.pool.backends().filter(|b| b.made_for == Some(request));
        // What a pipe owes that is being drained for it may be what the command is to end.
        let draining = |backend: &Backend| matches!(backend.phase, Phase::Draining(_));
        let place_is_made = for_it.clone().any(draining);
        if !for_it.all(draining) {
            return Allocation::Waits;
        }
        let context = self.pool.context_key(nowhere);
        let key = self.pool.key_of(context);
        if self.pool.is_refused_user(self.cx, context) {
            self.cx.wake_at(self.cx.now + REFUSED_USER);
            return Allocation::Waits;
        }
        let kept_back = self.cx.shared.budget.keeps_one_back();
        let claim = match kept_back {
            true => Claim::Reserve,
            false => Claim::Worker(self.cx.worker),
        };
        if self.dial_with(claim, request, key).is_none()
            && self.pool.endpoint().may_be_dialled(self.cx.now)
        {
            *starved = true;
            if !kept_back && self.cx.shared.busy.is_heard() {
                self.take_controls_place(request, key);
            }
            if !kept_back && !place_is_made {
                self.pool.make_place(self.cx, request, context);
            }
        }
        Allocation::Waits
    }

    /// All places may be taken by what the script holds up: control gives its own for a moment.
    fn take_controls_place(&mut self, request: AcquireRequest, key: PoolKey) {
        let busy = std::sync::Arc::clone(&self.cx.shared.busy);
        if !busy.is_place_offered() {
            busy.ask_for_place();
        } else if self.dial_with(Claim::Control, request, key).is_some() {
            busy.end_offer();
        }
    }
}

/// Whether a backend is, or is to be, one client's own connection.
pub fn is_own_connection(clients: &Clients, pool: &Pool, id: BackendId) -> bool {
    let Some(backend) = pool.backend(id) else {
        return false;
    };
    match (&backend.phase, backend.made_for) {
        (Phase::Leased(owner), _) => clients
            .get(*owner)
            .and_then(|client| client.lease.as_ref())
            .is_some_and(|lease| lease.state.purpose == LeaseFor::OwnConnection),
        (_, Some(AcquireRequest::Kill(_))) => true,
        (_, Some(AcquireRequest::Lease(client))) => {
            clients.awaited_lease(client) == Some(LeaseFor::OwnConnection)
        }
        _ => false,
    }
}
