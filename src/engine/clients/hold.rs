//! What becomes of a request when it is looked at, what one that is not dealt with waits
//! for, and how a client's connection comes to its end.
//!
//! A request that cannot be dealt with now leaves its bytes in the input, for one reason. When that is gone
//! its client stands among those that are resumed, and the turn walks the input again from the beginning of
//! the request: nothing that was decided before is kept, so nothing can be out of date.

use crate::engine::key::LoginId;
use crate::engine::lease::state::LeaseFor;

/// What became of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestOutcome {
    /// It is done with, or on its way.
    Taken,
    /// It is done with, or on its way; the next one waits for it.
    TakenAlone,
    /// It waits; its bytes stay.
    Held,
    /// It is a `MULTI`: what follows it is to be looked at.
    WholeTransaction,
    /// The client's connection has come to its end; nothing more is read.
    Ended,
}

/// Why a client's next request has not been dealt with. Its bytes stay in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// All replies of its earlier requests must be in first: the request goes to another
    /// backend or is answered here.
    Replies,
    /// It has as many requests in flight as it may.
    Room,
    /// It does not read its replies.
    Output,
    /// No pipe of its context can take the request.
    Pipe,
    /// The request waits for a backend of its own.
    Lease(LeaseFor),
    /// The server is to see the end of what it leaves behind.
    Leaving,
    /// The server checks its login.
    Login(LoginId),
    /// The server is asked whether its user may.
    Permission,
    /// The reply to its `SCRIPT KILL` is on its way.
    Kill,
    /// The server is paused, through narrows, and would hold the request up.
    Pause,
    /// The command is not known: the backend's `COMMAND` is being asked. Or how much the server bears
    /// is not known yet.
    Commands,
    /// Other workers are being asked, under this number.
    FanOut(u64),
}

/// How a client's connection comes to its end.
#[derive(Debug, PartialEq, Eq)]
pub enum Ending {
    /// Not yet.
    No,
    /// It will send no more: what it has sent is still dealt with.
    HalfClosed,
    /// Nothing more is read from it; when its replies are in, it gets these last bytes.
    AfterReplies(Box<[u8]>),
    /// Closed as soon as its outbox is empty.
    AfterOutput,
}
