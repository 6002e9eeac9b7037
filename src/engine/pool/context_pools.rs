//! What one server has for each context: its pipes, what it says of the context, and the clients that
//! wait for a pipe.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use slotmap::SecondaryMap;

use crate::engine::context::Contexts;
use crate::engine::key::{BackendId, ClientId, ContextId};

/// The pipes of one context at one endpoint, and the clients that wait for one.
#[derive(Debug, Default)]
pub struct ContextPool {
    /// Backends that serve it now.
    pub pipes: Vec<BackendId>,
    /// The server has refused it: its error reply, and when.
    pub refusal: Option<(Vec<u8>, Duration)>,
    /// Clients that wait for a pipe, first come first served, since when.
    waiters: VecDeque<(ClientId, Duration)>,
}

impl ContextPool {
    /// Whether clients wait for a pipe.
    pub fn is_waited_for(&self) -> bool {
        !self.waiters.is_empty()
    }

    /// Whether it holds anything that another one would not. Refusals count for as long as `keep`.
    fn is_in_use(&self, now: Duration, keep: Duration) -> bool {
        let fresh = |(_, at): &(Vec<u8>, Duration)| now.saturating_sub(*at) <= keep;
        self.is_waited_for() || !self.pipes.is_empty() || self.refusal.as_ref().is_some_and(fresh)
    }
}

/// All pools of one endpoint.
#[derive(Debug, Default)]
pub struct ContextPools {
    pools: SecondaryMap<ContextId, ContextPool>,
    /// Those that clients wait for, by since when the first of them does.
    waited_for: BTreeSet<(Duration, ContextId)>,
    waiting: usize,
    /// Dbs that the server has accepted, in either protocol and for whomever.
    dbs: BTreeSet<u32>,
}

impl ContextPools {
    /// The pool of a context, if there has been anything in it.
    #[inline]
    pub fn get(&self, id: ContextId) -> Option<&ContextPool> {
        self.pools.get(id)
    }

    /// The pool of a context, if there has been anything in it.
    pub fn get_mut(&mut self, id: ContextId) -> Option<&mut ContextPool> {
        self.pools.get_mut(id)
    }

    /// The pool of a context, made if there is none. `None`: there is no such context.
    pub fn open(&mut self, id: ContextId, contexts: &Contexts) -> Option<&mut ContextPool> {
        contexts.get(id)?;
        Some(self.pools.entry(id)?.or_default())
    }

    /// Whether the server has accepted this db, in either protocol and for whomever.
    pub fn is_db_known(&self, db: u32) -> bool {
        self.dbs.contains(&db)
    }

    /// The server has accepted a context.
    pub fn accepted(&mut self, id: ContextId, contexts: &Contexts) {
        if let Some(context) = contexts.get(id) {
            self.dbs.insert(context.db);
        }
        if let Some(pool) = self.pools.get_mut(id) {
            pool.refusal = None;
        }
    }

    /// A client waits for a pipe from `since` on, before those who came later. False: there is no
    /// such context.
    pub fn waits(
        &mut self,
        id: ContextId,
        contexts: &Contexts,
        client: ClientId,
        since: Duration,
    ) -> bool {
        let waits = |waiters: &mut VecDeque<(ClientId, Duration)>| {
            let place = waiters.partition_point(|(_, s)| *s <= since);
            waiters.insert(place, (client, since));
        };
        self.open(id, contexts).is_some() && self.change_line(id, waits).is_some()
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
    pub fn take_line(&mut self, id: ContextId) -> Vec<ClientId> {
        let line = self.change_line(id, std::mem::take).unwrap_or_default();
        line.into_iter().map(|(client, _)| client).collect()
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

    /// Whether a context is in use here. Refusals younger than `keep` are remembered.
    pub fn need(&self, id: ContextId, now: Duration, keep: Duration) -> bool {
        let pool = self.pools.get(id);
        pool.is_some_and(|pool| pool.is_in_use(now, keep))
    }

    /// Contexts have been forgotten: so are their pools.
    pub fn forget_unknown(&mut self, contexts: &Contexts) {
        self.pools.retain(|id, _| contexts.get(id).is_some());
    }

    /// Those of another server, of which nothing is known and which has no pipe yet: who waits goes on
    /// waiting.
    pub fn of_successor(mut self) -> Self {
        for pool in self.pools.values_mut() {
            (pool.pipes, pool.refusal) = (Vec::new(), None);
        }
        self.dbs.clear();
        self
    }

    /// How many clients wait in line: counted anew.
    pub fn count(&self) -> usize {
        self.pools.values().map(|pool| pool.waiters.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use slotmap::SlotMap;

    use super::*;
    use crate::engine::context::Context;

    const SECOND: Duration = Duration::from_secs(1);

    fn context(db: u32) -> Context {
        Context {
            db,
            ..Context::default()
        }
    }

    #[test]
    fn what_is_known_of_a_context_is_forgotten_with_it_and_keeps_it_while_it_is_news() {
        let (mut contexts, mut pools) = (Contexts::default(), ContextPools::default());
        let (bad, good) = (contexts.key(context(99)), contexts.key(context(1)));
        let refusal = Some((b"-ERR x\r\n".to_vec(), SECOND));
        pools.open(bad, &contexts).unwrap().refusal = refusal;
        assert!(!pools.is_db_known(1));
        pools.accepted(good, &contexts);
        let needs = |pools: &ContextPools, now| pools.need(bad, now, SECOND * 5);
        assert!(needs(&pools, SECOND * 2) && !needs(&pools, SECOND * 20));
        assert!(!pools.need(good, SECOND, SECOND));
        contexts.forget_unused(|_| false);
        pools.forget_unknown(&contexts);
        assert!(pools.get(bad).is_none() && pools.open(bad, &contexts).is_none());
        assert!(pools.is_db_known(1), "the server has that db all the same");
        pools.accepted(bad, &contexts);
        assert!(!pools.is_db_known(99), "nobody knows which db that was");
    }

    #[test]
    fn whoever_has_waited_longest_is_known_whatever_becomes_of_the_others() {
        let mut keys: SlotMap<ClientId, ()> = SlotMap::with_key();
        let clients: Vec<ClientId> = (0..4).map(|_| keys.insert(())).collect();
        let at = Duration::from_secs;
        let (mut contexts, mut pools) = (Contexts::default(), ContextPools::default());
        let (one, two) = (contexts.key(context(1)), contexts.key(context(2)));
        for (context, client, since) in [(one, 0, 5), (two, 1, 3), (one, 2, 2), (two, 3, 9)] {
            assert!(pools.waits(context, &contexts, clients[client], at(since)));
        }
        assert_eq!(pools.longest_waited_for(), Some((at(2), one)));
        assert_eq!(pools.first_in_line(one), Some(clients[2]));
        assert_eq!(pools.take_first(one), Some(clients[2]));
        assert_eq!(pools.longest_waited_for(), Some((at(3), two)));
        let mut pools = pools.of_successor();
        assert_eq!(pools.longest_waited_for(), Some((at(3), two)));
        assert_eq!(pools.take_line(two).len(), 2);
        assert_eq!(pools.longest_waited_for(), Some((at(5), one)));
        assert_eq!((pools.waiting(), pools.count()), (1, 1));
        assert_eq!(pools.take_first(one), Some(clients[0]));
        assert_eq!((pools.waiting(), pools.longest_waited_for()), (0, None));
    }
}
