//! How a worker ends: clients go as they come to owe and be owed nothing and hold no transaction, waits are
//! ended, and backends are closed last.

use crate::admission::Term;

use crate::engine::Engine;
use crate::engine::clients::Client;
use crate::engine::event::EngineEvent;
use crate::engine::key::ClientId;
use crate::engine::lease::holding::Lease;
use crate::engine::lease::state::LeaseFor;
use crate::engine::pool::backend::Backend;
use crate::engine::reach::Blocking;
use crate::engine::waits::cancels::Why;

/// With its engine all of a worker's connections are closed: what was still expected of
/// them will not come.
impl Drop for Engine {
    fn drop(&mut self) {
        if self.pool.is_waiting_for_budget() {
            self.cx.shared.budget.count_waiter(false);
        }
        let mut left = Vec::new();
        for ended in std::mem::take(&mut self.cx.events) {
            match ended {
                EngineEvent::BackendLost(_, mut backend, _) => left.extend(closed(&mut backend)),
                EngineEvent::ClientGone(gone) => left.extend(gone.lease.and_then(broken)),
                EngineEvent::ClientEnding(_)
                | EngineEvent::ClientWaitsNoMore { .. }
                | EngineEvent::BackendFree(_)
                | EngineEvent::BackendMade(_)
                | EngineEvent::HandshakeOver(_)
                | EngineEvent::OwnIsAnother
                | EngineEvent::HeldGrew(_)
                | EngineEvent::Answered(..) => {}
            }
        }
        left.extend(self.pool.backends_mut().filter_map(|(_, b)| closed(b)));
        let clients = self.clients.values_mut();
        left.extend(clients.filter_map(|client| client.part_with_lease().and_then(broken)));
        for term in left {
            self.cx.shared.budget.lent_no_more(self.cx.worker, term);
        }
    }
}

/// Nothing is expected of the backend any more. For how long it was lent to a client that has left.
fn closed(backend: &mut Backend) -> Option<Term> {
    for slot in backend.in_flight.drain(..) {
        let _ = slot.fail();
    }
    let left = backend.phase.left_by_its_client();
    left.and_then(LeaseFor::term)
}

/// For how long the backend was lent that goes with its engine.
fn broken(lease: Lease) -> Option<Term> {
    let term = lease.state.purpose.term();
    let _ = lease.broken();
    term
}

impl Blocking<'_> {
    /// Nothing new is begun: clients are closed as soon as they owe and are owed nothing.
    pub fn drain(&mut self) {
        self.cx.draining = true;
        let ids: Vec<ClientId> = self.clients.keys().collect();
        for id in ids {
            // Its wait may have no end, nor its place in line.
            match self.clients.get(id).is_some_and(Client::waits) {
                true => self.end_wait(id, Why::Drained),
                false => self.clients.close_if_done(self.cx, id),
            }
        }
    }
}
