//! What a backend is lent for, and what its client has done on it.

use std::time::Duration;

use crate::admission::Term;
use crate::admission::fault_injection::{self, Bug};
use crate::command::Pin;
use crate::engine::context::Setting;
use crate::engine::pause::PauseOrder;
use crate::engine::slot::AccessKind;
use crate::session::step::{LeaseNeed, OnLease};
use crate::session::{LostTransaction, Pins, Transaction};
use crate::telemetry::Way;

use super::push_stream::PushStream;
use super::wait::Wait;

/// What a backend is lent for. Each has a bound of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseFor {
    /// A huge request.
    Upload,
    /// `WATCH`, `MULTI`: until the transaction is closed.
    Transaction,
    /// A command that may wait on the server for as long as it likes.
    Blocking,
    /// State that stays on the connection until its client is gone.
    Pin,
    /// What the server pushes: until it sends nothing any more.
    PushStream,
    /// A command that has to get through while pipes are stuck.
    OwnConnection,
}

impl LeaseFor {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 6] = [
        Self::Upload,
        Self::Transaction,
        Self::Blocking,
        Self::Pin,
        Self::PushStream,
        Self::OwnConnection,
    ];

    /// The label in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Transaction => "bracket",
            Self::Blocking => "blocking",
            Self::Pin => "pin",
            Self::PushStream => "subscriber",
            Self::OwnConnection => "own_connection",
        }
    }

    /// The way of the commands that travel on it.
    pub fn way(self) -> Way {
        match self {
            Self::Upload => Way::Upload,
            Self::Transaction => Way::Transaction,
            Self::Blocking => Way::Blocking,
            Self::Pin => Way::Pinned,
            Self::PushStream => Way::Subscriber,
            Self::OwnConnection => Way::OwnConnection,
        }
    }

    /// The pool whose bound it counts against: its label in metrics.
    pub fn pool(self) -> &'static str {
        match self {
            Self::Upload | Self::Transaction => "exclusive",
            Self::Pin | Self::PushStream => "lasting",
            Self::Blocking => "blocking",
            Self::OwnConnection => "own_connection",
        }
    }

    /// For how long it is lent; `None`: it ends by itself, or by a deadline of narrows.
    pub fn term(self) -> Option<Term> {
        match self {
            Self::Upload | Self::Transaction | Self::OwnConnection => None,
            Self::Blocking => Some(Term::Waiting),
            Self::Pin | Self::PushStream => Some(Term::Lasting),
        }
    }

    /// Whether it carries just the one request that it is lent for.
    pub fn is_one_request(self) -> bool {
        matches!(self, Self::Upload | Self::OwnConnection)
    }

    /// Whether what the client has pipelined behind the request means something else without it.
    pub fn decides_what_follows(self) -> bool {
        matches!(self, Self::Transaction | Self::Pin)
    }
}

impl From<LeaseNeed> for LeaseFor {
    fn from(need: LeaseNeed) -> Self {
        match need {
            LeaseNeed::Transaction => Self::Transaction,
            LeaseNeed::Waiting => Self::Blocking,
            LeaseNeed::State => Self::Pin,
            LeaseNeed::PushStream => Self::PushStream,
        }
    }
}

/// What a client has done on the backend that it holds.
#[derive(Debug)]
pub struct LeaseState {
    /// What it was lent for.
    pub purpose: LeaseFor,
    /// Its transaction.
    pub transaction: Transaction,
    /// Why it cannot be given back: state that stays on it.
    pub pins: Pins,
    /// When it was lent.
    pub since: Duration,
    /// A command is under way that may wait on the server.
    pub wait: Option<Box<Wait>>,
    /// `SELECT` or `HELLO` is under way: what the connection and its client are set to then.
    pub switch: Option<Setting>,
    /// It was lent for a command that has not been sent yet.
    pub own_command_due: bool,
    /// What the transaction does that is being queued.
    pub queues: AccessKind,
    /// `CLIENT PAUSE` or `CLIENT UNPAUSE` is under way.
    pub pause: Option<PauseOrder>,
    /// The server has refused what moves it behind its client's writes.
    pub offset_unmoved: bool,
    /// Its transaction is running, with so many commands, while their places are filled.
    pub executing: Option<u32>,
    /// What the server pushes.
    pub push_stream: Option<Box<PushStream>>,
}

impl LeaseState {
    pub fn new(purpose: LeaseFor, since: Duration) -> Self {
        Self {
            purpose,
            transaction: Transaction::default(),
            pins: Pins::default(),
            since,
            wait: None,
            switch: None,
            own_command_due: purpose == LeaseFor::OwnConnection,
            queues: AccessKind::Read,
            pause: None,
            offset_unmoved: false,
            executing: None,
            push_stream: None,
        }
    }

    /// What is known of it when its client's next request is decided, who has lost this.
    pub fn view(&self, lost: LostTransaction) -> OnLease {
        let (transaction, push_stream) = (&self.transaction, self.push_stream.as_deref());
        OnLease {
            waits: self.waits(),
            is_settled: transaction.is_settled(),
            queueing: transaction.is_queueing(),
            queues_writes: self.queues == AccessKind::Write,
            judges_exec: transaction.judges_exec(lost)
                && !fault_injection::has(Bug::JudgedTooEarly),
            abort_reason: transaction.abort_reason(lost),
            is_to_be_filled: transaction.is_to_be_filled(),
            changing: push_stream.is_some_and(PushStream::is_changing),
            subscribed: push_stream.is_some_and(|push_stream| push_stream.subscriptions.any()),
            tracking: push_stream.is_some_and(|push_stream| push_stream.tracking),
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
        self.transaction.is_open() || self.outlives_its_transaction()
    }

    /// Whether the client needs it beyond that and its transaction.
    pub fn outlives_its_transaction(&self) -> bool {
        let lasts = |push_stream: &PushStream| push_stream.is_live() || push_stream.is_changing();
        self.pins.any() || self.push_stream.as_deref().is_some_and(lasts)
    }

    /// Why its client keeps it, as metrics and logs name it.
    pub fn reasons(&self) -> impl Iterator<Item = &'static str> {
        let push_stream = self.push_stream.as_deref();
        let monitors = push_stream
            .is_some_and(|push_stream| push_stream.monitoring)
            .then_some(Pin::Monitor);
        let tracks = push_stream
            .is_some_and(|push_stream| push_stream.tracking)
            .then_some(Pin::Tracking);
        let pins = self.pins.iter();
        pins.chain(monitors).chain(tracks).map(Pin::label)
    }

    /// Whether nothing of its client is left on it, once nothing is in flight.
    pub fn is_clean(&self) -> bool {
        let over = self
            .push_stream
            .as_ref()
            .is_none_or(|push_stream| push_stream.is_over());
        (!self.is_kept() && !self.transaction.is_in_doubt() && self.switch.is_none() && over)
            || fault_injection::has(Bug::LeaseDirty)
    }
}
