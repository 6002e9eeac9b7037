//! How backends are closed and drained.

use std::time::Duration;

use crate::engine::cx::Cx;
use crate::engine::effect::Effect;
use crate::engine::event::EngineEvent;
use crate::engine::key::{BackendId, CredentialId, PoolKey};
use crate::engine::lease::state::LeaseFor;
use crate::engine::slot::Receiver;

use super::Pool;
use super::backend::{AcquireRequest, Backend, Next, Phase};
use super::close_reason::CloseReason;
use super::handshake::Failure;
use super::idle::is_unused;

/// What owed replies for so long and was lost then was most likely given up by stall detection or by
/// TCP, which take a second or more: a server that closes a connection by itself has just been heard.
pub const SILENT: Duration = Duration::from_millis(500);

impl Pool {
    /// Closes a backend. What was expected of it is settled when what is being dealt with is done:
    /// an [event](EngineEvent::BackendLost) says so.
    pub fn close_backend(&mut self, cx: &mut Cx, id: BackendId, reason: CloseReason) {
        let Some(backend) = self.backends.remove(id) else {
            return;
        };
        cx.effects.push(Effect::CloseBackend(id));
        self.weights.touch_if_known(id);
        cx.counters.backend_lost(reason.label(), reason.is_poison());
        let in_flight = backend.in_flight.len();
        if reason.is_poison() || (reason == CloseReason::Gone && in_flight > 0) {
            tracing::warn!(cause = reason.label(), detail = ?reason, in_flight, "backend closed");
        } else {
            tracing::debug!(cause = reason.label(), in_flight, "backend closed");
        }
        self.idle.retain(|idle| *idle != id);
        self.leave_pool(id, backend.pool_key());
        cx.wake_at(cx.now);
        let ended = EngineEvent::BackendLost(id, Box::new(backend), reason);
        cx.events.push_back(ended);
    }

    /// Closes a backend with which nothing is wrong.
    pub fn retire(&mut self, cx: &mut Cx, id: BackendId) {
        self.close_backend(cx, id, CloseReason::Retired);
    }

    /// Closes all backends, once no client is left: replies that are still due would reach
    /// nobody.
    pub fn close_backends(&mut self, cx: &mut Cx) {
        let ids: Vec<BackendId> = self.backends.keys().collect();
        for id in ids {
            self.close_backend(cx, id, CloseReason::Retired);
        }
    }

    /// Retires a backend that carries nothing; a pipe is drained first.
    pub fn retire_when_quiet(&mut self, cx: &mut Cx, id: BackendId) {
        match self.backends.get(id).map(|b| &b.phase) {
            Some(Phase::Pipe { .. }) => self.drain_pipe(id, Next::Close),
            Some(Phase::Idle) => self.retire(cx, id),
            _ => {}
        }
    }

    /// What is believed of the server when a backend is lost.
    pub fn is_lost(&mut self, cx: &mut Cx, backend: &mut Backend, reason: CloseReason) {
        self.doubt_idle(cx, backend, reason);
        if self.backends.is_empty() {
            // Another server may be behind the address next time.
            self.endpoint.forget_hellos();
        }
        let Phase::Handshake(handshake) = &mut backend.phase else {
            return;
        };
        match reason {
            // A server that is full says so in one line and closes.
            CloseReason::Gone => {
                let text = match handshake.failure.take() {
                    Some(Failure::Refused(text) | Failure::Credentials(text)) => text,
                    _ => "the server closed the connection".to_owned(),
                };
                self.dial_ended_badly(cx, text);
            }
            // Whatever answers there is no Redis: it is not asked again at once.
            _ if reason.is_poison() => {
                self.dial_ended_badly(cx, "the server does not answer as Redis does".to_owned());
            }
            _ => {}
        }
    }

    /// A backend that is lost after it was silent for long though it owed replies: of the idle ones those
    /// of which nothing has been heard since are as likely dead, and what moves on from this one would
    /// wait there for as long again.
    pub fn doubt_idle(&mut self, cx: &mut Cx, lost: &Backend, reason: CloseReason) {
        let may_be_the_server = matches!(reason, CloseReason::Gone | CloseReason::Stalled);
        if !may_be_the_server || lost.in_flight.is_empty() || lost.patient {
            return;
        }
        let since = self.silent_since(cx, lost);
        if cx.now.saturating_sub(since) < SILENT {
            return;
        }
        let doubtful = |(_, backend): &(BackendId, &Backend)| match backend.in_flight.is_empty() {
            true => is_unused(backend) && backend.heard_at <= since,
            // It has been asked for a sign of life, and for nothing else.
            false => (backend.in_flight.iter()).all(|slot| slot.receiver() == Receiver::Ping),
        };
        let doubtful = self.backends.iter().filter(doubtful);
        let doubtful: Vec<BackendId> = doubtful.map(|(id, _)| id).collect();
        for id in doubtful {
            self.retire_when_quiet(cx, id);
        }
    }

    /// Nothing new goes to backends of this credential; they are closed once they are empty.
    pub fn retire_credential(&mut self, cx: &mut Cx, credential: CredentialId) {
        let of_it = self
            .backends
            .iter()
            .filter(|(_, b)| b.credential() == credential);
        let ids: Vec<BackendId> = of_it.map(|(id, _)| id).collect();
        for id in ids {
            // One that is lent goes when it is given back.
            if let Some(backend) = self.backends.get_mut(id) {
                backend.retire_at = Some(cx.now);
            }
            self.retire_when_quiet(cx, id);
        }
    }

    /// Others wait for permits, or the bound was lowered, and this worker has more than its share:
    /// one goes back.
    pub fn give_back_surplus(&mut self, cx: &mut Cx) {
        let budget = &cx.shared.budget;
        if budget.surplus(cx.worker) == 0 || !self.spares_one(cx, LeaseFor::Pin) {
            return;
        }
        if !budget.is_exceeded() && (!budget.has_waiters() || self.waits_for_budget) {
            // Whoever comes to want one says so.
            return;
        }
        cx.wake_at(cx.now + Duration::from_millis(20));
        if let Some(idle) = self.idle.first().copied() {
            return self.retire(cx, idle);
        }
        let oldest = self
            .backends
            .iter()
            .filter(|(_, b)| matches!(b.phase, Phase::Pipe { .. }))
            .min_by_key(|(_, b)| (!b.is_quiet(), b.used_at))
            .map(|(id, _)| id);
        if let Some(id) = oldest {
            self.drain_pipe(id, Next::Close);
        }
    }

    /// Takes a pipe out of its context. What is in flight on it comes in as usual.
    pub fn drain_pipe(&mut self, id: BackendId, next: Next) {
        let Some(backend) = self.backends.get_mut(id) else {
            return;
        };
        backend.phase = Phase::Draining(next);
        backend.made_for = match next {
            Next::For(request) => Some(request),
            Next::Close => None,
        };
        let key = backend.pool_key();
        self.leave_pool(id, key);
    }

    /// `id` is no pipe of this pool any more.
    pub fn leave_pool(&mut self, id: BackendId, key: PoolKey) {
        if let Some(pool) = self.endpoint.pool_mut(key) {
            pool.pipes.retain(|pipe| *pipe != id);
            if pool.is_waited_for() {
                self.request(AcquireRequest::Pipe(key));
            }
        }
    }
}
