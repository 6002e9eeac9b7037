//! What a server sends a client unasked, on a backend of that client's own: messages, the lines of
//! `MONITOR`, invalidations of tracked keys. They stand between the replies and belong to none.
//!
//! ```text
//! feed_bytes -> what is this frame? -> reply         as on any backend: `reply.rs`
//!                                  |-> confirmation  of the oldest request, one of several
//!                                  |-> asked for     to the client, beside its replies
//!                                  '-> anything else closes the backend
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use crate::resp::{Protocol, ReplyScanner};
use crate::session::feed::{
    FrameKind, Listening, PREFIX_BYTES_MAX, Subscriptions, Verb, confirmed_count, frame_kind,
};
use crate::session::{Mark, own_channel};
use crate::telemetry::Leave;

use super::backend::{Backend, Phase};
use super::hold::Ending;
use super::key::{BackendId, ClientId};
use super::loss::Loss;
use super::planted::{self, Bug};
use super::slot::Receiver;
use super::{Engine, Rules};

/// What one client is sent unasked, and where in it we are.
#[derive(Debug, Default)]
pub struct Feed {
    /// What it is subscribed to.
    pub subscriptions: Subscriptions,
    /// `MONITOR` is on.
    pub monitoring: bool,
    /// `CLIENT TRACKING` is on.
    pub tracking: bool,
    /// Commands under way that change subscriptions, oldest first.
    due: VecDeque<Due>,
    /// The frame under way, once it is known what it is.
    under_way: Option<FrameKind>,
    scanner: ReplyScanner,
    /// What has come of it, unless it is a reply, which goes on at once.
    held: Vec<u8>,
    /// Since when more is unread than may be for long.
    behind_since: Option<Duration>,
}

/// A command whose confirmations are awaited.
#[derive(Debug)]
struct Due {
    verb: Verb,
    /// Channels that it names.
    named: u32,
    /// Confirmations that have come, and how many there will be: known with the first one.
    come: u32,
    expected: u32,
}

impl Feed {
    /// A command is sent that changes subscriptions and names so many channels.
    pub fn asked(&mut self, verb: Verb, named: u32) {
        self.due.push_back(Due {
            verb,
            named,
            come: 0,
            expected: 0,
        });
    }

    /// The reply to a marked request has come.
    pub fn settle(&mut self, mark: Mark, reply: &[u8]) {
        let ok = reply == b"+OK\r\n";
        match mark {
            // Refused as a whole.
            Mark::Subscribe => {
                self.due.pop_front();
            }
            Mark::Monitor => self.monitoring |= ok,
            Mark::TrackingOn => self.tracking |= ok,
            Mark::TrackingOff => self.tracking &= !ok,
            _ => {}
        }
    }

    /// Whether subscriptions are being changed: what a request means is not known before.
    pub fn is_changing(&self) -> bool {
        !self.due.is_empty()
    }

    /// Whether the server may send something unasked.
    pub fn is_live(&self) -> bool {
        let subscribed = self.subscriptions.any() && !planted::has(Bug::LeaseWhileSubscribed);
        subscribed || self.monitoring || self.tracking
    }

    /// Whether no frame is half here and no confirmation to come.
    pub fn is_between_frames(&self) -> bool {
        !self.is_changing() && self.under_way.is_none() && self.held.is_empty()
    }

    /// Whether nothing is left of it: no subscription, no frame half here.
    pub fn is_over(&self) -> bool {
        !self.is_live() && self.is_between_frames()
    }

    /// Bytes that are kept until their frame is whole.
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// A confirmation has come. Whether it was the last one of its command; `None` when it cannot
    /// be one.
    fn confirmed(&mut self, verb: Verb, count: Option<u32>) -> Option<bool> {
        let due = self.due.front_mut().filter(|due| due.verb == verb)?;
        if due.come == 0 {
            due.expected = match planted::has(Bug::ConfirmedOnce) {
                true => 1,
                false => self.subscriptions.confirmations(verb, due.named),
            };
        }
        if !self.subscriptions.confirmed(verb, count?) {
            return None;
        }
        due.come += 1;
        let last = due.come >= due.expected;
        if last {
            self.due.pop_front();
        }
        Some(last)
    }
}

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
    /// The feed of the client that holds a backend, if it has one.
    fn feed(&mut self, owner: ClientId) -> Option<&mut Feed> {
        self.lent(owner)?.feed.as_deref_mut()
    }

    /// The feed of a backend, if it has one.
    fn feed_on(&mut self, id: BackendId) -> Option<On<'_>> {
        let backend = self.backends.get_mut(id)?;
        let owes = backend.owes_confirmations();
        let (feed, protocol, owner) = match &mut backend.phase {
            Phase::Leased(owner) => {
                let client = self.clients.get_mut(*owner)?;
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

    /// Whether the client has, or has had, one on the backend that it holds.
    pub(super) fn has_feed(&self, owner: ClientId) -> bool {
        let lease = self.clients.get(owner).and_then(|c| c.lease.as_ref());
        lease.is_some_and(|lease| lease.lent.feed.is_some())
    }

    /// Whether the client is sent things unasked: losing its backend loses some of them.
    pub(super) fn has_live_feed(&self, owner: ClientId) -> bool {
        let lease = self.clients.get(owner).and_then(|c| c.lease.as_ref());
        lease.is_some_and(|l| l.lent.feed.as_ref().is_some_and(|feed| feed.is_live()))
    }

    /// Whether the client may be sent something unasked in the middle of a reply.
    pub(super) fn may_hear_inside(&self, owner: ClientId) -> bool {
        let client = self.clients.get(owner);
        let resp3 = client.is_some_and(|client| client.session.protocol == Protocol::Resp3);
        resp3 && self.has_feed(owner)
    }

    /// Bytes of a backend whose client may be sent things unasked.
    pub(super) fn feed_bytes(&mut self, rules: &Rules, id: BackendId, bytes: &[u8]) {
        if let Some(On { feed, .. }) = self.feed_on(id)
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
            let Some(on) = self.feed_on(id) else {
                // It was cleaned just now, or is lost: nothing unasked may come any more.
                return self.replies(id, rules, rest);
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
                return self.hold_back(id, None, rest);
            };
            let kind = planted::kind_of_frame(kind);
            let advance = match feed.scanner.advance(rest, &rules.settings.limits) {
                Ok(advance) => advance,
                Err(error) => return self.lose(id, Loss::Malformed(error)),
            };
            feed.under_way = (!advance.complete).then_some(kind);
            let (part, after) = rest.split_at(advance.consumed.min(rest.len()));
            rest = after;
            if kind == FrameKind::Reply {
                let begun = feed.due.front().is_some_and(|due| due.come > 0);
                if begins && owes && (begun || part.first() != Some(&b'-')) {
                    return self.lose(id, Loss::OutOfStep);
                }
                self.replies(id, rules, part);
            } else if advance.complete && feed.held.is_empty() {
                self.unasked(id, kind, part);
            } else {
                self.hold_back(id, Some(kind), part);
                if advance.complete
                    && let Some(On { feed, .. }) = self.feed_on(id)
                {
                    let frame = std::mem::take(&mut feed.held);
                    self.unasked(id, kind, &frame);
                }
            }
            self.dispatch();
        }
    }

    /// A part of a frame is kept until the rest of it has come: between two frames is the only
    /// place where an answer of narrows' own may stand.
    fn hold_back(&mut self, id: BackendId, kind: Option<FrameKind>, part: &[u8]) {
        let limit = self.rules.settings.clients.output_subscriber_bytes_max;
        let Some(On { feed, owner, .. }) = self.feed_on(id) else {
            return;
        };
        if owner.is_none() && kind.is_some_and(FrameKind::is_told) {
            return;
        }
        feed.held.extend_from_slice(part);
        if feed.held.len() > limit {
            match owner {
                Some(owner) => self.too_far_behind(owner, limit),
                None => self.lose(id, Loss::Oversized),
            }
        }
    }

    /// A whole frame that is no reply.
    fn unasked(&mut self, id: BackendId, kind: FrameKind, frame: &[u8]) {
        let Some(On {
            feed, owner, owes, ..
        }) = self.feed_on(id)
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
                    return self.lose(id, Loss::OutOfStep);
                };
                if let Some(backend) = self.backends.get_mut(id) {
                    // Where some have come nothing else can be said in place of the others.
                    backend.begun = !last;
                }
                self.hand_on(owner, kind, frame);
                if last {
                    self.confirmed(id);
                }
            }
            _ => self.lose(id, Loss::Push),
        }
    }

    /// All confirmations of the oldest request have come.
    fn confirmed(&mut self, id: BackendId) {
        let Some(backend) = self.backends.get_mut(id) else {
            return;
        };
        if backend.out.was_overtaken() {
            return self.lose(id, Loss::Early);
        }
        if let Some(settled) = backend.take_oldest() {
            self.replies_in(settled.client, settled.sequence, 1);
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
        client.out.tail(&mut self.store).extend_from_slice(frame);
        let unread = client.out.len();
        self.buffered_bytes += frame.len();
        self.mark_client(owner);
        let settings = &self.rules.settings.clients;
        let (limit, soft) = (
            settings.output_subscriber_bytes_max,
            settings.output_subscriber_soft_bytes,
        );
        let (now, soft_time) = (self.now, settings.output_subscriber_soft_time);
        let Some(feed) = self.feed(owner) else {
            return;
        };
        if !feed.subscriptions.any() {
            // Redis' own bounds are for subscribers; others have that of any client.
            return self.bound_output(owner, unread);
        }
        if before <= soft {
            feed.behind_since = None;
        }
        if unread > soft && feed.behind_since.is_none() {
            feed.behind_since = Some(now);
            self.wake_at(now + soft_time);
        }
        if unread > limit {
            self.too_far_behind(owner, limit);
        } else {
            self.bound_output(owner, unread);
        }
    }

    fn too_far_behind(&mut self, owner: ClientId, limit_bytes: usize) {
        let client_id = self.clients.get(owner).map(|client| client.session.id);
        let key = "clients.output_subscriber_bytes_max";
        tracing::warn!(
            client_id,
            key,
            limit_bytes,
            "client closed: it does not read what it has subscribed to"
        );
        self.close_for(owner, Leave::OutputLimit);
    }

    /// Subscribers that have been too far behind for too long are closed.
    pub(super) fn expire_feeds(&mut self) {
        if self.leases.total() == 0 {
            return;
        }
        let settings = &self.rules.settings.clients;
        let (soft, time) = (
            settings.output_subscriber_soft_bytes,
            settings.output_subscriber_soft_time,
        );
        let now = self.now;
        let mut late = Vec::new();
        let mut next: Option<Duration> = None;
        for backend in self.backends.values() {
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
            self.too_far_behind(id, soft);
        }
        if let Some(since) = next {
            self.wake_at(since + time);
        }
    }

    /// The backend of a client's feed is lost: some of it may have been missed, so the client is
    /// disconnected, as Redis itself would have done. Nothing is said to it any more.
    pub(super) fn feed_lost(&mut self, owner: ClientId) {
        if self.has_live_feed(owner) {
            self.leaves_for(owner, Leave::BackendLost);
            self.end(owner, Ending::AfterReplies(Box::default()));
        }
    }
}
