//! What a server sends a client unasked, on a backend of that client's own: messages, the lines of
//! `MONITOR`, invalidations of tracked keys. They stand between the replies and belong to none.
//!
//! ```text
//! feed_bytes -> what is this frame? -> reply         as on any backend: `reply.rs`
//!                                  |-> confirmation  of the oldest request, one of several
//!                                  |-> asked for     to the client, beside its replies
//!                                  '-> anything else closes the backend
//! ```

use std::time::Duration;

use crate::resp::{Protocol, ReplyScanner};
use crate::session::feed::{FrameKind, Listening, PREFIX_BYTES_MAX, confirmed_count, frame_kind};
use crate::session::{Mark, own_channel};

use super::clients::Clients;
use super::key::{BackendId, ClientId};
use super::lease::feed::Feed;
use super::pool::Pool;
use super::pool::backend::{Backend, Phase};
use super::pool::loss::Loss;
use super::reach::{Lending, Traffic};
use super::slot::Receiver;
use super::{Engine, Rules, planted};

/// A feed, with what there is to know of its connection.
struct On<'a> {
    feed: &'a mut Feed,
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
                Receiver::Lent(Mark::Subscribe)
                    | Receiver::LentSilent(Mark::Subscribe)
                    | Receiver::Undone(Mark::Subscribe)
            )
        )
    }
}

impl Engine {
    /// Bytes of a backend whose client may be sent things unasked.
    pub(super) fn feed_bytes(&mut self, rules: &Rules, id: BackendId, bytes: &[u8]) {
        if let Some(On { feed, .. }) = feed_on(&mut self.clients, &mut self.pool, id)
            && feed.under_way.is_none()
            && !feed.held.is_empty()
        {
            let mut joined = std::mem::take(&mut feed.held);
            joined.extend_from_slice(bytes);
            return self.feed_frames(rules, id, &joined);
        }
        self.feed_frames(rules, id, bytes);
    }

    fn feed_frames(&mut self, rules: &Rules, id: BackendId, mut rest: &[u8]) {
        while !rest.is_empty() {
            let Some(on) = feed_on(&mut self.clients, &mut self.pool, id) else {
                // It was cleaned just now, or is lost: nothing unasked may come any more.
                return self.replies(id, rules, rest.into());
            };
            let (feed, protocol, owes) = (on.feed, on.protocol, on.owes);
            let listening = Listening {
                protocol,
                subscribed: feed.subscriptions.any() || owes,
                monitoring: feed.monitoring,
            };
            let begins = feed.under_way.is_none();
            if begins {
                // A transaction of the client's own may tell it something in the middle of its reply.
                let nests = protocol == Protocol::Resp3 && (listening.subscribed || feed.tracking);
                feed.scanner.let_pushes_nest(nests);
                on.replies.let_pushes_nest(nests);
            }
            let Some(kind) = feed.under_way.or_else(|| frame_kind(rest, listening)) else {
                // So little of it is here that it may be anything.
                debug_assert!(rest.len() < PREFIX_BYTES_MAX);
                return self.traffic().hold_back(id, None, rest);
            };
            let kind = planted::kind_of_frame(kind);
            let advance = match feed.scanner.advance(rest, &rules.settings.limits) {
                Ok(advance) => advance,
                Err(error) => return self.pool.lose(&mut self.cx, id, Loss::Malformed(error)),
            };
            feed.under_way = (!advance.complete).then_some(kind);
            let (part, after) = rest.split_at(advance.consumed.min(rest.len()));
            rest = after;
            if kind == FrameKind::Reply {
                let begun = feed.due.front().is_some_and(|due| due.come > 0);
                if begins && owes && (begun || part.first() != Some(&b'-')) {
                    return self.pool.lose(&mut self.cx, id, Loss::OutOfStep);
                }
                self.replies(id, rules, part.into());
            } else if advance.complete && feed.held.is_empty() {
                self.traffic().unasked(id, kind, part);
            } else {
                self.traffic().hold_back(id, Some(kind), part);
                if advance.complete
                    && let Some(On { feed, .. }) = feed_on(&mut self.clients, &mut self.pool, id)
                {
                    let frame = std::mem::take(&mut feed.held);
                    self.traffic().unasked(id, kind, &frame);
                }
            }
            self.dispatch();
        }
    }
}

impl Lending<'_> {
    /// Subscribers that have been too far behind for too long are closed.
    pub fn expire_feeds(&mut self) {
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
        for backend in self.pool.backends.values() {
            let Phase::Leased(id) = backend.phase else {
                continue;
            };
            let Some(client) = self.clients.get_mut(id) else {
                continue;
            };
            let unread = client.out.len();
            let Some(feed) = client.lease.as_mut().and_then(|l| l.lent.feed.as_mut()) else {
                continue;
            };
            match feed.behind_since {
                Some(_) if unread <= soft => feed.behind_since = None,
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
    /// A part of a frame is kept until the rest of it has come: between two frames is the only
    /// place where an answer of narrows' own may stand.
    fn hold_back(&mut self, id: BackendId, kind: Option<FrameKind>, part: &[u8]) {
        let limit = self.cx.rules.settings.clients.output_subscriber_bytes_max;
        let Some(On { feed, owner, .. }) = feed_on(self.clients, self.pool, id) else {
            return;
        };
        if owner.is_none() && kind.is_some_and(FrameKind::is_told) {
            return;
        }
        feed.held.extend_from_slice(part);
        if feed.held.len() > limit {
            match owner {
                Some(owner) => self.clients.too_far_behind(self.cx, owner, limit),
                None => self.pool.lose(self.cx, id, Loss::Oversized),
            }
        }
    }

    /// A whole frame that is no reply.
    fn unasked(&mut self, id: BackendId, kind: FrameKind, frame: &[u8]) {
        let Some(On {
            feed, owner, owes, ..
        }) = feed_on(self.clients, self.pool, id)
        else {
            return;
        };
        match kind {
            // Neither these nor confirmations are silenced by CLIENT REPLY (CLIENT_PUSHING,
            // networking.c).
            FrameKind::Message if feed.subscriptions.any() => self.hand_on(owner, kind, frame),
            FrameKind::Invalidation if feed.tracking => self.hand_on(owner, kind, frame),
            FrameKind::MonitorLine => self.hand_on(owner, kind, frame),
            FrameKind::Confirmation(verb) => {
                let last = feed.confirmed(verb, confirmed_count(frame));
                let Some(last) = last.filter(|_| owes) else {
                    return self.pool.lose(self.cx, id, Loss::OutOfStep);
                };
                if let Some(backend) = self.pool.backends.get_mut(id) {
                    // Where some have come nothing else can be said in place of the others.
                    backend.begun = !last;
                }
                self.hand_on(owner, kind, frame);
                if last {
                    self.confirmed(id);
                }
            }
            _ => self.pool.lose(self.cx, id, Loss::Push),
        }
    }

    /// All confirmations of the oldest request have come.
    fn confirmed(&mut self, id: BackendId) {
        let Some(backend) = self.pool.backends.get_mut(id) else {
            return;
        };
        if backend.out.was_overtaken() {
            return self.pool.lose(self.cx, id, Loss::Early);
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
        let Some(feed) = self.clients.feed(owner) else {
            return;
        };
        if !feed.subscriptions.any() {
            // Redis' own bounds are for subscribers; others have that of any client.
            return self.clients.output_grew(self.cx, owner, unread);
        }
        if before <= soft {
            feed.behind_since = None;
        }
        if unread > soft && feed.behind_since.is_none() {
            feed.behind_since = Some(now);
            self.cx.wake_at(now + soft_time);
        }
        if unread > limit {
            self.clients.too_far_behind(self.cx, owner, limit);
        } else {
            self.clients.output_grew(self.cx, owner, unread);
        }
    }
}

/// The feed of a backend, if it has one.
fn feed_on<'a>(clients: &'a mut Clients, pool: &'a mut Pool, id: BackendId) -> Option<On<'a>> {
    let backend = pool.backends.get_mut(id)?;
    let owes = backend.owes_confirmations();
    let (feed, protocol, owner) = match &mut backend.phase {
        Phase::Leased(owner) => {
            let client = clients.get_mut(*owner)?;
            let feed = client.lease.as_mut()?.lent.feed.as_deref_mut()?;
            (feed, client.session.protocol, Some(*owner))
        }
        Phase::Cleaning(cleaning) => (cleaning.feed.as_deref_mut()?, cleaning.protocol, None),
        _ => return None,
    };
    Some(On {
        feed,
        replies: &mut backend.replies,
        protocol,
        owner,
        owes,
    })
}
