//! What happens in one part of the engine and concerns others: see [`dispatch`](super::lifecycle).

use super::context::Within;
use super::effect::Reply;
use super::key::{BackendId, ClientId};
use super::lease::holding::Lease;
use super::pool::backend::Backend;
use super::pool::loss::Loss;

/// See the module.
#[derive(Debug)]
pub enum EngineEvent {
    /// A backend is lost: what was expected of it is to be settled.
    BackendLost(BackendId, Box<Backend>, Loss),
    /// A backend that nobody has taken is anybody's.
    BackendFree(BackendId),
    /// A client is gone: what it held is to be left.
    ClientGone(Within, Option<Lease>),
    /// A client that is at its end may go now.
    ClientEnding(ClientId),
    /// This worker has an answer to its own question of this number.
    Answered(u64, Reply),
}
