//! The one hard bound on backend connections of the whole process.
//!
//! A connection is dialled with a [`Permit`] in hand and the permit lives exactly as
//! long as the socket. Permits come from nowhere else, so the process cannot hold one
//! connection more than the budget says, whatever else goes wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::Mutex;

use super::planted::{self, Bug};

/// The smallest budget that keeps a place back.
const KEEPS_BACK_FROM: u32 = 4;

/// Who asks for a permit: decides which reserve it may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The process' own connection for health checks. Always has its place, once.
    Control,
    /// A worker, by its index. Its first permit comes from a place of its own that
    /// nobody else can take, so that every worker can serve all of its clients, if in
    /// turns; further ones come from the part that all share.
    Worker(usize),
    /// What has to get through when everything else is in use: the one place that is kept back
    /// for that. Used once and given back.
    Reserve,
}

/// The budget: `total` places, of which one is control's and one is each worker's.
#[derive(Debug)]
pub struct Budget {
    /// Control's place and each worker's first.
    least: u32,
    total: AtomicU32,
    state: Mutex<State>,
    /// Workers that wait for a permit now; others give surplus back while it is not zero.
    wanting: AtomicU32,
    /// Set while the server itself is close to its own limit: nothing grows.
    growth_stopped: AtomicBool,
    /// Permits out at once beyond which nothing grows, so that the server does not come
    /// close to its own limit.
    ceiling: AtomicU32,
    /// What the server last said of itself: clients connected, and its bound on them.
    server: Mutex<Option<(u64, u64)>>,
}

#[derive(Debug)]
struct State {
    control: bool,
    reserve: bool,
    /// Permits held, by worker.
    held: Vec<u32>,
    /// Those of them whose connections are lent to clients for as long as they like.
    lent: Vec<u32>,
}

/// The right to hold one backend connection. Not `Clone`; returned by `Drop`.
#[derive(Debug)]
pub struct Permit {
    budget: Arc<Budget>,
    claim: Claim,
}

impl Budget {
    /// A budget of `total` connections for `workers` workers.
    ///
    /// `total` is raised to the smallest that can work: control and one for each
    /// worker. Callers that must not exceed a configured figure lower the number of
    /// workers to [`Budget::workers_max`] first.
    pub fn new(total: u32, workers: usize) -> Arc<Self> {
        let least = u32::try_from(workers).unwrap_or(u32::MAX).saturating_add(1);
        let total = total.max(least);
        Arc::new(Self {
            least,
            total: AtomicU32::new(total),
            state: Mutex::new(State {
                control: false,
                reserve: false,
                held: vec![0; workers],
                lent: vec![0; workers],
            }),
            wanting: AtomicU32::new(0),
            server: Mutex::new(None),
            growth_stopped: AtomicBool::new(false),
            ceiling: AtomicU32::new(u32::MAX),
        })
    }

    /// Another bound, raised to the smallest that can work, which is returned. What is held
    /// beyond a lower one is kept, and nobody gets a further permit until it has gone back; only
    /// each worker's first is still there for it, within the bound that was before.
    pub fn resize(&self, total: u32) -> u32 {
        let total = total.max(self.least);
        // Under the lock, so that nobody acquires by the one bound and is judged by the other.
        let _state = self.state.lock();
        self.total.store(total, Ordering::Relaxed);
        total
    }

    /// Whether more is held than the bound, which was lowered.
    pub fn is_exceeded(&self) -> bool {
        let state = self.state.lock();
        state.beyond_first() > self.common()
    }

    /// The most workers that a budget of `total` can serve: one place is control's.
    pub fn workers_max(total: u32) -> usize {
        usize::try_from(total.saturating_sub(1)).unwrap_or(usize::MAX)
    }

    /// A permit for `claim`, or `None` when its part of the budget is spent.
    pub fn acquire(self: &Arc<Self>, claim: Claim) -> Option<Permit> {
        let mut state = self.state.lock();
        match claim {
            Claim::Control => {
                if state.control {
                    return None;
                }
                state.control = true;
            }
            Claim::Reserve => {
                if state.reserve || !self.keeps_one_back() {
                    return None;
                }
                state.reserve = true;
            }
            Claim::Worker(worker) => {
                let first = state.unlent(worker)? == 0;
                let ceiling = self.ceiling.load(Ordering::Relaxed);
                let may_grow = !self.growth_stopped()
                    && state.out() < ceiling
                    && state.beyond_first() < self.common();
                if !first && !may_grow {
                    return None;
                }
                *state.held.get_mut(worker)? += 1;
            }
        }
        Some(Permit {
            budget: Arc::clone(self),
            claim,
        })
    }

    /// Whether a connection of `worker` may be lent for as long as its client likes: one more is
    /// left to the worker then, or can be had. False when it cannot.
    pub fn lend(&self, worker: usize) -> bool {
        let mut state = self.state.lock();
        if !self.has_room_in(&state, worker) {
            return false;
        }
        match state.lent.get_mut(worker) {
            Some(lent) => *lent += 1,
            None => return false,
        }
        true
    }

    /// One that was lent so is its worker's again, or is closed.
    pub fn lent_no_more(&self, worker: usize) {
        if let Some(lent) = self.state.lock().lent.get_mut(worker) {
            *lent = lent.saturating_sub(1);
        }
    }

    /// Whether [`Budget::lend`] would say yes now.
    pub fn may_lend(&self, worker: usize) -> bool {
        self.has_room_in(&self.state.lock(), worker)
    }

    fn has_room_in(&self, state: &State, worker: usize) -> bool {
        // Of two that are not lent one may be. Otherwise the worker's first place becomes free
        // again, and the connection takes one of those that all share.
        state.unlent(worker).is_some_and(|unlent| unlent > 1)
            || state.beyond_first() < self.common()
    }

    /// Whether a place is kept back for [`Claim::Reserve`]: of few places none can be spared.
    pub fn keeps_one_back(&self) -> bool {
        self.kept_back() > 0
    }

    fn kept_back(&self) -> u32 {
        let total = self.total();
        u32::from(total >= KEEPS_BACK_FROM && total > self.least)
    }

    /// Places that all workers share, beyond the first of each.
    fn common(&self) -> u32 {
        let total = self.total();
        total.saturating_sub(self.least + self.kept_back())
    }

    /// The bound itself.
    pub fn total(&self) -> u32 {
        self.total.load(Ordering::Relaxed)
    }

    /// Permits out now, control's included. Never above [`Budget::total`], but for those that
    /// were out when it was lowered.
    pub fn held(&self) -> u32 {
        self.state.lock().out()
    }

    /// Permits beyond an even share that `worker` holds: what it should give back when
    /// somebody is [wanting](Budget::wanting).
    pub fn surplus(&self, worker: usize) -> u32 {
        let state = self.state.lock();
        let workers = u32::try_from(state.held.len()).unwrap_or(u32::MAX).max(1);
        let fair = (self.total().saturating_sub(1 + self.kept_back()) / workers).max(1);
        state
            .held
            .get(worker)
            .map_or(0, |held| held.saturating_sub(fair))
    }

    /// A worker begins or ceases to wait for a permit. Calls come in pairs.
    pub fn want(&self, begins: bool) {
        if begins {
            self.wanting.fetch_add(1, Ordering::Relaxed);
        } else {
            let _ = self
                .wanting
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        }
    }

    /// Whether some worker waits for a permit.
    pub fn wanting(&self) -> bool {
        self.wanting.load(Ordering::Relaxed) > 0
    }

    /// While stopped, a worker that holds a permit gets no further one: the server is
    /// near its own `maxclients`.
    pub fn stop_growth(&self, stopped: bool) {
        self.growth_stopped.store(stopped, Ordering::Relaxed);
    }

    /// No worker that holds a permit gets a further one while `ceiling` are out.
    pub fn limit_growth(&self, ceiling: u32) {
        self.ceiling.store(ceiling, Ordering::Relaxed);
    }

    /// Where growth ends, if that was said.
    pub fn ceiling(&self) -> Option<u32> {
        let ceiling = self.ceiling.load(Ordering::Relaxed);
        (ceiling < u32::MAX).then_some(ceiling)
    }

    /// The server says that `connected` of `max` clients are connected to it.
    pub fn server_said(&self, connected: u64, max: u64) {
        *self.server.lock() = Some((connected, max));
    }

    /// The server's own figures: clients connected, and its `maxclients`.
    pub fn server_clients(&self) -> Option<(u64, u64)> {
        *self.server.lock()
    }

    /// See [`Budget::stop_growth`].
    pub fn growth_stopped(&self) -> bool {
        self.growth_stopped.load(Ordering::Relaxed)
    }
}

impl State {
    fn out(&self) -> u32 {
        self.held.iter().sum::<u32>() + u32::from(self.control) + u32::from(self.reserve)
    }

    /// Permits of a worker whose connections are its own.
    fn unlent(&self, worker: usize) -> Option<u32> {
        let held = self.held.get(worker)?;
        Some(held.saturating_sub(*self.lent.get(worker)?))
    }

    /// Permits beyond each worker's first that is not lent.
    fn beyond_first(&self) -> u32 {
        let both = self.held.iter().zip(&self.lent);
        both.map(|(held, lent)| {
            let lent = (*lent).min(*held);
            lent + (held - lent).saturating_sub(1)
        })
        .sum()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.budget.state.lock();
        match self.claim {
            Claim::Control => state.control = false,
            Claim::Reserve => state.reserve = false,
            Claim::Worker(worker) => {
                if let Some(held) = state.held.get_mut(worker) {
                    *held = held.saturating_sub(1 + u32::from(planted::has(Bug::PermitTwice)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_permits_than_the_total_are_ever_out() {
        let budget = Budget::new(5, 2);
        let mut out = vec![budget.acquire(Claim::Control)];
        for _ in 0..10 {
            out.push(budget.acquire(Claim::Worker(0)));
        }
        assert_eq!(out.iter().flatten().count(), 4, "control and three");
        assert!(budget.acquire(Claim::Worker(1)).is_some(), "its own place");
        out.push(budget.acquire(Claim::Worker(1)));
        assert_eq!((budget.held(), budget.total()), (5, 5));
        assert!(budget.acquire(Claim::Worker(1)).is_none());
        out.clear();
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn every_worker_always_finds_its_first_permit() {
        let budget = Budget::new(4, 3);
        let first = budget.acquire(Claim::Worker(0));
        assert!(first.is_some());
        assert!(budget.acquire(Claim::Worker(0)).is_none());
        assert!(budget.acquire(Claim::Worker(1)).is_some());
        assert!(budget.acquire(Claim::Worker(2)).is_some());
        assert!(budget.acquire(Claim::Worker(3)).is_none(), "no such worker");
    }

    #[test]
    fn a_total_too_small_is_raised_and_the_workers_it_can_serve_are_told() {
        assert_eq!(Budget::new(1, 2).total(), 3);
        assert_eq!(Budget::workers_max(3), 2);
        assert_eq!(Budget::workers_max(0), 0);
    }

    #[test]
    fn a_worker_finds_a_permit_beside_all_that_are_lent() {
        let budget = Budget::new(5, 2);
        let mut out: Vec<_> = (0..2).map(|_| budget.acquire(Claim::Worker(0))).collect();
        assert!(budget.lend(0), "another one is left");
        assert!(budget.lend(0), "its first place is free then");
        budget.stop_growth(true);
        out.push(budget.acquire(Claim::Worker(0)));
        assert!(out[2].is_some());
        assert!(!budget.lend(0), "what is left is the other worker's first");
        out.push(budget.acquire(Claim::Control));
        out.push(budget.acquire(Claim::Worker(1)));
        assert_eq!((budget.held(), out.iter().flatten().count()), (5, 5));
        assert!(budget.acquire(Claim::Worker(1)).is_none() && !budget.lend(1));
        budget.lent_no_more(0);
        assert!(budget.lend(0));
    }

    #[test]
    fn stopped_growth_leaves_the_first_permit_alone() {
        let budget = Budget::new(10, 1);
        budget.stop_growth(true);
        let first = budget.acquire(Claim::Worker(0));
        assert!(first.is_some());
        assert!(budget.acquire(Claim::Worker(0)).is_none());
        budget.stop_growth(false);
        assert!(budget.acquire(Claim::Worker(0)).is_some());
    }

    #[test]
    fn growth_ends_at_the_ceiling_and_every_first_permit_is_beyond_it() {
        let budget = Budget::new(10, 2);
        budget.limit_growth(2);
        let out = [(); 3].map(|()| budget.acquire(Claim::Worker(0)));
        assert_eq!(out.iter().flatten().count(), 2);
        assert!(budget.acquire(Claim::Worker(1)).is_some());
        budget.limit_growth(4);
        assert!(budget.acquire(Claim::Worker(0)).is_some());
    }

    #[test]
    fn a_lower_bound_takes_nothing_away_and_gives_nothing_more() {
        let budget = Budget::new(6, 2);
        let mut out: Vec<_> = (0..4).map(|_| budget.acquire(Claim::Worker(0))).collect();
        assert!(out.iter().all(Option::is_some) && !budget.is_exceeded());
        assert_eq!(budget.resize(1), 3, "control and one each");
        assert_eq!((budget.held(), budget.total()), (4, 3));
        assert!(budget.is_exceeded() && budget.acquire(Claim::Worker(0)).is_none());
        let first = budget.acquire(Claim::Worker(1));
        assert!(first.is_some(), "within the old bound");
        assert_eq!(budget.surplus(0), 3);
        out.truncate(1);
        assert!(!budget.is_exceeded() && budget.acquire(Claim::Worker(0)).is_none());
        assert_eq!(budget.resize(4), 4);
        assert!(budget.acquire(Claim::Worker(0)).is_some());
    }

    #[test]
    fn surplus_is_what_lies_beyond_an_even_share() {
        let budget = Budget::new(9, 2);
        let out: Vec<_> = (0..6).map(|_| budget.acquire(Claim::Worker(0))).collect();
        assert_eq!(budget.surplus(0), 2);
        assert_eq!(budget.surplus(1), 0);
        drop(out);
        budget.want(true);
        assert!(budget.wanting());
        budget.want(false);
        assert!(!budget.wanting());
    }
}
