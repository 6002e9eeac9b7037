//! How a worker ends: clients go as soon as they can, waits are ended, and backends are closed last.

use std::time::Duration;

use super::Engine;
use super::backend::{Backend, Phase};
use super::cancel::Why;
use super::client::Client;
use super::key::{BackendId, ClientId};
use super::loss::Loss;

impl Engine {
    /// Nothing new is begun: clients are closed as soon as they owe and are owed nothing.
    pub fn drain(&mut self, now: Duration) {
        self.now = now;
        self.draining = true;
        let ids: Vec<ClientId> = self.clients.keys().collect();
        for id in ids {
            // Its wait may have no end, nor its place in line.
            match self.clients.get(id).is_some_and(Client::waits) {
                true => self.end_wait(id, Why::Drained),
                false => self.close_if_done(id),
            }
        }
    }

    /// Whether something is still to be seen to for clients that are gone: what was taken for them
    /// may have to be put back.
    pub fn is_tidying(&self) -> bool {
        let orphaned = |backend: &Backend| matches!(backend.phase, Phase::Orphaned(_));
        self.backends.values().any(orphaned)
    }

    /// Closes all backends, once no client is left: replies that are still due would reach
    /// nobody.
    pub fn close_backends(&mut self, now: Duration) {
        self.now = now;
        let ids: Vec<BackendId> = self.backends.keys().collect();
        for id in ids {
            self.lose(id, Loss::Retired);
        }
    }
}
