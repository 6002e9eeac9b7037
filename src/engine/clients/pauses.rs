//! What the server, paused through narrows, would hold up is held here, so that no pipe has such a
//! request in front of those that pass.

use std::time::Duration;

use crate::command::Spec;
use crate::engine::cx::Cx;
use crate::engine::key::ClientId;
use crate::engine::slot::{AccessKind, access_of};

use super::Clients;
use super::hold::{Hold, RequestOutcome};

/// How often those who are held up look whether somebody has ended the pause.
pub const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Clients {
    /// What a pause will hold up of a transaction: this is sent on its client's own backend.
    pub fn queues(&mut self, id: ClientId, spec: &Spec) {
        if let Some(lease_state) = self.lease_state(id) {
            lease_state.queues = match spec.opens_transaction() {
                true => AccessKind::Read,
                false => lease_state.queues.max(access_of(spec)),
            };
        }
    }

    /// The client's next request waits for the end of the pause.
    pub fn hold_for_pause(&mut self, cx: &mut Cx, id: ClientId) -> RequestOutcome {
        if self.held_up.is_empty() {
            self.held_up_in = cx.paused;
        }
        self.held_up.push(id);
        cx.wake_at(cx.now + LOOK_AGAIN);
        self.hold(id, Hold::Pause)
    }

    /// How many wait for the end of a pause.
    pub fn held_up_len(&self) -> usize {
        let held_up = self.held_up.iter().filter_map(|id| self.get(*id));
        let held_up = held_up.filter(|client| client.head.hold == Some(Hold::Pause));
        held_up.count()
    }

    /// Lets those go on who were held up, if that is over, or others are held up now.
    pub fn expire_pause(&mut self, cx: &mut Cx) {
        if self.held_up.is_empty() {
            return;
        }
        cx.look_at_pause();
        if cx.paused.is_some() && cx.paused == self.held_up_in {
            return cx.wake_at(cx.now + LOOK_AGAIN);
        }
        for id in std::mem::take(&mut self.held_up) {
            self.end_hold(id, Hold::Pause);
        }
    }
}
