//! What passes between threads: what a worker can be told, and a client on its way to one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc::Sender;

use crate::admission::AddressQuota;
use crate::engine::{Accepted, BackendId, Reply, Rules, WorkerQuery};
use crate::session::info::ClientFigures;
use crate::topology::{EndpointId, Topology};

use super::detached::DetachedSocket;
use super::dial::DialOutcome;
use super::heartbeat::Heartbeat;

/// A message to a worker, as it takes it.
#[derive(Debug)]
pub enum Message {
    /// A client was accepted for this worker.
    Client(NewClient),
    /// A dial of this engine has ended.
    Dialled(BackendId, DialOutcome),
    /// Another worker asks.
    WorkerQuery(Asker, WorkerQuery),
    /// Another worker's answer.
    Answer {
        /// This engine's number for the query.
        ticket: u64,
        /// The answer.
        reply: Reply,
    },
    /// A server does, or does not, answer the health check.
    Health(HealthVerdict),
    /// Another picture of where the servers are.
    Topology(Arc<Topology>),
    /// New rules are in force.
    Rules(Arc<Rules>),
    /// Is this worker alive?
    Heartbeat {
        /// Where it says so.
        heartbeat: Heartbeat,
        /// What it says.
        number: u64,
    },
    /// The backend's `COMMAND` has been asked again, with or without success.
    CommandsLearned,
    /// Another worker waits for a place in the budget.
    PlaceWanted,
    /// Put a new snapshot in this worker's cell.
    Publish,
    /// Finish what is under way and take nothing new.
    Drain,
    /// The time for that is over: who is still there?
    Stragglers(Sender<Straggling>),
}

/// What a health check has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthVerdict {
    /// Which server was asked.
    pub endpoint: EndpointId,
    /// Whether it answers.
    pub answering: bool,
}

/// Whose query it is.
#[derive(Debug, Clone, Copy)]
pub struct Asker {
    /// The worker.
    pub worker: usize,
    /// Its engine: no other one knows the ticket.
    pub epoch: Epoch,
    /// That engine's number for the query.
    pub ticket: u64,
}

/// One life of a worker's engine. Its ids and tickets mean nothing to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Epoch(u64);

impl Epoch {
    /// That of the engine which follows.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// What a worker still has when the time to drain is over.
#[derive(Debug)]
pub struct Straggling {
    /// Its figures.
    pub figures: ClientFigures,
    /// Its clients, each as a line of `CLIENT LIST`.
    pub clients: Vec<String>,
}

/// A client's socket on its way to its worker.
#[derive(Debug)]
pub struct NewClient {
    /// The socket.
    pub socket: DetachedSocket,
    /// Who it is.
    pub accepted: Accepted,
    /// Counts it as long as it is there.
    pub guard: ConnectionGuard,
}

/// How many clients there are, in all and of one worker.
#[derive(Debug, Clone, Default)]
pub struct ClientCount(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    total: Arc<AtomicUsize>,
    worker: AtomicUsize,
}

/// Counts one client for as long as its connection lasts: dropped, it counts no more.
#[derive(Debug)]
pub struct ConnectionGuard {
    count: ClientCount,
    /// The same, among those of its address.
    pub address_quota: Option<AddressQuota>,
}

impl ConnectionGuard {
    /// The client is one of this worker's from now on.
    pub fn moves_to(&mut self, count: &ClientCount) {
        count.0.worker.fetch_add(1, Ordering::Relaxed);
        let before = std::mem::replace(&mut self.count, count.clone());
        before.0.worker.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ClientCount {
    /// None of a worker's yet; `total` counts those of all workers.
    pub fn new(total: &Arc<AtomicUsize>) -> Self {
        Self(Arc::new(Counts {
            total: Arc::clone(total),
            worker: AtomicUsize::new(0),
        }))
    }

    /// Those of this worker.
    pub fn of_worker(&self) -> usize {
        self.0.worker.load(Ordering::Relaxed)
    }

    /// Counts one more client, unless there are `max` already.
    pub fn enter(&self, max: usize) -> Option<ConnectionGuard> {
        let before = self.0.total.fetch_add(1, Ordering::Relaxed);
        self.0.worker.fetch_add(1, Ordering::Relaxed);
        let guard = ConnectionGuard {
            count: self.clone(),
            address_quota: None,
        };
        (before < max).then_some(guard)
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.count.0.total.fetch_sub(1, Ordering::Relaxed);
        self.count.0.worker.fetch_sub(1, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_counts_until_its_guard_is_dropped() {
        let count = ClientCount::default();
        let first = count.enter(1);
        assert!(first.is_some());
        assert!(count.enter(1).is_none());
        drop(first);
        assert!(count.enter(1).is_some());
        assert_eq!(count.0.total.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_client_that_has_found_its_worker_counts_once() {
        let total = Arc::default();
        let (before, worker) = (ClientCount::new(&total), ClientCount::new(&total));
        let mut guard = before.enter(1).unwrap();
        guard.moves_to(&worker);
        assert_eq!((before.of_worker(), worker.of_worker()), (0, 1));
        assert_eq!(total.load(Ordering::Relaxed), 1);
        drop(guard);
        assert_eq!((worker.of_worker(), total.load(Ordering::Relaxed)), (0, 0));
    }
}
