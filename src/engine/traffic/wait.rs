//! Waiting for a pipe: which one carries a request, and what happens to those for whom
//! there is none yet.

use crate::admission::Paused;
use crate::resp::NotExecuted;
use crate::telemetry::Way;

use crate::engine::Rules;
use crate::engine::clients::hold::{Hold, RequestOutcome};
use crate::engine::key::{ClientId, ContextId};
use crate::engine::pool::backend::Backend;
use crate::engine::reach::Traffic;
use crate::engine::slot::AccessKind;

/// Waiting clients that are let go on together.
const WAKE_AT_ONCE: usize = 32;

impl Traffic<'_> {
    /// No pipe takes the client's next request now.
    pub fn wait_for_pipe(&mut self, id: ClientId, rules: &Rules) -> RequestOutcome {
        let now = self.cx.now;
        let Some(client) = self.clients.get_mut(id) else {
            return RequestOutcome::Ended;
        };
        let context = client.context();
        let queue_timed_out = client.head.has_queue_timed_out();
        // Asked again after a pause: there may be another server by then.
        if self.pool.endpoint().refuses_as_cluster(now) {
            return self
                .clients
                .refuse(self.cx, id, &crate::resp::Refusal::Cluster);
        }
        if queue_timed_out {
            return self.queue_timed_out(id);
        }
        if self.pool.is_refused(context, now) {
            let last_error = "the server refused the client's database";
            return self
                .clients
                .not_executed(self.cx, id, NotExecuted::NoBackend { last_error });
        }
        if self.pool.waiting() >= rules.settings.pool.queue_clients_max {
            return self
                .clients
                .not_executed(self.cx, id, NotExecuted::QueueFull);
        }
        self.wait_in(id, context)
    }

    /// The client waits for a pipe of `context`, from the moment it first had to.
    pub fn wait_in(&mut self, id: ClientId, context: ContextId) -> RequestOutcome {
        let now = self.cx.now;
        let Some(client) = self.clients.get_mut(id) else {
            return RequestOutcome::Ended;
        };
        if client.head.has_queue_timed_out() {
            return self.queue_timed_out(id);
        }
        let since = client.head.waits(now);
        let outcome = client.hold(Hold::Pipe);
        // A client that has waited before keeps its place before those who came later.
        if self.pool.waits(context, id, since) {
            self.cx
                .wake_at(since + self.cx.rules.settings.pool.queue_timeout);
        }
        outcome
    }

    /// The request at the head of the input has waited as long as it may.
    pub fn queue_timed_out(&mut self, id: ClientId) -> RequestOutcome {
        let why = self.pool.unavailable_reason(self.cx);
        // The text borrows from the server's state, which refusing does not touch.
        let mut reply = Vec::new();
        crate::resp::Refusal::NotExecuted(why).write(&mut reply);
        let label = crate::resp::Refusal::NotExecuted(why).label();
        let now = self.cx.now;
        let Some(client) = self.clients.get_mut(id) else {
            return RequestOutcome::Ended;
        };
        self.cx.counters.refused(label);
        self.cx.counters.went(Way::Refused);
        if let Some(since) = client.head.waits_no_more() {
            self.cx.counters.waited(now.saturating_sub(since));
        }
        let silent = client.session.reply_mode.begin_command();
        client.served(now, "NULL");
        if silent {
            return self.clients.cannot_be_told(self.cx, id);
        }
        self.clients
            .reply_with(id, |out| out.extend_from_slice(&reply));
        RequestOutcome::Taken
    }

    /// Lets clients go on where there is room for them and no reply on its way that would.
    #[inline]
    pub fn wake_where_room(&mut self) {
        if self.pool.waiting() == 0 {
            return;
        }
        self.wake_who_fits();
    }

    fn wake_who_fits(&mut self) {
        let plenty = self.cx.rules.settings.pool.pipe_in_flight_max / 4 * 3;
        // Backends are few, contexts may be many.
        let roomy = |b: &&Backend| b.state().is_some() && b.in_flight.len() <= plenty;
        let roomy = self.pool.backends().filter(roomy).map(Backend::context);
        let mut contexts: Vec<ContextId> = roomy.collect();
        contexts.sort_unstable();
        contexts.dedup();
        for context in contexts {
            self.wake_waiters(context);
        }
    }

    /// Lets clients of `context` go on, as many as its pipes have room for, and not more at
    /// once than can be put back cheaply: the first of them may fill the pipes.
    pub fn wake_waiters(&mut self, context: ContextId) {
        let settings = &self.cx.rules.settings.pool;
        let Some(pool) = self.pool.context_pool(context) else {
            return;
        };
        if !pool.is_waited_for() {
            return;
        }
        let mut room: usize = self
            .pool
            .pipes(context)
            .filter(|b| {
                b.takes(
                    AccessKind::Read,
                    0,
                    settings.pipe_in_flight_max,
                    settings.pipe_bytes_max,
                )
            })
            .map(|b| settings.pipe_in_flight_max - b.in_flight.len())
            .sum::<usize>()
            .min(WAKE_AT_ONCE);
        while room > 0
            && let Some(id) = self.pool.take_first(context)
        {
            if let Some(client) = self.clients.get_mut(id)
                && client.head.hold == Some(Hold::Pipe)
            {
                client.head.hold = None;
                self.clients.resume(id);
                room -= 1;
            }
        }
    }

    /// Lets all clients of `context` go on, to be told of its refusal.
    pub fn wake_all(&mut self, context: ContextId) {
        for id in self.pool.take_line(context) {
            self.clients.end_hold(id, Hold::Pipe);
        }
    }

    /// Clients that have waited for a pipe as long as they may are told so.
    pub fn expire_waiters(&mut self) {
        let limit = self.cx.rules.settings.pool.queue_timeout;
        while let Some((since, context)) = self.pool.longest_waited_for() {
            // What would have to be free for it may be held up by writes.
            let at = self.cx.shared.pause.counts_from(since, Paused::Writes) + limit;
            let id = self.pool.first_in_line(context);
            let waits = id.is_some_and(|id| self.clients.contains_key(id));
            if waits && self.cx.now < at {
                return self.cx.wake_at(at);
            }
            self.cx.steps += 1;
            self.pool.take_first(context);
            if let Some(id) = id
                && let Some(client) = self.clients.get_mut(id)
                && client.head.hold == Some(Hold::Pipe)
            {
                client.head.queue_times_out(client.input.len());
                client.head.hold = None;
                self.clients.resume(id);
            }
        }
    }
}
