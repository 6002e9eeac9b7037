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

use std::sync::Arc;
use std::time::Duration;

use crate::resp::{ReplyKind, write};
use crate::session::info;

use super::Engine;
use super::backend::{Backend, Phase};
use super::client::{Client, Ending, Hold};
use super::effect::{Effect, Question, Reply};
use super::gather::Purpose;
use super::key::{BackendId, ClientId};
use super::loss::Loss;
use super::slot::{Receiver, Settled, Slot};

/// Largest reply that is collected whole, in bytes: what narrows asks for itself, and `INFO`.
const COLLECT_BYTES_MAX: usize = 1 << 20;

impl Engine {
    /// Bytes have come from a backend.
    pub fn backend_bytes(&mut self, id: BackendId, bytes: &[u8], now: Duration) {
        self.now = now;
        let rules = Arc::clone(&self.rules);
        let mut rest = bytes;
        if let Some(backend) = self.backends.get_mut(id) {
            backend.heard_at = now;
        }
        while !rest.is_empty() {
            let Some(backend) = self.backends.get_mut(id) else {
                return;
            };
            if backend.out.was_overtaken() {
                return self.lose(id, Loss::Early);
            }
            let Some(receiver) = backend.in_flight.front().map(|slot| slot.receiver()) else {
                return self.lose(id, Loss::Unsolicited);
            };
            let advance = match backend.replies.advance(rest, &rules.settings.limits) {
                Ok(advance) => advance,
                Err(error) => return self.lose(id, Loss::Malformed(error)),
            };
            let (part, after) = rest.split_at(advance.consumed.min(rest.len()));
            rest = after;
            if backend.replies.kind() == Some(ReplyKind::Push) {
                return self.lose(id, Loss::Push);
            }
            if !advance.complete
                && backend.replies.announced() > rules.settings.pool.big_reply_bytes
            {
                self.rest_pipe(id);
            }
            match receiver {
                Receiver::Client => self.pass_on(id, part, advance.complete),
                Receiver::Silent | Receiver::Tombstone => self.swallow(id, advance.complete),
                Receiver::ClientInfo { .. } | Receiver::Ping | Receiver::Handshake(_) => {
                    self.collect(id, part, advance.complete);
                }
            }
        }
        self.after_replies(id);
    }

    /// A part of a reply goes to its client as it is, at once.
    fn pass_on(&mut self, id: BackendId, part: &[u8], complete: bool) {
        let Some(backend) = self.backends.get_mut(id) else {
            return;
        };
        let Some(client_id) = backend.in_flight.front().map(|slot| slot.client()) else {
            return;
        };
        backend.begun = !complete;
        if let Some(client) = self.clients.get_mut(client_id) {
            client.out.tail(&mut self.store).extend_from_slice(part);
            self.buffered_bytes += part.len();
            if !client.dirty {
                client.dirty = true;
                self.dirty_clients.push(client_id);
            }
        }
        if complete && let Some(settled) = take_oldest(backend, Slot::deliver) {
            self.settled(settled);
        }
        self.bound_output(client_id);
    }

    fn swallow(&mut self, id: BackendId, complete: bool) {
        if complete
            && let Some(backend) = self.backends.get_mut(id)
            && let Some(settled) = take_oldest(backend, Slot::discard)
        {
            self.settled(settled);
        }
    }

    fn collect(&mut self, id: BackendId, part: &[u8], complete: bool) {
        let Some(backend) = self.backends.get_mut(id) else {
            return;
        };
        backend.collected.extend_from_slice(part);
        if backend.collected.len() > COLLECT_BYTES_MAX {
            return self.lose(id, Loss::Oversized);
        }
        if !complete {
            return;
        }
        let reply = std::mem::take(&mut backend.collected);
        let Some(settled) = take_oldest(backend, Slot::deliver) else {
            return;
        };
        match settled.receiver {
            Receiver::Handshake(step) => self.handshake_reply(id, step, &reply),
            Receiver::Ping => self.pinged(id, &reply),
            Receiver::ClientInfo { section } => {
                self.settled(settled);
                self.info_reply(settled.client, &reply, section);
            }
            Receiver::Client | Receiver::Silent | Receiver::Tombstone => self.settled(settled),
        }
    }

    /// The server's `INFO` has come; the figures of all workers are still wanted.
    fn info_reply(&mut self, id: ClientId, reply: &[u8], section: bool) {
        let text = match reply.iter().position(|b| *b == b'\n') {
            Some(end) if matches!(reply.first(), Some(b'$' | b'=')) => reply
                .get(end + 1..reply.len().saturating_sub(2))
                .unwrap_or_default(),
            _ => {
                self.reply_with(id, |out| out.extend_from_slice(reply));
                return self.end_hold(id, Hold::Gather(0));
            }
        };
        let text = match reply.first() {
            Some(b'=') => text.strip_prefix(b"txt:").unwrap_or(text),
            _ => text,
        };
        let text = text.into();
        self.gather(id, Question::Figures, Purpose::Info { text, section });
    }

    /// Writes `INFO` as the client is to see it.
    pub(super) fn finish_info(&mut self, id: ClientId, text: &[u8], section: bool, figures: Reply) {
        let Reply::Figures(mut figures) = figures else {
            return;
        };
        figures.max_clients = self.rules.settings.clients.max_clients as u64;
        figures.backends = u64::from(self.shared.budget.held());
        figures.backends_max = u64::from(self.shared.budget.total());
        let Some(client) = self.clients.get(id) else {
            return;
        };
        let protocol = client.session.protocol;
        let text = info::rewrite(text, &figures, section);
        self.reply_with(id, |out| write::verbatim(out, &text, protocol));
    }

    fn pinged(&mut self, id: BackendId, reply: &[u8]) {
        // Any well-formed answer is a sign of life: `-LOADING`, `-BUSY`, `-NOPERM` too.
        let sane = reply == b"+PONG\r\n" || reply.first() == Some(&b'-');
        if !sane {
            return self.lose(id, Loss::Unsolicited);
        }
        self.end_rest(id);
    }

    /// One request less is in flight for its client.
    pub(super) fn settled(&mut self, settled: Settled) {
        let in_flight_max = self.rules.settings.clients.in_flight_max;
        let Some(client) = self.clients.get_mut(settled.client) else {
            return;
        };
        // A reply out of turn would be another request's: never go on from there.
        assert_eq!(
            settled.sequence, client.sequence_due,
            "replies leave in request order"
        );
        client.sequence_due = client.sequence_due.wrapping_add(1);
        client.in_flight -= 1;
        let goes_on = match client.hold {
            Some(Hold::Replies) => client.in_flight == 0,
            Some(Hold::Room) => (client.in_flight as usize) <= in_flight_max / 2,
            _ => false,
        };
        if goes_on {
            client.hold = None;
            self.resumed.push_back(settled.client);
        } else if client.in_flight == 0 && (client.ending != Ending::No || self.draining) {
            self.close_if_done(settled.client);
        }
    }

    /// What the replies of one batch have made possible.
    fn after_replies(&mut self, id: BackendId) {
        let in_flight_max = self.rules.settings.pool.pipe_in_flight_max;
        let Some(backend) = self.backends.get_mut(id) else {
            return;
        };
        if backend.out.was_overtaken() {
            return self.lose(id, Loss::Early);
        }
        let context = backend.context;
        match backend.phase {
            Phase::Pipe { rested, .. } => {
                if rested && !backend.replies.in_reply() && !expects_ping(backend) {
                    self.end_rest(id);
                } else if backend.in_flight.len() <= in_flight_max / 4 * 3 {
                    self.wake_waiters(context);
                }
            }
            Phase::Leased(client) => self.end_lease_if_done(client),
            _ => {}
        }
    }

    /// A pipe with a huge reply on it gets no further requests until that has passed.
    fn rest_pipe(&mut self, id: BackendId) {
        if let Some(backend) = self.backends.get_mut(id)
            && let Phase::Pipe { rested, .. } = &mut backend.phase
        {
            *rested = true;
        }
    }

    fn end_rest(&mut self, id: BackendId) {
        if let Some(backend) = self.backends.get_mut(id)
            && let Phase::Pipe { rested, .. } = &mut backend.phase
        {
            *rested = false;
            let context = backend.context;
            self.wake_waiters(context);
        }
    }

    /// Writes a local reply to a client.
    pub(super) fn reply_with(&mut self, id: ClientId, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let out = client.out.tail(&mut self.store);
        let before = out.len();
        write(out);
        self.buffered_bytes += out.len() - before;
        self.mark_client(id);
    }

    /// Lists a client for writing.
    pub(super) fn mark_client(&mut self, id: ClientId) {
        if let Some(client) = self.clients.get_mut(id)
            && !client.dirty
        {
            client.dirty = true;
            self.dirty_clients.push(id);
        }
    }

    /// A client that lets more replies pile up than it may is closed.
    fn bound_output(&mut self, id: ClientId) {
        let limit = self.rules.settings.clients.output_bytes_max;
        if self.clients.get(id).is_some_and(|c| c.out.len() > limit) {
            tracing::warn!(
                limit_bytes = limit,
                "client closed: it does not read its replies"
            );
            self.counters.closed_for_output += 1;
            self.close_now(id);
        }
        self.shed_memory();
    }

    /// Closes the largest debtors while more is buffered than may be.
    pub(super) fn shed_memory(&mut self) {
        let limit = self.rules.settings.clients.memory_bytes_max / self.workers.max(1);
        while self.buffered_bytes > limit {
            let debt = |client: &Client| client.out.len() + client.input.len();
            let largest = self.clients.iter().max_by_key(|(_, client)| debt(client));
            let Some((id, client)) = largest.filter(|(_, client)| debt(client) > 0) else {
                return;
            };
            let (client_id, bytes) = (client.session.id, debt(client));
            tracing::warn!(client_id, bytes, "client closed: out of memory for buffers");
            self.counters.closed_for_memory += 1;
            self.close_now(id);
        }
    }

    /// Closes a client at once. Its requests in flight run; their replies are swallowed.
    pub(super) fn close_now(&mut self, id: ClientId) {
        self.forget_client(id);
        self.effects.push(Effect::CloseClient(id));
    }
}

/// Takes the oldest slot: its reply is here.
fn take_oldest(backend: &mut Backend, how: impl FnOnce(Slot) -> Settled) -> Option<Settled> {
    let settled = how(backend.in_flight.pop_front()?);
    backend.out.reply_came(settled.bytes);
    Some(settled)
}

fn expects_ping(backend: &Backend) -> bool {
    backend
        .in_flight
        .iter()
        .any(|slot| slot.receiver() == Receiver::Ping)
}
