//! Events between the parts of the engine. Losing a backend and closing a client take effect at once:
//! neither is found any more. What follows from it for others stands in one queue, in the order in
//! which it has happened, and is dispatched between two events, two replies, two deadlines: in the middle
//! of none, never from within itself, and never while a client's input is being walked, in front of
//! which it may put requests that are dealt with again.

use std::time::Duration;

use crate::telemetry::Undelivered;

use super::blocking::allocator::PERMIT_POLL;
use super::clients::hold::{Ending, Hold};
use super::effect::Effect;
use super::event::{EngineEvent, Gone};
use super::key::{BackendId, ClientId};
use super::lease::state::LeaseFor;
use super::pool::allocation::Allocation;
use super::pool::backend::{AcquireRequest, Backend, Next, Phase};
use super::pool::close_reason::CloseReason;
use super::pool::due::SECOND;
use super::pool::handshake::{self, Whose};
use super::pool::writing::Written;
use super::request::own_connection::is_own_connection;
use super::slot::Receiver;
use super::traffic::lost_requests::{Lost, Rewound};
use super::{Engine, fault_injection};

/// How often the other workers are told that this one waits for a place in the budget.
pub const SURPLUS_POLL: Duration = Duration::from_millis(20);

impl Engine {
    /// It is `now`: something is told to the engine. What has happened before is seen to first.
    pub(super) fn advance_to(&mut self, now: Duration) {
        self.cx.now = now;
        self.dispatch();
    }

    /// Sees to all that has happened. What happens meanwhile stands behind it.
    #[inline]
    pub(super) fn dispatch(&mut self) {
        if !self.cx.events.is_empty() {
            self.dispatch_all();
        }
    }

    #[cold]
    fn dispatch_all(&mut self) {
        while let Some(event) = self.cx.events.pop_front() {
            match event {
                EngineEvent::BackendLost(id, backend, reason) => {
                    self.backend_lost(id, *backend, reason)
                }
                EngineEvent::ClientGone(gone) => self.client_is_gone(*gone),
                EngineEvent::ClientWaitsNoMore { id, number, hold } => {
                    if let Some(hold) = hold {
                        self.waits_for_nothing(id, number, hold);
                    }
                    self.waits.leave_line(&mut self.cx, id);
                }
                EngineEvent::ClientEnding(id) => self.clients.client_ending(&mut self.cx, id),
                EngineEvent::BackendFree(id) => self.pool.make_idle(&mut self.cx, id),
                EngineEvent::BackendMade(id) => self.backend_made(id),
                EngineEvent::HandshakeOver(id) => self.gate().handshake_over(id),
                EngineEvent::OwnIsAnother => self.blocking().own_is_another(),
                EngineEvent::HeldGrew(id) => self.memory().shed_memory(id),
                EngineEvent::Answered(ticket, reply) => self.queries().one_more(ticket, reply),
            }
        }
    }

    /// What a client held or waited for that is gone is left.
    fn client_is_gone(&mut self, gone: Gone) {
        let id = gone.id;
        fault_injection::drop_orphans(self.pool.backends_mut(), id);
        self.fanout.end_kill(&id);
        self.leases.leaves(gone.number);
        self.waits.leave_line(&mut self.cx, id);
        if let Some(hold) = gone.hold {
            self.waits_for_nothing(id, gone.number, hold);
        }
        self.pool.leave_context(gone.within);
        if let Some(lease) = gone.lease {
            self.blocking().leave_lease_behind(lease);
        }
    }

    /// A client does not wait any more for what it was held for.
    fn waits_for_nothing(&mut self, id: ClientId, number: u64, hold: Hold) {
        match hold {
            Hold::Lease(_) => self.leases.leaves(number),
            Hold::Login(check) => self.gate().waits_no_more(check, id),
            Hold::FanOut(ticket) => drop(self.fanout.remove(ticket)),
            _ => {}
        }
    }

    /// The socket of a backend is open.
    pub fn dialled(&mut self, id: BackendId, now: Duration) {
        self.advance_to(now);
        let Some(backend) = self.pool.backend(id) else {
            return;
        };
        let target = backend.context();
        let Some(context) = self.pool.context(target) else {
            return self
                .pool
                .close_backend(&mut self.cx, id, CloseReason::Retired);
        };
        let login = match backend.made_for {
            Some(AcquireRequest::Login(check)) => {
                self.auth.get(check).map(|check| (*check.login).clone())
            }
            _ => self.pool.credentials().login(backend.credential()),
        };
        let Some(login) = login else {
            // Nobody waits for it any more.
            return self
                .pool
                .close_backend(&mut self.cx, id, CloseReason::Retired);
        };
        let whose = match self.pool.is_own(id) && !is_own_connection(&self.clients, &self.pool, id)
        {
            true => Whose::Own,
            false if self.pool.may_not_select(&self.cx, context.credential) => Whose::WithoutSelect,
            false => Whose::Clients,
        };
        let by_certificate = self
            .pool
            .by_certificate(&self.cx, context.credential, &login);
        let steps = handshake::opening(&self.identity, &login, context, whose, by_certificate);
        self.traffic().begin_handshake(id, target, steps, true);
    }

    /// A dial has failed.
    pub fn dial_failed(&mut self, id: BackendId, error: String, now: Duration) {
        self.advance_to(now);
        if self.pool.has(id) {
            self.pool.dial_ended_badly(&mut self.cx, error);
            self.pool
                .close_backend(&mut self.cx, id, CloseReason::DialFailed);
        }
    }

    /// The first `n` bytes for a client have been written: none, when its socket takes no more for now.
    /// Whether any are left.
    pub fn client_wrote(&mut self, id: ClientId, n: usize, now: Duration) -> bool {
        if n == 0 {
            self.clients.is_full(id);
            return true;
        }
        self.advance_to(now);
        let pause_bytes = self.cx.rules.settings.clients.output_pause_bytes;
        self.clients.wrote(id, n, &self.cx);
        let Some(client) = self.clients.get(id) else {
            return false;
        };
        let left = !client.out.is_empty();
        let may_end = self.cx.draining || !matches!(client.ending, Ending::No);
        if client.head.hold == Some(Hold::Output) && client.out.len() <= pause_bytes / 2 {
            self.clients.end_hold(id, Hold::Output);
        } else if client.unread {
            self.clients.allow_reading(&mut self.cx, id);
        }
        if may_end && !left {
            self.clients.close_if_done(&mut self.cx, id);
        }
        left
    }

    /// The first `n` bytes for a backend have been written. Whether any are left.
    pub fn backend_wrote(&mut self, id: BackendId, n: usize, now: Duration) -> bool {
        self.advance_to(now);
        match self.pool.wrote(&mut self.cx, id, n) {
            Written::Partly => true,
            Written::Wholly(None) => false,
            Written::Wholly(Some(owner)) => {
                self.traffic().stream_room(owner);
                self.pool.has_unsent(id)
            }
        }
    }

    /// A client's socket is gone: the engine forgets it. What is in flight runs, as in
    /// Redis, and is swallowed.
    pub fn client_gone(&mut self, id: ClientId, now: Duration) {
        self.advance_to(now);
        self.clients.forget_client(&mut self.cx, id);
    }

    /// A backend's socket is gone.
    pub fn backend_gone(&mut self, id: BackendId, now: Duration) {
        self.advance_to(now);
        self.pool.close_backend(&mut self.cx, id, CloseReason::Gone);
    }

    /// Settles everything that was expected of a lost backend.
    pub(super) fn backend_lost(
        &mut self,
        id: BackendId,
        mut backend: Backend,
        reason: CloseReason,
    ) {
        self.pool.is_lost(&mut self.cx, &mut backend, reason);
        match &backend.phase {
            Phase::Leased(owner) => self.clients.push_stream_lost(&mut self.cx, *owner),
            Phase::Orphaned(orphan) => self.lending().orphan_lost(*orphan, &backend),
            Phase::Cleaning(cleaning) => self.lending().cleaning_lost(cleaning),
            Phase::Cancelling => self.blocking().canceller_lost(id),
            _ => {}
        }
        self.blocking().cancel_lost(id);
        let lost = self.traffic().classify(&mut backend, reason);
        self.settle_lost(&backend, lost, reason);
        self.pool.is_gone(backend);
        self.cx.wake_at(self.cx.now);
    }

    /// Everybody who waits for something on a lost backend is told what has come of it.
    fn settle_lost(&mut self, backend: &Backend, lost: Vec<Lost>, reason: CloseReason) {
        let mut rewound = Rewound::default();
        for request in &lost {
            let id = request.settled.client;
            match request.settled.receiver {
                // Asked again elsewhere.
                Receiver::Permission => self.clients.end_hold(id, Hold::Permission),
                Receiver::Kill => self.queries().kill_answered(id, None),
                Receiver::Tried(step) => {
                    let sent = request.was_sent(backend);
                    self.blocking().try_lost(id, step, sent);
                }
                Receiver::PutBack if !matches!(backend.phase, Phase::Orphaned(_)) => {
                    self.cx.counters.undelivered(Undelivered::Lost);
                }
                _ => {}
            }
            self.traffic()
                .settle_request(backend, request, reason, &mut rewound);
        }
        self.lending().end_broken_lease(backend);
        self.traffic().rewind(rewound);
    }

    /// A clean backend goes to whom it was made for, or is anybody's.
    pub(super) fn backend_made(&mut self, id: BackendId) {
        let kept_back = self.pool.backend(id).is_some_and(|b| b.kept_back);
        match kept_back || is_own_connection(&self.clients, &self.pool, id) {
            // A place that is kept back is kept for the next one who needs it.
            true => self.run_on_own_connection(id),
            false => self.pool.is_anybodys(&mut self.cx, id),
        }
    }

    /// A client's own connection, or one that was dialled to check a login within the place that is kept
    /// back, has finished its handshake. What goes there needs no db: any connection of its client's user
    /// and protocol does, as they are now, since a reload may have changed the user meanwhile.
    pub(super) fn run_on_own_connection(&mut self, id: BackendId) {
        let Some(backend) = self.pool.backend(id) else {
            return;
        };
        match backend.made_for {
            Some(AcquireRequest::Kill(client)) => self.queries().send_kill(id, client),
            Some(AcquireRequest::Lease(client))
                if self.clients.awaited_lease(client) == Some(LeaseFor::OwnConnection)
                    && self.clients.get(client).is_some_and(|waiting| {
                        self.pool
                            .contexts()
                            .differ_in_db_only(backend.context(), waiting.context())
                    }) =>
            {
                self.blocking().grant_lease(id, client);
            }
            Some(AcquireRequest::Cancel(credential)) if self.waits.cancels().any_as(credential) => {
                self.blocking().become_canceller(id);
            }
            _ => self
                .pool
                .close_backend(&mut self.cx, id, CloseReason::Retired),
        }
    }

    /// Time has passed: to be called at the `alarm` of its survey, and harmless at any other time.
    pub fn tick(&mut self, now: Duration) {
        self.advance_to(now);
        fault_injection::register_slots(self.pool.backends_mut(), now);
        if !self.cx.is_due() {
            return;
        }
        if self.cx.shared.pause.is_on(now) {
            // It may be ended by anybody at any moment.
            self.cx.wake_at(now + SECOND);
        }
        let due: [fn(&mut Self); 16] = [
            |engine| engine.clients.expire_pause(&mut engine.cx),
            |engine| engine.traffic().expire_backends(),
            |engine| engine.lending().expire_requests(),
            |engine| engine.traffic().expire_waiters(),
            |engine| engine.lending().expire_lease_waiters(),
            |engine| engine.clients.expire_command_waiters(&mut engine.cx),
            |engine| engine.gate().expire_logins(),
            |engine| engine.queries().expire_fan_outs(),
            |engine| engine.blocking().expire_cancels(),
            |engine| engine.blocking().expire_line(),
            |engine| engine.lending().expire_transactions(),
            |engine| engine.gate().expire_clients(),
            |engine| engine.lending().expire_push_streams(),
            |engine| engine.lending().expire_streams(),
            |engine| engine.pool.give_back_surplus(&mut engine.cx),
            |engine| engine.blocking().forget_contexts(),
        ];
        for expire in due {
            expire(self);
            self.dispatch();
        }
        // Acquire requests set their own alarms again when they are looked at.
        if !self.pool.acquire_queue().is_empty() {
            self.cx.wake_at(now + Duration::from_millis(10));
        }
    }

    /// Serves acquire requests as far as that is possible now.
    pub(super) fn allocate(&mut self) {
        self.blocking().want_leases();
        self.blocking().hand_over_idle();
        if self.clients.any_resumed() {
            // Those who got a pipe use it first: until then it looks idle, and whoever is
            // next in line would take it away again. The turn goes on with them and comes back.
            return;
        }
        let starved = self.serve_requests();
        if starved {
            // Permits come back without an event: from other workers, or when the server
            // has closed its end of a connection that was given up.
            self.cx.wake_at(self.cx.now + PERMIT_POLL);
        }
        self.pool.wants_place(&self.cx, starved);
        if starved && self.pool.tells_others(&self.cx, SURPLUS_POLL) {
            self.cx.effects.push(Effect::WantPlace);
        }
        self.begin_drained();
        self.traffic().keep_warm();
    }

    /// Looks at those who wait, one by one. Whether one of them found the budget spent.
    fn serve_requests(&mut self) -> bool {
        if self.pool.acquire_queue().is_empty() {
            return false;
        }
        let mut starved = false;
        let mut look = self.pool.acquire_queue_mut().look();
        // Whoever waits on keeps the place before those who begin to wait meanwhile, such as
        // the clients of a pipe that is being drained.
        while let Some((place, request)) = self.pool.acquire_queue_mut().next(&mut look) {
            self.cx.steps += 1;
            match self.allocate_for(request, &mut starved) {
                Allocation::Done => {}
                Allocation::Waits => self
                    .pool
                    .acquire_queue_mut()
                    .waits_on(&mut look, place, request),
            }
        }
        if !self.pool.acquire_queue().is_empty() && self.pool.acquire_queue().has_more() {
            self.cx.wake_at(self.cx.now + PERMIT_POLL);
        }
        starved
    }

    fn allocate_for(&mut self, request: AcquireRequest, starved: &mut bool) -> Allocation {
        match request {
            AcquireRequest::Login(check) => self.gate().allocate_login(check, starved),
            AcquireRequest::Cancel(credential) => {
                self.blocking().allocate_canceller(credential, starved)
            }
            AcquireRequest::Kill(client) => self.queries().allocate_kill(client, starved),
            AcquireRequest::Lease(client)
                if self.clients.awaited_lease(client) == Some(LeaseFor::OwnConnection) =>
            {
                self.traffic()
                    .allocate_own_connection(request, client, starved)
            }
            AcquireRequest::Lease(_) | AcquireRequest::Pipe(_) => {
                self.blocking().allocate_set(request, starved)
            }
        }
    }

    /// Pipes that were being drained and are empty now go on.
    fn begin_drained(&mut self) {
        let quiet = |b: &Backend| matches!(b.phase, Phase::Draining(_)) && b.is_quiet();
        let drained: Vec<BackendId> = self
            .pool
            .backends_by_id()
            .filter(|(_, b)| quiet(b))
            .map(|(id, _)| id)
            .collect();
        for id in drained {
            let next = match self.pool.backend(id).map(|b| &b.phase) {
                Some(Phase::Draining(next)) => *next,
                _ => continue,
            };
            if let Next::For(AcquireRequest::Login(check)) = next {
                match self.gate().is_for(id, check) {
                    true => self.gate().begin_check(id, check),
                    // Another user's: its place is free.
                    false => self.pool.retire(&mut self.cx, id),
                }
                continue;
            }
            let need = match next {
                Next::Close => None,
                // One who does not wait any more leaves the backend to the next in line.
                Next::For(request) => Some((request, self.blocking().need(request))),
            };
            match need {
                None => self.pool.retire(&mut self.cx, id),
                Some((request, Some((key, _)))) if self.pool.becomes(&self.cx, id, key) => {
                    self.blocking().switch(id, request, key.context);
                }
                // The request stays, and dials when the place is free.
                Some((_, Some(_))) => self.pool.retire(&mut self.cx, id),
                Some((_, None)) => self.pool.make_idle(&mut self.cx, id),
            }
        }
    }
}
