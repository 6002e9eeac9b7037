//! Connections that are kept ready for leases, so that a first `SUBSCRIBE`, `BLPOP` or `WATCH` does not
//! wait for a dial. They are idle like any other: whoever needs one takes it, plain traffic as well.
//! None is made ready while anybody waits for a connection, or the server takes no more.

use std::time::Duration;

use crate::admission::Term;

use crate::engine::key::{BackendId, ContextId};
use crate::engine::pool::backend::{AcquireRequest, Backend, Phase};
use crate::engine::pool::idle::is_unused;
use crate::engine::pool::idle::{Unused, is_idle};
use crate::engine::reach::Traffic;
use crate::engine::request::own_connection::is_own_connection;

/// How soon it is tried again where there was no place for one.
const AGAIN: Duration = Duration::from_millis(20);

impl Traffic<'_> {
    /// How many connections that carry nothing this worker keeps for leases: never more than half of
    /// what may be lent, so that shared connections can grow beside them.
    pub fn warm_max(&self) -> usize {
        let wanted = self.cx.rules.settings.pool.min_idle_leases;
        let budget = &self.cx.shared.budget;
        let unused = self.clients.is_empty() || self.cx.draining;
        if wanted == 0 || unused || budget.growth_stopped() {
            return 0;
        }
        let lendable = budget.lendable(Term::Waiting) as usize;
        wanted.min(lendable.div_ceil(2) / self.cx.workers.max(1))
    }

    /// Dials one more where too few are ready.
    pub fn keep_warm(&mut self) {
        let now = self.cx.now;
        let enough = self.pool.idle_len() >= self.cx.rules.settings.pool.min_idle_leases;
        let waits = !self.pool.acquire_queue().is_empty() || self.pool.endpoint().is_backing_off();
        let waits = waits || !self.pool.endpoint().is_answering();
        if enough || waits || !self.pool.may_warm(now) {
            return;
        }
        let most = self.warm_max();
        if most == 0 || self.pool.backends().filter(|b| b.is_soon_idle()).count() >= most {
            return;
        }
        let Some(context) = self.context_in_use() else {
            return;
        };
        let budget = &self.cx.shared.budget;
        let others_wait = budget.has_waiters() || budget.is_exceeded();
        let refused = others_wait || self.pool.is_refused_user(self.cx, context);
        let key = self.pool.key_of(context);
        if refused || !self.dial(AcquireRequest::Pipe(key), key) {
            self.pool.warm_not_before(now + AGAIN);
        }
    }

    /// The context in which a connection was last used for something that lasts, or at all: another
    /// one of its user takes a round trip and no dial.
    fn context_in_use(&self) -> Option<ContextId> {
        let in_use = |(id, backend): &(BackendId, &Backend)| {
            let stays = backend.retire_at.is_none_or(|at| at > self.cx.now) && !backend.kept_back;
            let used = matches!(backend.phase, Phase::Pipe { .. } | Phase::Leased(_));
            used && stays && !is_own_connection(self.clients, self.pool, *id)
        };
        let used = self.pool.backends_by_id().filter(in_use);
        let last = used.max_by_key(|(_, backend)| (backend.phase.is_leased(), backend.used_at));
        last.map(|(_, backend)| backend.context())
    }
}

impl Traffic<'_> {
    pub fn count_unused(&self) -> Unused {
        let unused = self.pool.backends().filter(|b| is_unused(b));
        let warm = self.warm_max();
        Unused {
            all: unused.clone().count(),
            idle: unused.filter(|b| is_idle(b)).count(),
            warm,
            kept: self.cx.rules.settings.pool.min_idle.saturating_add(warm),
        }
    }
}

impl Backend {
    /// Whether it is nobody's, or about to be.
    fn is_soon_idle(&self) -> bool {
        matches!(
            self.phase,
            Phase::Idle | Phase::Cleaning(_) | Phase::Dialling | Phase::Handshake(_)
        )
    }
}
