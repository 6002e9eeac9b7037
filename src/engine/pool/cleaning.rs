//! What is taken back on a backend that its client has left in the middle.

use std::time::Duration;

use crate::engine::key::ClientId;
use crate::engine::lease::push_stream::PushStream;
use crate::engine::lease::state::LeaseFor;
use crate::resp::Protocol;

/// See the module.
#[derive(Debug)]
pub struct Cleaning {
    /// Since when it lasts; it is bounded as a handshake is.
    pub since: Duration,
    /// What the backend was lent for.
    pub purpose: LeaseFor,
    /// The connection's.
    pub protocol: Protocol,
    /// What the server may still push, until it has confirmed that there is an end.
    pub push_stream: Option<Box<PushStream>>,
    /// In the end it is closed all the same: what else is left on it nothing takes back.
    pub closes: bool,
    /// Whose next request waits for the end.
    pub awaited_by: Option<ClientId>,
}
