//! What a worker lets others know: one cell each, in which the worker alone puts a whole snapshot
//! at a time. Readers take the last one without a lock and without holding the worker up, and its
//! figures belong to one moment. A worker that hangs leaves its last snapshot behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::counters::{Counters, Labelled, add_labelled};

/// What one worker holds at one moment.
#[derive(Debug, Clone, Default)]
pub struct Gauges {
    /// Clients connected.
    pub clients: u64,
    /// The bound on clients, of all workers together.
    pub clients_max: u64,
    /// Clients that wait for a pipe.
    pub waiting: u64,
    /// Clients whose command waits on the server.
    pub blocked: u64,
    /// Replies expected of the server.
    pub in_flight: u64,
    /// Bytes of clients that are held.
    pub buffered_bytes: u64,
    /// The bound on them, of all workers together.
    pub buffered_bytes_max: u64,
    /// Leases, by purpose.
    pub leases: Labelled,
    /// Clients that wait for one, by purpose.
    pub lease_waiters: Labelled,
    /// Reasons for which leases are kept, by reason.
    pub pins: Labelled,
    /// For how long the oldest of them has been kept, in seconds, by reason.
    pub pin_age_seconds: Labelled,
    /// Backends, by phase.
    pub backends: Labelled,
    /// Backends, by pool.
    pub pool_in_use: Labelled,
    /// Bounds on them, where a pool has one of its own.
    pub pool_max: Labelled,
}

impl Gauges {
    /// Adds what another worker holds.
    pub fn add(&mut self, more: &Self) {
        let Self {
            clients,
            clients_max,
            waiting,
            blocked,
            in_flight,
            buffered_bytes,
            buffered_bytes_max,
            leases,
            lease_waiters,
            pins,
            pin_age_seconds,
            backends,
            pool_in_use,
            pool_max,
        } = more;
        self.clients += clients;
        self.clients_max = self.clients_max.max(*clients_max);
        self.waiting += waiting;
        self.blocked += blocked;
        self.in_flight += in_flight;
        self.buffered_bytes += buffered_bytes;
        self.buffered_bytes_max = self.buffered_bytes_max.max(*buffered_bytes_max);
        add_labelled(&mut self.leases, leases);
        add_labelled(&mut self.lease_waiters, lease_waiters);
        add_labelled(&mut self.pins, pins);
        for (reason, age) in pin_age_seconds {
            let oldest = self.pin_age_seconds.entry(reason).or_default();
            *oldest = (*oldest).max(*age);
        }
        add_labelled(&mut self.backends, backends);
        add_labelled(&mut self.pool_in_use, pool_in_use);
        add_labelled(&mut self.pool_max, pool_max);
    }
}

/// What one worker has counted and what it holds, at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// What it has counted.
    pub counters: Counters,
    /// What it holds.
    pub gauges: Gauges,
}

impl Snapshot {
    /// Adds another worker's.
    pub fn add(&mut self, more: &Self) {
        self.counters.add(&more.counters);
        self.gauges.add(&more.gauges);
    }
}

/// One worker's snapshot, and whether it has been asked for a newer one.
#[derive(Debug, Default)]
pub struct Cell {
    published: ArcSwap<Snapshot>,
    /// How often the worker has published.
    number: AtomicU64,
    /// When it was asked first since it has last published, in milliseconds and never 0; 0 if it
    /// was not.
    asked_ms: AtomicU64,
    changed: Notify,
}

impl Cell {
    /// The worker's: this is how things stand.
    pub fn publish(&self, snapshot: Snapshot) {
        self.published.store(Arc::new(snapshot));
        self.asked_ms.store(0, Ordering::Release);
        self.number.fetch_add(1, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// The last snapshot.
    pub fn last(&self) -> Arc<Snapshot> {
        self.published.load_full()
    }

    /// How often the worker has published.
    pub fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// Whether the worker is to be sent a query: it has not been asked since it last
    /// published, so that queries do not pile up before a worker that hangs.
    pub fn begin_query(&self, now: Duration) -> bool {
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX).max(1);
        let begun = self
            .asked_ms
            .compare_exchange(0, now_ms, Ordering::AcqRel, Ordering::Relaxed);
        begun.is_ok()
    }

    /// How long the worker has owed an answer.
    pub fn silent_for(&self, now: Duration) -> Duration {
        match self.asked_ms.load(Ordering::Acquire) {
            0 => Duration::ZERO,
            asked_ms => now.saturating_sub(Duration::from_millis(asked_ms)),
        }
    }

    /// Until the worker has published more often than `number` times.
    pub async fn newer_than(&self, number: u64) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on a change is not missed, also one before the look at the number.
            changed.as_mut().enable();
            if self.number() > number {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_gets_what_is_published_after_the_query() {
        let cell = Arc::new(Cell::default());
        let number = cell.number();
        let waits = tokio::spawn({
            let cell = Arc::clone(&cell);
            async move {
                cell.newer_than(number).await;
                cell.last().gauges.clients
            }
        });
        let mut snapshot = Snapshot::default();
        snapshot.gauges.clients = 7;
        cell.publish(snapshot);
        assert_eq!(waits.await.unwrap(), 7);
    }

    #[test]
    fn a_worker_is_asked_once_until_it_answers() {
        let cell = Cell::default();
        let at = Duration::from_secs(5);
        assert!(cell.begin_query(at) && !cell.begin_query(at));
        let later = at + Duration::from_secs(11);
        assert_eq!(cell.silent_for(later), Duration::from_secs(11));
        cell.publish(Snapshot::default());
        assert_eq!(cell.silent_for(later), Duration::ZERO);
        assert!(cell.begin_query(later));
    }
}
