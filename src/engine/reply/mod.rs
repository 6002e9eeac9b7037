//! The way out: from bytes of a backend to a client's outbox.
//!
//! ```text
//! backend_bytes -> the oldest slot says whose the reply is -> pass_on   to a client
//!                                                       |---> swallow  nobody's
//!                                                       '---> collect  wanted whole
//! ```
//!
//! A reply without a slot, a push, or bytes that are no reply close the backend. Nothing
//! is ever skipped.

pub mod marked_reply;
pub mod push_frames;

use std::sync::Arc;
use std::time::Duration;

use crate::session::{StateChange, info};

use super::clients::hold::Hold;
use super::effect::WorkerQuery;
use super::fanout::pending::Purpose;
use super::key::BackendId;
use super::pool::backend::{Backend, Phase, PipeState};
use super::pool::close_reason::CloseReason;
use super::pool::reply_batch::ReplyBatch;
use super::reach::{Lending, Memory, Traffic};
use super::received::Received;
use super::slot::{Receiver, Slot, TryRequest};
use super::{Engine, Rules};

/// Largest reply that is collected whole, in bytes: what narrows asks for itself, and `INFO`.
const COLLECT_BYTES_MAX: usize = 1 << 20;

impl Engine {
    /// Bytes have come from a backend.
    pub fn backend_bytes<'a>(
        &mut self,
        id: BackendId,
        bytes: impl Into<Received<'a>>,
        now: Duration,
    ) {
        let bytes = bytes.into();
        self.advance_to(now);
        let rules = Arc::clone(&self.cx.rules);
        let Some(backend) = self.pool.backend_mut(id) else {
            return;
        };
        backend.heard_at = now;
        let owed = backend.in_flight.len();
        let has_push_stream = match &backend.phase {
            Phase::Leased(owner) => {
                let owner = *owner;
                self.pool.touch(id);
                self.clients.has_push_stream(owner)
            }
            Phase::Cleaning(cleaning) => cleaning.push_stream.is_some(),
            _ => false,
        };
        match has_push_stream {
            true => self.push_stream_bytes(&rules, id, bytes.bytes()),
            false => self.replies(id, &rules, bytes),
        }
        self.after_replies(id, owed);
    }

    /// Replies of a backend, and nothing but replies, wherever they are cut.
    pub(super) fn replies(&mut self, id: BackendId, rules: &Rules, bytes: Received<'_>) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some(backend) = self.pool.backend_mut(id) else {
                return;
            };
            let (limits, big) = (&rules.settings.limits, rules.settings.pool.big_reply_bytes);
            let batch = backend.next_batch(rest.bytes(), limits, big);
            let (part, after) = rest.split_at(batch.bytes);
            rest = after;
            match batch.receiver {
                Receiver::Client => self.memory().pass_on(&batch, part),
                Receiver::Silent | Receiver::Tombstone => {
                    // What has come of a reply that was given up since must not be taken for a part of
                    // the next one.
                    backend.collected.clear();
                    self.clients
                        .settled(&mut self.cx, batch.client, batch.first, batch.ended)
                }
                Receiver::OnLease(change) if self.pool.streams(id, change) => {
                    self.memory().pass_on(&batch, part);
                    self.lending().stream_came(&batch, change);
                }
                Receiver::OnLeaseSilent(change)
                    if self.pool.streams(id, change)
                        && !self.clients.may_hear_inside(batch.client) =>
                {
                    self.clients
                        .settled(&mut self.cx, batch.client, batch.first, batch.ended);
                    self.lending().stream_came(&batch, change);
                }
                Receiver::ClientInfo { .. }
                | Receiver::Role(_)
                | Receiver::OnLease(_)
                | Receiver::OnLeaseSilent(_)
                | Receiver::Permission
                | Receiver::Kill
                | Receiver::Undone(_)
                | Receiver::Ping
                | Receiver::Offset
                | Receiver::Waited { .. }
                | Receiver::Cancel { .. }
                | Receiver::PutBack
                | Receiver::Tried(_)
                | Receiver::Handshake(_) => self.collect(id, &batch, part.bytes()),
            }
            if let Some(error) = batch.error {
                if error == CloseReason::LeftOpen {
                    self.pool.transactions_need_leases(id);
                }
                return self.pool.close_backend(&mut self.cx, id, error);
            }
            self.dispatch();
        }
    }

    fn collect(&mut self, id: BackendId, batch: &ReplyBatch, part: &[u8]) {
        let Some(backend) = self.pool.backend_mut(id) else {
            return;
        };
        backend.collected.extend_from_slice(part);
        let limit = match batch.receiver {
            Receiver::OnLease(StateChange::ExecFilled)
            | Receiver::OnLeaseSilent(StateChange::Exec | StateChange::ExecFilled)
            | Receiver::Waited { .. } => self.cx.rules.settings.clients.output_bytes_max,
            Receiver::Tried(step) if step != TryRequest::End => {
                self.cx.rules.settings.clients.output_bytes_max
            }
            _ => COLLECT_BYTES_MAX,
        };
        // One that is whole has been taken from the queue: its client gets it.
        if batch.ended == 0 && backend.collected.len() > limit {
            return match batch.receiver {
                Receiver::ClientInfo { .. } => self.memory().pass_info_on(id, batch),
                Receiver::Tried(step) => self.blocking().try_too_long(id, batch.client, step),
                _ => self
                    .pool
                    .close_backend(&mut self.cx, id, CloseReason::Oversized),
            };
        }
        if batch.ended == 0 {
            return;
        }
        let reply = std::mem::take(&mut backend.collected);
        match batch.receiver {
            Receiver::Handshake(step) => self.gate().handshake_reply(id, step, &reply),
            Receiver::Ping => self.lending().pinged(id, &reply),
            Receiver::Undone(change) => self.pool.undone(&mut self.cx, id, change, &reply),
            Receiver::Offset => self.traffic().offset_moved(id, &reply),
            Receiver::Permission => self.traffic().permission_came(batch.client, &reply),
            Receiver::Kill => self.queries().kill_answered(batch.client, Some(&reply)),
            Receiver::Waited { silent } => self.blocking().wait_answered(id, batch, reply, silent),
            Receiver::Cancel { last: false } => {}
            Receiver::Cancel { last: true } => self.blocking().cancel_answered(id, &reply),
            Receiver::PutBack => self.lending().was_put_back(id, &reply),
            Receiver::Tried(step) => self.blocking().tried(id, batch.client, step, reply),
            Receiver::ClientInfo { section } => {
                self.clients
                    .settled(&mut self.cx, batch.client, batch.first, batch.ended);
                // The figures of all workers are still wanted.
                match info::text_of(&reply) {
                    Some(text) => {
                        let text = text.into();
                        let purpose = Purpose::Info { text, section };
                        self.fan_out(batch.client, WorkerQuery::Figures, purpose);
                    }
                    None => self.clients.no_figures(batch.client, &reply),
                }
            }
            Receiver::Role(role) => {
                if reply.starts_with(b"+OK") {
                    let endpoint = self.pool.endpoint().id();
                    self.cx.shared.role.changed(endpoint, role, self.cx.now);
                }
                self.memory().pass_on(batch, reply[..].into());
            }
            Receiver::OnLease(change) => self.marked_reply(id, batch, change, &reply, false),
            Receiver::OnLeaseSilent(change) => self.marked_reply(id, batch, change, &reply, true),
            Receiver::Client | Receiver::Silent | Receiver::Tombstone => {
                self.clients
                    .settled(&mut self.cx, batch.client, batch.first, batch.ended)
            }
        }
    }

    /// What the replies of one batch have made possible, before which `owed` were expected.
    fn after_replies(&mut self, id: BackendId, owed: usize) {
        self.dispatch();
        let in_flight_max = self.cx.rules.settings.pool.pipe_in_flight_max;
        let Some(backend) = self.pool.backend_mut(id) else {
            return;
        };
        let context = backend.context();
        let replies = owed.saturating_sub(backend.in_flight.len());
        if let Some(took) = backend.latency_sample.passed(replies, self.cx.now) {
            self.cx.counters.round_trip.observe(took);
        }
        let busy = backend.busy.take();
        if std::mem::take(&mut backend.script_over) {
            self.cx.shared.busy.over(self.cx.now);
        }
        let script = backend.in_flight.front().is_some_and(Slot::is_script);
        match backend.phase {
            Phase::Pipe { state, .. } => {
                let passed = !backend.replies.in_reply() && !expects_ping(backend);
                let script_passed = state == PipeState::Script && replies > 0;
                if script_passed || (state != PipeState::Open && passed) {
                    self.traffic().reopen(id);
                } else if backend.in_flight.len() <= in_flight_max / 4 * 3 {
                    self.traffic().wake_waiters(context);
                }
            }
            Phase::Leased(client) => {
                let answered = backend.in_flight.is_empty();
                backend.patient &= !answered;
                if answered {
                    self.blocking().wait_over(id, client);
                }
                let unfinished = self.clients.get(client).is_some_and(|c| c.stream.is_some());
                if answered
                    && !unfinished
                    && let Some(backend) = self.pool.backend_mut(id)
                {
                    backend.out.stream(false);
                }
                if answered && unfinished {
                    self.pool
                        .close_backend(&mut self.cx, id, CloseReason::Early);
                } else if !self
                    .clients
                    .lease_state(client)
                    .is_some_and(|lease_state| lease_state.own_command_due)
                {
                    // One that was lent just now, by the last reply of its handshake, is not done.
                    self.lending().end_lease_if_done(client);
                }
            }
            Phase::Cancelling => self.blocking().release_canceller(id),
            _ => {}
        }
        if script {
            self.cx.watch_script();
        }
        if let Some(busy) = busy {
            self.traffic().heard_busy(&busy);
        }
    }
}

impl Memory<'_> {
    /// Replies, or a part of one, go to their client as they are, at once.
    #[inline(always)]
    fn pass_on(&mut self, batch: &ReplyBatch, part: Received<'_>) {
        if let Some(output_bytes) = self.clients.pass_on(batch.client, part) {
            self.clients
                .settled(self.cx, batch.client, batch.first, batch.ended);
            self.clients
                .bound_output(self.cx, batch.client, output_bytes);
            self.shed_memory(batch.client);
        }
    }

    /// An `INFO` is longer than what is looked at whole: it goes on to its client as it is, since
    /// others wait behind it.
    fn pass_info_on(&mut self, id: BackendId, batch: &ReplyBatch) {
        let Some(backend) = self.pool.backend_mut(id) else {
            return;
        };
        if let Some(slot) = backend.in_flight.front_mut() {
            slot.pass_as_it_is();
        }
        backend.begun = true;
        let text = std::mem::take(&mut backend.collected);
        self.pass_on(batch, text[..].into());
        self.clients.end_hold(batch.client, Hold::FanOut(0));
    }
}

impl Lending<'_> {
    /// The answer to a check of a backend has come.
    fn pinged(&mut self, id: BackendId, reply: &[u8]) {
        if !self.pool.is_in_step(id, reply) {
            return self.pool.close_backend(self.cx, id, CloseReason::OutOfStep);
        }
        // It may be idle from now on: the next one is due in time.
        let interval = self.cx.rules.settings.pool.ping_interval;
        if !interval.is_zero() {
            self.cx.wake_at(self.cx.now + interval);
        }
        self.cleaned(id);
        self.traffic().reopen(id);
    }
}

impl Traffic<'_> {
    /// A pipe takes all requests again.
    pub fn reopen(&mut self, id: BackendId) {
        if let Some(backend) = self.pool.backend_mut(id)
            && matches!(backend.phase, Phase::Pipe { .. })
        {
            backend.turn_to(PipeState::Open);
            let context = backend.context();
            self.wake_waiters(context);
        }
    }
}

fn expects_ping(backend: &Backend) -> bool {
    backend
        .in_flight
        .iter()
        .any(|slot| slot.receiver() == Receiver::Ping)
}
