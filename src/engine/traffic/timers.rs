//! What becomes of requests, transactions and backends when their time is over. All deadlines stand in
//! `Engine::tick` (`lifecycle.rs`).

use std::time::Duration;

use crate::admission::Paused;
use crate::telemetry::ClientCloseReason;

use crate::engine::fault_injection;
use crate::engine::key::{BackendId, ClientId};
use crate::engine::lease::state::LeaseFor;
use crate::engine::pool::backend::Phase;
use crate::engine::pool::close_reason::CloseReason;
use crate::engine::pool::due::Due;
use crate::engine::reach::{Lending, Traffic};
use crate::engine::slot::Receiver;

impl Lending<'_> {
    /// Requests older than `request_timeout`: their clients are told, their places stay.
    pub fn expire_requests(&mut self) {
        let limit = self.cx.rules.settings.clients.request_timeout;
        if limit.is_zero() {
            return;
        }
        let now = self.cx.now;
        // Which of them the server held up nobody knows.
        let pause = &self.cx.shared.pause;
        let first = pause.counts_from(Duration::ZERO, Paused::Writes) + limit;
        if first > now {
            return self.cx.wake_at(first);
        }
        let mut late: Vec<(ClientId, Receiver)> = Vec::new();
        let mut given_up: Vec<BackendId> = Vec::new();
        for (id, backend) in self.pool.backends_mut() {
            if let Phase::Leased(owner) = backend.phase
                && let Some(client) = self.clients.get(owner)
                && let Some(lease) = client.lease.as_ref()
                && lease.state.purpose != LeaseFor::Upload
            {
                // What it holds for its client would not be known any more.
                let oldest = backend.in_flight.front();
                if !backend.patient && oldest.is_some_and(|slot| slot.is_older_than(limit, now)) {
                    given_up.push(id);
                }
                continue;
            }
            // A reply that has begun to reach its client goes on, and so does what that
            // client waits for behind it.
            let begun = backend.in_flight.front().filter(|_| backend.begun);
            let begun = begun.map(|slot| slot.client());
            let old = backend
                .in_flight
                .iter_mut()
                .take_while(|slot| slot.is_older_than(limit, now));
            for slot in old {
                let receiver = slot.receiver();
                let waits = matches!(
                    receiver,
                    Receiver::Client
                        | Receiver::ClientInfo { .. }
                        | Receiver::Role(_)
                        | Receiver::Silent
                );
                if waits && begun != Some(slot.client()) {
                    late.push((slot.give_up(), receiver));
                }
            }
        }
        for id in given_up {
            self.pool.close_backend(self.cx, id, CloseReason::TimedOut);
        }
        fault_injection::drop_tombstones(self.pool.backends_mut());
        for (id, receiver) in late {
            self.request_timed_out(id, receiver);
        }
        if self.pool.backends().all(|b| b.in_flight.is_empty()) {
            return;
        }
        // Fine enough to be within a tenth of the limit.
        self.cx
            .wake_at(now + (limit / 10).max(Duration::from_millis(1)));
    }

    fn request_timed_out(&mut self, id: ClientId, receiver: Receiver) {
        let Some(client) = self.clients.get(id) else {
            return;
        };
        let sequence = client.sequence_due;
        let refusal = crate::resp::Refusal::RequestTimeout;
        self.cx.counters.refused(refusal.label());
        if receiver != Receiver::Silent {
            self.clients.reply_with(id, |out| refusal.write(out));
        }
        if matches!(receiver, Receiver::ClientInfo { .. }) {
            self.clients
                .end_hold(id, crate::engine::clients::hold::Hold::FanOut(0));
        }
        self.clients.replies_in(self.cx, id, sequence, 1);
        // A lease with a reply still to come cannot go back.
        self.end_lease_if_done(id);
    }

    /// Clients that sit in a transaction without a word are closed: others wait for what they
    /// hold.
    pub fn expire_transactions(&mut self) {
        let limit = self.cx.rules.settings.clients.idle_in_transaction;
        if limit.is_zero() || self.leases.total() == 0 {
            return;
        }
        let owners = self.pool.backends().filter_map(|backend| {
            let Phase::Leased(owner) = backend.phase else {
                return None;
            };
            let client = self.clients.get(owner)?;
            let idle = client.in_flight == 0 && client.head.hold.is_none();
            let lease = client.lease.as_ref().filter(|_| idle)?;
            let sits =
                lease.state.transaction.is_open() && !self.clients.has_live_push_stream(owner);
            sits.then_some((owner, client.active_at + limit))
        });
        let owners: Vec<(ClientId, Duration)> = owners.collect();
        for (id, at) in owners {
            if at > self.cx.now {
                self.cx.wake_at(at);
                continue;
            }
            let client_id = self.clients.get(id).map(|client| client.session.id);
            let key = "clients.idle_in_transaction";
            tracing::warn!(
                client_id,
                key,
                "client closed: idle in a transaction for too long"
            );
            self.clients
                .close_for(self.cx, id, ClientCloseReason::IdleInTransaction);
        }
    }
}

impl Traffic<'_> {
    pub fn expire_backends(&mut self) {
        let mut due = Vec::new();
        let mut next: Option<Duration> = None;
        let mut unused = self.count_unused();
        for (id, backend) in self.pool.backends_by_id() {
            match self.pool.due(self.cx, backend, &unused) {
                (Some(what), _) => {
                    if matches!(what, Due::Retire) {
                        unused.goes(backend);
                    }
                    due.push((id, what));
                }
                (None, Some(at)) => next = Some(next.map_or(at, |n| n.min(at))),
                (None, None) => {}
            }
        }
        for (id, what) in due {
            match what {
                Due::Close(reason) => {
                    if reason == CloseReason::HandshakeTimeout {
                        self.pool.dial_ended_badly(
                            self.cx,
                            "no answer to the handshake in time".to_owned(),
                        );
                    }
                    self.pool.close_backend(self.cx, id, reason);
                }
                Due::Script => {
                    self.stands_behind_script(id);
                    self.cx.wake_at(self.cx.now);
                }
                Due::Ping => {
                    self.pool.ping(self.cx, id);
                    self.cx.wake_at(self.cx.now);
                }
                Due::Retire => {
                    self.pool.retire_when_quiet(self.cx, id);
                    // What it still carries has its own deadline.
                    self.cx.wake_at(self.cx.now);
                }
            }
        }
        if let Some(at) = next {
            self.cx.wake_at(at);
        }
    }
}
