//! Contexts: what a backend must be set to for a client's commands. A client is in one, wherever its
//! commands go.

use std::collections::BTreeMap;

use slotmap::SlotMap;

use crate::command::Spec;
use crate::resp::Protocol;

use super::fault_injection::{self, Bug};
use super::key::{ContextId, CredentialId};

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

/// A context that is known, and how many are in it.
#[derive(Debug)]
struct Known {
    context: Context,
    /// How many clients and backends.
    within: usize,
}

/// A context that somebody is in, who counts there for as long as this lives: it is not forgotten.
/// Not `Clone`: ended by [`Contexts::leave`].
#[derive(Debug)]
#[must_use]
pub struct Within(ContextId);

impl Within {
    /// Which one it is.
    #[inline]
    pub fn id(&self) -> ContextId {
        self.0
    }
}

/// All contexts of a worker. What each server has for them, and makes of them, stands with that server's
/// [`Endpoint`](super::pool::endpoint::Endpoint).
#[derive(Debug, Default)]
pub struct Contexts {
    known: SlotMap<ContextId, Known>,
    by_context: BTreeMap<Context, ContextId>,
    /// How many there were when those were last forgotten that nobody needs.
    kept: usize,
}

impl Contexts {
    /// The key of `context`, made if it is new. It is not forgotten before the next tick.
    pub fn key(&mut self, context: Context) -> ContextId {
        let known = &mut self.known;
        *self
            .by_context
            .entry(context)
            .or_insert_with(|| known.insert(Known { context, within: 0 }))
    }

    /// Somebody is in this context from now on.
    pub fn enter(&mut self, id: ContextId) -> Within {
        if let Some(known) = self.known.get_mut(id) {
            known.within += 1;
        }
        Within(id)
    }

    /// Somebody is in it no more.
    pub fn leave(&mut self, within: Within) {
        if let Some(known) = self.known.get_mut(within.0) {
            known.within = known.within.saturating_sub(1);
        }
    }

    /// Somebody is in another context from now on.
    pub fn move_on(&mut self, within: &mut Within, to: ContextId) {
        if within.0 != to {
            let to = self.enter(to);
            self.leave(std::mem::replace(within, to));
        }
    }

    /// Which context that is, unless it has been forgotten.
    pub fn get(&self, id: ContextId) -> Option<Context> {
        Some(self.known.get(id)?.context)
    }

    /// As whom commands run in this context.
    pub fn credential(&self, id: ContextId) -> Option<CredentialId> {
        Some(self.get(id)?.credential)
    }

    /// Whether a command of a client in context `of` may go down a backend in context `on`.
    #[inline]
    pub fn fit(&self, on: ContextId, of: ContextId, spec: &Spec) -> bool {
        on == of || (spec.needs_own_connection() && self.differ_in_db_only(on, of))
    }

    /// Whether both are of one user and protocol.
    pub fn differ_in_db_only(&self, one: ContextId, other: ContextId) -> bool {
        let in_no_db = |id| {
            let context = self.get(id)?;
            Some(Context { db: 0, ..context })
        };
        in_no_db(one).is_some() && in_no_db(one) == in_no_db(other)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_context.len()
    }

    /// Whether so many have come since it was last looked which of them are needed, beyond those
    /// that were. So a look at all contexts is paid for by those that have come.
    pub fn want_a_look(&self, new_max: usize) -> bool {
        self.len() > self.kept + new_max
    }

    /// Forgets contexts that nobody is in, whether a server has accepted them or not: a client
    /// that asks for one unlikely db after another must not fill the memory, nor must users that
    /// come and go. What is needed says `is_needed`. A key of one that is forgotten is never that of
    /// another.
    pub fn forget_unused(&mut self, is_needed: impl Fn(ContextId) -> bool) {
        let all = &mut self.known;
        self.by_context.retain(|_, id| {
            let kept = all.get(*id).is_some_and(|known| {
                (known.within > 0 && !fault_injection::has(Bug::ContextForgotten)) || is_needed(*id)
            });
            if !kept {
                all.remove(*id);
            }
            kept
        });
        self.kept = self.len();
    }

    /// As whom commands run in any of them.
    pub fn credentials(&self) -> impl Iterator<Item = CredentialId> {
        self.by_context.keys().map(|context| context.credential)
    }

    /// How many clients and backends are in contexts: counted anew.
    pub fn count(&self) -> usize {
        self.known.values().map(|known| known.within).sum()
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
    fn a_context_has_one_key_and_is_forgotten_unless_somebody_is_in_it_or_needs_it() {
        let mut contexts = Contexts::default();
        let (one, two) = (contexts.key(context(4)), contexts.key(context(1)));
        assert_eq!(
            (contexts.key(context(4)), contexts.get(one)),
            (one, Some(context(4)))
        );
        let mut within = contexts.enter(two);
        contexts.forget_unused(|id| id == one);
        assert_eq!(contexts.len(), 2);
        contexts.move_on(&mut within, one);
        contexts.forget_unused(|_| false);
        assert!(contexts.get(one).is_some() && contexts.get(two).is_none());
        contexts.leave(within);
        contexts.forget_unused(|id| id == one);
        assert_eq!((contexts.len(), contexts.count()), (1, 0));
        contexts.forget_unused(|_| false);
        assert_eq!(contexts.len(), 0);
        assert!(
            contexts.key(context(4)) != one,
            "a key is never given again"
        );
    }

    #[test]
    fn looks_for_contexts_that_nobody_needs_are_as_rare_as_new_ones() {
        let mut contexts = Contexts::default();
        let mut within = Vec::new();
        let mut looks = 0;
        for db in 0..10_000 {
            let id = contexts.key(context(db));
            if db < 1000 {
                within.push(contexts.enter(id));
            }
            if contexts.want_a_look(64) {
                looks += 1;
                contexts.forget_unused(|_| false);
            }
        }
        assert!(looks <= 10_000 / 64, "{looks} looks");
        assert!(contexts.len() <= 1000 + 65);
    }
}
