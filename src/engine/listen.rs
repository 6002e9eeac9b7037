//! Requests that begin or end what a server sends unasked. `feed.rs` has the way back.

use crate::command::Spec;
use crate::resp::Args;
use crate::session::Mark;
use crate::session::feed::Verb;

use super::Rules;
use super::clients::hold::Outcome;
use super::key::ClientId;
use super::lease::lent::LeaseFor;
use super::reach::Lending;
use super::slot::Receiver;

impl Lending<'_> {
    /// `SUBSCRIBE` and the like.
    pub fn subscribe(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        spec: &Spec,
        verb: Verb,
    ) -> Outcome {
        let named = Args::new(bytes).remaining().saturating_sub(1);
        let outcome = self.begin(id, rules, bytes, spec, Mark::Subscribe);
        if outcome == Outcome::Taken
            && let Some(feed) = self.clients.lent(id).and_then(|lent| lent.feed.as_mut())
        {
            feed.asked(verb, named);
        }
        outcome
    }

    /// Sends what may begin a feed. Its reply decides.
    pub fn begin(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        spec: &Spec,
        mark: Mark,
    ) -> Outcome {
        let lasts = self.clients.lent(id).is_some_and(|lent| lent.lasts());
        if !lasts && !self.lease_lasts(id, LeaseFor::Feed) {
            return self.clients.no_room_to_last(self.cx, id);
        }
        let outcome = self
            .traffic()
            .lend(id, rules, bytes, spec, Receiver::Lent(mark));
        if outcome == Outcome::Taken
            && let Some(lent) = self.clients.lent(id)
        {
            lent.feed.get_or_insert_default();
        }
        outcome
    }
}
