//! What backends are set to, and who is in which context.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::engine::context::{Context, Contexts, Within};
use crate::engine::cx::Cx;
use crate::engine::key::{BackendId, ContextId, CredentialId, PoolKey};

use super::Pool;
use super::backend::{AcquireRequest, Backend, Phase};
use super::waiting::REFUSED_DB;

impl Pool {
    /// The contexts that there are.
    #[inline]
    pub fn contexts(&self) -> &Contexts {
        &self.contexts
    }

    /// What a context is about.
    pub fn context(&self, id: ContextId) -> Option<Context> {
        self.contexts.get(id)
    }

    /// The key of a context.
    pub fn context_key(&mut self, context: Context) -> ContextId {
        self.contexts.key(context)
    }

    /// Somebody is in a context from now on.
    pub fn enter_context(&mut self, id: ContextId) -> Within {
        self.contexts.enter(id)
    }

    /// Somebody is in another one.
    pub fn move_on(&mut self, within: &mut Within, to: ContextId) {
        self.contexts.move_on(within, to);
    }

    /// Somebody is in its context no more.
    pub fn leave_context(&mut self, within: Within) {
        self.contexts.leave(within);
    }

    /// A backend is set to a context, as the server has confirmed.
    ///
    /// # Panics
    /// When that is another user's, see [`Backend::enter`].
    pub fn set_context(&mut self, id: BackendId, context: ContextId) {
        if let Some(backend) = self.backends.get_mut(id) {
            backend.enter(&mut self.contexts, context);
        }
    }

    /// The login that a backend was dialled to check was accepted: it is that user's, in `context`.
    pub fn is_now_of(&mut self, id: BackendId, credential: CredentialId, context: ContextId) {
        if let Some(backend) = self.backends.get_mut(id) {
            backend.is_now_of(credential, &mut self.contexts, context);
        }
    }

    /// A backend is to be set to a context of its own user's.
    ///
    /// # Panics
    /// When that is another user's.
    pub fn assert_own(&self, id: BackendId, context: ContextId) {
        if let Some(backend) = self.backends.get(id) {
            backend.assert_own(&self.contexts, context);
        }
    }

    /// Nothing is expected any more of a backend that is lost.
    pub fn is_gone(&mut self, backend: Backend) {
        backend.leave(&mut self.contexts);
    }

    /// The server has accepted this context.
    pub fn accepted(&mut self, context: ContextId) {
        (self.endpoint.pools_mut()).accepted(context, &self.contexts);
    }

    /// The server has refused this context, with these words: those who wait for it get them.
    pub fn context_refused(&mut self, context: ContextId, reply: Vec<u8>, now: Duration) {
        if let Some(pool) = self.open_pool(context) {
            pool.refusal = Some((reply, now));
        }
    }

    /// Forgets contexts that nobody is in, nor waits for, nor is on the way to, if there are so many
    /// more than before that it is worth a look. Whether it was.
    pub fn forget_contexts(&mut self, cx: &mut Cx) -> bool {
        let new_max = cx.rules.settings.pool.contexts_new_max;
        if !self.contexts.want_a_look(new_max) {
            return false;
        }
        cx.steps += self.contexts.len() as u64;
        // Whoever is in one counts there. These are only on their way.
        let targets = self.backends.values().filter_map(|b| match &b.phase {
            Phase::Handshake(handshake) => Some(handshake.target),
            _ => None,
        });
        let targets: BTreeSet<ContextId> = targets.collect();
        let (requests, endpoint) = (&self.acquire_queue, &self.endpoint);
        let is_needed = |context| {
            let key = PoolKey {
                endpoint: endpoint.id(),
                context,
            };
            targets.contains(&context)
                || requests.contains(AcquireRequest::Pipe(key))
                || endpoint.pools().need(context, cx.now, REFUSED_DB)
        };
        self.contexts.forget_unused(is_needed);
        (self.endpoint.pools_mut()).forget_unknown(&self.contexts);
        true
    }
}
