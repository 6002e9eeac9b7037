//! Commands that have to get through while pipes are stuck: `SCRIPT KILL` and its like. Each is lent
//! a connection that is dialled for it and closed behind it, as its client's own user, under the
//! place of the budget that is kept back for this. Its handshake is what a server answers that is
//! busy with a script.

use crate::admission::Claim;
use crate::command::Spec;
use crate::resp::{Frame, Refusal};

use super::backend::{Phase, Want};
use super::context::Context;
use super::hold::Outcome;
use super::key::{BackendId, ClientId};
use super::lease::LeaseFor;
use super::logins::REFUSED_USER;
use super::loss::Loss;
use super::provision::Provided;
use super::slot::Receiver;
use super::{Engine, Rules};

impl Engine {
    /// Such a command of a client that holds no backend of its own.
    pub(super) fn errand(
        &mut self,
        id: ClientId,
        bytes: &[u8],
        frame: &Frame,
        spec: &Spec,
    ) -> Outcome {
        self.needs_lease(id, bytes, frame, spec, LeaseFor::Errand)
    }

    /// The same for one that holds one: the one for this, or another that is in use.
    pub(super) fn errand_on_lease(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        spec: &Spec,
    ) -> Outcome {
        let purpose = self.lent(id).map(|lent| lent.purpose);
        match purpose {
            Some(LeaseFor::Errand) => {
                let outcome = self.lend(id, rules, bytes, spec, Receiver::Client);
                if let Some(lent) = self.lent(id).filter(|_| outcome == Outcome::Taken) {
                    lent.errand_to_come = false;
                }
                outcome
            }
            _ => {
                let command = &*spec.name;
                self.refuse_queued(id, &Refusal::NotOnLease { command })
            }
        }
    }

    /// A connection for the client's errand.
    pub(super) fn provide_errand(&mut self, id: ClientId, starved: &mut bool) -> Provided {
        let want = Want::Lease(id);
        let Some(client) = self.clients.get(id) else {
            return Provided::Done;
        };
        let nowhere = Context {
            credential: client.credential,
            protocol: client.session.protocol,
            db: 0,
        };
        if self.backends.values().any(|b| b.made_for == Some(want)) {
            return Provided::Waits;
        }
        let context = self.contexts.key(nowhere);
        if self.is_refused_user(context) {
            self.wake_at(self.now + REFUSED_USER);
            return Provided::Waits;
        }
        let kept_back = self.shared.budget.keeps_one_back();
        let claim = match kept_back {
            true => Claim::Reserve,
            false => Claim::Worker(self.worker),
        };
        if self.dial_with(claim, want, context).is_none() && self.server.dial_at <= self.now {
            *starved = true;
            if !kept_back {
                self.make_place(want, context);
            }
        }
        Provided::Waits
    }

    /// A connection for an errand, or one that was dialled to check a login within the place that
    /// is kept back, has finished its handshake.
    pub(super) fn run_errand(&mut self, id: BackendId) {
        let Some(backend) = self.backends.get(id) else {
            return;
        };
        match backend.made_for {
            Some(Want::Lease(client)) if self.awaited_lease(client) == Some(LeaseFor::Errand) => {
                self.grant_lease(id, client);
            }
            _ => self.lose(id, Loss::Retired),
        }
    }

    /// Whether a backend is, or is to be, for an errand.
    pub(super) fn is_for_errand(&self, id: BackendId) -> bool {
        let Some(backend) = self.backends.get(id) else {
            return false;
        };
        match (&backend.phase, backend.made_for) {
            (Phase::Leased(owner), _) => self
                .clients
                .get(*owner)
                .and_then(|client| client.lease.as_ref())
                .is_some_and(|lease| lease.lent.purpose == LeaseFor::Errand),
            (_, Some(Want::Lease(client))) => self.awaited_lease(client) == Some(LeaseFor::Errand),
            _ => false,
        }
    }
}
