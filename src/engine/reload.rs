//! What may change while narrows runs: the rules. Whoever waits is judged by the new ones when its
//! turn comes.

use std::sync::Arc;
use std::time::Duration;

use super::{Engine, Rules};

impl Engine {
    /// New rules hold from now on.
    pub fn rules_changed(&mut self, rules: Arc<Rules>, now: Duration) {
        self.advance_to(now);
        let before = std::mem::replace(&mut self.cx.rules, rules);
        self.pool.memory_limit_changed(&self.cx);
        let backend = &self.cx.rules.settings.backend;
        let (min, max) = (backend.backoff_min, backend.backoff_max);
        self.pool.server.backoff.set_bounds(min, max);
        if before.access.own != self.cx.rules.access.own {
            // The login that was refused may be accepted now.
            self.pool.server.credentials_refused = false;
            self.pool.server.backoff.succeeded();
            self.pool.server.dial_at = now;
        }
        self.access_changed();
        let looks = |rules: &Rules| {
            let clients = &rules.settings.clients;
            (clients.idle_timeout, clients.handshake_timeout)
        };
        if looks(&before) != looks(&self.cx.rules) {
            self.clients.look_anew(&mut self.cx);
        }
        // Every deadline is reckoned anew.
        self.cx.wake_at(now);
    }
}
