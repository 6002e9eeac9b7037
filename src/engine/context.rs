//! Contexts: what a backend must be set to for a client's commands, and the pipes of each.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use slotmap::SlotMap;

use crate::command::{Route, Spec};
use crate::resp::Protocol;

use super::credential::CredentialId;
use super::key::{BackendId, ClientId, ContextId};

/// User, protocol and db. A backend has exactly one context while anything is in flight on it, and
/// one user for as long as it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Context {
    /// As whom commands run.
    pub credential: CredentialId,
    /// RESP2 and RESP3 replies differ in shape, not only in encoding.
    pub protocol: Protocol,
    /// The selected db.
    pub db: u32,
}

/// What a client can set its own connection to: a [`Context`] without the user, which is the
/// connection's for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// See [`Context::protocol`].
    pub protocol: Protocol,
    /// See [`Context::db`].
    pub db: u32,
}

/// The pipes of one context and the clients that wait for one.
#[derive(Debug)]
pub struct ContextPool {
    /// What its pipes are set to.
    pub context: Context,
    /// Backends that serve it now.
    pub pipes: Vec<BackendId>,
    /// Clients that wait for a pipe, first come first served, since when.
    pub waiters: VecDeque<(ClientId, Duration)>,
    /// The server has accepted this context at least once.
    pub verified: bool,
    /// It stands in the queue of wants.
    pub wanted: bool,
    /// The server has refused it: its error reply, and when.
    pub refusal: Option<(Vec<u8>, Duration)>,
}

/// All contexts of a worker.
#[derive(Debug, Default)]
pub struct Contexts {
    pools: SlotMap<ContextId, ContextPool>,
    by_context: BTreeMap<Context, ContextId>,
}

impl Contexts {
    /// The key of `context`, made if it is new.
    pub fn key(&mut self, context: Context) -> ContextId {
        let pools = &mut self.pools;
        *self.by_context.entry(context).or_insert_with(|| {
            pools.insert(ContextPool {
                context,
                pipes: Vec::new(),
                waiters: VecDeque::new(),
                verified: false,
                wanted: false,
                refusal: None,
            })
        })
    }

    /// The pool of a context.
    pub fn get(&self, id: ContextId) -> Option<&ContextPool> {
        self.pools.get(id)
    }

    /// The pool of a context.
    pub fn get_mut(&mut self, id: ContextId) -> Option<&mut ContextPool> {
        self.pools.get_mut(id)
    }

    /// All pools, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (ContextId, &ContextPool)> {
        self.by_context
            .values()
            .filter_map(|id| Some((*id, self.pools.get(*id)?)))
    }

    /// Whether the server has accepted this db, in either protocol and for whomever.
    pub fn is_db_known(&self, db: u32) -> bool {
        let of_db = self
            .by_context
            .iter()
            .filter(|(context, _)| context.db == db);
        of_db
            .filter_map(|(_, id)| self.pools.get(*id))
            .any(|pool| pool.verified)
    }

    /// As whom commands run in this context.
    pub fn credential(&self, id: ContextId) -> Option<CredentialId> {
        Some(self.pools.get(id)?.context.credential)
    }

    /// Whether a command of a client in context `of` may go down a backend in context `on`.
    #[inline]
    pub fn fit(&self, on: ContextId, of: ContextId, spec: &Spec) -> bool {
        on == of || (spec.route == Route::OwnConnection && self.differ_in_db_only(on, of))
    }

    /// Whether both are of one user and protocol.
    pub fn differ_in_db_only(&self, one: ContextId, other: ContextId) -> bool {
        let in_no_db = |id| {
            let context = self.pools.get(id)?.context;
            Some(Context { db: 0, ..context })
        };
        in_no_db(one).is_some() && in_no_db(one) == in_no_db(other)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_context.len()
    }

    /// Forgets contexts that the server has not accepted and nobody is in: a client that
    /// asks for one unlikely db after another must not fill the memory. Refusals younger
    /// than `keep` stay.
    pub fn forget_unused(
        &mut self,
        now: Duration,
        keep: Duration,
        in_use: impl Fn(ContextId) -> bool,
    ) {
        let pools = &mut self.pools;
        self.by_context.retain(|_, id| {
            let gone = pools.get(*id).is_none_or(|pool| {
                !pool.verified
                    && !pool.wanted
                    && pool.pipes.is_empty()
                    && pool.waiters.is_empty()
                    && pool
                        .refusal
                        .as_ref()
                        .is_none_or(|(_, at)| now.saturating_sub(*at) > keep)
                    && !in_use(*id)
            });
            if gone {
                pools.remove(*id);
            }
            !gone
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(db: u32) -> Context {
        Context {
            protocol: Protocol::Resp3,
            db,
            ..Context::default()
        }
    }

    #[test]
    fn one_context_has_one_pool() {
        let mut contexts = Contexts::default();
        let id = contexts.key(context(4));
        assert_eq!(contexts.key(context(4)), id);
        assert!(!contexts.is_db_known(4));
        contexts.get_mut(id).unwrap().verified = true;
        assert!(contexts.is_db_known(4));
    }

    #[test]
    fn a_refused_context_is_forgotten_unless_somebody_is_in_it_and_a_verified_one_is_not() {
        let mut contexts = Contexts::default();
        let (bad, good) = (contexts.key(context(99)), contexts.key(context(1)));
        let second = Duration::from_secs(1);
        contexts.get_mut(bad).unwrap().refusal = Some((b"-ERR x\r\n".to_vec(), second));
        contexts.get_mut(good).unwrap().verified = true;
        contexts.forget_unused(second * 2, second * 5, |_| false);
        assert_eq!(contexts.len(), 2);
        contexts.forget_unused(second * 20, second * 5, |id| id == bad);
        assert_eq!(contexts.len(), 2);
        contexts.forget_unused(second * 20, second * 5, |_| false);
        assert_eq!(contexts.len(), 1);
        assert!(contexts.get(bad).is_none());
    }
}
