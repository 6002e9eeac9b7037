//! Clients that wait until the server has said what its commands are.

use std::time::Duration;

use crate::engine::Effect;
use crate::engine::cx::Cx;
use crate::engine::key::ClientId;

use super::Clients;
use super::hold::{Hold, RequestOutcome};

impl Clients {
    /// Control is asked to ask the server, and the client's next request waits until it has.
    pub fn ask_control(&mut self, cx: &mut Cx, id: ClientId) -> RequestOutcome {
        let now = cx.now;
        let Some(client) = self.get_mut(id) else {
            return RequestOutcome::Ended;
        };
        client.head.waits_anew(now);
        let outcome = client.hold(Hold::Commands);
        if self.command_waiters.is_empty() {
            self.commands_asked_at = Some(now);
            cx.effects.push(Effect::LearnCommands);
        }
        self.command_waiters.push((id, now));
        cx.wake_at(now + cx.rules.settings.pool.queue_timeout);
        outcome
    }

    /// Those who wait for the backend's `COMMAND` go on.
    pub fn end_command_waits(&mut self) {
        for (id, _) in std::mem::take(&mut self.command_waiters) {
            self.end_hold(id, Hold::Commands);
        }
    }

    /// Whether the backend's `COMMAND` has not been asked for just now, or is awaited.
    pub fn commands_may_be_asked(&self, cx: &Cx) -> bool {
        let asked_at = self.commands_asked_at;
        let fresh = asked_at.is_some_and(|at| cx.now.saturating_sub(at) < Duration::from_secs(1));
        !fresh || !self.command_waiters.is_empty()
    }

    /// Those who have waited as long as they may go on without.
    pub fn expire_command_waiters(&mut self, cx: &mut Cx) {
        let limit = cx.rules.settings.pool.queue_timeout;
        if let Some((_, since)) = self.command_waiters.first() {
            let at = cx.counts_from(*since) + limit;
            if at <= cx.now {
                self.end_command_waits();
            } else {
                cx.wake_at(at);
            }
        }
    }
}
