//! Who waits for a pipe of which context, and what a context has been refused with.

use std::time::Duration;

use crate::engine::key::{BackendId, ClientId, ContextId};

use super::Pool;
use super::backend::{AcquireRequest, Backend};
use super::context_pools::ContextPool;

/// How long a db that the server has refused stays refused without asking again.
pub const REFUSED_DB: Duration = Duration::from_secs(1);

impl Pool {
    /// Clients that wait for a pipe.
    #[inline]
    pub fn waiting(&self) -> usize {
        self.endpoint.pools().waiting()
    }

    /// Who has waited longest for a pipe of this context.
    pub fn first_in_line(&self, context: ContextId) -> Option<ClientId> {
        self.endpoint.pools().first_in_line(context)
    }

    /// Takes it out of the line.
    pub fn take_first(&mut self, context: ContextId) -> Option<ClientId> {
        self.endpoint.pools_mut().take_first(context)
    }

    /// Takes all out of the line of this context, in order.
    pub fn take_line(&mut self, context: ContextId) -> Vec<ClientId> {
        self.endpoint.pools_mut().take_line(context)
    }

    /// The context whose first client has waited longest of all.
    pub fn longest_waited_for(&self) -> Option<(Duration, ContextId)> {
        self.endpoint.pools().longest_waited_for()
    }

    /// The contexts that clients wait for.
    pub fn waited_for(&self) -> Vec<ContextId> {
        self.endpoint.pools().waited_for().collect()
    }

    /// A client waits for a pipe of this context, since then. Whether there is such a context.
    pub fn waits(&mut self, context: ContextId, client: ClientId, since: Duration) -> bool {
        let pools = self.endpoint.pools_mut();
        let waits = pools.waits(context, &self.contexts, client, since);
        if waits {
            self.request(AcquireRequest::Pipe(self.key_of(context)));
        }
        waits
    }

    /// What there is for a context, if there has been anything.
    #[inline]
    pub fn context_pool(&self, context: ContextId) -> Option<&ContextPool> {
        self.endpoint.pools().get(context)
    }

    /// The same, from now on; `None` where there is no such context.
    pub fn open_pool(&mut self, context: ContextId) -> Option<&mut ContextPool> {
        self.endpoint.pools_mut().open(context, &self.contexts)
    }

    /// A backend serves this context from now on.
    pub fn is_pipe_of(&mut self, id: BackendId, context: ContextId) {
        if let Some(pool) = self.open_pool(context) {
            pool.pipes.push(id);
        }
    }

    /// The pipes of a context.
    pub fn pipes(&self, context: ContextId) -> impl Iterator<Item = &Backend> + Clone {
        let pipes = self.context_pool(context).map(|pool| pool.pipes.iter());
        let pipes = pipes.into_iter().flatten();
        pipes.filter_map(|id| self.backends.get(*id))
    }

    /// Whether the server has refused this context lately, and there is no pipe of it.
    pub fn is_refused(&self, context: ContextId, now: Duration) -> bool {
        let fresh = |(_, at): &(Vec<u8>, Duration)| now.saturating_sub(*at) < REFUSED_DB;
        self.context_pool(context)
            .is_some_and(|pool| pool.pipes.is_empty() && pool.refusal.as_ref().is_some_and(fresh))
    }

    /// Whether the server has been in this db.
    pub fn is_db_known(&self, db: u32) -> bool {
        self.endpoint.pools().is_db_known(db)
    }
}
