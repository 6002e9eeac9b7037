//! A script that keeps the server busy. It holds up what stands behind it on its own pipe, while the
//! server answers everybody else with `-BUSY`: so new requests go to another pipe where there is one,
//! and once that answer is heard anywhere, reads behind the script are asked again elsewhere. What
//! writes behind it waits for its end: it is on its way, and cannot be taken back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::engine::clients::Client;
use crate::engine::event::EngineEvent;
use crate::engine::key::{BackendId, ClientId, EndpointId};
use crate::engine::pool::backend::{Backend, PipeState};
use crate::engine::reach::Traffic;
use crate::engine::slot::{Receiver, RetryClass, Slot};

/// How long a script may be the oldest request of a pipe that says nothing before others are
/// preferred to it.
pub const SCRIPT_AFTER: Duration = Duration::from_millis(50);

/// How long ago a server that answers can have said what is read now.
const ROUND_TRIP: Duration = Duration::from_millis(10);

/// Silence of a pipe that owes replies, while the server answers others, from which its
/// oldest request is taken for a paused write, or the pipe for a broken one where that is a
/// read. One server runs one command at a time, so nothing else explains it.
pub const PAUSED_AFTER: Duration = Duration::from_millis(500);

impl Backend {
    /// When this pipe begins to stand behind a script, if its oldest request is one.
    pub fn script_due(&self, now: Duration) -> Option<Duration> {
        let open = self.state() == Some(PipeState::Open);
        let front = self
            .in_flight
            .front()
            .filter(|slot| open && slot.is_script())?;
        let silent = self.heard_at + SCRIPT_AFTER;
        Some(front.is_old_at(SCRIPT_AFTER, now).max(silent))
    }
}

impl Traffic<'_> {
    /// The oldest request of a pipe is a script, and has been for a while.
    pub fn stands_behind_script(&mut self, id: BackendId) {
        let Some(backend) = self.pool.backend_mut(id) else {
            return;
        };
        backend.turn_to(PipeState::Script);
        if self.cx.shared.busy.says(self.cx.now).is_some() {
            self.ask_elsewhere(id);
        }
    }

    /// The server has said, in answer to something else than a script, that it is busy with one.
    pub fn heard_busy(&mut self, reply: &[u8]) {
        let known = self.cx.shared.busy.says(self.cx.now).is_some();
        let asked = self.cx.now.saturating_sub(ROUND_TRIP);
        self.cx.shared.busy.heard(reply, asked, self.cx.now);
        if !known {
            self.go_around_scripts();
        }
    }

    /// Asks again elsewhere what stands behind scripts, since it is known that the server is busy.
    pub fn go_around_scripts(&mut self) {
        let behind = |b: &Backend| b.state() == Some(PipeState::Script);
        let stuck = self.pool.backends_by_id().filter(|(_, b)| behind(b));
        let stuck: Vec<BackendId> = stuck.map(|(id, _)| id).collect();
        for id in stuck {
            self.ask_elsewhere(id);
        }
        // Whoever waits for a pipe need not wait for it to be told so.
        self.wake_everyone();
    }

    /// Clients of whom nothing is on this pipe but reads, behind its oldest request, ask again
    /// elsewhere. Their places stay until the replies have come, which reach nobody. Whoever has
    /// anything else there has to wait for that, so that everything keeps its order.
    pub fn ask_elsewhere(&mut self, id: BackendId) {
        if !self.cx.rules.settings.clients.replay_reads {
            return;
        }
        let Some(backend) = self.pool.backend_mut(id) else {
            return;
        };
        let mut stays: BTreeSet<ClientId> = BTreeSet::new();
        let mut offset = 0;
        for (place, slot) in backend.in_flight.iter().enumerate() {
            let kept = backend.out.request(offset, slot.bytes()).len() == slot.bytes();
            offset += slot.bytes();
            // Nothing is dealt with again of whoever is at its end.
            let ends = (self.clients.get(slot.client())).is_some_and(Client::is_ending);
            if place == 0 || !slot.is_plain_read() || !kept || ends {
                stays.insert(slot.client());
            }
        }
        let mut again: BTreeMap<ClientId, Vec<(u32, Vec<u8>)>> = BTreeMap::new();
        let mut asking = Vec::new();
        offset = 0;
        for slot in &mut backend.in_flight {
            let (from, bytes) = (offset, slot.bytes());
            offset += bytes;
            if slot.receiver() == Receiver::Permission {
                asking.push(slot.give_up());
                continue;
            }
            if !slot.receiver().is_client() || stays.contains(&slot.client()) {
                continue;
            }
            let sequence = slot.sequence();
            let client = slot.give_up();
            let request = backend.out.request(from, bytes).to_vec();
            again.entry(client).or_default().push((sequence, request));
        }
        for client in asking {
            self.clients.ask_permission_again(client);
        }
        let rules = Arc::clone(&self.cx.rules);
        for (client, requests) in again {
            let mut bytes = Vec::new();
            for (_, sent) in &requests {
                let restored = self.clients.policy(client, &rules).renames().restored(sent);
                bytes.extend_from_slice(restored.as_deref().unwrap_or(sent));
            }
            let count = u32::try_from(requests.len()).unwrap_or(u32::MAX);
            self.clients.rewind(self.cx, client, &bytes, count);
            for (sequence, _) in requests {
                self.clients.replies_in(self.cx, client, sequence, 1);
            }
        }
    }

    /// This server does, or does not, answer narrows' own health check. Told at each check
    /// that is answered, and once when none is any more.
    pub fn health_checked(&mut self, endpoint: EndpointId, answering: bool) {
        if endpoint != self.pool.endpoint().id() {
            // Another one has taken its place since.
            return;
        }
        self.pool.answers(self.cx, answering);
        if !answering {
            return;
        }
        if self.pool.is_another_elsewhere(self.cx) {
            self.cx.events.push_back(EngineEvent::OwnIsAnother);
        }
        if self.cx.shared.budget.growth_stopped() {
            // Idle backends go back to a server that is short of room.
            self.cx.wake_at(self.cx.now);
        }
        if self.cx.shared.busy.says(self.cx.now).is_some() {
            self.go_around_scripts();
        }
        let (mut lanes, mut says_nothing) = (Vec::new(), false);
        for (id, backend) in self.pool.backends_mut() {
            let silent = self.cx.now.saturating_sub(backend.heard_at) >= PAUSED_AFTER;
            let owes = !backend.in_flight.is_empty() && backend.out.unsent_len() == 0;
            if silent && owes && backend.state() == Some(PipeState::Open) {
                if backend.owes_despite_a_pause() {
                    // A read or a ping: it is this connection that says nothing.
                    tracing::info!("the server answers others: a connection says nothing");
                    backend.turn_to(PipeState::Quarantined);
                    says_nothing = true;
                } else {
                    tracing::info!("the server answers others: writes seem to be paused");
                    backend.turn_to(PipeState::WritesOnly);
                    lanes.push(id);
                }
            }
        }
        for id in lanes {
            self.ask_elsewhere(id);
        }
        if says_nothing {
            self.pool.ask_unheard(self.cx, PAUSED_AFTER);
        }
    }
}

impl Slot {
    /// Whether the request may run what its client has written for as long as that takes.
    pub fn is_script(&self) -> bool {
        matches!(
            self.retry_class(),
            RetryClass::Script | RetryClass::TransactionRuns
        )
    }

    /// Whether it is a client's, and may be asked again.
    fn is_plain_read(&self) -> bool {
        !self.receiver().is_client()
            || (self.receiver() == Receiver::Client && self.retry_class() == RetryClass::Replayable)
    }
}
