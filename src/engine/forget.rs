//! What nobody needs any more is forgotten: contexts that nobody is in, and users of the server that
//! nothing runs as. What is worth a look is what has come since the last one, so a look costs each
//! of those little, and who comes and goes for years, as somebody else each time, fills no memory.

use std::collections::BTreeSet;

use super::key::{ContextId, CredentialId, PoolKey};
use super::local::REFUSED_DB;
use super::pool::backend::{AcquireRequest, Phase};
use super::reach::Blocking;

impl Blocking<'_> {
    /// Forgets contexts and users, if there are so many more that it is worth a look.
    pub fn forget_contexts(&mut self) {
        if !(self.pool.contexts).want_a_look(self.cx.rules.settings.pool.contexts_new_max) {
            return;
        }
        self.cx.steps += self.pool.contexts.len() as u64;
        // Whoever is in one counts there. These are only on their way.
        let targets = self.pool.backends.values().filter_map(|b| match &b.phase {
            Phase::Handshake(handshake) => Some(handshake.target),
            _ => None,
        });
        let targets: BTreeSet<ContextId> = targets.collect();
        let (requests, endpoint) = (&self.pool.acquire_queue, self.pool.endpoint.id());
        let (pools, now) = (&self.pool.endpoint.pools, self.cx.now);
        let is_needed = |context| {
            targets.contains(&context)
                || requests.contains(AcquireRequest::Pipe(PoolKey { endpoint, context }))
                || pools.need(context, now, REFUSED_DB)
        };
        self.pool.contexts.forget_unused(is_needed);
        (self.pool.endpoint.pools).forget_unknown(&self.pool.contexts);
        self.forget_users();
    }

    /// Whatever runs as a user is in a context of that user's, but for what is on its way there.
    fn forget_users(&mut self) {
        let mut used: BTreeSet<CredentialId> = self.pool.contexts.credentials().collect();
        used.extend(
            self.waits
                .cancels()
                .values()
                .map(|cancel| cancel.credential),
        );
        for backend in self.pool.backends.values() {
            // Who holds one stays in its context, whoever it is by now.
            if let Phase::Leased(owner) = backend.phase
                && let Some(client) = self.clients.get(owner)
            {
                used.insert(client.credential);
            }
        }
        self.pool.credentials.forget_unused(|id| used.contains(&id));
    }
}
