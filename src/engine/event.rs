//! What happens in one part of the engine and concerns others: see [`dispatch`](super::lifecycle).

use super::clients::hold::Hold;
use super::context::Within;
use super::effect::Reply;
use super::key::{BackendId, ClientId};
use super::lease::holding::Lease;
use super::pool::backend::Backend;
use super::pool::close_reason::CloseReason;

/// See the module.
#[derive(Debug)]
pub enum EngineEvent {
    /// A backend is lost: what was expected of it is to be settled.
    BackendLost(BackendId, Box<Backend>, CloseReason),
    /// A backend is clean that is kept back or was made for somebody, who may wait for just this one.
    BackendMade(BackendId),
    /// A backend has nothing left to be asked before it is in its context.
    HandshakeOver(BackendId),
    /// narrows' own connections are another user's at the server than those that this worker has.
    OwnIsAnother,
    /// More is held for a client than before.
    HeldGrew(ClientId),
    /// A backend that nobody has taken is anybody's.
    BackendFree(BackendId),
    /// A client is gone: what it held is to be left.
    ClientGone(Box<Gone>),
    /// A client whose end has begun waits for nothing any more: this is what it was held for.
    ClientWaitsNoMore {
        id: ClientId,
        /// Its `CLIENT ID`.
        number: u64,
        hold: Option<Hold>,
    },
    /// A client that is at its end may go now.
    ClientEnding(ClientId),
    /// This worker has an answer to its own query of this number.
    Answered(u64, Reply),
}

/// What a client leaves that is gone.
#[derive(Debug)]
pub struct Gone {
    pub id: ClientId,
    /// Its `CLIENT ID`.
    pub number: u64,
    /// What it was held for.
    pub hold: Option<Hold>,
    pub lease: Option<Lease>,
    /// Its place in its context.
    pub within: Within,
}
