//! Connections that are kept ready for leases, so that a first `SUBSCRIBE`, `BLPOP` or `WATCH` does not
//! wait for a dial. They are spare like any other: whoever needs one takes it, plain traffic as well.
//! None is made ready while anybody waits for a connection, or the server takes no more.

use std::time::Duration;

use crate::admission::Term;

use super::Engine;
use super::backend::{Backend, Phase, Want};
use super::key::{BackendId, ContextId};
use super::loss::Loss;
use super::slot::Receiver;
use super::timers::is_idle;

/// How soon it is tried again where there was no place for one.
const AGAIN: Duration = Duration::from_millis(20);

/// What owed replies for so long and was lost then was most likely given up by stall detection or by
/// TCP, which take a second or more: a server that closes a connection by itself has just been heard.
const SILENT: Duration = Duration::from_millis(500);

impl Engine {
    /// How many connections that carry nothing this worker keeps for leases: never more than half of
    /// what may be lent, so that shared connections can grow beside them.
    pub(super) fn warm_max(&self) -> usize {
        let wanted = self.rules.settings.pool.min_idle_leases;
        let budget = &self.shared.budget;
        let unused = self.clients.is_empty() || self.draining;
        if wanted == 0 || unused || budget.growth_stopped() {
            return 0;
        }
        let lendable = budget.lendable(Term::Waiting) as usize;
        wanted.min(lendable.div_ceil(2) / self.workers.max(1))
    }

    /// Dials one more where too few are ready.
    pub(super) fn keep_warm(&mut self) {
        let now = self.now;
        let enough = self.spares.len() >= self.rules.settings.pool.min_idle_leases;
        let waits = !self.wants.is_empty() || self.server.backoff.failures() > 0;
        let waits = waits || !self.server.answering;
        if enough || waits || self.server.dial_at > now || self.warm_at > now {
            return;
        }
        let most = self.warm_max();
        if most == 0 || self.backends.values().filter(|b| b.is_soon_spare()).count() >= most {
            return;
        }
        let Some(context) = self.context_in_use() else {
            return;
        };
        let budget = &self.shared.budget;
        let others_wait = budget.wanting() || budget.is_exceeded();
        let refused = others_wait || self.is_refused_user(context);
        if refused || !self.dial(Want::Pipe(context), context) {
            self.warm_at = now + AGAIN;
        }
    }

    /// The context in which a connection was last used for something that lasts, or at all: another
    /// one of its user takes a round trip and no dial.
    fn context_in_use(&self) -> Option<ContextId> {
        let in_use = |(id, backend): &(BackendId, &Backend)| {
            let stays = backend.retire_at.is_none_or(|at| at > self.now) && !backend.kept_back;
            let used = matches!(backend.phase, Phase::Pipe { .. } | Phase::Leased(_));
            used && stays && !self.is_for_errand(*id)
        };
        let used = self.backends.iter().filter(in_use);
        let last = used.max_by_key(|(_, backend)| (backend.phase.is_lent(), backend.used_at));
        last.map(|(_, backend)| backend.context())
    }
}

impl Engine {
    /// A backend that is lost after it was silent for long though it owed replies: of the idle ones those
    /// of which nothing has been heard since are as likely dead, and what moves on from this one would
    /// wait there for as long again.
    pub(super) fn doubt_idle(&mut self, lost: &Backend, loss: Loss) {
        let may_be_the_server = matches!(loss, Loss::Gone | Loss::Stalled);
        if !may_be_the_server || lost.in_flight.is_empty() || lost.patient {
            return;
        }
        let since = self.silent_since(lost);
        if self.now.saturating_sub(since) < SILENT {
            return;
        }
        let doubtful = |(_, backend): &(BackendId, &Backend)| match backend.in_flight.is_empty() {
            true => is_idle(backend) && backend.heard_at <= since,
            // It has been asked for a sign of life, and for nothing else.
            false => (backend.in_flight.iter()).all(|slot| slot.receiver() == Receiver::Ping),
        };
        let doubtful = self.backends.iter().filter(doubtful);
        let doubtful: Vec<BackendId> = doubtful.map(|(id, _)| id).collect();
        for id in doubtful {
            self.retire_when_quiet(id);
        }
    }
}

/// The backends of a worker that carry nothing, and how many of them stay however long they do.
pub(super) struct Idle {
    pub(super) all: usize,
    spares: usize,
    /// Spares that stay.
    warm: usize,
    /// Of whatever kind stay so many.
    kept: usize,
}

impl Engine {
    pub(super) fn count_idle(&self) -> Idle {
        let idle = self.backends.values().filter(|b| is_idle(b));
        let warm = self.warm_max();
        Idle {
            all: idle.clone().count(),
            spares: idle.filter(|b| is_spare(b)).count(),
            warm,
            kept: self.rules.settings.pool.min_idle.saturating_add(warm),
        }
    }
}

impl Idle {
    /// Whether none of the kind of `backend`, which is one of these, has to go. The last spares stay
    /// also where many pipes are idle just now: others would be dialled in their place.
    pub(super) fn keeps(&self, backend: &Backend) -> bool {
        self.all <= self.kept || is_spare(backend) && self.spares <= self.warm
    }

    /// This one goes.
    pub(super) fn goes(&mut self, backend: &Backend) {
        if is_idle(backend) {
            self.all = self.all.saturating_sub(1);
            self.spares = self.spares.saturating_sub(usize::from(is_spare(backend)));
        }
    }
}

fn is_spare(backend: &Backend) -> bool {
    matches!(backend.phase, Phase::Spare)
}

impl Backend {
    /// Whether it is nobody's, or about to be.
    fn is_soon_spare(&self) -> bool {
        matches!(
            self.phase,
            Phase::Spare | Phase::Cleaning(_) | Phase::Dialling | Phase::Handshake(_)
        )
    }
}
