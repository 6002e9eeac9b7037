//! What is to be written, fetched by the runtime at the end of a turn, and how a client's
//! connection comes to its end.

use std::time::Duration;

use crate::telemetry::Leave;

use super::clients::Client;
use super::clients::hold::{Ending, Hold};
use super::effect::Effect;
use super::event::EngineEvent;
use super::key::{BackendId, ClientId};
use super::lease::holding::Lease;
use super::pool::backend::{Phase, Want};
use super::pool::loss::Loss;
use super::{Engine, planted};

/// Bytes of requests that are worth a write of their own in the middle of a turn. Measured
/// with 1,000 pipelining clients: 4 and 16 KiB are alike, a write for every 64 small requests
/// costs a tenth more processor time.
const FLUSH_BYTES: usize = 16 << 10;

impl Engine {
    /// Backends with bytes to be written, each once.
    pub fn take_dirty_backends(&mut self, into: &mut Vec<BackendId>) {
        self.pool.unflushed = 0;
        if !self.pool.dirty_backends.is_empty() {
            // Each of them owes replies from now on.
            self.cx.watch_replies();
        }
        into.append(&mut self.pool.dirty_backends);
    }

    /// Whether so much waits for a write that the server should have them now,
    /// so that it works while this worker reads on.
    pub fn wants_flush(&self) -> bool {
        self.pool.unflushed >= FLUSH_BYTES
    }

    /// Clients with bytes to be written, each once.
    pub fn take_dirty_clients(&mut self, into: &mut Vec<ClientId>) {
        self.clients.take_dirty(into);
    }

    /// Bytes for a backend. They have to be written from the front and
    /// [accounted for](Engine::backend_wrote).
    pub fn backend_output(&mut self, id: BackendId) -> &[u8] {
        match self.pool.backends.get_mut(id) {
            Some(backend) => {
                backend.dirty = false;
                backend.watch(self.cx.now);
                backend.out.unsent()
            }
            None => &[],
        }
    }

    /// Bytes for a client. They have to be written from the front and
    /// [accounted for](Engine::client_wrote).
    pub fn client_output(&mut self, id: ClientId) -> &[u8] {
        self.clients.output(id)
    }

    /// The first `n` bytes for a backend have been written.
    pub fn backend_wrote(&mut self, id: BackendId, n: usize, now: Duration) {
        self.advance_to(now);
        let Some(backend) = self.pool.backends.get_mut(id) else {
            return;
        };
        backend.out.wrote(n);
        planted::wrote(id);
        if matches!(backend.phase, Phase::Leased(_)) {
            self.pool.weights.touch(id);
        }
        if backend.out.unsent_len() == 0 {
            backend.blocked_since = None;
        } else {
            let since = *backend.blocked_since.get_or_insert(now);
            let key = backend.pool_key();
            // Requests pile up before the socket: one more pipe may help.
            let grow_after = self.cx.rules.settings.pool.grow_after;
            if matches!(backend.phase, Phase::Pipe { .. }) {
                if now.saturating_sub(since) >= grow_after {
                    self.pool.want(Want::Pipe(key));
                    // It is provided for in a turn, and this may have been the last of this one.
                    self.cx.wake_at(now);
                } else {
                    self.cx.wake_at(since + grow_after);
                }
            }
            return;
        }
        if let Phase::Leased(client) = backend.phase {
            self.stream_room(client);
        }
    }

    /// The first `n` bytes for a client have been written.
    pub fn client_wrote(&mut self, id: ClientId, n: usize, now: Duration) {
        self.advance_to(now);
        let pause_bytes = self.cx.rules.settings.clients.output_pause_bytes;
        self.clients.wrote(id, n, &self.cx);
        let Some(client) = self.clients.get(id) else {
            return;
        };
        let may_end = self.cx.draining || !matches!(client.ending, Ending::No);
        if client.head.hold == Some(Hold::Output) && client.out.len() <= pause_bytes / 2 {
            self.clients.end_hold(id, Hold::Output);
        } else if client.unread {
            self.clients.allow_reading(&mut self.cx, id);
        }
        let is_written = |client: &Client| client.out.is_empty();
        if may_end && self.clients.get(id).is_some_and(is_written) {
            self.clients.close_if_done(&mut self.cx, id);
        }
    }

    /// A client's socket is gone: the engine forgets it. What is in flight runs, as in
    /// Redis, and is swallowed.
    pub fn client_gone(&mut self, id: ClientId, now: Duration) {
        self.advance_to(now);
        self.forget_client(id);
    }

    /// A backend's socket is gone.
    pub fn backend_gone(&mut self, id: BackendId, now: Duration) {
        self.advance_to(now);
        self.pool.lose(&mut self.cx, id, Loss::Gone);
    }

    pub(super) fn forget_client(&mut self, id: ClientId) {
        let Some(mut client) = self.clients.remove(id) else {
            return;
        };
        self.cx
            .counters
            .left(client.leaving.unwrap_or(Leave::Client));
        self.fanout.kills.remove(&id);
        self.clients.look_no_more(id, &client);
        self.leases.line.leaves(client.session.id);
        planted::drop_orphans(&mut self.pool.backends, id);
        self.waits.leave_line(&mut self.cx, id);
        self.end_aside(id, &client);
        let lease = client.part_with_lease();
        if let Some(lease) = &lease {
            // What is there counts for nobody any more: whoever makes room looks at that at once.
            self.pool.weights.touch_if_known(lease.backend());
        }
        self.cx
            .events
            .push_back(EngineEvent::ClientGone(client.within, lease));
        if self.clients.is_empty() {
            // Nothing is kept ready for nobody: what is idle may be due.
            self.cx.wake_at(self.cx.now);
        }
    }

    /// Closes a client at once, for this reason.
    #[cold]
    pub(super) fn close_for(&mut self, id: ClientId, why: Leave) {
        self.clients.leaves_for(id, why);
        self.close_now(id);
    }

    /// The client's connection ends this way, unless its end has begun already.
    pub(super) fn end(&mut self, id: ClientId, ending: Ending) {
        if let Some(client) = self.clients.get_mut(id)
            && matches!(client.ending, Ending::No | Ending::HalfClosed)
        {
            client.ending = ending;
            // Its next request is not dealt with, so it waits for nothing; an answer that
            // is being gathered still comes.
            let hold = client
                .head
                .hold
                .take_if(|hold| !matches!(hold, Hold::Gather(_)));
            match hold {
                Some(Hold::Lease(_)) => self.leases.line.leaves(client.session.id),
                Some(Hold::Login(check)) => self.waits_no_more(check, id),
                _ => {}
            }
            self.waits.leave_line(&mut self.cx, id);
            self.clients.close_if_done(&mut self.cx, id);
        }
    }

    /// Goes on with a client's end as far as it has come.
    pub(super) fn client_ending(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        if matches!(client.ending, Ending::No) && !self.cx.draining {
            return;
        }
        // What it still sends is dropped: one that writes all before it reads gets there.
        if client.unread && client.is_ending() {
            client.unread = false;
            self.cx.effects.push(Effect::ReadClient(id));
        }
        let answered =
            client.in_flight == 0 && client.stream.is_none() && client.head.hold.is_none();
        // Who is in a transaction may finish it.
        let open = |lease: &Lease| lease.lent.bracket.is_open();
        let in_transaction = client.lease.as_ref().is_some_and(open);
        let idle = client.is_quiet() && client.input.is_empty() && !in_transaction;
        match &mut client.ending {
            Ending::No if self.cx.draining && idle => {
                client.leaving.get_or_insert(Leave::Drained);
                client.ending = Ending::AfterOutput;
            }
            Ending::No => return,
            Ending::HalfClosed => {
                // What is left of an unfinished request will never be whole; neither will
                // a huge one that was passing through.
                let waits = client.head.hold.is_some()
                    || client.in_flight > 0
                    || client.input.walked() < client.input.len();
                if waits && (client.stream.is_none() || !client.input.is_empty()) {
                    return;
                }
                client.ending = Ending::AfterOutput;
            }
            Ending::AfterReplies(last_words) => {
                if !answered {
                    return;
                }
                let last_words = std::mem::take(last_words);
                client.ending = Ending::AfterOutput;
                self.clients.drop_input(id);
                self.clients
                    .reply_with(id, |out| out.extend_from_slice(&last_words));
            }
            Ending::AfterOutput => {}
        }
        if let Some(client) = self.clients.get(id)
            && client.ending == Ending::AfterOutput
            && client.out.is_empty()
        {
            self.forget_client(id);
            self.cx.effects.push(Effect::CloseClient(id));
        }
    }
}
