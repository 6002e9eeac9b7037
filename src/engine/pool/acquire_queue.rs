//! Those who wait for a backend, first come first served. However many there are, a turn looks at
//! no more than a few of them in vain.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::key::{ClientId, EndpointId, PoolKey};

use super::backend::AcquireRequest;

/// See the module.
#[derive(Debug, Default)]
pub struct AcquireQueue {
    line: BTreeMap<u64, AcquireRequest>,
    places: BTreeMap<AcquireRequest, u64>,
    leases: BTreeSet<(u64, ClientId)>,
    last: u64,
    /// Where the look at those further behind goes on.
    seen: u64,
}

/// Requests that a turn looks at in vain, from the first one on, and as many further behind: what keeps
/// those that are first from being served may not keep the others.
const IN_VAIN_MAX: usize = 32;

/// How far one look at the requests has come.
#[derive(Debug)]
pub struct Look {
    next: u64,
    /// Those that come meanwhile are looked at another time.
    end: u64,
    in_vain: usize,
    is_behind: bool,
}

impl AcquireQueue {
    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// Whether this one stands in line.
    pub fn contains(&self, request: AcquireRequest) -> bool {
        self.places.contains_key(&request)
    }

    /// One more, at the end, unless it stands in line.
    pub fn push(&mut self, request: AcquireRequest) {
        if !self.contains(request) {
            self.last += 1;
            self.put(self.last, request);
        }
    }

    fn put(&mut self, place: u64, request: AcquireRequest) {
        self.line.insert(place, request);
        self.places.insert(request, place);
        if let AcquireRequest::Lease(client) = request {
            self.leases.insert((place, client));
        }
    }

    /// It stands in line no more.
    pub fn remove(&mut self, request: AcquireRequest) {
        if let Some(place) = self.places.remove(&request) {
            self.line.remove(&place);
            if let AcquireRequest::Lease(client) = request {
                self.leases.remove(&(place, client));
            }
        }
    }

    /// Those whom a backend of one of these pools may serve as it is, in order.
    pub fn of(&self, pools: impl Iterator<Item = PoolKey>) -> Vec<AcquireRequest> {
        let pipes = pools.filter_map(|key| {
            let request = AcquireRequest::Pipe(key);
            Some((*self.places.get(&request)?, request))
        });
        let leases = self.leases.iter();
        let leases = leases.map(|(place, client)| (*place, AcquireRequest::Lease(*client)));
        let all: BTreeMap<u64, AcquireRequest> = pipes.chain(leases).collect();
        all.into_values().collect()
    }

    /// Whoever wants a pipe to one server wants one to the other, at the same place in the line.
    pub fn move_on(&mut self, from: EndpointId, to: EndpointId) {
        let all: Vec<(u64, AcquireRequest)> = self
            .line
            .iter()
            .map(|(at, request)| (*at, *request))
            .collect();
        for (place, request) in all {
            if let AcquireRequest::Pipe(key) = request
                && key.endpoint == from
            {
                self.remove(request);
                let context = key.context;
                self.put(
                    place,
                    AcquireRequest::Pipe(PoolKey {
                        endpoint: to,
                        context,
                    }),
                );
            }
        }
    }

    /// Whether the last look did not come to the end.
    pub fn has_more(&self) -> bool {
        self.seen > 0
    }

    /// Begins to look at them, one by one.
    pub fn look(&self) -> Look {
        Look {
            next: 0,
            end: self.last,
            in_vain: 0,
            is_behind: false,
        }
    }

    /// The next one to be looked at, with its place. It is taken out of the line.
    pub fn next(&mut self, look: &mut Look) -> Option<(u64, AcquireRequest)> {
        if look.in_vain >= IN_VAIN_MAX {
            if look.is_behind {
                self.seen = look.next;
                return None;
            }
            (look.is_behind, look.in_vain) = (true, 0);
            look.next = look.next.max(self.seen);
        }
        let next = self.line.range(look.next..).next();
        let Some((place, request)) = next.map(|(place, request)| (*place, *request)) else {
            self.seen = 0;
            return None;
        };
        if place > look.end {
            self.seen = 0;
            return None;
        }
        look.next = place + 1;
        self.remove(request);
        Some((place, request))
    }

    /// It waits on, at its place.
    pub fn waits_on(&mut self, look: &mut Look, place: u64, request: AcquireRequest) {
        look.in_vain += 1;
        self.remove(request);
        self.put(place, request);
    }
}

#[cfg(test)]
mod tests {
    use slotmap::SlotMap;

    use super::*;
    use crate::engine::key::{ContextId, LoginId};

    fn requests(count: usize) -> (AcquireQueue, Vec<PoolKey>) {
        let mut keys: SlotMap<ContextId, ()> = SlotMap::with_key();
        let endpoint = EndpointId::first(0);
        let mut key = |_| PoolKey {
            endpoint,
            context: keys.insert(()),
        };
        let contexts: Vec<PoolKey> = (0..count).map(&mut key).collect();
        let mut requests = AcquireQueue::default();
        for context in &contexts {
            requests.push(AcquireRequest::Pipe(*context));
            requests.push(AcquireRequest::Pipe(*context));
        }
        (requests, contexts)
    }

    /// One look at which those are served who are in `served`.
    fn looked_at(requests: &mut AcquireQueue, served: &[PoolKey]) -> Vec<PoolKey> {
        let mut look = requests.look();
        let mut seen = Vec::new();
        while let Some((place, request)) = requests.next(&mut look) {
            let AcquireRequest::Pipe(context) = request else {
                continue;
            };
            seen.push(context);
            if !served.contains(&context) {
                requests.waits_on(&mut look, place, request);
            }
        }
        seen
    }

    #[test]
    fn those_who_are_few_are_all_looked_at_in_order_and_keep_their_places() {
        let (mut requests, contexts) = requests(20);
        assert_eq!(looked_at(&mut requests, &[]), contexts);
        assert_eq!(looked_at(&mut requests, &contexts[3..5]), contexts);
        requests.push(AcquireRequest::Pipe(contexts[3]));
        let mut after = [&contexts[..3], &contexts[5..]].concat();
        after.push(contexts[3]);
        assert_eq!(looked_at(&mut requests, &[]), after);
        let two = [contexts[3], contexts[0]].into_iter();
        assert_eq!(
            requests.of(two),
            [contexts[0], contexts[3]].map(AcquireRequest::Pipe)
        );
    }

    #[test]
    fn who_wants_a_pipe_wants_one_to_the_server_that_takes_the_place() {
        let (mut requests, keys) = requests(3);
        let (first, second) = (EndpointId::first(0), EndpointId::first(0).successor());
        requests.push(AcquireRequest::Login(LoginId::default()));
        requests.move_on(first, second);
        let moved = keys.iter().map(|key| PoolKey {
            endpoint: second,
            ..*key
        });
        assert!(
            keys.iter()
                .all(|key| !requests.contains(AcquireRequest::Pipe(*key)))
        );
        assert!(requests.contains(AcquireRequest::Login(LoginId::default())));
        assert_eq!(looked_at(&mut requests, &[]), moved.collect::<Vec<_>>());
    }

    #[test]
    fn of_many_a_look_is_at_the_first_and_in_time_at_everybody() {
        let (mut requests, contexts) = requests(1000);
        let mut all: BTreeSet<PoolKey> = BTreeSet::new();
        let mut looks = 0;
        while all.len() < 1000 {
            let seen = looked_at(&mut requests, &[]);
            assert!(seen.len() <= 2 * IN_VAIN_MAX);
            assert_eq!(seen[..IN_VAIN_MAX], contexts[..IN_VAIN_MAX]);
            all.extend(seen);
            looks += 1;
        }
        assert!(looks <= 1000 / IN_VAIN_MAX + 1, "{looks} looks");
        // Whoever is served costs no other one its look.
        assert_eq!(looked_at(&mut requests, &contexts).len(), 1000);
        assert!(requests.is_empty());
    }
}
