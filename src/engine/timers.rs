//! Everything that happens because time has passed. Every wait has a deadline here.

use std::time::Duration;

use crate::admission::Paused;
use crate::telemetry::Leave;

use super::Engine;
use super::backend::{Backend, Next, Phase, Rotation};
use super::check::Check;
use super::key::{BackendId, ClientId};
use super::lease::LeaseFor;
use super::loss::Loss;
use super::planted::{self, Bug};
use super::slot::Receiver;
use super::warm::Idle;

/// What time has brought a backend to.
enum Due {
    Lose(Loss),
    Ping,
    Retire,
    /// It stands behind a script.
    Script,
}

impl Engine {
    /// Time has passed: to be called at [`Engine::alarm`], and harmless at any other time.
    pub fn tick(&mut self, now: Duration) {
        self.advance_to(now);
        planted::register_slots(&mut self.backends, now);
        if self.alarm.is_none_or(|alarm| alarm > now) {
            return;
        }
        self.alarm = None;
        if self.shared.pause.is_on(now) {
            // It may be ended by anybody at any moment.
            self.wake_at(now + SECOND);
        }
        let due: [fn(&mut Self); 16] = [
            Self::expire_pause,
            Self::expire_backends,
            Self::expire_requests,
            Self::expire_waiters,
            Self::expire_lease_waiters,
            Self::expire_command_waiters,
            Self::expire_logins,
            Self::expire_gathers,
            Self::expire_cancels,
            Self::expire_line,
            Self::expire_brackets,
            Self::expire_clients,
            Self::expire_feeds,
            Self::expire_streams,
            Self::give_back_surplus,
            Self::forget_contexts,
        ];
        for look_at in due {
            look_at(self);
            self.dispatch();
        }
        // Wants set their own alarms again when they are looked at.
        if !self.wants.is_empty() {
            self.wake_at(now + Duration::from_millis(10));
        }
    }

    /// Something has been asked of a backend: the clocks of silence and of slow requests run.
    pub(super) fn watch_replies(&mut self) {
        let settings = &self.rules.settings;
        let (stall, request) = (
            settings.backend.stall_timeout,
            settings.clients.request_timeout,
        );
        let check = settings.pool.check_interval;
        let clocks = [stall, request, check];
        let first = clocks.into_iter().filter(|clock| !clock.is_zero()).min();
        self.wake_at(self.now + first.unwrap_or(stall));
    }

    fn expire_backends(&mut self) {
        let mut due = Vec::new();
        let mut next: Option<Duration> = None;
        let mut idle = self.count_idle();
        for (id, backend) in &self.backends {
            match self.due(backend, &idle) {
                (Some(what), _) => {
                    if matches!(what, Due::Retire) {
                        idle.goes(backend);
                    }
                    due.push((id, what));
                }
                (None, Some(at)) => next = Some(next.map_or(at, |n| n.min(at))),
                (None, None) => {}
            }
        }
        for (id, what) in due {
            match what {
                Due::Lose(loss) => {
                    if loss == Loss::HandshakeTimeout {
                        self.dial_ended_badly("no answer to the handshake in time".to_owned());
                    }
                    self.lose(id, loss);
                }
                Due::Script => {
                    self.stands_behind_script(id);
                    self.wake_at(self.now);
                }
                Due::Ping => {
                    self.ping(id);
                    self.wake_at(self.now);
                }
                Due::Retire => {
                    self.retire_when_quiet(id);
                    // What it still carries has its own deadline.
                    self.wake_at(self.now);
                }
            }
        }
        if let Some(at) = next {
            self.wake_at(at);
        }
    }

    /// What is due for a backend now, or when something will be.
    fn due(&self, backend: &Backend, idle: &Idle) -> (Option<Due>, Option<Duration>) {
        let now = self.now;
        let settings = &self.rules.settings;
        let mut next = Earliest::default();
        if let Some((begun, loss)) = self.own_work(backend) {
            let deadline = self.counts_from(begun) + settings.backend.handshake_timeout;
            return match deadline <= now {
                true => (Some(Due::Lose(loss)), None),
                false => (None, Some(deadline)),
            };
        }
        if matches!(backend.phase, Phase::Dialling) {
            return (None, None);
        }
        // An old pipe is drained, so that one that is never idle is replaced too.
        if let Some(at) = backend.retire_at
            && matches!(backend.phase, Phase::Spare | Phase::Pipe { .. })
        {
            if at <= now {
                return (Some(Due::Retire), None);
            }
            next.earliest(at);
        }
        // Where a client waits for as long as it likes, a dead server is found by TCP.
        if backend.patient {
            return (None, next.at);
        }
        if !backend.in_flight.is_empty() && !planted::has(Bug::StallMissed) {
            return self.due_while_owing(backend, next);
        }
        if !is_idle(backend) {
            return (None, next.at);
        }
        let budget = &self.shared.budget;
        if (budget.growth_stopped() || budget.is_exceeded()) && idle.all > 1 {
            return (Some(Due::Retire), None);
        }
        if !settings.pool.idle_timeout.is_zero() && !idle.keeps(backend) {
            let at = backend.used_at + settings.pool.idle_timeout;
            if at <= now {
                return (Some(Due::Retire), None);
            }
            next.earliest(at);
        }
        if !settings.pool.ping_interval.is_zero() {
            let at = backend.heard_at + settings.pool.ping_interval;
            if at <= now {
                return (Some(Due::Ping), None);
            }
            next.earliest(at);
        }
        (None, next.at)
    }

    /// The same for one that owes replies. `next` is when it is due for another reason.
    fn due_while_owing(
        &self,
        backend: &Backend,
        mut next: Earliest,
    ) -> (Option<Due>, Option<Duration>) {
        let (now, settings) = (self.now, &self.rules.settings);
        if let Some(at) = backend.script_due(now) {
            if at <= now {
                return (Some(Due::Script), None);
            }
            next.earliest(at);
        }
        // A server that says that it is busy is alive.
        if !self.waits_for_script(backend) {
            let at = self.silent_since(backend) + self.stall_limit(backend);
            if at <= now {
                return (Some(Due::Lose(Loss::Stalled)), None);
            }
            next.earliest(at);
        }
        if let Some(at) = Check::due(backend, settings.pool.check_interval) {
            if at <= now {
                return (Some(Due::Ping), None);
            }
            next.earliest(at);
        }
        // The shorter clock may begin to hold at any moment.
        next.earliest((backend.heard_at + settings.backend.stall_timeout).max(now + SECOND));
        (None, next.at)
    }

    /// Since when a backend is being set to its context, or cleaned, and what it is lost to in the end.
    fn own_work(&self, backend: &Backend) -> Option<(Duration, Loss)> {
        let timeout = self.rules.settings.backend.handshake_timeout;
        match &backend.phase {
            Phase::Handshake(handshake) => {
                let begun = handshake.deadline.saturating_sub(timeout);
                Some((begun, Loss::HandshakeTimeout))
            }
            Phase::Cleaning(cleaning) => Some((cleaning.since, Loss::ClientGone)),
            _ => None,
        }
    }

    /// How long a backend that owes replies may be silent.
    fn stall_limit(&self, backend: &Backend) -> Duration {
        let settings = &self.rules.settings.backend;
        match (self.server.answering, backend.rotation()) {
            // Somebody has paused writes: that is no death while the server answers others.
            // A connection that is dead is found by TCP, which misses the acknowledgements;
            // the bound is for what neither explains.
            (true, Some(Rotation::Writes)) => settings.stall_timeout_answering * 10,
            (true, _) => settings.stall_timeout_answering,
            (false, _) => settings.stall_timeout,
        }
    }

    /// Retires a backend that carries nothing; a pipe is drained first.
    pub(super) fn retire_when_quiet(&mut self, id: BackendId) {
        match self.backends.get(id).map(|b| &b.phase) {
            Some(Phase::Pipe { .. }) => self.drain_pipe(id, Next::Close),
            Some(Phase::Spare) => self.retire(id),
            _ => {}
        }
    }

    /// Requests older than `request_timeout`: their clients are told, their places stay.
    fn expire_requests(&mut self) {
        let limit = self.rules.settings.clients.request_timeout;
        if limit.is_zero() {
            return;
        }
        let now = self.now;
        // Which of them the server held up nobody knows.
        let pause = &self.shared.pause;
        let first = pause.counts_from(Duration::ZERO, Paused::Writes) + limit;
        if first > now {
            return self.wake_at(first);
        }
        let mut late: Vec<(ClientId, Receiver)> = Vec::new();
        let mut given_up: Vec<BackendId> = Vec::new();
        for (id, backend) in &mut self.backends {
            if let Phase::Leased(owner) = backend.phase
                && let Some(client) = self.clients.get(owner)
                && let Some(lease) = client.lease.as_ref()
                && lease.lent.purpose != LeaseFor::Upload
            {
                // What it holds for its client would not be known any more.
                let oldest = backend.in_flight.front();
                if !backend.patient && oldest.is_some_and(|slot| slot.is_older_than(limit, now)) {
                    given_up.push(id);
                }
                continue;
            }
            // A reply that has begun to reach its client goes on, and so does what that
            // client waits for behind it.
            let begun = backend.in_flight.front().filter(|_| backend.begun);
            let begun = begun.map(|slot| slot.client());
            let old = backend
                .in_flight
                .iter_mut()
                .take_while(|slot| slot.is_older_than(limit, now));
            for (place, slot) in old.enumerate() {
                let receiver = slot.receiver();
                let waits = matches!(
                    receiver,
                    Receiver::Client
                        | Receiver::ClientInfo { .. }
                        | Receiver::Role(_)
                        | Receiver::Silent
                );
                if waits && begun != Some(slot.client()) {
                    late.push((slot.give_up(), receiver));
                    if place == 0 {
                        // What has come of it must not be taken for a part of the next.
                        backend.collected.clear();
                    }
                }
            }
        }
        for id in given_up {
            self.lose(id, Loss::TimedOut);
        }
        planted::drop_tombstones(&mut self.backends);
        for (id, receiver) in late {
            self.request_timed_out(id, receiver);
        }
        if self.backends.values().all(|b| b.in_flight.is_empty()) {
            return;
        }
        // Fine enough to be within a tenth of the limit.
        self.wake_at(now + (limit / 10).max(Duration::from_millis(1)));
    }

    fn request_timed_out(&mut self, id: ClientId, receiver: Receiver) {
        let Some(client) = self.clients.get(id) else {
            return;
        };
        let sequence = client.sequence_due;
        let refusal = crate::resp::Refusal::RequestTimeout;
        self.counters.refused(refusal.label());
        if receiver != Receiver::Silent {
            self.reply_with(id, |out| refusal.write(out));
        }
        if matches!(receiver, Receiver::ClientInfo { .. }) {
            self.end_hold(id, super::hold::Hold::Gather(0));
        }
        self.replies_in(id, sequence, 1);
        // A lease with a reply still to come cannot go back.
        self.end_lease_if_done(id);
    }

    /// Clients that sit in a transaction without a word are closed: others wait for what they
    /// hold.
    fn expire_brackets(&mut self) {
        let limit = self.rules.settings.clients.idle_in_transaction;
        if limit.is_zero() || self.leases.total() == 0 {
            return;
        }
        let owners = self.backends.values().filter_map(|backend| {
            let Phase::Leased(owner) = backend.phase else {
                return None;
            };
            let client = self.clients.get(owner)?;
            let idle = client.in_flight == 0 && client.hold.is_none();
            let lease = client.lease.as_ref().filter(|_| idle)?;
            let sits = lease.lent.bracket.is_open() && !self.has_live_feed(owner);
            sits.then_some((owner, client.active_at + limit))
        });
        let owners: Vec<(ClientId, Duration)> = owners.collect();
        for (id, at) in owners {
            if at > self.now {
                self.wake_at(at);
                continue;
            }
            let client_id = self.clients.get(id).map(|client| client.session.id);
            let key = "clients.idle_in_transaction";
            tracing::warn!(
                client_id,
                key,
                "client closed: idle in a transaction for too long"
            );
            self.close_for(id, Leave::IdleInTransaction);
        }
    }

    fn expire_command_waiters(&mut self) {
        let limit = self.rules.settings.pool.queue_timeout;
        if let Some((_, since)) = self.command_waiters.first() {
            let at = self.counts_from(*since) + limit;
            if at <= self.now {
                self.commands_learned(self.now);
            } else {
                self.wake_at(at);
            }
        }
    }

    /// Another worker waits for a place in the budget.
    pub fn place_wanted(&mut self, now: Duration) {
        self.advance_to(now);
        self.wake_at(now);
    }

    /// Others wait for permits, or the bound was lowered, and this worker has more than its share:
    /// one goes back.
    fn give_back_surplus(&mut self) {
        let budget = &self.shared.budget;
        if budget.surplus(self.worker) == 0 || !self.spares_one(LeaseFor::Pin) {
            return;
        }
        if !budget.is_exceeded() && (!budget.wanting() || self.wanting) {
            // Whoever comes to want one says so.
            return;
        }
        self.wake_at(self.now + Duration::from_millis(20));
        if let Some(spare) = self.spares.first().copied() {
            return self.retire(spare);
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
}

const SECOND: Duration = Duration::from_secs(1);

/// The earliest of some moments.
#[derive(Default)]
struct Earliest {
    at: Option<Duration>,
}

impl Earliest {
    fn earliest(&mut self, at: Duration) {
        self.at = Some(self.at.map_or(at, |now| now.min(at)));
    }
}

/// Whether a backend is in use by nobody, as far as traffic goes.
pub(super) fn is_idle(backend: &Backend) -> bool {
    matches!(backend.phase, Phase::Spare | Phase::Pipe { .. }) && backend.is_quiet()
}
