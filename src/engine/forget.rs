//! What nobody needs any more is forgotten: contexts that nobody is in, and users of the server that
//! nothing runs as. What is worth a look is what has come since the last one, so a look costs each
//! of those little, and who comes and goes for years, as somebody else each time, fills no memory.

use std::collections::BTreeSet;

use super::Engine;
use super::backend::{Phase, Want};
use super::credential::CredentialId;
use super::key::ContextId;
use super::local::REFUSED_DB;

impl Engine {
    /// Forgets contexts and users, if there are so many more that it is worth a look.
    pub(super) fn forget_contexts(&mut self) {
        if !(self.contexts).want_a_look(self.rules.settings.pool.contexts_new_max) {
            return;
        }
        self.steps += self.contexts.len() as u64;
        // Whoever is in one counts there. These are only on their way.
        let targets = self.backends.values().filter_map(|b| match &b.phase {
            Phase::Handshake(handshake) => Some(handshake.target),
            _ => None,
        });
        let targets: BTreeSet<ContextId> = targets.collect();
        let wants = &self.wants;
        let is_named = |id| targets.contains(&id) || wants.contains(Want::Pipe(id));
        (self.contexts).forget_unused(self.now, REFUSED_DB, is_named);
        self.forget_users();
    }

    /// Whatever runs as a user is in a context of that user's, but for what is on its way there.
    fn forget_users(&mut self) {
        let mut used: BTreeSet<CredentialId> = self.contexts.credentials().collect();
        used.extend(self.cancels.all.values().map(|cancel| cancel.credential));
        for backend in self.backends.values() {
            // Who holds one stays in its context, whoever it is by now.
            if let Phase::Leased(owner) = backend.phase
                && let Some(client) = self.clients.get(owner)
            {
                used.insert(client.credential);
            }
        }
        self.credentials.forget_unused(|id| used.contains(&id));
    }
}
