//! What the engine asks of the runtime. Bytes to be written are not effects: the runtime
//! fetches them from the engine for each dirty client and backend at the end of a turn.

use crate::admission::Permit;
use crate::session::ClientFilter;
use crate::session::info::ClientFigures;

use super::key::{BackendId, ClientId, EndpointId};

/// One thing to do, in the order given.
#[derive(Debug)]
pub enum Effect {
    /// Dial a server; tell [`dialled`](super::Engine::dialled) or
    /// [`dial_failed`](super::Engine::dial_failed).
    Dial {
        /// Which one: where it is the topology says.
        endpoint: EndpointId,
        /// For whom.
        backend: BackendId,
        /// It stays with the socket until that is closed: there is no other way to come by one.
        permit: Permit,
    },
    /// Close this backend's socket and return its permit.
    CloseBackend(BackendId),
    /// Close this client's socket. The engine has forgotten it.
    CloseClient(ClientId),
    /// This client may be read again.
    ReadClient(ClientId),
    /// Learn the backend's `COMMAND` again: a name was met that the table does not know.
    /// Answered by [`Mail::CommandsLearned`](super::Mail::CommandsLearned).
    LearnCommands,
    /// Put a query to all other workers.
    Ask(u64, WorkerQuery),
    /// This worker waits for a place in the budget: all others are to look whether they hold more
    /// than their share, by [`Mail::PlaceWanted`](super::Mail::PlaceWanted).
    WantPlace,
    /// Answer the query that this worker has put under this number.
    Answer(usize, u64, Reply),
}

/// A query about the clients of all workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerQuery {
    /// Their lines of `CLIENT LIST`.
    List(ClientFilter),
    /// Close those that the filter means; how many were there?
    Kill(ClientFilter),
    /// End the wait of the client with this `CLIENT ID`, with an error or as by timeout; was it
    /// there?
    Unblock(u64, bool),
    /// The figures of `INFO`.
    Figures,
    /// Each of these, in order.
    Each(Vec<Self>),
}

/// One worker's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Client ids with their lines, line ends included.
    List(Vec<(u64, Vec<u8>)>),
    /// How many were closed, or whose wait was ended.
    Killed(u64),
    /// Figures, to be added up.
    Figures(Box<ClientFigures>),
    /// The answers to each of several queries.
    Each(Vec<Self>),
}

impl Reply {
    /// Bytes of the text in it.
    pub fn held_bytes(&self) -> usize {
        match self {
            Self::List(lines) => lines.iter().map(|(_, line)| line.len()).sum(),
            Self::Each(replies) => replies.iter().map(Self::held_bytes).sum(),
            Self::Killed(_) | Self::Figures(_) => 0,
        }
    }

    /// This answer and another worker's, as one.
    pub fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::List(all), Self::List(more)) => all.extend(more),
            (Self::Killed(all), Self::Killed(more)) => *all += more,
            (Self::Figures(all), Self::Figures(more)) => {
                all.add(&more);
            }
            (Self::Each(all), Self::Each(more)) => {
                for (one, other) in all.iter_mut().zip(more) {
                    one.merge(other);
                }
            }
            // Answers come to the query they were asked for.
            (Self::List(_) | Self::Killed(_) | Self::Figures(_) | Self::Each(_), _) => {}
        }
    }
}

/// Who waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerTo {
    /// A worker.
    pub worker: usize,
    /// The number of its query there.
    pub ticket: u64,
}

/// Nobody waits for the answer.
pub const NOBODY: AnswerTo = AnswerTo {
    worker: usize::MAX,
    ticket: 0,
};
