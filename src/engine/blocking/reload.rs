//! What may change while narrows runs: the rules, and the server. Whoever waits is judged by the new
//! rules when its turn comes, and goes to the server that there is then.

use std::sync::Arc;

use crate::topology::Topology;

use crate::engine::Rules;
use crate::engine::reach::Blocking;

impl Blocking<'_> {
    /// New rules hold from now on.
    pub fn rules_changed(&mut self, rules: Arc<Rules>) {
        let before = std::mem::replace(&mut self.cx.rules, rules);
        self.pool.memory_limit_changed(self.cx);
        let backend = &self.cx.rules.settings.backend;
        let (min, max) = (backend.backoff_min, backend.backoff_max);
        self.pool.endpoint_mut().set_backoff(min, max);
        if before.access.own != self.cx.rules.access.own {
            // The login that was refused may be accepted now.
            self.pool.endpoint_mut().may_take_us_again(self.cx.now);
        }
        if before.settings.backend.presents_certificate != backend.presents_certificate
            && self.cx.rules.access.own.password.is_none()
        {
            // Who those are that there are nobody has asked.
            self.own_is_another();
        }
        self.access_changed();
        let looks = |rules: &Rules| {
            let clients = &rules.settings.clients;
            (clients.idle_timeout, clients.handshake_timeout)
        };
        if looks(&before) != looks(&self.cx.rules) {
            self.clients.reset_idle_timers(self.cx);
        }
        // Every deadline is reckoned anew.
        self.cx.wake_at(self.cx.now);
    }

    /// The servers are elsewhere. Connections to one that another has taken the place of are closed at
    /// once: what may have run on them and is no read has an unknown outcome, all else is asked of the
    /// one that is there now, and what the other still says reaches nobody.
    pub fn topology_changed(&mut self, topology: &Topology) {
        let (endpoint, before) = (topology.endpoint(), self.pool.endpoint().id());
        if endpoint.is_successor_of(before) {
            tracing::warn!("another server has taken the place of the one there was");
            self.pool.endpoint_replaced(self.cx, endpoint);
        }
    }
}
