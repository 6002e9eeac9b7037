//! The one hard bound on backend connections of the whole process.
//!
//! A connection is dialled with a [`Permit`] in hand and the permit lives exactly as
//! long as the socket. Permits come from nowhere else, so the process cannot hold one
//! connection more than the budget says, whatever else goes wrong.
//!
//! Control has a place, and each worker one beside all that it has lent for as long as clients like: so
//! every worker can serve all its clients, if in turns. Of four places or more one is kept back for what has
//! to get through when all others are in use. What is left goes to whoever asks, up to a ceiling that
//! control sets by the server's own `maxclients`; until it has read that, nobody gets more than the first.
//! A worker that holds more than an even share gives some back while another waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::Mutex;

use super::fault_injection::{self, Bug};

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
    state: Mutex<BudgetState>,
    /// Workers that wait for a permit now; others give surplus back while it is not zero.
    waiters: AtomicU32,
    /// Set while the server itself is close to its own limit: nothing grows.
    growth_stopped: AtomicBool,
    /// Nothing is known yet of the server's own limit.
    limit_awaited: AtomicBool,
    /// Permits out at once beyond which nothing grows, so that the server does not come
    /// close to its own limit.
    ceiling: AtomicU32,
    /// What the server last said of itself: clients connected, and its bound on them.
    server: Mutex<Option<(u64, u64)>>,
}

#[derive(Debug)]
struct BudgetState {
    control: bool,
    reserve: bool,
    /// Permits held, by worker.
    held: Vec<u32>,
    /// Those of them whose connections are lent to clients for as long as they like.
    lent: Vec<LentTerms>,
}

/// For how long a connection is lent that does not come back by itself. What does (a transaction, an
/// upload) is not lent in this sense: it takes turns with everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Term {
    /// While one command waits on the server: until there is data, or its own timeout.
    Waiting,
    /// Until its client has enough: subscriptions, and other state that stays.
    Lasting,
}

/// Connections of one worker that are lent, by [`Term`].
#[derive(Debug, Clone, Copy, Default)]
struct LentTerms {
    waiting: u32,
    lasting: u32,
}

impl LentTerms {
    fn of(&mut self, term: Term) -> &mut u32 {
        match term {
            Term::Waiting => &mut self.waiting,
            Term::Lasting => &mut self.lasting,
        }
    }

    fn total(self) -> u32 {
        self.waiting + self.lasting
    }
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
            state: Mutex::new(BudgetState {
                control: false,
                reserve: false,
                held: vec![0; workers],
                lent: vec![LentTerms::default(); workers],
            }),
            waiters: AtomicU32::new(0),
            server: Mutex::new(None),
            growth_stopped: AtomicBool::new(false),
            limit_awaited: AtomicBool::new(false),
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

    /// Lends a connection of `worker`, if it may be: one more is left to the worker then, or can be
    /// had, and of the places that all share one is left for what ends by itself, so that no
    /// number of clients that listen or wait keeps transactions out. Likewise those that listen
    /// leave one to those that wait.
    pub fn lend(&self, worker: usize, term: Term) -> bool {
        let mut state = self.state.lock();
        if !self.has_room_in(&state, worker, term) {
            return false;
        }
        match state.lent.get_mut(worker) {
            Some(lent) => *lent.of(term) += 1,
            None => return false,
        }
        true
    }

    /// One that was lent so is its worker's again, or is closed.
    pub fn lent_no_more(&self, worker: usize, term: Term) {
        if let Some(lent) = self.state.lock().lent.get_mut(worker) {
            let lent = lent.of(term);
            *lent = lent.saturating_sub(1);
        }
    }

    /// One that is lent is lent for another term from now on, if it may be.
    pub fn lend_on(&self, worker: usize, from: Term, to: Term) -> bool {
        if from == to {
            return true;
        }
        self.lent_no_more(worker, from);
        let lent = self.lend(worker, to);
        if !lent && let Some(before) = self.state.lock().lent.get_mut(worker) {
            *before.of(from) += 1;
        }
        lent
    }

    /// How many more may be lent for a term at most, whichever worker does.
    pub fn room(&self, term: Term) -> u32 {
        self.room_in(&self.state.lock(), term)
    }

    fn room_in(&self, state: &BudgetState, term: Term) -> u32 {
        let (lent, reachable) = (state.lent_in_all(), self.reachable(state));
        let room = lendable_of(reachable, Term::Waiting).saturating_sub(lent.total());
        match term {
            Term::Waiting => room,
            Term::Lasting => {
                room.min(lendable_of(reachable, Term::Lasting).saturating_sub(lent.lasting))
            }
        }
    }

    /// Whether [`Budget::lend`] would say yes now.
    pub fn may_lend(&self, worker: usize, term: Term) -> bool {
        self.has_room_in(&self.state.lock(), worker, term)
    }

    /// How many may be lent at once for a term, by all workers together, as the budget stands.
    pub fn lendable(&self, term: Term) -> u32 {
        lendable_of(self.common(), term)
    }

    /// Whether everything that workers share is lent: each has its first place left and no other
    /// will come, so that what ends by itself takes turns with all else on that one.
    pub fn is_all_lent(&self) -> bool {
        let state = self.state.lock();
        state.lent_in_all().total() >= self.reachable(&state)
    }

    fn has_room_in(&self, state: &BudgetState, worker: usize, term: Term) -> bool {
        // Of two that are not lent one may be. Otherwise the worker's first place becomes free
        // again, and the connection takes one of those that all share.
        let one_is_left = state.unlent(worker).is_some_and(|unlent| unlent > 1)
            || state.beyond_first() < self.common();
        self.room_in(state, term) > 0 && one_is_left
    }

    /// Of the places that all workers share those that can be had now: what is held, and what
    /// may still grow beside the server's own limit.
    fn reachable(&self, state: &BudgetState) -> u32 {
        let growth = match self.growth_stopped() {
            true => 0,
            false => (self.ceiling.load(Ordering::Relaxed)).saturating_sub(state.out()),
        };
        state
            .beyond_first()
            .saturating_add(growth)
            .min(self.common())
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

    /// Permits beyond an even share that `worker` holds, what is lent left aside: what it should
    /// give back when [somebody waits](Budget::has_waiters).
    pub fn surplus(&self, worker: usize) -> u32 {
        let state = self.state.lock();
        let workers = u32::try_from(state.held.len()).unwrap_or(u32::MAX).max(1);
        let unlent =
            (self.total()).saturating_sub(1 + self.kept_back() + state.lent_in_all().total());
        let fair = (unlent / workers).max(1);
        state
            .unlent(worker)
            .map_or(0, |held| held.saturating_sub(fair))
    }

    /// A worker begins or ceases to wait for a permit. Calls come in pairs.
    pub fn count_waiter(&self, begins: bool) {
        if begins {
            self.waiters.fetch_add(1, Ordering::Relaxed);
        } else {
            let _ = self
                .waiters
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        }
    }

    /// Whether some worker waits for a permit.
    pub fn has_waiters(&self) -> bool {
        self.waiters.load(Ordering::Relaxed) > 0
    }

    /// While stopped, a worker that holds a permit gets no further one: the server is
    /// near its own `maxclients`.
    pub fn stop_growth(&self, stopped: bool) {
        self.limit_awaited.store(false, Ordering::Relaxed);
        self.growth_stopped.store(stopped, Ordering::Relaxed);
    }

    /// Growth is stopped until it is known how far it may go, or that nobody knows.
    pub fn await_limit(&self) {
        self.stop_growth(true);
        self.limit_awaited.store(true, Ordering::Relaxed);
    }

    /// Whether that is so: what finds no room now may find some in a moment.
    pub fn is_limit_awaited(&self) -> bool {
        self.limit_awaited.load(Ordering::Relaxed)
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

impl BudgetState {
    fn out(&self) -> u32 {
        self.held.iter().sum::<u32>() + u32::from(self.control) + u32::from(self.reserve)
    }

    /// Permits of a worker whose connections are its own.
    fn unlent(&self, worker: usize) -> Option<u32> {
        let held = self.held.get(worker)?;
        Some(held.saturating_sub(self.lent.get(worker)?.total()))
    }

    fn lent_in_all(&self) -> LentTerms {
        self.lent
            .iter()
            .fold(LentTerms::default(), |all, lent| LentTerms {
                waiting: all.waiting + lent.waiting,
                lasting: all.lasting + lent.lasting,
            })
    }

    /// Permits beyond each worker's first that is not lent.
    fn beyond_first(&self) -> u32 {
        let both = self.held.iter().zip(&self.lent);
        both.map(|(held, lent)| {
            let lent = lent.total().min(*held);
            lent + (held - lent).saturating_sub(1)
        })
        .sum()
    }
}

/// How many of `shared` places may be lent for a term. Of two or more one is left to what ends by
/// itself, and of what remains one to those that wait.
fn lendable_of(shared: u32, term: Term) -> u32 {
    let all = shared.saturating_sub(u32::from(shared > 1));
    match term {
        Term::Waiting => all,
        Term::Lasting => all.saturating_sub(u32::from(all > 1)),
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
                    *held =
                        held.saturating_sub(1 + u32::from(fault_injection::has(Bug::PermitTwice)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
