//! Requests that begin or end what a server sends unasked, and all others of a client to which
//! something is sent. `feed.rs` has the way back.

use crate::command::{Local, Pin, Route, Spec};
use crate::resp::{Args, Frame, Protocol, Refusal};
use crate::session::Mark;
use crate::session::feed::{Verb, is_redirected};

use super::clients::hold::Outcome;
use super::key::ClientId;
use super::lease::lent::LeaseFor;
use super::slot::Receiver;
use super::{Engine, Rules};

impl Engine {
    /// One request of a client that holds a lease, if it has to do with what it is sent unasked.
    pub(super) fn on_feed(
        &mut self,
        id: ClientId,
        (rules, bytes, frame): (&Rules, &[u8], &Frame),
        spec: &Spec,
    ) -> Option<Outcome> {
        let protocol = self.clients.get(id)?.session.protocol;
        let lent = self.clients.lent(id)?;
        let queueing = lent.bracket.is_queueing();
        let feed = lent.feed.as_deref();
        let changing = feed.is_some_and(|feed| feed.is_changing());
        let tracking = feed.is_some_and(|feed| feed.tracking);
        let subscribed = feed.is_some_and(|feed| feed.subscriptions.any());
        let restricted = subscribed && protocol == Protocol::Resp2;
        let route = spec.route;
        if changing && route != Route::Subscriber {
            // What it means depends on what its client is subscribed to then.
            let outcome = self.clients.wait_for_replies(id);
            if outcome != Outcome::Taken {
                return Some(outcome);
            }
        }
        if queueing || spec.on_server == Some(false) || !spec.accepts(frame.argc) {
            return None;
        }
        match route {
            Route::Subscriber => Some(self.subscribe(id, rules, bytes, spec)),
            Route::Local(Local::Reset | Local::Quit) => None,
            // It must never be asked to make the connection another user's.
            Route::Local(Local::Auth | Local::Hello) if restricted => {
                let command = &*spec.name;
                Some(self.refuse(id, &Refusal::Subscribed { command }))
            }
            // The server says in its own words what may be asked then.
            _ if restricted => Some(self.lend(id, rules, bytes, spec, Receiver::Client)),
            Route::Pinned(Pin::Monitor) => Some(self.begin(id, rules, bytes, spec, Mark::Monitor)),
            Route::Pinned(Pin::Tracking) => Some(self.track(id, rules, bytes, spec)),
            // Without tracking it is an error, with it tracking holds the connection.
            Route::Pinned(Pin::Caching) => {
                Some(self.lend(id, rules, bytes, spec, Receiver::Client))
            }
            Route::Local(Local::ClientGetredir | Local::ClientTrackinginfo) if tracking => {
                Some(self.lend(id, rules, bytes, spec, Receiver::Client))
            }
            _ => None,
        }
    }

    /// `SUBSCRIBE` and the like.
    fn subscribe(&mut self, id: ClientId, rules: &Rules, bytes: &[u8], spec: &Spec) -> Outcome {
        let Some(verb) = Verb::named(spec.name.as_bytes()) else {
            let command = &*spec.name;
            return self.refuse(id, &Refusal::NotForwarded { command });
        };
        let named = Args::new(bytes).remaining().saturating_sub(1);
        let outcome = self.begin(id, rules, bytes, spec, Mark::Subscribe);
        if outcome == Outcome::Taken
            && let Some(feed) = self.clients.lent(id).and_then(|lent| lent.feed.as_mut())
        {
            feed.asked(verb, named);
        }
        outcome
    }

    /// `CLIENT TRACKING`.
    fn track(&mut self, id: ClientId, rules: &Rules, bytes: &[u8], spec: &Spec) -> Outcome {
        let args = Args::new(bytes);
        if is_redirected(args.clone()) {
            return self.refuse(id, &Refusal::TrackingRedirect);
        }
        let off = |word: &[u8]| word.eq_ignore_ascii_case(b"off");
        let mark = match args.into_iter().nth(2).is_some_and(off) {
            true => Mark::TrackingOff,
            false => Mark::TrackingOn,
        };
        self.begin(id, rules, bytes, spec, mark)
    }

    /// Sends what may begin a feed. Its reply decides.
    fn begin(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        spec: &Spec,
        mark: Mark,
    ) -> Outcome {
        let lasts = self.clients.lent(id).is_some_and(|lent| lent.lasts());
        if !lasts && !self.lease_lasts(id, LeaseFor::Feed) {
            return self.no_room_to_last(id);
        }
        let outcome = self.lend(id, rules, bytes, spec, Receiver::Lent(mark));
        if outcome == Outcome::Taken
            && let Some(lent) = self.clients.lent(id)
        {
            lent.feed.get_or_insert_default();
        }
        outcome
    }
}
