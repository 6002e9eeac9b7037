//! What a worker lets others know of itself: its counters, and what it holds at this moment. Made
//! when somebody asks, so that requests pay for counting only. Walks backends, never clients.

use std::sync::Arc;

use crate::command::Pin;
use crate::engine::Rules;
use crate::telemetry::{Counters, Gauges, Labelled, Snapshot};

use crate::engine::lease::state::LeaseFor;
use crate::engine::pool::backend::Phase;
use crate::engine::reach::Survey;

impl Phase {
    /// All labels.
    const LABELS: [&'static str; 9] = [
        "dialling",
        "handshake",
        "pipe",
        "draining",
        "spare",
        "leased",
        "orphaned",
        "cleaning",
        "cancelling",
    ];

    /// The label in metrics: an interface, so an idle one is called "spare" there.
    fn label(&self) -> &'static str {
        match self {
            Self::Dialling => "dialling",
            Self::Handshake(_) => "handshake",
            Self::Pipe { .. } => "pipe",
            Self::Draining(_) => "draining",
            Self::Idle => "spare",
            Self::Leased(_) => "leased",
            Self::Orphaned(_) => "orphaned",
            Self::Cleaning(_) => "cleaning",
            Self::Cancelling => "cancelling",
        }
    }
}

impl<'a> Survey<'a> {
    /// What has been counted since the start.
    pub fn counters(self) -> &'a Counters {
        &self.cx.counters
    }

    /// The rules in force.
    pub fn rules(self) -> &'a Arc<Rules> {
        &self.cx.rules
    }

    /// How things stand.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            counters: self.cx.counters.clone(),
            gauges: self.gauges(),
        }
    }

    fn gauges(&self) -> Gauges {
        let (clients, pool) = (
            &self.cx.rules.settings.clients,
            &self.cx.rules.settings.pool,
        );
        let mut gauges = Gauges {
            clients: self.clients.len() as u64,
            clients_max: clients.max_clients as u64,
            waiting: self.pool.waiting() as u64,
            buffered_bytes: self.held_bytes() as u64,
            buffered_bytes_max: clients.memory_bytes_max as u64,
            backends: zeros(Phase::LABELS),
            pins: zeros(Pin::ALL.map(Pin::label)),
            pin_age_seconds: zeros(Pin::ALL.map(Pin::label)),
            leases: zeros(LeaseFor::ALL.map(LeaseFor::label)),
            lease_waiters: zeros(LeaseFor::ALL.map(LeaseFor::label)),
            pool_in_use: zeros(LeaseFor::ALL.map(LeaseFor::pool)),
            ..Gauges::default()
        };
        for backend in self.pool.backends() {
            add(&mut gauges.backends, backend.phase.label(), 1);
            gauges.in_flight += backend.in_flight.len() as u64;
            if let Phase::Leased(owner) = backend.phase
                && let Some(lease) = self.clients.get(owner).and_then(|c| c.lease.as_ref())
            {
                let lease_state = &lease.state;
                gauges.blocked += u64::from(lease_state.waits());
                let age = self.cx.now.saturating_sub(lease_state.since).as_secs();
                for reason in lease_state.reasons() {
                    add(&mut gauges.pins, reason, 1);
                    let oldest = gauges.pin_age_seconds.entry(reason).or_default();
                    *oldest = age.max(*oldest);
                }
            }
        }
        for purpose in LeaseFor::ALL {
            let held = self.leases.lent_for(purpose) as u64;
            add(&mut gauges.leases, purpose.label(), held);
            add(&mut gauges.pool_in_use, purpose.pool(), held);
            let waiting = self.leases.waiting_for(purpose) as u64;
            add(&mut gauges.lease_waiters, purpose.label(), waiting);
        }
        let in_line = self.waits.line().len() as u64;
        add(
            &mut gauges.lease_waiters,
            LeaseFor::Blocking.label(),
            in_line,
        );
        // Those who are being made ready for a lease are nobody's yet.
        let shared = self
            .pool
            .backends()
            .len()
            .saturating_sub(self.leases.total());
        add(&mut gauges.pool_in_use, "shared", shared as u64);
        let in_all = u64::from(self.cx.shared.budget.total());
        for (purpose, bound) in [
            (LeaseFor::Transaction, pool.leases_bound()),
            (LeaseFor::PushStream, pool.leases_bound()),
            (LeaseFor::Blocking, pool.blocking_bound()),
        ] {
            add(
                &mut gauges.pool_max,
                purpose.pool(),
                in_all.min(bound as u64),
            );
        }
        gauges
    }
}

fn zeros<const N: usize>(labels: [&'static str; N]) -> Labelled {
    labels.into_iter().map(|label| (label, 0)).collect()
}

fn add(figures: &mut Labelled, label: &'static str, count: u64) {
    *figures.entry(label).or_default() += count;
}
