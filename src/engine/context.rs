//! Contexts: what a backend must be set to for a client's commands, and the pipes of each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use slotmap::SlotMap;

use crate::command::Spec;
use crate::resp::Protocol;

use super::key::{BackendId, ClientId, ContextId, CredentialId};
use super::planted::{self, Bug};

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
    /// The server has refused it: its error reply, and when.
    pub refusal: Option<(Vec<u8>, Duration)>,
    /// Clients that wait for a pipe, first come first served, since when.
    waiters: VecDeque<(ClientId, Duration)>,
    /// How many clients and backends are in it.
    within: usize,
}

impl ContextPool {
    /// Whether clients wait for a pipe.
    pub fn is_waited_for(&self) -> bool {
        !self.waiters.is_empty()
    }
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

/// All contexts of a worker.
#[derive(Debug, Default)]
pub struct Contexts {
    pools: SlotMap<ContextId, ContextPool>,
    by_context: BTreeMap<Context, ContextId>,
    /// Those that clients wait for, by since when the first of them does.
    waited_for: BTreeSet<(Duration, ContextId)>,
    waiting: usize,
    /// Dbs that the server has accepted, in either protocol and for whomever.
    dbs: BTreeSet<u32>,
    /// How many there were when those were last forgotten that nobody needs.
    kept: usize,
}

impl Contexts {
    /// The key of `context`, made if it is new. It is not forgotten before the next tick.
    pub fn key(&mut self, context: Context) -> ContextId {
        let pools = &mut self.pools;
        *self.by_context.entry(context).or_insert_with(|| {
            pools.insert(ContextPool {
                context,
                pipes: Vec::new(),
                refusal: None,
                waiters: VecDeque::new(),
                within: 0,
            })
        })
    }

    /// Somebody is in this context from now on.
    pub fn enter(&mut self, id: ContextId) -> Within {
        if let Some(pool) = self.pools.get_mut(id) {
            pool.within += 1;
        }
        Within(id)
    }

    /// Somebody is in it no more.
    pub fn leave(&mut self, within: Within) {
        if let Some(pool) = self.pools.get_mut(within.0) {
            pool.within = pool.within.saturating_sub(1);
        }
    }

    /// Somebody is in another context from now on.
    pub fn move_on(&mut self, within: &mut Within, to: ContextId) {
        if within.0 != to {
            let to = self.enter(to);
            self.leave(std::mem::replace(within, to));
        }
    }

    /// The pool of a context.
    pub fn get(&self, id: ContextId) -> Option<&ContextPool> {
        self.pools.get(id)
    }

    /// The pool of a context.
    pub fn get_mut(&mut self, id: ContextId) -> Option<&mut ContextPool> {
        self.pools.get_mut(id)
    }

    /// Whether the server has accepted this db, in either protocol and for whomever.
    pub fn is_db_known(&self, db: u32) -> bool {
        self.dbs.contains(&db)
    }

    /// The server has accepted a context.
    pub fn accepted(&mut self, id: ContextId) {
        if let Some(pool) = self.pools.get_mut(id) {
            pool.refusal = None;
            self.dbs.insert(pool.context.db);
        }
    }

    /// A client waits for a pipe from `since` on, before those who came later. False: there is no
    /// such context.
    pub fn waits(&mut self, id: ContextId, client: ClientId, since: Duration) -> bool {
        let waits = |waiters: &mut VecDeque<(ClientId, Duration)>| {
            let place = waiters.partition_point(|(_, s)| *s <= since);
            waiters.insert(place, (client, since));
        };
        self.change_line(id, waits).is_some()
    }

    /// The client that has waited longest for a pipe of this context.
    pub fn first_in_line(&self, id: ContextId) -> Option<ClientId> {
        let (client, _) = self.pools.get(id)?.waiters.front()?;
        Some(*client)
    }

    /// That client waits no more.
    pub fn take_first(&mut self, id: ContextId) -> Option<ClientId> {
        let (client, _) = self.change_line(id, VecDeque::pop_front)??;
        Some(client)
    }

    /// All that wait for a pipe of this context wait no more.
    pub fn take_line(&mut self, id: ContextId) -> VecDeque<(ClientId, Duration)> {
        self.change_line(id, std::mem::take).unwrap_or_default()
    }

    fn change_line<R>(
        &mut self,
        id: ContextId,
        change: impl FnOnce(&mut VecDeque<(ClientId, Duration)>) -> R,
    ) -> Option<R> {
        let line = &mut self.pools.get_mut(id)?.waiters;
        let (len, first) = (line.len(), line.front().map(|(_, since)| *since));
        let result = change(line);
        self.waiting = self.waiting + line.len() - len;
        let now_first = line.front().map(|(_, since)| *since);
        if now_first != first {
            first.map(|since| self.waited_for.remove(&(since, id)));
            now_first.map(|since| self.waited_for.insert((since, id)));
        }
        Some(result)
    }

    /// How many clients wait for a pipe.
    #[inline]
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// The context whose first client in line has waited longest, and since when.
    pub fn longest_waited_for(&self) -> Option<(Duration, ContextId)> {
        self.waited_for.first().copied()
    }

    /// All contexts that clients wait for.
    pub fn waited_for(&self) -> impl Iterator<Item = ContextId> {
        self.waited_for.iter().map(|(_, id)| *id)
    }

    /// As whom commands run in this context.
    pub fn credential(&self, id: ContextId) -> Option<CredentialId> {
        Some(self.pools.get(id)?.context.credential)
    }

    /// Whether a command of a client in context `of` may go down a backend in context `on`.
    #[inline]
    pub fn fit(&self, on: ContextId, of: ContextId, spec: &Spec) -> bool {
        on == of || (spec.needs_own_connection() && self.differ_in_db_only(on, of))
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

    /// Whether so many have come since it was last looked which of them are needed, beyond those
    /// that were. So a look at all contexts is paid for by those that have come.
    pub fn want_a_look(&self, new_max: usize) -> bool {
        self.len() > self.kept + new_max
    }

    /// Forgets contexts that nobody is in, whether the server has accepted them or not: a client
    /// that asks for one unlikely db after another must not fill the memory, nor must users that
    /// come and go. Refusals younger than `keep` stay, and what is named by `is_named`. A key of one
    /// that is forgotten is never that of another.
    pub fn forget_unused(
        &mut self,
        now: Duration,
        keep: Duration,
        is_named: impl Fn(ContextId) -> bool,
    ) {
        let pools = &mut self.pools;
        let fresh = |(_, at): &(Vec<u8>, Duration)| now.saturating_sub(*at) <= keep;
        self.by_context.retain(|_, id| {
            let kept = pools.get(*id).is_some_and(|pool| {
                (pool.within > 0 && !planted::has(Bug::ContextForgotten))
                    || pool.is_waited_for()
                    || !pool.pipes.is_empty()
                    || pool.refusal.as_ref().is_some_and(fresh)
                    || is_named(*id)
            });
            if !kept {
                pools.remove(*id);
            }
            kept
        });
        self.kept = self.len();
    }

    /// As whom commands run in any of them.
    pub fn credentials(&self) -> impl Iterator<Item = CredentialId> {
        self.by_context.keys().map(|context| context.credential)
    }

    /// How many clients and backends are in contexts, and how many clients wait in line: counted
    /// anew.
    pub fn count(&self) -> (usize, usize) {
        let pools = || self.pools.values();
        let within = pools().map(|pool| pool.within).sum();
        (within, pools().map(|pool| pool.waiters.len()).sum())
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
        contexts.accepted(id);
        assert!(contexts.is_db_known(4));
    }

    #[test]
    fn a_context_is_forgotten_unless_somebody_is_in_it_or_its_refusal_is_news() {
        let mut contexts = Contexts::default();
        let (bad, good) = (contexts.key(context(99)), contexts.key(context(1)));
        let second = Duration::from_secs(1);
        contexts.get_mut(bad).unwrap().refusal = Some((b"-ERR x\r\n".to_vec(), second));
        contexts.accepted(good);
        let mut within = contexts.enter(good);
        contexts.forget_unused(second * 2, second * 5, |_| false);
        assert_eq!(contexts.len(), 2);
        contexts.move_on(&mut within, bad);
        contexts.forget_unused(second * 20, second * 5, |_| false);
        assert!(contexts.get(bad).is_some() && contexts.get(good).is_none());
        assert!(
            contexts.is_db_known(1),
            "the server has that db all the same"
        );
        contexts.leave(within);
        contexts.forget_unused(second * 20, second * 5, |id| id == bad);
        assert_eq!((contexts.len(), contexts.count()), (1, (0, 0)));
        contexts.forget_unused(second * 20, second * 5, |_| false);
        assert_eq!(contexts.len(), 0);
        assert!(
            contexts.key(context(99)) != bad,
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
                contexts.forget_unused(Duration::ZERO, Duration::ZERO, |_| false);
            }
        }
        assert!(looks <= 10_000 / 64, "{looks} looks");
        assert!(contexts.len() <= 1000 + 65);
    }

    #[test]
    fn whoever_has_waited_longest_is_known_whatever_becomes_of_the_others() {
        let mut keys: SlotMap<ClientId, ()> = SlotMap::with_key();
        let clients: Vec<ClientId> = (0..4).map(|_| keys.insert(())).collect();
        let at = Duration::from_secs;
        let mut contexts = Contexts::default();
        let (one, two) = (contexts.key(context(1)), contexts.key(context(2)));
        for (context, client, since) in [(one, 0, 5), (two, 1, 3), (one, 2, 2), (two, 3, 9)] {
            assert!(contexts.waits(context, clients[client], at(since)));
        }
        assert_eq!(contexts.longest_waited_for(), Some((at(2), one)));
        assert_eq!(contexts.first_in_line(one), Some(clients[2]));
        assert_eq!(contexts.take_first(one), Some(clients[2]));
        assert_eq!(contexts.longest_waited_for(), Some((at(3), two)));
        assert_eq!(contexts.take_line(two).len(), 2);
        assert_eq!(contexts.longest_waited_for(), Some((at(5), one)));
        assert_eq!((contexts.waiting(), contexts.count()), (1, (0, 1)));
        assert_eq!(contexts.take_first(one), Some(clients[0]));
        assert_eq!(
            (contexts.waiting(), contexts.longest_waited_for()),
            (0, None)
        );
    }
}
