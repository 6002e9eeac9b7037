//! What nobody needs any more is forgotten: contexts that nobody is in, and users of the server that
//! nothing runs as. What is worth a look is what has come since the last one, so a look costs each
//! of those little, and who comes and goes for years, as somebody else each time, fills no memory.

use std::collections::BTreeSet;

use crate::engine::key::CredentialId;
use crate::engine::pool::backend::Phase;
use crate::engine::reach::Blocking;

impl Blocking<'_> {
    /// Forgets contexts and users, if there are so many more that it is worth a look.
    pub fn forget_contexts(&mut self) {
        if self.pool.forget_contexts(self.cx) {
            self.forget_users();
        }
    }

    /// Whatever runs as a user is in a context of that user's, but for what is on its way there.
    fn forget_users(&mut self) {
        let mut used: BTreeSet<CredentialId> = self.pool.contexts().credentials().collect();
        used.extend(
            self.waits
                .cancels()
                .values()
                .map(|cancel| cancel.credential),
        );
        for backend in self.pool.backends() {
            // Who holds one stays in its context, whoever it is by now.
            if let Phase::Leased(owner) = backend.phase
                && let Some(client) = self.clients.get(owner)
            {
                used.insert(client.credential);
            }
        }
        (self.pool.credentials_mut()).forget_unused(|id| used.contains(&id));
    }
}
