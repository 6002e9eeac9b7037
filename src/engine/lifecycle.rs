//! Events between the parts of the engine. Losing a backend and closing a client take effect at once:
//! neither is found any more. What follows from it for others stands in one queue, in the order in
//! which it has happened, and is dispatched between two requests, two replies, two deadlines: in the
//! middle of none, and never from within itself.

use std::time::Duration;

use super::Engine;
use super::backend::Backend;
use super::client::Client;
use super::context::Within;
use super::effect::Reply;
use super::hold::Ending;
use super::holding::Lease;
use super::key::{BackendId, ClientId};
use super::loss::Loss;

/// See the module.
#[derive(Debug)]
pub(super) enum Event {
    /// A backend is lost: what was expected of it is to be settled.
    BackendLost(BackendId, Box<Backend>, Loss),
    /// A client is gone: what it held is to be left.
    ClientGone(Within, Option<Lease>),
    /// A client that is at its end may go now.
    ClientEnding(ClientId),
    /// A backend that nobody has taken is anybody's.
    BackendFree(BackendId),
    /// This worker has an answer to its own question of this number.
    Answered(u64, Reply),
}

impl Engine {
    /// It is `now`: something is told to the engine. What has happened before is seen to first.
    pub(super) fn advance_to(&mut self, now: Duration) {
        self.now = now;
        self.dispatch();
    }

    /// Sees to all that has happened. What happens meanwhile stands behind it.
    #[inline]
    pub(super) fn dispatch(&mut self) {
        if !self.events.is_empty() {
            self.dispatch_all();
        }
    }

    #[cold]
    fn dispatch_all(&mut self) {
        while let Some(event) = self.events.pop_front() {
            match event {
                Event::BackendLost(id, backend, loss) => self.backend_lost(id, *backend, loss),
                Event::ClientGone(within, lease) => {
                    self.contexts.leave(within);
                    if let Some(lease) = lease {
                        self.leave_lease_behind(lease);
                    }
                }
                Event::ClientEnding(id) => self.client_ending(id),
                Event::BackendFree(id) => self.make_spare(id),
                Event::Answered(ticket, reply) => self.one_more(ticket, reply),
            }
        }
    }

    /// It is looked at whether the client's end has come.
    pub(super) fn close_if_done(&mut self, id: ClientId) {
        let ends = |client: &Client| client.ending != Ending::No;
        if self.draining || self.clients.get(id).is_some_and(ends) {
            self.events.push_back(Event::ClientEnding(id));
        }
    }
}
