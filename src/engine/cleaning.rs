//! A lent backend whose client has left in the middle: what the client has left on it is taken back,
//! and the server's answers are awaited. Only then it is anybody's again, and only then what comes
//! behind a `RESET` runs. Whatever answers otherwise than it should is closed, and so is what nothing
//! takes back.
//!
//! ```text
//! DISCARD | UNSUBSCRIBE ... | UNWATCH | CLIENT TRACKING OFF | PING word
//! ```

use crate::resp::{Protocol, write};
use crate::session::Mark;
use crate::session::feed::{Kind, Verb};

use super::clients::Client;
use super::clients::hold::{Hold, Outcome};
use super::key::{BackendId, ClientId};
use super::lease::feed::Feed;
use super::lease::holding::Lease;
use super::lease::lent::Lent;
use super::planted::{self, Bug};
use super::pool::backend::Phase;
use super::pool::cleaning::Cleaning;
use super::pool::loss::Loss;
use super::reach::Lending;
use super::slot::Receiver;

/// What is asked of the server, in this order, and what each answer is about.
type Steps = Vec<(Mark, &'static [&'static [u8]])>;

impl Lent {
    /// Whether what its client has left on it is known, once nothing is in flight.
    pub(super) fn is_known(&self) -> bool {
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

impl Lending<'_> {
    /// The client leaves its state behind, and the backend with it. What comes behind waits until
    /// the server has seen the end of it, where that can be known.
    pub fn leave_lease(&mut self, id: ClientId) -> Outcome {
        let Some(lease) = self.clients.get_mut(id).and_then(Client::part_with_lease) else {
            return Outcome::Taken;
        };
        let awaited = self.leave(lease, Some(id));
        self.traffic().enter_context(id);
        match awaited && !planted::has(Bug::LeftTooEarly) {
            true => self.clients.hold(id, Hold::Leaving),
            false => Outcome::Taken,
        }
    }

    /// A lease whose client is gone, or goes on without it. True when it is being cleaned.
    pub fn leave(&mut self, mut lease: Lease, awaited_by: Option<ClientId>) -> bool {
        let fed = lease.lent.feed.as_ref();
        let subscribed = fed.is_some_and(|feed| feed.subscriptions.any());
        let closes = lease.lent.is_for_good();
        // Of what is closed in the end only subscriptions matter: others count them.
        if !self.pool.can_be_cleaned(&lease) || (closes && !subscribed) {
            self.break_lease(lease);
            return false;
        }
        let steps = lease.lent.steps_to_clean();
        let (id, lent) = lease.orphaned();
        self.pool.weights.touch_if_known(id);
        let now = self.cx.now;
        let Some(backend) = self.pool.backends.get_mut(id) else {
            return false;
        };
        let context = self.pool.contexts.get(backend.context());
        backend.phase = Phase::Cleaning(Box::new(Cleaning {
            since: now,
            purpose: lent.purpose,
            protocol: context.map_or(Protocol::Resp2, |context| context.protocol),
            feed: lent.feed,
            closes,
            awaited_by,
        }));
        let renames = self.cx.rules.renames();
        for (mark, words) in steps {
            let mut request = Vec::with_capacity(40);
            write::request(&mut request, words);
            let renamed = renames.sent(&request);
            let request = renamed.as_deref().unwrap_or(&request);
            backend.send_own(Receiver::Undone(mark), request, now);
        }
        self.pool.ping(self.cx, id);
        self.pool.mark_backend(id);
        self.cx
            .wake_at(now + self.cx.rules.settings.backend.handshake_timeout);
        true
    }

    /// The last answer has come: the server has done all that was asked before.
    pub fn cleaned(&mut self, id: BackendId) {
        let Some(backend) = self.pool.backends.get(id) else {
            return;
        };
        let Phase::Cleaning(cleaning) = &backend.phase else {
            return;
        };
        let over = cleaning.feed.as_deref().is_none_or(Feed::is_over);
        if !over || cleaning.closes || !backend.is_quiet() {
            return self.pool.lose(self.cx, id, Loss::ClientGone);
        }
        let (purpose, awaited_by) = (cleaning.purpose, cleaning.awaited_by);
        self.leases.place_is_free(self.cx, purpose);
        self.pool.make_spare(self.cx, id);
        self.clients.leaving_is_over(awaited_by);
    }

    /// A backend is lost while it is being cleaned.
    pub fn cleaning_lost(&mut self, cleaning: &Cleaning) {
        self.leases.place_is_free(self.cx, cleaning.purpose);
        self.clients.leaving_is_over(cleaning.awaited_by);
    }
}

/// What ends all subscriptions of each kind.
const UNSUBSCRIBING: [(Kind, &[&[u8]]); 3] = [
    (Kind::Channel, &[b"UNSUBSCRIBE"]),
    (Kind::Pattern, &[b"PUNSUBSCRIBE"]),
    (Kind::Shard, &[b"SUNSUBSCRIBE"]),
];
