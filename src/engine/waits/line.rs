//! The line of those whose command waits and who have found no place to wait on the server: in order
//! of arrival, by user, and by the keys that they wait on. Plain data; what is done with them stands
//! in `in_line.rs` and `tries.rs`.
//!
//! Of those that wait on one key only the first is a candidate there: it alone is tried, so that what
//! comes goes to whom the server itself would have given it, and a crowd costs no more than one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::time::Duration;

use crate::admission::fault_injection::{self, Bug};
use crate::engine::effect::AnswerTo;
use crate::engine::key::{ClientId, ContextId, CredentialId};
use crate::session::waited_keys::{Family, WaitTarget};

/// How long after one try the next one is.
const PERIOD: Duration = Duration::from_secs(1);

/// For each who is tried, where they are many: so that no crowd asks for more tries than the server
/// hardly notices.
const EACH: Duration = Duration::from_millis(1);

/// Tries of one client are at least so far apart, whoever comes meanwhile.
const APART: Duration = Duration::from_millis(20);

/// When somebody has come, and as the how manieth.
pub type Order = (Duration, u64);

/// A key of a db, with the family that is waited for. Keys that are taken for one another only wait
/// for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot(u64);

impl Spot {
    /// FNV-1a: the same everywhere and always.
    fn of(db: u32, family: Family, key: &[u8]) -> Self {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let head = db.to_le_bytes();
        for byte in head.iter().chain(&[family as u8]).chain(key) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Self(hash)
    }

    /// Those that a request waits on, in the order of its keys.
    pub fn all_of(db: u32, on: WaitTarget, request: &[u8]) -> Box<[Self]> {
        let keys = on.contended(request);
        keys.map(|(family, key)| Self::of(db, family, key))
            .collect()
    }
}

/// What a client hears whose command has waited in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Void {
    /// Nothing has come.
    Nil,
    /// Nobody has acknowledged anything.
    NoReplicas,
    /// Nor is it on a disk.
    Nowhere,
}

/// Who has asked for its wait to be ended, and whether with an error.
#[derive(Debug, Clone, Copy)]
pub struct Unblocked {
    pub with_error: bool,
    pub asker: AnswerTo,
}

/// One that stands in line.
#[derive(Debug)]
pub struct InLine {
    order: Order,
    /// Its `CLIENT ID`.
    number: u64,
    user: CredentialId,
    spots: Box<[Spot]>,
    /// Its own deadline.
    pub until: Option<Duration>,
    pub void: Void,
    /// When it is tried next.
    try_at: Option<Duration>,
    tried_at: Option<Duration>,
    /// As what stands among those that are due.
    due_at: Option<Duration>,
    /// The server has answered a try: what it refuses from now on a client that is blocked already
    /// would not see.
    pub judged: bool,
    may_be_tried: bool,
    /// Where the streams end that it reads from there is written in its request, or is not to be known.
    pub ends_are_known: bool,
    /// It is to be tried when this context has a pipe.
    called: Option<ContextId>,
    /// Somebody has ended its wait while it was being tried.
    pub unblocked: Option<Unblocked>,
}

impl InLine {
    pub fn new(
        number: u64,
        user: CredentialId,
        spots: Box<[Spot]>,
        since: Duration,
        until: Option<Duration>,
        void: Void,
        may_be_tried: bool,
    ) -> Self {
        Self {
            order: (since, 0),
            number,
            user,
            spots,
            until,
            void,
            try_at: None,
            tried_at: None,
            due_at: None,
            judged: false,
            may_be_tried,
            ends_are_known: false,
            called: None,
            unblocked: None,
        }
    }

    /// Since when it waits.
    pub fn since(&self) -> Duration {
        self.order.0
    }

    /// Whether the server has not said yet that there is nothing for it, and may be asked: it is not told so
    /// before, as far as that can be had.
    pub fn is_owed_a_try(&self) -> bool {
        !self.judged && self.may_be_tried && self.unblocked.is_none()
    }

    /// Whether its time is over, or somebody has ended it.
    pub fn is_over(&self, now: Duration) -> bool {
        self.unblocked.is_some() || self.until.is_some_and(|until| until <= now)
    }

    /// When it is to be looked at next.
    fn next(&self) -> Option<Duration> {
        let times = [self.until, self.try_at];
        times.into_iter().flatten().min()
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Line {
    all: BTreeMap<ClientId, InLine>,
    in_order: BTreeSet<(Order, ClientId)>,
    by_number: BTreeMap<u64, ClientId>,
    by_user: BTreeSet<(CredentialId, Order, ClientId)>,
    by_spot: BTreeSet<(Spot, Order, ClientId)>,
    /// The same by user, since users take turns.
    of_user_by_spot: BTreeSet<(Spot, CredentialId, Order, ClientId)>,
    due: BTreeSet<(Duration, ClientId)>,
    /// Those who have come in this turn.
    fresh: Vec<ClientId>,
    /// Those who are to be tried as soon as their context has a pipe.
    calls: BTreeMap<ContextId, BTreeSet<ClientId>>,
    /// Since when there has been no connection to the server.
    pub unserved_since: Option<Duration>,
    /// Tries that are planned.
    planned: u32,
    arrivals: u64,
    /// When the users had their last turns.
    turns: BTreeMap<CredentialId, u64>,
    last_turn: u64,
}

impl Line {
    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub fn contains(&self, id: ClientId) -> bool {
        self.all.contains_key(&id)
    }

    pub fn get(&self, id: ClientId) -> Option<&InLine> {
        self.all.get(&id)
    }

    pub fn get_mut(&mut self, id: ClientId) -> Option<&mut InLine> {
        self.all.get_mut(&id)
    }

    /// A client joins it. It is looked at when this turn is over.
    pub fn join(&mut self, id: ClientId, mut one: InLine, now: Duration) {
        self.leave(id, None);
        self.arrivals += 1;
        one.order.1 = self.arrivals;
        let order = one.order;
        self.in_order.insert((order, id));
        self.by_number.insert(one.number, id);
        self.by_user.insert((one.user, order, id));
        for spot in &one.spots {
            self.by_spot.insert((*spot, order, id));
            (self.of_user_by_spot).insert((*spot, one.user, order, id));
        }
        let before: BTreeSet<ClientId> = (one.spots.iter())
            .filter_map(|spot| self.first_of(*spot))
            .filter(|first| *first != id)
            .collect();
        self.all.insert(id, one);
        self.reckon(id);
        self.fresh.push(id);
        // Something may have come since they were tried, and it is theirs.
        for first in before {
            self.hurry(first, now);
        }
    }

    /// A client leaves it. The next ones on its keys are tried in its place: at once, at `now`, if it
    /// has been served, since there may be more.
    pub fn leave(&mut self, id: ClientId, served: Option<Duration>) -> Option<InLine> {
        let one = self.all.remove(&id)?;
        let order = one.order;
        self.call_off(one.called, id);
        self.in_order.remove(&(order, id));
        self.by_number.remove(&one.number);
        if self.all.is_empty() {
            self.turns.clear();
        }
        self.by_user.remove(&(one.user, order, id));
        if let Some(at) = one.due_at {
            self.due.remove(&(at, id));
        }
        self.planned -= u32::from(one.try_at.is_some());
        for spot in &one.spots {
            let was_first = self.first_of(*spot) == Some(id);
            self.by_spot.remove(&(*spot, order, id));
            (self.of_user_by_spot).remove(&(*spot, one.user, order, id));
            let Some(next) = self.first_of(*spot).filter(|_| was_first) else {
                continue;
            };
            let planned = self.all.get(&next).and_then(|next| next.try_at);
            let at = match served {
                Some(now) => now,
                None => one
                    .try_at
                    .unwrap_or(one.tried_at.unwrap_or(order.0) + PERIOD),
            };
            if planned.is_none_or(|planned| planned > at) {
                self.try_at(next, Some(at));
            }
        }
        Some(one)
    }

    /// It is another user's client now.
    pub fn becomes(&mut self, id: ClientId, user: CredentialId) {
        let Some(one) = self.all.get_mut(&id) else {
            return;
        };
        let (was, order) = (std::mem::replace(&mut one.user, user), one.order);
        self.by_user.remove(&(was, order, id));
        self.by_user.insert((user, order, id));
        for spot in &one.spots {
            (self.of_user_by_spot).remove(&(*spot, was, order, id));
            (self.of_user_by_spot).insert((*spot, user, order, id));
        }
    }

    fn first_of(&self, spot: Spot) -> Option<ClientId> {
        // Nobody's order is the first one.
        let from = (spot, Order::default(), ClientId::default());
        let (of, _, id) = self.by_spot.range(from..).next()?;
        (*of == spot).then_some(*id)
    }

    /// Of its keys those on which nobody stands before it, by their places.
    pub fn leads(&self, id: ClientId) -> Vec<bool> {
        let spots = self.all.get(&id).map(|one| &one.spots);
        let spots = spots.into_iter().flatten();
        let first = |spot: &Spot| self.first_of(*spot) == Some(id);
        spots
            .map(|spot| first(spot) || fault_injection::has(Bug::LineOvertaken))
            .collect()
    }

    /// Whether there is a key on which nobody stands before it, or none on which anybody could.
    pub fn is_candidate(&self, id: ClientId) -> bool {
        let Some(one) = self.all.get(&id).filter(|one| one.may_be_tried) else {
            return false;
        };
        !self.stands_behind_others(one, id)
    }

    fn stands_behind_others(&self, one: &InLine, id: ClientId) -> bool {
        let first = |spot: &Spot| self.first_of(*spot) == Some(id);
        !one.spots.is_empty() && !one.spots.iter().any(first)
    }

    /// Whether it would have to wait, as far as is known: there was nothing for it, or what there is
    /// is for others.
    pub fn has_to_wait(&self, id: ClientId) -> bool {
        let one = self.all.get(&id);
        one.is_some_and(|one| one.judged || self.stands_behind_others(one, id))
    }

    /// Those who stand before it on one of its keys, first there.
    pub fn before<'l>(&'l self, id: ClientId) -> impl Iterator<Item = ClientId> + 'l {
        let spots = self.all.get(&id).map(|one| &one.spots);
        let first = spots
            .into_iter()
            .flatten()
            .filter_map(|spot| self.first_of(*spot));
        first.filter(move |first| *first != id)
    }

    /// Whether another of its user stands before it on one of its keys, so that it would wait there on the
    /// server for what is that one's.
    pub fn is_behind_its_like(&self, id: ClientId) -> bool {
        let Some(one) = self.all.get(&id) else {
            return false;
        };
        one.spots.iter().any(|spot| {
            let from = (*spot, one.user, Order::default(), ClientId::default());
            let until = (*spot, one.user, one.order, id);
            self.of_user_by_spot.range(from..until).next().is_some()
        })
    }

    /// When it is tried next.
    fn try_at(&mut self, id: ClientId, at: Option<Duration>) {
        let Some(one) = self.all.get_mut(&id) else {
            return;
        };
        self.planned -= u32::from(one.try_at.is_some());
        one.try_at = at.filter(|_| one.may_be_tried);
        self.planned += u32::from(one.try_at.is_some());
        self.reckon(id);
    }

    /// It is due when it is to be looked at next.
    fn reckon(&mut self, id: ClientId) {
        let Some(one) = self.all.get_mut(&id) else {
            return;
        };
        let next = one.next();
        let before = std::mem::replace(&mut one.due_at, next);
        if before != next {
            if let Some(at) = before {
                self.due.remove(&(at, id));
            }
            if let Some(at) = next {
                self.due.insert((at, id));
            }
        }
    }

    /// It is tried as soon as may be.
    pub fn hurry(&mut self, id: ClientId, now: Duration) {
        let Some(one) = self.all.get(&id) else {
            return;
        };
        let at = one.tried_at.map_or(now, |tried| now.max(tried + APART));
        if one.try_at.is_none_or(|planned| planned > at) {
            self.try_at(id, Some(at));
        }
    }

    /// Its try begins.
    pub fn begins_try(&mut self, id: ClientId, now: Duration) {
        self.try_at(id, None);
        if let Some(one) = self.all.get_mut(&id) {
            one.tried_at = Some(now);
            let called = one.called.take();
            self.call_off(called, id);
        }
    }

    /// It is tried again after a while, unless that is planned, or others stand before it.
    pub fn try_later(&mut self, id: ClientId, now: Duration) {
        let planned = self.all.get(&id).is_some_and(|one| one.try_at.is_some());
        if !planned && self.is_candidate(id) {
            self.try_at(id, Some(now + PERIOD.max(EACH * self.planned)));
        }
        // Also where that was decided while it was being tried.
        self.reckon(id);
    }

    /// It cannot be tried.
    pub fn is_not_tried(&mut self, id: ClientId) {
        self.try_at(id, None);
        if let Some(one) = self.all.get_mut(&id) {
            one.may_be_tried = false;
        }
    }

    /// Those who have come since this was asked last.
    pub fn newcomers(&mut self) -> Vec<ClientId> {
        std::mem::take(&mut self.fresh)
    }

    /// When somebody is to be looked at.
    pub fn next(&self) -> Option<Duration> {
        self.due.first().map(|(at, _)| *at)
    }

    /// One whose time has come: its deadline, or a try.
    pub fn due(&self, now: Duration) -> Option<ClientId> {
        let (at, id) = self.due.first()?;
        (*at <= now).then_some(*id)
    }

    /// Its time has come while it is being tried: what that comes to decides.
    pub fn is_decided_by_its_try(&mut self, id: ClientId) {
        let one = self.all.get_mut(&id);
        if let Some(at) = one.and_then(|one| one.due_at.take()) {
            self.due.remove(&(at, id));
        }
    }

    /// The one who has waited longest, and since when.
    pub fn oldest(&self) -> Option<(ClientId, Duration)> {
        self.in_order.first().map(|((since, _), id)| (*id, *since))
    }

    /// Up to `count` of those whose turn is next: the users by turns, whoever had its last turn first
    /// before the others, and among the clients of one user who has come first.
    pub fn next_in_turns(&self, count: usize) -> Vec<ClientId> {
        let mut users = Vec::new();
        let mut from = Unbounded;
        while count > 0
            && let Some((user, ..)) = self.by_user.range((from, Unbounded)).next()
        {
            users.push(*user);
            from = Excluded((*user, LAST, ClientId::default()));
        }
        let mut line = Vec::new();
        for user in users {
            let first = Included((user, Order::default(), ClientId::default()));
            let last = Included((user, LAST, ClientId::default()));
            let turn = self.turns.get(&user).copied().unwrap_or_default();
            let of_user = self.by_user.range((first, last)).take(count).enumerate();
            line.extend(of_user.map(|(at, (_, order, id))| (at, turn, *order, *id)));
        }
        line.sort_unstable();
        line.into_iter().take(count).map(|(.., id)| id).collect()
    }

    /// It is lent a backend: its user's turn is over.
    pub fn had_its_turn(&mut self, id: ClientId) {
        if let Some(one) = self.all.get(&id) {
            self.last_turn += 1;
            self.turns.insert(one.user, self.last_turn);
        }
    }

    /// The client with this `CLIENT ID`.
    pub fn find(&self, number: u64) -> Option<ClientId> {
        self.by_number.get(&number).copied()
    }

    /// It is to be tried when its context has a pipe.
    pub fn call(&mut self, context: ContextId, id: ClientId) {
        if let Some(one) = self.all.get_mut(&id) {
            one.called = Some(context);
            self.calls.entry(context).or_default().insert(id);
        }
    }

    fn call_off(&mut self, one: Option<ContextId>, id: ClientId) {
        if let Some(context) = one
            && let Some(there) = self.calls.get_mut(&context)
        {
            there.remove(&id);
            if there.is_empty() {
                self.calls.remove(&context);
            }
        }
    }

    /// Whether somebody is to be tried on a pipe of this context.
    pub fn calls_for(&self, context: ContextId) -> bool {
        self.calls.contains_key(&context)
    }

    /// Those who are.
    pub fn called(&mut self, context: ContextId) -> BTreeSet<ClientId> {
        self.calls.remove(&context).unwrap_or_default()
    }
}

/// No order is later.
const LAST: Order = (Duration::MAX, u64::MAX);

#[cfg(test)]
mod tests;
