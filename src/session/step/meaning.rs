//! What can be done with a request. Values only: `step.rs` decides, the engine executes.

use crate::command::Local;
use crate::resp::Refusal;
use crate::session::waiting::Waiting;
use crate::session::{StateChange, push_stream};

/// What is to be done with a request.
#[derive(Debug)]
pub enum Step<'r> {
    /// Nothing before this is over, when it is decided anew.
    Hold(Until),
    /// It is answered with an error. A transaction that it stands in cannot be executed any more.
    Refuse(Refusal<'r>),
    /// Its client may have to log in, which only the server can tell. If it has to, it gets this; if
    /// not, it is decided anew.
    AskWhoMay {
        /// See above.
        refusal: Refusal<'r>,
        /// What its client has sent behind it means something else without it.
        matters: bool,
    },
    /// It is sent on a backend that many share.
    Forward(ReplyUse),
    /// It is sent on its client's own backend.
    SendOnLease(ReplyUse),
    /// Its client needs a backend of its own first, and the request is decided anew then.
    Lease(LeaseNeed),
    /// The same for a command that waits, and may have to stand in line for a place to do so.
    StandInLine(Waiting),
    /// It waits on its client's own backend.
    WaitOnLease,
    /// It goes on a connection that is made for it alone.
    OwnConnection {
        /// Instead of that, if it has not been sent before its turn.
        refusal: Option<Refusal<'r>>,
    },
    /// A `MULTI` by a client that holds nothing: what has come behind it is to be looked at.
    WholeTransaction,
    /// It opens, ends or undoes a transaction on its client's own backend. Where there is an
    /// [abort reason](StateChange::abort_reason) a `DISCARD` is sent in its place.
    Transact(StateChange),
    /// It takes a place among what the server has queued, on its client's own backend, and that place
    /// in the reply of `EXEC` does not go to the client as it is.
    Queue(QueueAs),
    /// It is answered from the session.
    Local(Local),
    /// The same behind the end of what its client has on its own backend.
    Leave(Local),
    /// `SELECT` or `HELLO`: its client's own backend changes together with the session.
    Switch(Local),
    /// It changes subscriptions.
    Subscribe(push_stream::SubscribeVerb),
    /// It begins or ends something else that the server pushes.
    PushStream(StateChange),
    /// It may leave state on its client's own backend, or takes that back.
    Pin(StateChange),
    /// Its client has lost a transaction, and this ends it.
    EndLost(LostEnd),
}

/// What a request that is held waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// All replies to earlier requests of its client.
    Replies,
    /// The end of a pause.
    PauseEnds,
}

/// What becomes of the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyUse {
    /// It goes to the client as it is.
    AsIs,
    /// Its fields about connections are made true for narrows' clients.
    Info {
        /// It asks for the section about narrows.
        section: bool,
    },
    /// If it is no error, the server is a master or a replica from now on.
    Role,
    /// It changes the state of its client's own backend.
    Marked(StateChange),
}

/// What a client needs a backend of its own for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseNeed {
    /// A transaction, or watched keys.
    Transaction,
    /// A command that takes as long as it likes.
    Waiting,
    /// State that stays on the connection.
    State,
    /// What the server pushes.
    PushStream,
}

/// What fills the place of a queued request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueAs {
    /// The server's own answer, as it is.
    AsIs,
    /// See [`ReplyUse::Info`].
    Info {
        /// It asks for the section about narrows.
        section: bool,
    },
    /// The server's own answer: if it is no error its client is in this db.
    Select(u32),
    /// An answer from the session.
    Local(Local),
    /// An answer for which all workers are asked.
    Asked(Local),
}

/// How a transaction ends that its client has lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostEnd {
    /// `EXEC`: its client is told that it was lost.
    Executed,
    /// `DISCARD`.
    Discarded,
    /// `MULTI`, which is decided anew then: another one begins. What was watched stays lost.
    Replaced,
    /// `RESET` or `QUIT`, which is decided anew then.
    Left,
}

/// What a request is to a whole transaction that goes down a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionPart {
    /// Its `MULTI`.
    Begins,
    /// What it runs.
    Inside,
    /// Its `EXEC` or `DISCARD`.
    Ends,
}
