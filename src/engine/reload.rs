//! What may change while narrows runs: the rules, and who narrows is towards the server. Nothing
//! here looks at a client: whoever waits is judged by the new rules when its turn comes.

use std::sync::Arc;
use std::time::Duration;

use super::backend::{Next, Phase};
use super::key::BackendId;
use super::loss::Loss;
use super::{Engine, Identity, Rules};

impl Engine {
    /// New rules hold from now on.
    pub fn rules_changed(&mut self, rules: Arc<Rules>, now: Duration) {
        self.now = now;
        let of = |rules: &Rules| {
            let clients = &rules.settings.clients;
            (clients.idle_timeout, clients.handshake_timeout)
        };
        let looks_differ = of(&self.rules) != of(&rules);
        self.rules = rules;
        if looks_differ {
            self.look_anew();
        }
        let backend = &self.rules.settings.backend;
        let (min, max) = (backend.backoff_min, backend.backoff_max);
        self.server.backoff.set_bounds(min, max);
        // Every deadline is reckoned anew.
        self.wake_at(now);
    }

    /// narrows logs in to the server like this from now on. After a new password connections
    /// stay, as the server leaves them. Those of another user are replaced: nothing that comes
    /// from now on runs as the user that was before, but on a connection that a client holds for
    /// itself until it gives it back.
    pub fn identity_changed(&mut self, identity: Arc<Identity>, now: Duration) {
        self.now = now;
        let other_user = self.identity.user != identity.user;
        self.identity = identity;
        if other_user {
            self.replace_backends();
        }
        self.server.credentials_refused = false;
        self.server.backoff.succeeded();
        self.server.dial_at = now;
        self.wake_at(now);
    }

    fn replace_backends(&mut self) {
        let ids: Vec<BackendId> = self.backends.keys().collect();
        for id in ids {
            let Some(backend) = self.backends.get_mut(id) else {
                continue;
            };
            match backend.phase {
                // It logs in when it is open, by the new identity.
                Phase::Dialling => {}
                Phase::Leased(_) => backend.retire_at = Some(self.now),
                Phase::Handshake(_) | Phase::Spare => self.lose(id, Loss::Retired),
                Phase::Pipe { .. } | Phase::Draining(_) => self.drain_pipe(id, Next::Close),
            }
        }
    }
}
