//! Waiting for a pipe: which one carries a request, and what happens to those for whom
//! there is none yet.

use std::time::Duration;

use crate::admission::Paused;
use crate::resp::NotExecuted;
use crate::telemetry::Way;

use super::backend::{Access, Backend, Rotation, Want};
use super::hold::{Hold, Outcome};
use super::key::{BackendId, ClientId, ContextId};
use super::local::REFUSED_DB;
use super::settings::{PoolSettings, Settings};
use super::{Engine, Rules};

/// Waiting clients that are let go on together.
const WAKE_AT_ONCE: usize = 32;

impl Engine {
    /// The least loaded pipe of `context` that takes a request of `bytes` bytes. While
    /// writes are paused they go where others are paused already.
    pub(super) fn pick(
        &mut self,
        context: ContextId,
        access: Access,
        bytes: usize,
        settings: &Settings,
    ) -> Option<BackendId> {
        let pool = &settings.pool;
        let backends = &self.backends;
        let busy = self.shared.busy.is_heard() && self.shared.busy.says(self.now).is_some();
        let rank = |b: &Backend| match b.rotation() {
            Some(Rotation::Writes) => 0,
            Some(Rotation::Script) => 2,
            _ => 1,
        };
        let (best, silent_since, behind_script) = self
            .contexts
            .get(context)?
            .pipes
            .iter()
            .filter_map(|id| Some((*id, backends.get(*id)?)))
            .filter(|(_, b)| b.takes(access, bytes, pool.pipe_in_flight_max, pool.pipe_bytes_max))
            // A script is no reason to wait before it is known that others are answered.
            .filter(|(_, b)| !(busy && b.rotation() == Some(Rotation::Script)))
            .min_by_key(|(_, b)| (rank(b), b.in_flight.len()))
            .map(|(id, b)| {
                let silent_since = b.in_flight.is_empty().then_some(b.heard_at);
                (id, silent_since, b.rotation() == Some(Rotation::Script))
            })?;
        // A server's `timeout` may have closed a connection that was silent for long:
        // it is not given a write that could be lost, before it has answered a ping.
        if let Some(since) = silent_since
            && !pool.ping_interval.is_zero()
            && self.now.saturating_sub(since) > pool.ping_interval * 2
        {
            self.ping(best);
            if let Some(backend) = self.backends.get_mut(best) {
                backend.turn_to(Rotation::Rested);
            }
            return None;
        }
        if behind_script {
            // It goes down that one for want of another.
            self.want(Want::Pipe(context));
        }
        Some(best)
    }

    /// Whether the pipe that carries a client's earlier requests takes one more. Not a
    /// write while writes are paused on another pipe of `context`: it would stop its reads.
    pub(super) fn goes_on(
        &self,
        context: ContextId,
        carrier: BackendId,
        access: Access,
        bytes: usize,
        settings: &PoolSettings,
    ) -> bool {
        let (in_flight_max, bytes_max) = (settings.pipe_in_flight_max, settings.pipe_bytes_max);
        let elsewhere = access == Access::Write && self.writes_go_elsewhere(context, carrier);
        !elsewhere
            && self.backends.get(carrier).is_some_and(|b| {
                // A reload may have changed as whom the client's commands run.
                b.context() == context && b.takes(access, bytes, in_flight_max, bytes_max)
            })
    }

    /// Whether writes are paused on another pipe of `context` than `carrier`: they go there.
    pub(super) fn writes_go_elsewhere(&self, context: ContextId, carrier: BackendId) -> bool {
        let paused = |id: &BackendId| {
            let backend = self.backends.get(*id);
            *id != carrier && backend.is_some_and(|b| b.rotation() == Some(Rotation::Writes))
        };
        self.contexts
            .get(context)
            .is_some_and(|pool| pool.pipes.len() > 1 && pool.pipes.iter().any(paused))
    }

    /// Lists a backend for writing.
    pub(super) fn mark_backend(&mut self, id: BackendId) {
        if let Some(backend) = self.backends.get_mut(id)
            && !backend.dirty
        {
            backend.dirty = true;
            self.dirty_backends.push(id);
        }
    }

    /// No pipe takes the client's next request now.
    pub(super) fn wait_for_pipe(&mut self, id: ClientId, rules: &Rules) -> Outcome {
        let now = self.now;
        let Some(client) = self.clients.get_mut(id) else {
            return Outcome::Ended;
        };
        let context = client.context();
        let overdue = client.overdue_bytes > 0;
        // Asked again after a pause: there may be another server by then.
        if self.server.cluster && self.server.dial_at > now {
            return self.refuse(id, &crate::resp::Refusal::Cluster);
        }
        if overdue {
            return self.overdue(id);
        }
        let refused = self.contexts.get(context).is_some_and(|pool| {
            let fresh = |(_, at): &(Vec<u8>, Duration)| now.saturating_sub(*at) < REFUSED_DB;
            pool.pipes.is_empty() && pool.refusal.as_ref().is_some_and(fresh)
        });
        if refused {
            let last_error = "the server refused the client's database";
            return self.not_executed(id, NotExecuted::NoBackend { last_error });
        }
        if self.contexts.waiting() >= rules.settings.pool.queue_clients_max {
            return self.not_executed(id, NotExecuted::QueueFull);
        }
        self.wait_in(id, context)
    }

    /// The client waits for a pipe of `context`, from the moment it first had to.
    pub(super) fn wait_in(&mut self, id: ClientId, context: ContextId) -> Outcome {
        let now = self.now;
        let Some(client) = self.clients.get_mut(id) else {
            return Outcome::Ended;
        };
        if client.overdue_bytes > 0 {
            return self.overdue(id);
        }
        let since = *client.waiting_since.get_or_insert(now);
        let outcome = client.hold(Hold::Pipe);
        // A client that has waited before keeps its place before those who came later.
        if self.contexts.waits(context, id, since) {
            self.want(Want::Pipe(context));
            self.wake_at(since + self.rules.settings.pool.queue_timeout);
        }
        outcome
    }

    /// The request at the head of the input has waited as long as it may.
    pub(super) fn overdue(&mut self, id: ClientId) -> Outcome {
        let why = self.why_not();
        // The text borrows from the server's state, which refusing does not touch.
        let mut reply = Vec::new();
        crate::resp::Refusal::NotExecuted(why).write(&mut reply);
        let label = crate::resp::Refusal::NotExecuted(why).label();
        let now = self.now;
        let Some(client) = self.clients.get_mut(id) else {
            return Outcome::Ended;
        };
        self.counters.refused(label);
        self.counters.went(Way::Refused);
        if let Some(since) = client.waiting_since.take() {
            self.counters.waited(now.saturating_sub(since));
        }
        let silent = client.session.reply_mode.begin_command();
        client.served(now, "NULL");
        if silent {
            return self.cannot_be_told(id);
        }
        self.reply_with(id, |out| out.extend_from_slice(&reply));
        Outcome::Taken
    }

    /// Lets clients go on where there is room for them and no reply on its way that would.
    pub(super) fn wake_where_room(&mut self) {
        if self.contexts.waiting() == 0 {
            return;
        }
        let plenty = self.rules.settings.pool.pipe_in_flight_max / 4 * 3;
        // Backends are few, contexts may be many.
        let roomy = |b: &&Backend| b.rotation().is_some() && b.in_flight.len() <= plenty;
        let roomy = self.backends.values().filter(roomy).map(Backend::context);
        let mut contexts: Vec<ContextId> = roomy.collect();
        contexts.sort_unstable();
        contexts.dedup();
        for context in contexts {
            self.wake_waiters(context);
        }
    }

    /// Lets clients of `context` go on, as many as its pipes have room for, and not more at
    /// once than can be put back cheaply: the first of them may fill the pipes.
    pub(super) fn wake_waiters(&mut self, context: ContextId) {
        let settings = &self.rules.settings.pool;
        let Some(pool) = self.contexts.get(context) else {
            return;
        };
        if !pool.is_waited_for() {
            return;
        }
        let backends = &self.backends;
        let mut room: usize = pool
            .pipes
            .iter()
            .filter_map(|id| backends.get(*id))
            .filter(|b| {
                b.takes(
                    Access::Read,
                    0,
                    settings.pipe_in_flight_max,
                    settings.pipe_bytes_max,
                )
            })
            .map(|b| settings.pipe_in_flight_max - b.in_flight.len())
            .sum::<usize>()
            .min(WAKE_AT_ONCE);
        while room > 0
            && let Some(id) = self.contexts.take_first(context)
        {
            if let Some(client) = self.clients.get_mut(id)
                && client.hold == Some(Hold::Pipe)
            {
                client.hold = None;
                self.resumed.push_back(id);
                room -= 1;
            }
        }
    }

    /// Lets all clients of `context` go on, to be told of its refusal.
    pub(super) fn wake_all(&mut self, context: ContextId) {
        for (id, _) in self.contexts.take_line(context) {
            self.end_hold(id, Hold::Pipe);
        }
    }

    /// Clients that have waited for a pipe as long as they may are told so.
    pub(super) fn expire_waiters(&mut self) {
        let limit = self.rules.settings.pool.queue_timeout;
        while let Some((since, context)) = self.contexts.longest_waited_for() {
            // What would have to be free for it may be held up by writes.
            let at = self.shared.pause.counts_from(since, Paused::Writes) + limit;
            let id = self.contexts.first_in_line(context);
            let waits = id.is_some_and(|id| self.clients.contains_key(id));
            if waits && self.now < at {
                return self.wake_at(at);
            }
            self.steps += 1;
            self.contexts.take_first(context);
            if let Some(id) = id
                && let Some(client) = self.clients.get_mut(id)
                && client.hold == Some(Hold::Pipe)
            {
                client.overdue_bytes = client.input.len().max(1);
                client.hold = None;
                self.resumed.push_back(id);
            }
        }
    }
}
