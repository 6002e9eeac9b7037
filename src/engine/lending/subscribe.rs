//! Requests that begin or end what a server pushes. `push_frames.rs` has the way back.

use crate::command::Spec;
use crate::resp::Args;
use crate::session::StateChange;
use crate::session::push_stream::SubscribeVerb;

use crate::engine::Rules;
use crate::engine::clients::hold::RequestOutcome;
use crate::engine::key::ClientId;
use crate::engine::lease::state::LeaseFor;
use crate::engine::reach::Lending;
use crate::engine::slot::Receiver;

impl Lending<'_> {
    /// `SUBSCRIBE` and the like.
    pub fn subscribe(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        spec: &Spec,
        verb: SubscribeVerb,
    ) -> RequestOutcome {
        let named = Args::new(bytes).remaining().saturating_sub(1);
        let outcome = self.begin(id, rules, bytes, spec, StateChange::Subscribe);
        if outcome == RequestOutcome::Taken
            && let Some(push_stream) = self
                .clients
                .lease_state(id)
                .and_then(|lease_state| lease_state.push_stream.as_mut())
        {
            push_stream.asked(verb, named);
        }
        outcome
    }

    /// Sends what may begin a push stream. Its reply decides.
    pub fn begin(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        spec: &Spec,
        change: StateChange,
    ) -> RequestOutcome {
        let lasts = self
            .clients
            .lease_state(id)
            .is_some_and(|lease_state| lease_state.lasts());
        if !lasts && !self.lease_lasts(id, LeaseFor::PushStream) {
            return self.clients.no_room_to_last(self.cx, id);
        }
        let outcome =
            self.traffic()
                .send_on_lease(id, rules, bytes, spec, Receiver::OnLease(change));
        if outcome == RequestOutcome::Taken
            && let Some(lease_state) = self.clients.lease_state(id)
        {
            lease_state.push_stream.get_or_insert_default();
        }
        outcome
    }
}
