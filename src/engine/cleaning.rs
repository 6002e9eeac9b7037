//! A lent backend whose client has left in the middle: what the client has left on it is taken back,
//! and the server's answers are awaited. Only then it is anybody's again, and only then what comes
//! behind a `RESET` runs. Whatever answers otherwise than it should is closed, and so is what nothing
//! takes back.
//!
//! ```text
//! DISCARD | UNSUBSCRIBE ... | UNWATCH | CLIENT TRACKING OFF | PING word
//! ```

use std::time::Duration;

use crate::resp::{Protocol, write};
use crate::session::Mark;
use crate::session::feed::{Kind, Verb};

use super::Engine;
use super::backend::Phase;
use super::client::Client;
use super::feed::Feed;
use super::hold::{Hold, Outcome};
use super::holding::Lease;
use super::key::{BackendId, ClientId};
use super::lease::{LeaseFor, Lent};
use super::loss::Loss;
use super::planted::{self, Bug};
use super::slot::Receiver;

/// See the module.
#[derive(Debug)]
pub struct Cleaning {
    /// Since when it lasts; it is bounded as a handshake is.
    pub since: Duration,
    /// What the backend was lent for.
    pub purpose: LeaseFor,
    /// The connection's.
    pub(super) protocol: Protocol,
    /// What the server may still send unasked, until it has confirmed that there is an end.
    pub(super) feed: Option<Box<Feed>>,
    /// In the end it is closed all the same: what else is left on it nothing takes back.
    closes: bool,
    /// Whose next request waits for the end.
    awaited_by: Option<ClientId>,
}

/// What is asked of the server, in this order, and what each answer is about.
type Steps = Vec<(Mark, &'static [&'static [u8]])>;

impl Lent {
    /// Whether what its client has left on it is known, once nothing is in flight.
    fn is_known(&self) -> bool {
        let between = |feed: &Feed| feed.is_between_frames();
        !self.waits()
            && !self.bracket.is_in_doubt()
            && self.switch.is_none()
            && self.pause.is_none()
            && self.feed.as_deref().is_none_or(between)
            && !self.purpose.is_one_request()
    }

    /// Whether something is left on it that nothing takes back.
    fn is_for_good(&self) -> bool {
        let monitors = |feed: &Feed| feed.monitoring;
        self.pins.any() || self.feed.as_deref().is_some_and(monitors)
    }

    /// How what its client has left on it is taken back.
    fn steps_to_clean(&mut self) -> Steps {
        let mut steps = Steps::new();
        if planted::has(Bug::LeftUncleaned) {
            self.feed = None;
            return steps;
        }
        // Inside MULTI nothing else would be done at once, and while RESP2 is subscribed nothing
        // else may be asked.
        if self.bracket.is_queueing() {
            steps.push((Mark::Discard, &[b"DISCARD"]));
        }
        if let Some(feed) = &mut self.feed {
            for (kind, step) in UNSUBSCRIBING {
                if feed.subscriptions.of(kind) > 0 {
                    steps.push((Mark::Subscribe, step));
                    let begins = false;
                    feed.asked(Verb { kind, begins }, 0);
                }
            }
        }
        if self.bracket.is_watching() && !self.bracket.is_queueing() {
            steps.push((Mark::Unwatch, &[b"UNWATCH"]));
        }
        if self.feed.as_deref().is_some_and(|feed| feed.tracking) {
            steps.push((Mark::TrackingOff, &[b"CLIENT", b"TRACKING", b"OFF"]));
        }
        steps
    }
}

impl Engine {
    /// The client leaves its state behind, and the backend with it. What comes behind waits until
    /// the server has seen the end of it, where that can be known.
    pub(super) fn leave_lease(&mut self, id: ClientId) -> Outcome {
        let Some(lease) = self.clients.get_mut(id).and_then(Client::part_with_lease) else {
            return Outcome::Taken;
        };
        let awaited = self.leave(lease, Some(id));
        self.enter_context(id);
        match awaited && !planted::has(Bug::LeftTooEarly) {
            true => self.hold(id, Hold::Leaving),
            false => Outcome::Taken,
        }
    }

    /// A lease whose client is gone, or goes on without it. True when it is being cleaned.
    pub(super) fn leave(&mut self, mut lease: Lease, awaited_by: Option<ClientId>) -> bool {
        let fed = lease.lent.feed.as_ref();
        let subscribed = fed.is_some_and(|feed| feed.subscriptions.any());
        let closes = lease.lent.is_for_good();
        // Of what is closed in the end only subscriptions matter: others count them.
        if !self.can_be_cleaned(&lease) || (closes && !subscribed) {
            self.break_lease(lease);
            return false;
        }
        let steps = lease.lent.steps_to_clean();
        let (id, lent) = lease.orphaned();
        self.weights.touch_if_known(id);
        let now = self.now;
        let Some(backend) = self.backends.get_mut(id) else {
            return false;
        };
        let context = self.contexts.get(backend.context());
        backend.phase = Phase::Cleaning(Box::new(Cleaning {
            since: now,
            purpose: lent.purpose,
            protocol: context.map_or(Protocol::Resp2, |pool| pool.context.protocol),
            feed: lent.feed,
            closes,
            awaited_by,
        }));
        let renames = self.rules.renames();
        for (mark, words) in steps {
            let mut request = Vec::with_capacity(40);
            write::request(&mut request, words);
            let renamed = renames.sent(&request);
            let request = renamed.as_deref().unwrap_or(&request);
            backend.send_own(Receiver::Undone(mark), request, now);
        }
        self.ping(id);
        self.mark_backend(id);
        self.wake_at(now + self.rules.settings.backend.handshake_timeout);
        true
    }

    fn can_be_cleaned(&self, lease: &Lease) -> bool {
        let Some(backend) = self.backends.get(lease.backend()) else {
            return false;
        };
        let credential = self.credentials.get(backend.credential());
        let refused = credential.is_none_or(|credential| credential.may_not_clean);
        !refused && backend.is_quiet() && lease.lent.is_known()
    }

    /// The whole reply to a command that takes something back.
    pub(super) fn undone(&mut self, id: BackendId, mark: Mark, reply: &[u8]) {
        if reply != b"+OK\r\n" {
            if reply.starts_with(b"-NOPERM ") {
                self.may_not_clean(id);
            }
            // What it should have taken back is still there.
            return self.lose(id, Loss::ClientGone);
        }
        if mark == Mark::TrackingOff
            && let Some(Phase::Cleaning(cleaning)) = self.backends.get_mut(id).map(|b| &mut b.phase)
            && let Some(feed) = &mut cleaning.feed
        {
            feed.tracking = false;
        }
    }

    /// Its user is not asked again: each refusal would stand in the server's `ACL LOG`.
    fn may_not_clean(&mut self, id: BackendId) {
        let credential = self.backends.get(id).map(|backend| backend.credential());
        if let Some(credential) = credential.and_then(|id| self.credentials.get_mut(id)) {
            credential.may_not_clean = true;
        }
    }

    /// The last answer has come: the server has done all that was asked before.
    pub(super) fn cleaned(&mut self, id: BackendId) {
        let Some(backend) = self.backends.get(id) else {
            return;
        };
        let Phase::Cleaning(cleaning) = &backend.phase else {
            return;
        };
        let over = cleaning.feed.as_deref().is_none_or(Feed::is_over);
        if !over || cleaning.closes || !backend.is_quiet() {
            return self.lose(id, Loss::ClientGone);
        }
        let (purpose, awaited_by) = (cleaning.purpose, cleaning.awaited_by);
        self.place_is_free(purpose);
        self.make_spare(id);
        self.leaving_is_over(awaited_by);
    }

    /// A backend is lost while it is being cleaned.
    pub(super) fn cleaning_lost(&mut self, cleaning: &Cleaning) {
        self.place_is_free(cleaning.purpose);
        self.leaving_is_over(cleaning.awaited_by);
    }

    fn leaving_is_over(&mut self, client: Option<ClientId>) {
        if let Some(client) = client {
            self.end_hold(client, Hold::Leaving);
        }
    }
}

/// What ends all subscriptions of each kind.
const UNSUBSCRIBING: [(Kind, &[&[u8]]); 3] = [
    (Kind::Channel, &[b"UNSUBSCRIBE"]),
    (Kind::Pattern, &[b"PUNSUBSCRIBE"]),
    (Kind::Shard, &[b"SUNSUBSCRIBE"]),
];
