//! Events between the parts of the engine. Losing a backend and closing a client take effect at once:
//! neither is found any more. What follows from it for others stands in one queue, in the order in
//! which it has happened, and is dispatched between two events, two replies, two deadlines: in the middle
//! of none, never from within itself, and never while a client's input is being walked, in front of
//! which it may put requests that are dealt with again.

use std::time::Duration;

use super::Engine;
use super::event::EngineEvent;

impl Engine {
    /// It is `now`: something is told to the engine. What has happened before is seen to first.
    pub(super) fn advance_to(&mut self, now: Duration) {
        self.cx.now = now;
        self.dispatch();
    }

    /// Sees to all that has happened. What happens meanwhile stands behind it.
    #[inline]
    pub(super) fn dispatch(&mut self) {
        if !self.cx.events.is_empty() {
            self.dispatch_all();
        }
    }

    #[cold]
    fn dispatch_all(&mut self) {
        while let Some(event) = self.cx.events.pop_front() {
            match event {
                EngineEvent::BackendLost(id, backend, loss) => {
                    self.backend_lost(id, *backend, loss)
                }
                EngineEvent::ClientGone(within, lease) => {
                    self.pool.contexts.leave(within);
                    if let Some(lease) = lease {
                        self.leave_lease_behind(lease);
                    }
                }
                EngineEvent::ClientEnding(id) => self.client_ending(id),
                EngineEvent::BackendFree(id) => self.make_spare(id),
                EngineEvent::Answered(ticket, reply) => self.one_more(ticket, reply),
            }
        }
    }
}
