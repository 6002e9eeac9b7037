//! What a reply changes: for the session, for what is known of the backend that its client holds, and
//! in what the client hears. Nothing is changed when a request is sent: only the reply shows what has
//! become of it, or that there will be none. Every mark in every state stands in `settle/settled.txt`,
//! which the tests compare.

use crate::command::Pin;
use crate::resp::Protocol;

use super::transaction::ExecPlace;
use super::{LostTransaction, Pins, ReplyOverride, StateChange, Transaction};

/// The reply to a marked request: at least its head, or all of it if it is one line.
#[derive(Debug, Clone, Copy)]
pub struct MarkedReply<'r> {
    /// What the request was about.
    pub change: StateChange,
    /// Its number among its client's requests.
    pub sequence: u32,
    /// What has come.
    pub text: &'r [u8],
}

/// What replies change directly.
#[derive(Debug)]
pub struct Settling<'s> {
    /// The transaction on the client's own backend.
    pub transaction: &'s mut Transaction,
    /// Why the client keeps that.
    pub pins: &'s mut Pins,
    /// What the client has lost of a transaction.
    pub lost: &'s mut LostTransaction,
    /// The client's.
    pub protocol: Protocol,
}

/// What else comes of a reply.
#[derive(Debug)]
pub struct ReplyEffect {
    /// What the client hears of it.
    pub reply_override: ReplyOverride,
    /// The client keeps its backend for this from now on.
    pub pinned: Option<Pin>,
    /// What is different about what the server pushes.
    pub stream: Option<StreamChange>,
    /// The backend is set to what its client has asked for, and so is the client.
    pub switches: bool,
    /// A transaction has run, in whose reply places are to be filled.
    pub fills: Option<Fills>,
}

/// Places in the reply to an `EXEC`.
#[derive(Debug)]
pub struct Fills {
    /// Each of them, in their order.
    pub places: Vec<ExecPlace>,
    /// How many commands were queued.
    pub queued: Option<u32>,
}

/// What a reply changes about what the server pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamChange {
    /// The oldest command that is to change subscriptions was refused as a whole.
    Refused,
    /// `MONITOR` is on.
    Monitors,
    /// `CLIENT TRACKING` is on.
    Tracks,
    /// It is off.
    TracksNoMore,
}

/// What is known of a request whose backend is lost.
#[derive(Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// What comes of it, whatever has become of what was sent for it.
    Known(Vec<u8>),
    /// It may have run, and its client goes on.
    Unknown,
    /// So may it, and its client cannot go on: whether a transaction has begun is not known to it, and
    /// what it has sent behind must not run outside of one.
    Unclear,
}

impl Settling<'_> {
    /// The reply to a marked request has come.
    pub fn settle(self, reply: MarkedReply<'_>) -> ReplyEffect {
        let MarkedReply {
            change,
            sequence,
            text,
        } = reply;
        let places = match change {
            StateChange::ExecFilled => self.transaction.take_places(),
            _ => Vec::new(),
        };
        self.transaction.count(change, sequence);
        let queued = self.transaction.queued(sequence);
        let has_run = text.starts_with(b"*") && text != b"*-1\r\n";
        let fills = Fills { places, queued };
        ReplyEffect {
            reply_override: (self.transaction).settle(self.lost, change, text, self.protocol),
            pinned: self.pins.settle(change, text),
            stream: StreamChange::by(change, text),
            switches: change == StateChange::Switch && text.first() != Some(&b'-'),
            fills: (has_run && !fills.places.is_empty()).then_some(fills),
        }
    }

    /// There will be no reply.
    pub fn unanswered(self, change: StateChange) -> Unanswered {
        // Which db its client would be in then nobody knows.
        let moves = change == StateChange::ExecFilled && self.transaction.moves();
        if let Some(told) = (self.transaction).unanswered(self.lost, change, self.protocol) {
            return Unanswered::Known(told);
        }
        match moves {
            true => Unanswered::Unclear,
            false => Unanswered::of(change),
        }
    }
}

impl Unanswered {
    /// That of a request with this mark, whatever there is on its client's backend.
    pub fn of(change: StateChange) -> Self {
        match change {
            StateChange::Multi | StateChange::Watch | StateChange::Switch => Self::Unclear,
            _ => Self::Unknown,
        }
    }
}

impl StreamChange {
    fn by(change: StateChange, reply: &[u8]) -> Option<Self> {
        let change = match change {
            // What is confirmed has no reply.
            StateChange::Subscribe => return Some(Self::Refused),
            StateChange::Monitor => Self::Monitors,
            StateChange::TrackingOn => Self::Tracks,
            StateChange::TrackingOff => Self::TracksNoMore,
            _ => return None,
        };
        (reply == b"+OK\r\n").then_some(change)
    }
}

#[cfg(test)]
mod tests;
