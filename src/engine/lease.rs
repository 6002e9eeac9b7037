//! Leases: what they are for, and how they begin and end. The lease itself is in `holding.rs`.

use std::time::Duration;

use crate::admission::Term;
use crate::command::Pin;
use crate::resp::NotExecuted;
use crate::session::{Bracket, Pins};
use crate::telemetry::{Leave, Way};

use super::Engine;
use super::backend::{Access, Backend, Phase, Want};
use super::client::Client;
use super::context::Setting;
use super::feed::Feed;
use super::hold::{Ending, Hold, Outcome};
use super::holding::Lease;
use super::key::{BackendId, ClientId};
use super::lifecycle::Event;
use super::loss::Loss;
use super::pause::PauseOrder;
use super::planted::{self, Bug};
use super::waits::Wait;

/// What a backend is lent for. Each has a bound of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseFor {
    /// A huge request.
    Upload,
    /// `WATCH`, `MULTI`: until the bracket is closed.
    Bracket,
    /// A command that may wait on the server for as long as it likes.
    Blocking,
    /// State that stays on the connection until its client is gone.
    Pin,
    /// What the server sends unasked: until it sends nothing any more.
    Feed,
    /// A command that has to get through while pipes are stuck.
    Errand,
}

impl LeaseFor {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 6] = [
        Self::Upload,
        Self::Bracket,
        Self::Blocking,
        Self::Pin,
        Self::Feed,
        Self::Errand,
    ];

    /// The label in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Bracket => "bracket",
            Self::Blocking => "blocking",
            Self::Pin => "pin",
            Self::Feed => "subscriber",
            Self::Errand => "own_connection",
        }
    }

    /// The way of the commands that travel on it.
    pub fn way(self) -> Way {
        match self {
            Self::Upload => Way::Upload,
            Self::Bracket => Way::Bracket,
            Self::Blocking => Way::Blocking,
            Self::Pin => Way::Pinned,
            Self::Feed => Way::Subscriber,
            Self::Errand => Way::OwnConnection,
        }
    }

    /// The pool whose bound it counts against: its label in metrics.
    pub fn pool(self) -> &'static str {
        match self {
            Self::Upload | Self::Bracket => "exclusive",
            Self::Pin | Self::Feed => "lasting",
            Self::Blocking => "blocking",
            Self::Errand => "own_connection",
        }
    }

    /// For how long it is lent; `None`: it ends by itself, or by a deadline of narrows.
    pub fn term(self) -> Option<Term> {
        match self {
            Self::Upload | Self::Bracket | Self::Errand => None,
            Self::Blocking => Some(Term::Waiting),
            Self::Pin | Self::Feed => Some(Term::Lasting),
        }
    }

    /// Whether it carries just the one request that it is lent for.
    pub fn is_one_request(self) -> bool {
        matches!(self, Self::Upload | Self::Errand)
    }

    /// Whether what the client has pipelined behind the request means something else without it.
    pub fn opens_a_bracket(self) -> bool {
        matches!(self, Self::Bracket | Self::Pin)
    }
}

/// Leases held, by what they are for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Leases([usize; LeaseFor::ALL.len()]);

impl Leases {
    /// All.
    pub fn total(self) -> usize {
        self.0.iter().sum()
    }

    /// Those for one purpose.
    pub fn of(self, purpose: LeaseFor) -> usize {
        self.0.get(purpose as usize).copied().unwrap_or_default()
    }

    pub(super) fn add(&mut self, purpose: LeaseFor) {
        if let Some(count) = self.0.get_mut(purpose as usize) {
            *count += 1;
        }
    }

    fn sub(&mut self, purpose: LeaseFor) {
        if let Some(count) = self.0.get_mut(purpose as usize) {
            *count = count.saturating_sub(1);
        }
    }
}

/// What a client has done on the backend that it holds.
#[derive(Debug)]
pub struct Lent {
    /// What it was lent for.
    pub purpose: LeaseFor,
    /// Its transaction.
    pub bracket: Bracket,
    /// Why it cannot be given back: state that stays on it.
    pub pins: Pins,
    /// When it was lent.
    pub since: Duration,
    /// A command is under way that may wait on the server.
    pub wait: Option<Box<Wait>>,
    /// `SELECT` or `HELLO` is under way: what the connection and its client are set to then.
    pub switch: Option<Setting>,
    /// It was lent for an errand that has not been sent yet.
    pub errand_to_come: bool,
    /// What the transaction does that is being queued.
    pub queues: Access,
    /// `CLIENT PAUSE` or `CLIENT UNPAUSE` is under way.
    pub pause: Option<PauseOrder>,
    /// The server has refused what moves it behind its client's writes.
    pub offset_unmoved: bool,
    /// Its transaction is running, with so many commands, while their places are filled.
    pub executing: Option<u32>,
    /// What the server sends unasked.
    pub feed: Option<Box<Feed>>,
}

impl Lent {
    pub(super) fn new(purpose: LeaseFor, since: Duration) -> Self {
        Self {
            purpose,
            bracket: Bracket::default(),
            pins: Pins::default(),
            since,
            wait: None,
            switch: None,
            errand_to_come: purpose == LeaseFor::Errand,
            queues: Access::Read,
            pause: None,
            offset_unmoved: false,
            executing: None,
            feed: None,
        }
    }

    /// Whether a command is under way that may wait on the server.
    pub fn waits(&self) -> bool {
        self.wait.is_some()
    }

    /// Whether it is lent for as long as its client likes.
    pub fn lasts(&self) -> bool {
        self.purpose.term() == Some(Term::Lasting)
    }

    /// Whether the client needs it beyond what is in flight.
    pub fn is_kept(&self) -> bool {
        self.bracket.is_open() || self.outlives_its_bracket()
    }

    /// Whether the client needs it beyond that and its transaction.
    fn outlives_its_bracket(&self) -> bool {
        let fed = |feed: &Feed| feed.is_live() || feed.is_changing();
        self.pins.any() || self.feed.as_deref().is_some_and(fed)
    }

    /// Why its client keeps it, as metrics and logs name it.
    pub fn reasons(&self) -> impl Iterator<Item = &'static str> {
        let feed = self.feed.as_deref();
        let monitors = feed
            .is_some_and(|feed| feed.monitoring)
            .then_some(Pin::Monitor);
        let tracks = feed
            .is_some_and(|feed| feed.tracking)
            .then_some(Pin::Tracking);
        let pins = self.pins.iter();
        pins.chain(monitors).chain(tracks).map(Pin::label)
    }

    /// Whether nothing of its client is left on it, once nothing is in flight.
    pub fn is_clean(&self) -> bool {
        let over = self.feed.as_ref().is_none_or(|feed| feed.is_over());
        (!self.is_kept() && !self.bracket.is_in_doubt() && self.switch.is_none() && over)
            || planted::has(Bug::LeaseDirty)
    }
}

/// Proof that a leased backend carries no trace of its client: nothing is in flight, all
/// of it was written, no reply is under way, its context is the one it was lent in.
#[derive(Debug)]
pub struct Clean(());

impl Engine {
    /// The client's next request needs a backend of its own.
    pub(super) fn wait_for_lease(&mut self, id: ClientId, purpose: LeaseFor) -> Outcome {
        let now = self.now;
        let pool = &self.rules.settings.pool;
        let limit = pool.queue_timeout;
        if self.is_line_full() {
            return self.not_lent(id, purpose, NotExecuted::QueueFull);
        }
        let Some(client) = self.clients.get_mut(id) else {
            return Outcome::Ended;
        };
        if client.in_flight > 0 && !planted::has(Bug::LeaseTooEarly) {
            return client.hold(Hold::Replies);
        }
        if client.overdue_bytes > 0 {
            let outcome = self.overdue(id);
            return self.refused_lease(id, purpose, outcome);
        }
        let since = *client.waiting_since.get_or_insert(now);
        let outcome = client.hold(Hold::Lease(purpose));
        self.joins_line(id, since, purpose);
        self.wake_at(since + limit);
        outcome
    }

    fn not_lent(&mut self, id: ClientId, purpose: LeaseFor, why: NotExecuted<'_>) -> Outcome {
        let outcome = self.not_executed(id, why);
        self.refused_lease(id, purpose, outcome)
    }

    /// What a client has pipelined behind a `MULTI` that narrows could not carry must not run
    /// without it: it is closed after being told.
    fn refused_lease(&mut self, id: ClientId, purpose: LeaseFor, outcome: Outcome) -> Outcome {
        let goes_on = planted::has(Bug::MultiRefusedGoesOn);
        if outcome == Outcome::Taken && purpose.opens_a_bracket() && !goes_on {
            self.leaves_for(id, Leave::Refused);
            self.end(id, Ending::AfterOutput);
            return Outcome::Ended;
        }
        outcome
    }

    /// What a client waits for a lease for.
    pub(super) fn awaited_lease(&self, id: ClientId) -> Option<LeaseFor> {
        match self.clients.get(id)?.hold {
            Some(Hold::Lease(purpose)) => Some(purpose),
            _ => None,
        }
    }

    /// Whether a backend that pipes could use may become a lease for `purpose`: plain traffic
    /// goes on beside every lease that may last. With one backend in all they take turns.
    pub(super) fn spares_one(&self, purpose: LeaseFor) -> bool {
        let lent = |b: &Backend| b.phase.is_lent() || matches!(b.made_for, Some(Want::Lease(_)));
        let free = self.backends.values().filter(|b| !lent(b)).count();
        let takes_turns = || self.backends.len() == 1 || self.shared.budget.is_all_lent();
        free >= 2 || (purpose.term().is_none() && free >= 1 && takes_turns())
    }

    /// A spare backend in the client's context becomes its own.
    pub(super) fn grant_lease(&mut self, id: BackendId, client_id: ClientId) {
        if self.is_decided_by_try(client_id) {
            return self.events.push_back(Event::BackendFree(id));
        }
        let Some(purpose) = self.awaited_lease(client_id) else {
            // Who waits no more is dropped from the line when that is looked at.
            return self.events.push_back(Event::BackendFree(id));
        };
        let (Some(client), Some(backend)) =
            (self.clients.get_mut(client_id), self.backends.get_mut(id))
        else {
            return;
        };
        let (worker, budget) = (self.worker, &self.shared.budget);
        let lasts = || purpose.term().is_none_or(|term| budget.lend(worker, term));
        let Some(vacancy) = client.lease.vacancy().filter(|_| lasts()) else {
            // The room was another worker's by then: the client goes on waiting.
            self.lease_line.stays(client.session.id);
            return self.events.push_back(Event::BackendFree(id));
        };
        backend.phase = Phase::Leased(client_id);
        vacancy.fill(id, Lent::new(purpose, self.now));
        self.leases.add(purpose);
        self.line.had_its_turn(client_id);
        self.leave_line(client_id);
        self.end_hold(client_id, Hold::Lease(purpose));
    }

    /// Gives a client's lease back once its reply is in and nothing of it is left.
    pub(super) fn end_lease_if_done(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let dirty = planted::has(Bug::LeaseDirty);
        let kept = |lease: &Lease| client.in_flight > 0 || (lease.lent.is_kept() && !dirty);
        if client.lease.as_ref().is_none_or(kept) {
            return;
        }
        let Some(lease) = client.part_with_lease() else {
            return;
        };
        let half_sent = client.stream.is_some();
        if let Some(stream) = &mut client.stream {
            // Answered before it was whole, or given up: nobody waits for the rest.
            stream.swallow_rest();
        }
        self.lease_over(&lease.lent);
        match self.prove_clean(&lease, id) {
            Some(proof) if !half_sent => {
                let fed = lease.lent.feed.is_some();
                let backend = lease.give_back(proof);
                self.make_spare(backend);
                if fed {
                    // A connection that is still subscribed gives another answer to this, or
                    // something else before it, and nobody gets it before it has answered.
                    self.ping(backend);
                }
            }
            _ => {
                let errand = lease.lent.purpose == LeaseFor::Errand;
                if errand {
                    // It may have ended a script. If not, that is heard again.
                    self.shared.busy.over(self.now);
                }
                let backend = lease.broken();
                let quiet = self.backends.get(backend).is_some_and(Backend::is_quiet);
                self.lose(
                    backend,
                    match errand && quiet {
                        // It is in no db, so that nobody else has a use for it.
                        true => Loss::Retired,
                        false => Loss::Dirty,
                    },
                );
            }
        }
        // A reload may have made it another user meanwhile.
        self.enter_context(id);
        if self.draining {
            self.close_if_done(id);
        }
    }

    /// Gives back a lease that the client does not use.
    pub(super) fn end_lease_if_unused(&mut self, id: ClientId) {
        let unused = |client: &Client| client.lease.is_some() && client.stream.is_none();
        if self.clients.get(id).is_some_and(unused) {
            self.end_lease_if_done(id);
        }
    }

    fn prove_clean(&self, lease: &Lease, client: ClientId) -> Option<Clean> {
        let backend = self.backends.get(lease.backend())?;
        let context = self.clients.get(client)?.context();
        let clean = backend.is_quiet()
            && lease.lent.is_clean()
            && backend.context() == context
            && matches!(backend.phase, Phase::Leased(owner) if owner == client);
        clean.then_some(Clean(()))
    }

    pub(super) fn lease_over(&mut self, lent: &Lent) {
        for reason in lent.reasons() {
            let seconds = self.now.saturating_sub(lent.since).as_secs();
            tracing::debug!(reason, seconds, "a client keeps its connection no more");
        }
        self.place_is_free(lent.purpose);
    }

    /// Nothing is lent for `purpose` any more in the place of one lease.
    pub(super) fn place_is_free(&mut self, purpose: LeaseFor) {
        self.leases.sub(purpose);
        if let Some(term) = purpose.term() {
            self.shared.budget.lent_no_more(self.worker, term);
        }
    }

    /// A lease is held for something that may last longer from now on. False when there is no room
    /// for that: plain traffic, and what ends by itself, go on beside every such lease.
    pub(super) fn lease_lasts(&mut self, id: ClientId, purpose: LeaseFor) -> bool {
        let Some(was) = self.lent(id).map(|lent| lent.purpose) else {
            return false;
        };
        let budget = &self.shared.budget;
        let may_last = match (was.term(), purpose.term()) {
            (Some(from), Some(to)) => budget.lend_on(self.worker, (from, to)),
            _ => self.may_last(purpose),
        };
        if may_last && let Some(lent) = self.lent(id) {
            lent.purpose = purpose;
            self.leases.sub(was);
            self.leases.add(purpose);
        }
        may_last
    }

    /// What its client holds cannot be lent for longer. Before the server's own limit is known that
    /// is no answer: control, which is about to ask for it, says when it has.
    pub(super) fn no_room_to_last(&mut self, id: ClientId) -> Outcome {
        let Some(client) = self.clients.get_mut(id) else {
            return Outcome::Ended;
        };
        if client.waiting_since.is_some() || !self.shared.budget.is_limit_awaited() {
            client.waiting_since = None;
            return self.not_executed(id, NotExecuted::BudgetSpent);
        }
        match client.in_flight {
            0 => self.ask_control(id),
            _ => client.hold(Hold::Replies),
        }
    }

    /// What would have lasted was refused, or has been undone: a transaction that it stood in ends
    /// by itself.
    pub(super) fn lease_lasts_no_more(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        // More of the kind may be on its way.
        let alone = client.in_flight <= 1;
        let Some(lent) = client.lease.as_mut().filter(|_| alone).map(|l| &mut l.lent) else {
            return;
        };
        let for_good = matches!(lent.purpose, LeaseFor::Pin | LeaseFor::Feed);
        if for_good && lent.bracket.is_open() && !lent.outlives_its_bracket() {
            let was = std::mem::replace(&mut lent.purpose, LeaseFor::Bracket);
            self.leases.sub(was);
            self.leases.add(LeaseFor::Bracket);
            self.shared.budget.lent_no_more(self.worker, Term::Lasting);
        }
    }

    /// Takes the room for a lease that may last.
    fn may_last(&self, purpose: LeaseFor) -> bool {
        let lend = |term| self.shared.budget.lend(self.worker, term);
        purpose.term().is_none_or(lend)
    }

    /// A client that leaves, or leaves its state behind, breaks its lease.
    pub(super) fn break_lease(&mut self, lease: Lease) {
        self.lease_over(&lease.lent);
        let backend = lease.broken();
        self.lose(backend, Loss::ClientGone);
    }

    /// The lease of a backend that was lost is over.
    pub(super) fn lease_lost(&mut self, lease: Lease) {
        self.lease_over(&lease.lent);
        let _ = lease.broken();
    }
}
