//! What a backend is lent for, and what its client has done on it.

use std::time::Duration;

use crate::admission::Term;
use crate::command::Pin;
use crate::engine::context::Setting;
use crate::engine::pause::PauseOrder;
use crate::engine::planted::{self, Bug};
use crate::engine::slot::Access;
use crate::session::step::{LeaseNeed, OnLease};
use crate::session::{Bracket, LostBracket, Pins};
use crate::telemetry::Way;

use super::feed::Feed;
use super::wait::Wait;

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

impl From<LeaseNeed> for LeaseFor {
    fn from(need: LeaseNeed) -> Self {
        match need {
            LeaseNeed::Transaction => Self::Bracket,
            LeaseNeed::Waiting => Self::Blocking,
            LeaseNeed::State => Self::Pin,
            LeaseNeed::PushStream => Self::Feed,
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
    pub fn new(purpose: LeaseFor, since: Duration) -> Self {
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

    /// What is known of it when its client's next request is decided, who has lost this.
    pub fn view(&self, lost: LostBracket) -> OnLease {
        let (bracket, feed) = (&self.bracket, self.feed.as_deref());
        OnLease {
            waits: self.waits(),
            is_settled: bracket.is_settled(),
            queueing: bracket.is_queueing(),
            queues_writes: self.queues == Access::Write,
            judges_exec: bracket.judges_exec(lost) && !planted::has(Bug::JudgedTooEarly),
            doom: bracket.doom(lost),
            is_to_be_filled: bracket.is_to_be_filled(),
            changing: feed.is_some_and(Feed::is_changing),
            subscribed: feed.is_some_and(|feed| feed.subscriptions.any()),
            tracking: feed.is_some_and(|feed| feed.tracking),
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
    pub fn outlives_its_bracket(&self) -> bool {
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
