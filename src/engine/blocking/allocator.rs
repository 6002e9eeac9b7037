//! Who gets a backend next. Acquire requests are served first come first served, once a turn:
//!
//! 1. by an idle backend that is in the context already, the one used last;
//! 2. by an idle one of the same user, which is switched: `HELLO` and `SELECT` as needed, and nothing
//!    else before the server's `+OK`;
//! 3. by a dial, if budget, backoff and dial rate allow it;
//! 4. by the place of a pipe that is unused or has had its time slice, one of another context unless it
//!    becomes a lease: it gets no new requests, its few replies come in, then it is switched. One of
//!    another user is closed instead, and one is dialled in its place, since a backend never changes user.
//!
//! So with one connection and sixteen databases everybody is served, in turns. A context gets a second
//! pipe only when requests have piled up before a socket for `grow_after`, or when none of its pipes is
//! open: more pipes mean smaller writes.

use std::time::Duration;

use crate::admission::Claim;

use crate::engine::clients::hold::Hold;
use crate::engine::fault_injection;
use crate::engine::key::{BackendId, PoolKey};
use crate::engine::pool::allocation::Allocation;
use crate::engine::pool::backend::{AcquireRequest, Backend, Phase, PipeState};
use crate::engine::pool::users::REFUSED_USER;
use crate::engine::reach::{Blocking, Traffic};

/// How soon a worker that waits for a permit looks again.
pub const PERMIT_POLL: Duration = Duration::from_millis(5);

impl Blocking<'_> {
    /// Idle backends that are in the right context already go to those who wait for it.
    #[inline]
    pub fn hand_over_idle(&mut self) {
        if !self.pool.has_idle() || self.pool.acquire_queue().is_empty() {
            return;
        }
        self.hand_over_what_fits();
    }

    fn hand_over_what_fits(&mut self) {
        for request in self.pool.requests_for_idle() {
            if !self.pool.has_idle() {
                return;
            }
            self.cx.steps += 1;
            let need = self.need(request).filter(|_| self.may_take(request));
            let Some((key, _)) = need else {
                continue;
            };
            if let Some(idle) = self.pool.quiet_idle(|idle| idle.pool_key() == key) {
                self.pool.acquire_queue_mut().remove(request);
                self.hand_over(idle, request, key);
            }
        }
    }

    /// A backend that is set to what `request` needs.
    pub fn allocate_set(&mut self, request: AcquireRequest, starved: &mut bool) -> Allocation {
        let Some((key, growth)) = self.need(request) else {
            return Allocation::Done;
        };
        if self.pool.is_one_made_for(request) || self.pool.comes_back_soon(self.cx, request) {
            return Allocation::Waits;
        }
        if let AcquireRequest::Lease(client) = request
            && !(self.clients.awaited_lease(client))
                .is_some_and(|purpose| self.cx.has_room(purpose))
        {
            // Nothing that is not lent is to come back for it.
            if self.waits.line().contains(client) {
                // It may wait for as long as it likes, and is wanted for again where there is room.
                return Allocation::Done;
            }
            self.cx.wake_at(self.cx.now + PERMIT_POLL);
            return Allocation::Waits;
        }
        if let Some(at) = self.pool.endpoint().switches_not_before(self.cx.now) {
            self.cx.wake_at(at);
            return Allocation::Waits;
        }
        let may_take = self.may_take(request);
        if may_take && let Some(idle) = self.pool.idle_for(self.cx, key) {
            self.switch(idle, request, key.context);
            return Allocation::Waits;
        }
        if self.pool.is_refused_user(self.cx, key.context) {
            self.cx.wake_at(self.cx.now + REFUSED_USER);
            return Allocation::Waits;
        }
        // Before the end only those who wait are served.
        if !(growth && self.cx.draining) && self.traffic().dial(request, key) {
            return Allocation::Waits;
        }
        let may_dial = self.pool.endpoint().may_be_dialled(self.cx.now);
        // Another user's idle backend gives its place: it cannot become this one's.
        if may_take
            && may_dial
            && let Some(idle) = self.pool.quiet_idle(|_| true)
        {
            self.pool.retire(self.cx, idle);
            *starved = true;
            return Allocation::Waits;
        }
        // A server that refuses new connections still serves through those there are.
        if !growth && (may_dial || self.pool.endpoint().is_backing_off()) {
            *starved |= may_dial;
            if may_take {
                self.pool.make_room(self.cx, request, key.context);
            }
        }
        Allocation::Waits
    }

    /// Whether a backend that serves pipes, or could, may be taken for `request`.
    fn may_take(&self, request: AcquireRequest) -> bool {
        match request {
            AcquireRequest::Pipe(_) => true,
            // Whoever stands before it goes first, whatever it is ready for.
            AcquireRequest::Lease(id) if self.waits.line().is_behind_its_like(id) => false,
            AcquireRequest::Lease(id) => {
                let purpose = self.clients.awaited_lease(id);
                purpose.is_some_and(|purpose| {
                    self.pool.spares_one(self.cx, purpose) && self.cx.has_room(purpose)
                })
            }
            AcquireRequest::Login(_) | AcquireRequest::Kill(_) | AcquireRequest::Cancel(_) => true,
        }
    }

    /// The pool that `request` is about and whether it is only one more pipe of a pool that has one;
    /// `None` when nothing is wanted any more.
    pub fn need(&mut self, request: AcquireRequest) -> Option<(PoolKey, bool)> {
        let pool_settings = &self.cx.rules.settings.pool;
        match request {
            AcquireRequest::Pipe(key) if key.endpoint != self.pool.endpoint().id() => None,
            AcquireRequest::Pipe(key) => {
                let context = key.context;
                while let Some(id) = self.pool.first_in_line(context)
                    && self
                        .clients
                        .get(id)
                        .is_none_or(|c| c.head.hold != Some(Hold::Pipe))
                {
                    self.pool.take_first(context);
                }
                // Its clients may be in line for a try, and none of them for a pipe.
                let pool = self.pool.open_pool(context)?;
                let served = !pool.pipes.is_empty();
                let waited_for = pool.is_waited_for() || self.waits.line().calls_for(context);
                // One more pipe makes the batches of all smaller, so it is opened only when
                // requests pile up before a socket, or no pipe is open at all.
                let blocked_too_long = |b: &Backend| {
                    b.blocked_since.is_some_and(|since| {
                        self.cx.now.saturating_sub(since) >= pool_settings.grow_after
                    })
                };
                let mut pipes = self.pool.pipes(context);
                let in_rotation = |b: &Backend| b.state() == Some(PipeState::Open);
                let crowded = pipes.clone().any(blocked_too_long) || !pipes.any(in_rotation);
                let behind_script = |b: &Backend| b.state() == Some(PipeState::Script);
                let pipes = self.pool.pipes(context);
                let useful = pipes.filter(|b| !behind_script(b)).count();
                let full = useful >= pool_settings.pipes_per_context_max;
                if served && (!crowded || full) || !served && !waited_for {
                    return None;
                }
                Some((key, useful > 0))
            }
            // What it is being tried for decides first.
            AcquireRequest::Lease(id) if self.waits.is_decided_by_try(id) => None,
            AcquireRequest::Lease(id) => {
                let client = self.clients.get(id)?;
                matches!(client.head.hold, Some(Hold::Lease(_)))
                    .then(|| (self.pool.key_of(client.context()), false))
            }
            // They take whatever backend of the user there is: `allocate_login`, `allocate_kill`,
            // `allocate_canceller`.
            AcquireRequest::Login(_) | AcquireRequest::Kill(_) | AcquireRequest::Cancel(_) => None,
        }
    }

    /// An idle backend of the right context reaches the one who waits for it.
    pub fn hand_over(&mut self, id: BackendId, request: AcquireRequest, key: PoolKey) {
        let now = self.cx.now;
        let Some(backend) = self.pool.backend_mut(id) else {
            return;
        };
        backend.made_for = None;
        match request {
            AcquireRequest::Pipe(_) => {
                backend.phase = Phase::Pipe {
                    since: now,
                    state: PipeState::Open,
                };
                fault_injection::restore_queue(backend);
                self.pool.is_pipe_of(id, key.context);
                self.traffic().wake_waiters(key.context);
                self.try_called(key.context);
            }
            AcquireRequest::Lease(client) => self.grant_lease(id, client),
            // They are not asked what they need: whatever backend of their user there is does.
            AcquireRequest::Login(_) | AcquireRequest::Kill(_) | AcquireRequest::Cancel(_) => {}
        }
    }
}

impl Traffic<'_> {
    /// Dials for `request`, if the budget, the backoff and the rate allow it now.
    pub fn dial(&mut self, request: AcquireRequest, key: PoolKey) -> bool {
        self.dial_with(Claim::Worker(self.cx.worker), request, key)
            .is_some()
    }

    /// The same within another part of the budget.
    pub fn dial_with(
        &mut self,
        claim: Claim,
        request: AcquireRequest,
        key: PoolKey,
    ) -> Option<BackendId> {
        let now = self.cx.now;
        if !self.pool.endpoint().may_be_dialled(now) {
            let soon = now + Duration::from_millis(1);
            let at = self.pool.endpoint().dial_at().max(soon);
            self.cx.wake_at(at);
            return None;
        }
        if let AcquireRequest::Lease(client) = request
            && !(self.clients.awaited_lease(client))
                .is_some_and(|purpose| self.cx.has_room(purpose))
        {
            return None;
        }
        self.pool.dial(self.cx, claim, request, key)
    }
}
