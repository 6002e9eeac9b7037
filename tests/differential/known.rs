//! What is known to go differently for now and is being mended: left out of every session. This list
//! must shrink to nothing; what differs on purpose stands in `differences.rs`.

use crate::session::{Ending, Request};
use crate::state::State;

/// When a request is sent.
pub(crate) struct Moment<'a> {
    /// What its client has sent in the same write.
    pub(crate) before: &'a [Request],
    pub(crate) ending: Ending,
}

impl Moment<'_> {
    /// Whether `request` is not compared yet.
    pub(crate) fn is_broken(&self, request: &Request) -> bool {
        self.is_lost_wait(request)
    }

    /// A client that sends no more loses what stands behind a wait; one whose wait stands behind the
    /// end of a transaction in the same write is not seen to leave.
    fn is_lost_wait(&self, request: &Request) -> bool {
        let waits = State::waits(request);
        let ends = ["EXEC", "DISCARD", "UNWATCH", "RESET"];
        let is_end = |other: &Request| ends.contains(&other.name().0.as_str());
        let is_behind_end = self.before.iter().any(is_end);
        waits && (is_behind_end || self.ending == Ending::HalfClose)
    }
}
