//! What may change while narrows runs: the rules. Whoever waits is judged by the new ones when its
//! turn comes.

use std::sync::Arc;
use std::time::Duration;

use super::{Engine, Rules};

impl Engine {
    /// New rules hold from now on.
    pub fn rules_changed(&mut self, rules: Arc<Rules>, now: Duration) {
        self.advance_to(now);
        let before = std::mem::replace(&mut self.rules, rules);
        self.memory_limit_changed();
        let backend = &self.rules.settings.backend;
        let (min, max) = (backend.backoff_min, backend.backoff_max);
        self.server.backoff.set_bounds(min, max);
        if before.access.own != self.rules.access.own {
            // The login that was refused may be accepted now.
            self.server.credentials_refused = false;
            self.server.backoff.succeeded();
            self.server.dial_at = now;
        }
        self.access_changed();
        let looks = |rules: &Rules| {
            let clients = &rules.settings.clients;
            (clients.idle_timeout, clients.handshake_timeout)
        };
        if looks(&before) != looks(&self.rules) {
            self.look_anew();
        }
        // Every deadline is reckoned anew.
        self.wake_at(now);
    }
}
