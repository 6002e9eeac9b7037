//! What a server pushes to a client, on a backend of that client's own: messages, the lines of
//! `MONITOR`, invalidations of tracked keys. They stand between the replies and belong to none.
//!
//! ```text
//! push_stream_bytes -> what is this frame? -> reply         as on any backend: `mod.rs`
//!                                  |-> confirmation  of the oldest request, one of several
//!                                  |-> asked for     to the client, beside its replies
//!                                  '-> anything else closes the backend
//! ```
//!
//! What was asked for passes whole, so that between two frames there is always a place for an answer of
//! narrows' own.

use std::time::Duration;

use crate::resp::{Protocol, ReplyScanner};
use crate::session::push_stream::{
    FrameKind, PREFIX_BYTES_MAX, PushContext, confirmed_count, frame_kind,
};
use crate::session::{StateChange, own_channel};

use crate::engine::clients::Clients;
use crate::engine::key::{BackendId, ClientId};
use crate::engine::lease::push_stream::PushStream;
use crate::engine::pool::Pool;
use crate::engine::pool::backend::{Backend, Phase};
use crate::engine::pool::close_reason::CloseReason;
use crate::engine::reach::{Lending, Traffic};
use crate::engine::slot::Receiver;
use crate::engine::{Engine, Rules, fault_injection};

/// A push stream, with what there is to know of its connection.
struct StreamContext<'a> {
    push_stream: &'a mut PushStream,
    /// Where in the oldest reply we are.
    replies: &'a mut ReplyScanner,
    /// The connection's.
    protocol: Protocol,
    /// Whose it is: nobody's, where its client has left.
    owner: Option<ClientId>,
    /// The oldest request is one that changes subscriptions.
    owes: bool,
}

impl Backend {
    /// Whether the oldest request is one that changes subscriptions.
    fn owes_confirmations(&self) -> bool {
        let oldest = self.in_flight.front().map(|slot| slot.receiver());
        matches!(
            oldest,
            Some(
                Receiver::OnLease(StateChange::Subscribe)
                    | Receiver::OnLeaseSilent(StateChange::Subscribe)
                    | Receiver::Undone(StateChange::Subscribe)
            )
        )
    }
}

impl Engine {
    /// Bytes of a backend whose client may be pushed things.
    pub fn push_stream_bytes(&mut self, rules: &Rules, id: BackendId, bytes: &[u8]) {
        let joined = self.traffic().joined_with_held(id, bytes);
        let mut rest = joined.as_deref().unwrap_or(bytes);
        while !rest.is_empty() {
            let Some(on) = push_stream_on(&mut self.clients, &mut self.pool, id) else {
                // It was cleaned just now, or is lost: nothing may be pushed any more.
                return self.replies(id, rules, rest.into());
            };
            let (push_stream, protocol, owes) = (on.push_stream, on.protocol, on.owes);
            let listening = PushContext {
                protocol,
                subscribed: push_stream.subscriptions.any() || owes,
                monitoring: push_stream.monitoring,
            };
            let begins = push_stream.under_way.is_none();
            if begins {
                // A transaction of the client's own may tell it something in the middle of its reply.
                let nests =
                    protocol == Protocol::Resp3 && (listening.subscribed || push_stream.tracking);
                push_stream.scanner.let_pushes_nest(nests);
                on.replies.let_pushes_nest(nests);
            }
            let Some(kind) = push_stream
                .under_way
                .or_else(|| frame_kind(rest, listening))
            else {
                // So little of it is here that it may be anything.
                debug_assert!(rest.len() < PREFIX_BYTES_MAX);
                return self.traffic().hold_back(id, None, rest);
            };
            let kind = fault_injection::kind_of_frame(kind);
            let advance = match push_stream.scanner.advance(rest, &rules.settings.limits) {
                Ok(advance) => advance,
                Err(error) => {
                    return self.pool.close_backend(
                        &mut self.cx,
                        id,
                        CloseReason::Malformed(error),
                    );
                }
            };
            push_stream.under_way = (!advance.complete).then_some(kind);
            let (part, after) = rest.split_at(advance.consumed.min(rest.len()));
            rest = after;
            if kind == FrameKind::Reply {
                let begun = push_stream.due.front().is_some_and(|due| due.come > 0);
                if begins && owes && (begun || part.first() != Some(&b'-')) {
                    return self
                        .pool
                        .close_backend(&mut self.cx, id, CloseReason::OutOfStep);
                }
                self.replies(id, rules, part.into());
            } else if advance.complete && push_stream.held.is_empty() {
                self.traffic().push_frame(id, kind, part);
            } else {
                self.traffic().hold_back(id, Some(kind), part);
                if advance.complete {
                    self.traffic().push_held_frame(id, kind);
                }
            }
            self.dispatch();
        }
    }
}

impl Lending<'_> {
    /// Subscribers that have been too far behind for too long are closed.
    pub fn expire_push_streams(&mut self) {
        if self.leases.total() == 0 {
            return;
        }
        let settings = &self.cx.rules.settings.clients;
        let (soft, time) = (
            settings.output_subscriber_soft_bytes,
            settings.output_subscriber_soft_time,
        );
        let now = self.cx.now;
        let mut late = Vec::new();
        let mut next: Option<Duration> = None;
        for backend in self.pool.backends() {
            let Phase::Leased(id) = backend.phase else {
                continue;
            };
            let Some(client) = self.clients.get_mut(id) else {
                continue;
            };
            let unread = client.out.len();
            let Some(push_stream) = client
                .lease
                .as_mut()
                .and_then(|l| l.state.push_stream.as_mut())
            else {
                continue;
            };
            match push_stream.behind_since {
                Some(_) if unread <= soft => push_stream.behind_since = None,
                Some(since) if now.saturating_sub(since) >= time => late.push(id),
                Some(since) => next = Some(next.map_or(since, |n| n.min(since))),
                None => {}
            }
        }
        for id in late {
            self.clients.too_far_behind(self.cx, id, soft);
        }
        if let Some(since) = next {
            self.cx.wake_at(since + time);
        }
    }
}

impl Traffic<'_> {
    /// What was held back as too little to be anything, with what has come behind it.
    fn joined_with_held(&mut self, id: BackendId, bytes: &[u8]) -> Option<Vec<u8>> {
        let StreamContext { push_stream, .. } = push_stream_on(self.clients, self.pool, id)?;
        if push_stream.under_way.is_some() || push_stream.held.is_empty() {
            return None;
        }
        let mut joined = std::mem::take(&mut push_stream.held);
        joined.extend_from_slice(bytes);
        Some(joined)
    }

    /// What was held back of a frame is all of it.
    fn push_held_frame(&mut self, id: BackendId, kind: FrameKind) {
        if let Some(StreamContext { push_stream, .. }) = push_stream_on(self.clients, self.pool, id)
        {
            let frame = std::mem::take(&mut push_stream.held);
            self.push_frame(id, kind, &frame);
        }
    }

    /// A part of a frame is kept until the rest of it has come: between two frames is the only
    /// place where an answer of narrows' own may stand.
    fn hold_back(&mut self, id: BackendId, kind: Option<FrameKind>, part: &[u8]) {
        let limit = self.cx.rules.settings.clients.output_subscriber_bytes_max;
        let Some(StreamContext {
            push_stream, owner, ..
        }) = push_stream_on(self.clients, self.pool, id)
        else {
            return;
        };
        if owner.is_none() && kind.is_some_and(FrameKind::is_told) {
            return;
        }
        push_stream.held.extend_from_slice(part);
        if push_stream.held.len() > limit {
            match owner {
                Some(owner) => self.clients.too_far_behind(self.cx, owner, limit),
                None => self.pool.close_backend(self.cx, id, CloseReason::Oversized),
            }
        }
    }

    /// A whole frame that is no reply.
    fn push_frame(&mut self, id: BackendId, kind: FrameKind, frame: &[u8]) {
        let Some(StreamContext {
            push_stream,
            owner,
            owes,
            ..
        }) = push_stream_on(self.clients, self.pool, id)
        else {
            return;
        };
        match kind {
            // Neither these nor confirmations are silenced by CLIENT REPLY (CLIENT_PUSHING,
            // networking.c).
            FrameKind::Message if push_stream.subscriptions.any() => {
                self.hand_on(owner, kind, frame)
            }
            FrameKind::Invalidation if push_stream.tracking => self.hand_on(owner, kind, frame),
            FrameKind::MonitorLine => self.hand_on(owner, kind, frame),
            FrameKind::Confirmation(verb) => {
                let last = push_stream.confirmed(verb, confirmed_count(frame));
                let Some(last) = last.filter(|_| owes) else {
                    return self.pool.close_backend(self.cx, id, CloseReason::OutOfStep);
                };
                if let Some(backend) = self.pool.backend_mut(id) {
                    // Where some have come nothing else can be said in place of the others.
                    backend.begun = !last;
                }
                self.hand_on(owner, kind, frame);
                if last {
                    self.confirmed(id);
                }
            }
            _ => self.pool.close_backend(self.cx, id, CloseReason::Push),
        }
    }

    /// All confirmations of the oldest request have come.
    fn confirmed(&mut self, id: BackendId) {
        let Some(backend) = self.pool.backend_mut(id) else {
            return;
        };
        if backend.out.was_overtaken() {
            return self.pool.close_backend(self.cx, id, CloseReason::Early);
        }
        if let Some(settled) = backend.take_oldest() {
            self.clients
                .replies_in(self.cx, settled.client, settled.sequence, 1);
        }
    }

    /// A frame goes to its client as it is, if that is still there.
    fn hand_on(&mut self, owner: Option<ClientId>, kind: FrameKind, frame: &[u8]) {
        let Some(owner) = owner else {
            return;
        };
        let Some(client) = self.clients.get_mut(owner) else {
            return;
        };
        let speaks = client.session.reply_mode == crate::session::ReplyMode::On;
        match kind {
            // A pattern may be of all channels.
            FrameKind::Message if own_channel::is_own(frame) => return,
            FrameKind::MonitorLine if !speaks => return,
            _ => {}
        }
        let before = client.out.len();
        let Some(unread) = self.clients.pass_on(owner, frame.into()) else {
            return;
        };
        let settings = &self.cx.rules.settings.clients;
        let (limit, soft) = (
            settings.output_subscriber_bytes_max,
            settings.output_subscriber_soft_bytes,
        );
        let (now, soft_time) = (self.cx.now, settings.output_subscriber_soft_time);
        let Some(push_stream) = self.clients.push_stream(owner) else {
            return;
        };
        if !push_stream.subscriptions.any() {
            // Redis' own bounds are for subscribers; others have that of any client.
            return self.clients.output_grew(self.cx, owner, unread);
        }
        if before <= soft {
            push_stream.behind_since = None;
        }
        if unread > soft && push_stream.behind_since.is_none() {
            push_stream.behind_since = Some(now);
            self.cx.wake_at(now + soft_time);
        }
        if unread > limit {
            self.clients.too_far_behind(self.cx, owner, limit);
        } else {
            self.clients.output_grew(self.cx, owner, unread);
        }
    }
}

/// The push stream of a backend, if it has one.
fn push_stream_on<'a>(
    clients: &'a mut Clients,
    pool: &'a mut Pool,
    id: BackendId,
) -> Option<StreamContext<'a>> {
    let backend = pool.backend_mut(id)?;
    let owes = backend.owes_confirmations();
    let (push_stream, protocol, owner) = match &mut backend.phase {
        Phase::Leased(owner) => {
            let client = clients.get_mut(*owner)?;
            let push_stream = client.lease.as_mut()?.state.push_stream.as_deref_mut()?;
            (push_stream, client.session.protocol, Some(*owner))
        }
        Phase::Cleaning(cleaning) => (
            cleaning.push_stream.as_deref_mut()?,
            cleaning.protocol,
            None,
        ),
        _ => return None,
    };
    Some(StreamContext {
        push_stream,
        replies: &mut backend.replies,
        protocol,
        owner,
        owes,
    })
}
