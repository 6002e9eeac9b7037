//! Who gets a backend when none is idle and the budget is spent.

use std::time::Duration;

use crate::admission::fault_injection::{self, Bug};
use crate::engine::cx::Cx;
use crate::engine::key::{BackendId, ContextId, PoolKey};
use crate::engine::lease::state::LeaseFor;
use crate::resp::NotExecuted;

use super::Pool;
use super::backend::{AcquireRequest, Backend, Next, Phase};

/// Time slices of a context that a user keeps a backend for while another user waits: it is closed then,
/// and another one dialled.
pub const USER_SLICES: u32 = 5;

impl Pool {
    /// Whether a backend is on its way to whoever wants it so.
    pub fn is_one_made_for(&self, request: AcquireRequest) -> bool {
        let mut all = self.backends.values();
        all.any(|backend| backend.made_for == Some(request))
    }

    /// The budget is spent: an idle backend of another user gives its place, or one whose
    /// time slice is over.
    pub fn make_place(&mut self, cx: &mut Cx, request: AcquireRequest, context: ContextId) {
        match self.quiet_idle(|_| true) {
            Some(idle) => self.retire(cx, idle),
            None => self.make_room(cx, request, context),
        }
    }

    /// Whether any backend is idle.
    #[inline]
    pub fn has_idle(&self) -> bool {
        !self.idle.is_empty()
    }

    /// How many backends are idle.
    pub fn idle_len(&self) -> usize {
        self.idle.len()
    }

    /// Those who wait for what an idle backend is set to already, in order.
    pub fn requests_for_idle(&self) -> Vec<AcquireRequest> {
        let idle = self.idle.iter().filter_map(|id| self.backends.get(*id));
        self.acquire_queue.of(idle.map(Backend::pool_key))
    }

    /// The idle backend that was used last, among those that fit: the others stay idle for
    /// long, and are reaped. One that is just being pinged is not taken: it owes a reply.
    pub fn quiet_idle(&mut self, fits: impl Fn(&Backend) -> bool) -> Option<BackendId> {
        let backends = &self.backends;
        let at = self
            .idle
            .iter()
            .rposition(|id| backends.get(*id).is_some_and(|b| b.is_quiet() && fits(b)))?;
        Some(self.idle.remove(at))
    }

    /// The budget is spent: the least-used pipe of the most-served context, among those
    /// that carry nothing or whose time slice is over, is drained for `request`.
    pub fn make_room(&mut self, cx: &mut Cx, request: AcquireRequest, context: ContextId) {
        if fault_injection::has(Bug::SliceNotEnded) {
            return;
        }
        let now = cx.now;
        let slice = cx.rules.settings.pool.slice;
        let mut best: Option<((bool, usize, Duration), BackendId)> = None;
        let mut slice_over_next: Option<Duration> = None;
        for (id, backend) in &self.backends {
            let Phase::Pipe { since, .. } = backend.phase else {
                continue;
            };
            if backend.context() == context && matches!(request, AcquireRequest::Pipe(_)) {
                continue;
            }
            let pool = self.endpoint.pool(backend.pool_key());
            // Clients that a pipe was handed to just now have not come to send yet.
            let idle =
                since < now && backend.is_quiet() && !pool.is_some_and(|p| p.is_waited_for());
            // To change user is to dial: time slices are longer.
            let slice = match self.contexts.credential(context) == Some(backend.credential()) {
                true => slice,
                false => slice * USER_SLICES,
            };
            let slice_over = since + slice;
            if !idle && slice_over > now {
                slice_over_next = Some(slice_over_next.map_or(slice_over, |t| t.min(slice_over)));
                continue;
            }
            let siblings = pool.map_or(0, |p| p.pipes.len());
            let had = now.saturating_sub(if idle { backend.used_at } else { since });
            let rank = (idle, siblings, had);
            if best.is_none_or(|(best, _)| rank > best) {
                best = Some((rank, id));
            }
        }
        if let Some((_, id)) = best {
            cx.counters.context_switches += 1;
            self.drain_pipe(id, Next::For(request));
        } else if let Some(at) = slice_over_next {
            cx.wake_at(at);
        }
    }

    /// Whether a backend that pipes could use may become a lease for `purpose`: plain traffic
    /// goes on beside every lease that may last. With one backend in all they take turns.
    pub fn spares_one(&self, cx: &Cx, purpose: LeaseFor) -> bool {
        let is_leased = |b: &Backend| {
            b.phase.is_leased() || matches!(b.made_for, Some(AcquireRequest::Lease(_)))
        };
        let free = self.backends.values().filter(|b| !is_leased(b)).count();
        let takes_turns = || self.backends.len() == 1 || cx.shared.budget.is_all_lent();
        free >= 2 || (purpose.term().is_none() && free >= 1 && takes_turns())
    }

    /// A backend is made for this request until it reaches whoever waits.
    pub fn make_for(&mut self, id: BackendId, request: AcquireRequest) {
        if let Some(backend) = self.backends.get_mut(id) {
            backend.made_for = Some(request);
        }
    }

    /// Puts a request at the end of the queue, unless it stands there.
    pub fn request(&mut self, request: AcquireRequest) {
        self.acquire_queue.push(request);
    }

    /// What a client is told when no backend could be had.
    pub fn unavailable_reason(&self, cx: &Cx) -> NotExecuted<'_> {
        if cx.draining {
            NotExecuted::Draining
        } else if self.endpoint.has_refused_credentials() {
            NotExecuted::BackendAuth
        } else if self.endpoint.is_backing_off() {
            NotExecuted::NoBackend {
                last_error: self.endpoint.last_error(),
            }
        } else if self.waits_for_budget {
            NotExecuted::BudgetSpent
        } else {
            NotExecuted::QueueTimeout
        }
    }

    /// No dial for a while.
    pub fn dial_ended_badly(&mut self, cx: &mut Cx, error: String) {
        let full = error.starts_with("ERR max number of clients");
        if self.endpoint.was_not_reached(cx, error) {
            let error = self.endpoint.last_error();
            tracing::warn!(error, "no connection to the server");
        }
        if full {
            // The server's own refusal counts as pressure until control has looked again:
            // contexts share the connections that there are by time slices.
            cx.shared.budget.stop_growth(true);
        }
        cx.counters.dials_failed += 1;
        cx.wake_at(self.endpoint.dial_at());
    }

    /// The server has accepted the context that this backend is in.
    pub fn context_reached(&mut self, id: BackendId) {
        if let Some(backend) = self.backends.get(id) {
            self.accepted(backend.context());
        }
    }

    /// An idle backend that can serve this pool.
    pub fn idle_for(&mut self, cx: &Cx, key: PoolKey) -> Option<BackendId> {
        let fits = |id: &BackendId| {
            let idle = self.backends.get(*id).filter(|idle| idle.is_quiet());
            idle.is_some_and(|b| {
                self.can_become(cx, b, key) || fault_injection::has(Bug::UserChanged)
            })
        };
        let at = self.idle.iter().rposition(fits)?;
        Some(self.idle.remove(at))
    }

    /// See `can_become`.
    pub fn becomes(&self, cx: &Cx, id: BackendId, key: PoolKey) -> bool {
        let backend = self.backends.get(id);
        backend.is_some_and(|backend| self.can_become(cx, backend, key))
    }
}
