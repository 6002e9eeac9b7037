//! Who gets a backend next. Wants are served first come first served, from what is spare,
//! then from the budget, and when that is spent by draining a pipe that has had its turn.

use std::time::Duration;

use crate::admission::Claim;

use super::Engine;
use super::backend::{Backend, Next, Phase, Rotation, Want};
use super::effect::Effect;
use super::hold::Hold;
use super::key::{BackendId, ContextId};
use super::lease::LeaseFor;
use super::logins::REFUSED_USER;
use super::planted::{self, Bug};

/// How soon a worker that waits for a permit looks again.
pub(super) const PERMIT_POLL: Duration = Duration::from_millis(5);

/// How often the other workers are told of that.
const SURPLUS_POLL: Duration = Duration::from_millis(20);

/// Slices that a user keeps its turn on a backend while another user waits: the backend is closed
/// and another one dialled.
const USER_SLICES: u32 = 5;

/// What became of one want.
pub(super) enum Provided {
    /// It is satisfied, or nobody wants it any more.
    Done,
    /// Something is under way for it, or must happen first.
    Waits,
}

impl Engine {
    /// Puts a want at the end of the queue, unless it stands there.
    pub(super) fn want(&mut self, want: Want) {
        self.wants.push(want);
    }

    /// Serves wants as far as that is possible now.
    pub(super) fn provide(&mut self) {
        self.want_leases();
        self.hand_over_spares();
        if !self.resumed.is_empty() {
            // Those who got a pipe use it first: until then it looks idle, and whoever is
            // next in line would take it away again. The turn goes on with them and comes back.
            return;
        }
        let starved = self.serve_wants();
        if starved {
            // Permits come back without an event: from other workers, or when the server
            // has closed its end of a connection that was given up.
            self.wake_at(self.now + PERMIT_POLL);
        }
        if starved != self.wanting {
            self.wanting = starved;
            self.shared.budget.want(starved);
        }
        if starved && self.workers > 1 && self.place_wanted_at + SURPLUS_POLL <= self.now {
            self.place_wanted_at = self.now;
            self.effects.push(Effect::WantPlace);
        }
        self.begin_drained();
        self.keep_warm();
    }

    /// Looks at those who wait, one by one. Whether one of them found the budget spent.
    fn serve_wants(&mut self) -> bool {
        if self.wants.is_empty() {
            return false;
        }
        let mut starved = false;
        let mut look = self.wants.look();
        // Whoever waits on keeps the place before those who begin to wait meanwhile, such as
        // the clients of a pipe that is being drained.
        while let Some((place, want)) = self.wants.next(&mut look) {
            self.steps += 1;
            match self.provide_for(want, &mut starved) {
                Provided::Done => {}
                Provided::Waits => self.wants.waits_on(&mut look, (place, want)),
            }
        }
        if !self.wants.is_empty() && self.wants.has_more() {
            self.wake_at(self.now + PERMIT_POLL);
        }
        starved
    }

    /// Spare backends that are in the right context already go to those who wait for it.
    fn hand_over_spares(&mut self) {
        if self.spares.is_empty() || self.wants.is_empty() {
            return;
        }
        let spares = self.spares.iter().filter_map(|id| self.backends.get(*id));
        for want in self.wants.of(spares.map(Backend::context)) {
            if self.spares.is_empty() {
                return;
            }
            self.steps += 1;
            let need = self.need(want).filter(|_| self.may_take(want));
            let Some((context, _)) = need else {
                continue;
            };
            if let Some(spare) = self.quiet_spare(|spare| spare.context() == context) {
                self.wants.remove(want);
                self.hand_over(spare, want, context);
            }
        }
    }

    fn provide_for(&mut self, want: Want, starved: &mut bool) -> Provided {
        match want {
            Want::Login(check) => return self.provide_login(check, starved),
            Want::Cancel(credential) => return self.provide_canceller(credential, starved),
            Want::Kill(client) => return self.provide_kill(client, starved),
            Want::Lease(client) if self.awaited_lease(client) == Some(LeaseFor::Errand) => {
                return self.provide_errand(want, client, starved);
            }
            Want::Lease(_) | Want::Pipe(_) => {}
        }
        let Some((context, growth)) = self.need(want) else {
            return Provided::Done;
        };
        if self.backends.values().any(|b| b.made_for == Some(want)) {
            return Provided::Waits;
        }
        if self.comes_back_soon(want) {
            return Provided::Waits;
        }
        if let Want::Lease(client) = want
            && !(self.awaited_lease(client)).is_some_and(|purpose| self.has_room(purpose))
        {
            // Nothing that is not lent is to come back for it.
            if self.line.contains(client) {
                // It may wait for as long as it likes, and is wanted for again where there is room.
                return Provided::Done;
            }
            self.wake_at(self.now + PERMIT_POLL);
            return Provided::Waits;
        }
        if self.server.switch_at > self.now {
            let at = self.server.switch_at;
            self.wake_at(at);
            return Provided::Waits;
        }
        let may_take = self.may_take(want);
        if may_take && let Some(spare) = self.spare_for(context) {
            self.switch(spare, want, context);
            return Provided::Waits;
        }
        if self.is_refused_user(context) {
            self.wake_at(self.now + REFUSED_USER);
            return Provided::Waits;
        }
        // Before the end only those who wait are served.
        if !(growth && self.draining) && self.dial(want, context) {
            return Provided::Waits;
        }
        let may_dial = self.server.dial_at <= self.now;
        // Another user's idle backend gives its place: it cannot become this one's.
        if may_take
            && may_dial
            && let Some(spare) = self.quiet_spare(|_| true)
        {
            self.retire(spare);
            *starved = true;
            return Provided::Waits;
        }
        // A server that refuses new connections still serves through those there are.
        if !growth && (may_dial || self.server.backoff.failures() > 0) {
            *starved |= may_dial;
            if may_take {
                self.make_room(want, context);
            }
        }
        Provided::Waits
    }

    /// Whether a backend that serves pipes, or could, may be taken for `want`.
    fn may_take(&self, want: Want) -> bool {
        match want {
            Want::Pipe(_) => true,
            Want::Lease(id) => {
                let purpose = self.awaited_lease(id);
                purpose.is_some_and(|purpose| self.spares_one(purpose) && self.has_room(purpose))
            }
            Want::Login(_) | Want::Kill(_) | Want::Cancel(_) => true,
        }
    }

    /// Whether a lease for `purpose` leaves this worker a connection for everybody else.
    fn has_room(&self, purpose: LeaseFor) -> bool {
        let may_lend = |term| self.shared.budget.may_lend(self.worker, term);
        purpose.term().is_none_or(may_lend)
    }

    /// The context that `want` is about and whether it is only one more pipe of a context
    /// that has one; `None` when nothing is wanted any more.
    fn need(&mut self, want: Want) -> Option<(ContextId, bool)> {
        let pool_settings = &self.rules.settings.pool;
        match want {
            Want::Pipe(context) => {
                let backends = &self.backends;
                while let Some(id) = self.contexts.first_in_line(context)
                    && self
                        .clients
                        .get(id)
                        .is_none_or(|c| c.hold != Some(Hold::Pipe))
                {
                    self.contexts.take_first(context);
                }
                let pool = self.contexts.get(context)?;
                // One more pipe makes the batches of all smaller, so it is opened only when
                // requests pile up before a socket, or no pipe is in rotation at all.
                let blocked_too_long = |b: &Backend| {
                    b.blocked_since.is_some_and(|since| {
                        self.now.saturating_sub(since) >= pool_settings.grow_after
                    })
                };
                let mut pipes = pool.pipes.iter().filter_map(|id| backends.get(*id));
                let in_rotation = |b: &Backend| b.rotation() == Some(Rotation::Open);
                let crowded = pipes.clone().any(blocked_too_long) || !pipes.any(in_rotation);
                let behind_script = |b: &Backend| b.rotation() == Some(Rotation::Script);
                let pipes = pool.pipes.iter().filter_map(|id| backends.get(*id));
                let useful = pipes.filter(|b| !behind_script(b)).count();
                let served = !pool.pipes.is_empty();
                let full = useful >= pool_settings.pipes_per_context_max;
                let waited_for = pool.is_waited_for() || self.line.calls_for(context);
                if served && (!crowded || full) || !served && !waited_for {
                    return None;
                }
                Some((context, useful > 0))
            }
            // What it is being tried for decides first.
            Want::Lease(id) if self.is_decided_by_try(id) => None,
            Want::Lease(id) => {
                let client = self.clients.get(id)?;
                matches!(client.hold, Some(Hold::Lease(_))).then_some((client.context(), false))
            }
            // They take whatever backend of the user there is: `provide_login`, `provide_kill`,
            // `provide_canceller`.
            Want::Login(_) | Want::Kill(_) | Want::Cancel(_) => None,
        }
    }

    /// A spare backend that can be set to `context`.
    fn spare_for(&mut self, context: ContextId) -> Option<BackendId> {
        let fits = |id: &BackendId| {
            let spare = self.backends.get(*id).filter(|spare| spare.is_quiet());
            spare.is_some_and(|b| self.can_become(b, context) || planted::has(Bug::UserChanged))
        };
        let at = self.spares.iter().rposition(fits)?;
        Some(self.spares.remove(at))
    }

    /// The spare backend that was used last, among those that fit: the others become idle
    /// and are reaped. One that is just being pinged is not taken: it owes a reply.
    pub(super) fn quiet_spare(&mut self, fits: impl Fn(&Backend) -> bool) -> Option<BackendId> {
        let backends = &self.backends;
        let at = self
            .spares
            .iter()
            .rposition(|id| backends.get(*id).is_some_and(|b| b.is_quiet() && fits(b)))?;
        Some(self.spares.remove(at))
    }

    /// A spare backend of the right context reaches the one who waits for it.
    pub(super) fn hand_over(&mut self, id: BackendId, want: Want, context: ContextId) {
        let now = self.now;
        let Some(backend) = self.backends.get_mut(id) else {
            return;
        };
        backend.made_for = None;
        match want {
            Want::Pipe(_) => {
                backend.phase = Phase::Pipe {
                    since: now,
                    rotation: Rotation::Open,
                };
                planted::restore_queue(backend);
                if let Some(pool) = self.contexts.get_mut(context) {
                    pool.pipes.push(id);
                }
                self.wake_waiters(context);
                self.try_called(context);
            }
            Want::Lease(client) => self.grant_lease(id, client),
            Want::Login(check) => self.begin_check(id, check),
            Want::Kill(client) => self.send_kill(id, client),
            Want::Cancel(_) => self.become_canceller(id),
        }
    }

    /// Dials for `want`, if the budget, the backoff and the rate allow it now.
    pub(super) fn dial(&mut self, want: Want, context: ContextId) -> bool {
        self.dial_with(Claim::Worker(self.worker), want, context)
            .is_some()
    }

    /// The same within another part of the budget.
    pub(super) fn dial_with(
        &mut self,
        claim: Claim,
        want: Want,
        context: ContextId,
    ) -> Option<BackendId> {
        let now = self.now;
        if self.server.dial_at > now {
            let at = self.server.dial_at.max(now + Duration::from_millis(1));
            self.wake_at(at);
            return None;
        }
        if let Want::Lease(client) = want
            && !(self.awaited_lease(client)).is_some_and(|purpose| self.has_room(purpose))
        {
            return None;
        }
        let permit = self.shared.budget.acquire(claim)?;
        if let Err(wait) = self.shared.dials.take(now) {
            self.server.dial_at = now + wait;
            self.wake_at(now + wait);
            return None;
        }
        let credential = self.contexts.credential(context).unwrap_or_default();
        let within = self.contexts.enter(context);
        let mut backend = Backend::new(within, credential, now);
        backend.made_for = Some(want);
        backend.kept_back = !matches!(claim, Claim::Worker(_));
        let pool = &self.rules.settings.pool;
        if !pool.max_lifetime.is_zero() {
            let life = self
                .jitter
                .shorten(pool.max_lifetime, pool.max_lifetime_jitter);
            backend.retire_at = Some(now + life);
            self.wake_at(now + life);
        }
        let id = self.backends.insert(backend);
        self.counters.dials += 1;
        self.effects.push(Effect::Dial(id, permit));
        Some(id)
    }

    /// The budget is spent: the least-used pipe of the most-served context, among those
    /// that are idle or have had their turn, is drained for `want`.
    pub(super) fn make_room(&mut self, want: Want, context: ContextId) {
        if planted::has(Bug::TurnNotGiven) {
            return;
        }
        let now = self.now;
        let slice = self.rules.settings.pool.slice;
        let mut best: Option<((bool, usize, Duration), BackendId)> = None;
        let mut next_turn: Option<Duration> = None;
        for (id, backend) in &self.backends {
            let Phase::Pipe { since, .. } = backend.phase else {
                continue;
            };
            if backend.context() == context && matches!(want, Want::Pipe(_)) {
                continue;
            }
            let pool = self.contexts.get(backend.context());
            // Clients that a pipe was handed to just now have not come to send yet.
            let idle =
                since < now && backend.is_quiet() && !pool.is_some_and(|p| p.is_waited_for());
            // To change user is to dial: turns are longer.
            let turn = match self.contexts.credential(context) == Some(backend.credential()) {
                true => slice,
                false => slice * USER_SLICES,
            };
            let turn_over = since + turn;
            if !idle && turn_over > now {
                next_turn = Some(next_turn.map_or(turn_over, |t| t.min(turn_over)));
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
            self.counters.context_switches += 1;
            self.drain_pipe(id, Next::For(want));
        } else if let Some(at) = next_turn {
            self.wake_at(at);
        }
    }

    /// Takes a pipe out of its context. What is in flight on it comes in as usual.
    pub(super) fn drain_pipe(&mut self, id: BackendId, next: Next) {
        let Some(backend) = self.backends.get_mut(id) else {
            return;
        };
        backend.phase = Phase::Draining(next);
        backend.made_for = match next {
            Next::For(want) => Some(want),
            Next::Close => None,
        };
        let context = backend.context();
        self.leave_context(id, context);
    }

    /// `id` is no pipe of `context` any more.
    pub(super) fn leave_context(&mut self, id: BackendId, context: ContextId) {
        if let Some(pool) = self.contexts.get_mut(context) {
            pool.pipes.retain(|pipe| *pipe != id);
            if pool.is_waited_for() {
                self.want(Want::Pipe(context));
            }
        }
    }

    /// Pipes that were being drained and are empty now go on.
    fn begin_drained(&mut self) {
        let quiet = |b: &Backend| matches!(b.phase, Phase::Draining(_)) && b.is_quiet();
        let drained: Vec<BackendId> = self
            .backends
            .iter()
            .filter(|(_, b)| quiet(b))
            .map(|(id, _)| id)
            .collect();
        for id in drained {
            let next = match self.backends.get(id).map(|b| &b.phase) {
                Some(Phase::Draining(next)) => *next,
                _ => continue,
            };
            if let Next::For(Want::Login(check)) = next {
                match self.is_for(id, check) {
                    true => self.begin_check(id, check),
                    // Another user's: its place is free.
                    false => self.retire(id),
                }
                continue;
            }
            let need = match next {
                Next::Close => None,
                // One who does not wait any more leaves the backend to the next in line.
                Next::For(want) => Some((want, self.need(want))),
            };
            match need {
                None => self.retire(id),
                Some((want, Some((context, _)))) if self.becomes(id, context) => {
                    self.switch(id, want, context);
                }
                // The want stays, and dials when the place is free.
                Some((_, Some(_))) => self.retire(id),
                Some((_, None)) => self.make_spare(id),
            }
        }
    }

    /// See [`Engine::can_become`].
    fn becomes(&self, id: BackendId, context: ContextId) -> bool {
        let backend = self.backends.get(id);
        backend.is_some_and(|backend| self.can_become(backend, context))
    }

    /// A clean backend that nobody holds.
    pub(super) fn make_spare(&mut self, id: BackendId) {
        let now = self.now;
        let kept_back = self.backends.get(id).is_some_and(|b| b.kept_back);
        if kept_back || self.is_for_errand(id) {
            // A place that is kept back is kept for the next one who needs it.
            return self.run_errand(id);
        }
        let Some(backend) = self.backends.get_mut(id) else {
            return;
        };
        assert!(
            backend.is_quiet(),
            "a backend that owes something is not spare"
        );
        backend.phase = Phase::Spare;
        self.weights.touch_if_known(id);
        backend.replies.let_pushes_nest(false);
        backend.made_for = None;
        backend.used_at = now;
        if backend.retire_at.is_some_and(|at| at <= now) {
            return self.retire(id);
        }
        self.spares.push(id);
        self.wake_at(now);
    }
}
