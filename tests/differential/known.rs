//! What is known to go differently for now and is being mended: left out of every session. This list
//! must shrink to nothing; what differs on purpose stands in `differences.rs`.

use crate::session::{Ending, Request};
use crate::state::State;

/// When a request is sent.
pub(crate) struct Moment<'a> {
    /// What its client has sent in the same write.
    pub(crate) before: &'a [Request],
    pub(crate) ending: Ending,
    /// Whether its client may hold a connection of its own.
    pub(crate) holds: bool,
}

impl Moment<'_> {
    /// Whether `request` is not compared yet.
    pub(crate) fn is_broken(&self, request: &Request) -> bool {
        self.is_lost_wait(request)
    }

    /// A client whose wait stands behind the end of a transaction in the same write is not seen to
    /// leave. Of one that holds a connection and sends no more the wait for data may be on its way
    /// before that is seen, and what the server says to it at once is lost.
    fn is_lost_wait(&self, request: &Request) -> bool {
        let waits = State::waits(request);
        let ends = ["EXEC", "DISCARD", "UNWATCH", "RESET"];
        let is_end = |other: &Request| ends.contains(&other.name().0.as_str());
        let is_behind_end = self.before.iter().any(is_end);
        let for_data = !["WAIT", "WAITAOF"].contains(&request.name().0.as_str());
        let is_too_early = for_data && self.holds && self.ending == Ending::HalfClose;
        waits && (is_behind_end || is_too_early)
    }
}
