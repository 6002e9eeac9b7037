//! A request leaves for its backend: first its slot is queued, then its bytes.

use std::time::Duration;

use crate::command::{Flags, Shape, Spec};

use super::Engine;
use super::clients::Client;
use super::clients::hold::Hold;
use super::key::{BackendId, ClientId};
use super::planted::{self, Bug};
use super::pool::backend::Backend;
use super::slot::{Fate, Receiver, Slot};

impl Engine {
    /// Sends a request of a client.
    pub(super) fn send(
        &mut self,
        id: ClientId,
        carrier: BackendId,
        bytes: &[u8],
        spec: &Spec,
        receiver: Receiver,
        fate: Fate,
    ) {
        let now = self.cx.now;
        let (Some(client), Some(backend)) = (
            self.clients.get_mut(id),
            self.pool.backends.get_mut(carrier),
        ) else {
            return;
        };
        let renames = client.policy(&self.cx.rules).renames();
        let renamed = match renames.is_empty() {
            true => None,
            false => renames.sent(bytes),
        };
        let bytes = renamed.as_deref().unwrap_or(bytes);
        assert!(
            self.pool
                .contexts
                .fit(backend.context(), client.context(), spec)
                || planted::has(Bug::ErrandShared),
            "a command runs as its client's user and in its db"
        );
        let receiver = if client.session.reply_mode.begin_command() {
            receiver.silenced()
        } else {
            receiver
        };
        let replayed = client.head.takes_replay();
        let fate = match fate {
            Fate::Replayable if replayed => Fate::Unknown,
            other => other,
        };
        let checked = client.lease.is_none() && self.cx.rules.settings.pool.check_kinds;
        let shape = match fate {
            _ if !checked => Shape::ANY,
            // In a transaction it is queued; it runs at once if the server has refused MULTI.
            Fate::Block => spec.shape.or(Shape::STATUS),
            _ => spec.shape,
        };
        if matches!(receiver, Receiver::ClientInfo { .. }) {
            // Its reply takes a way round by the other workers; no later one may overtake it.
            client.head.hold = Some(Hold::Gather(0));
        }
        client.served(now, &spec.name);
        match client.lease.as_ref() {
            // What is sent again has been counted.
            None => self.cx.counters.shared += u64::from(!replayed),
            Some(_) if replayed => {}
            Some(lease) => self.cx.counters.went(lease.lent.purpose.way()),
        }
        client.send((id, carrier), backend, bytes, (receiver, fate, shape), now);
        if client.lease.is_some() {
            self.pool.weights.touch(carrier);
        }
        self.pool.unflushed += bytes.len();
        self.pool.mark_backend(carrier);
        if matches!(fate, Fate::Script | Fate::BlockRuns) {
            self.cx.watch_script();
        }
    }
}

impl Client {
    /// First the slot, then the bytes.
    #[inline(always)]
    pub(super) fn send(
        &mut self,
        (id, carrier): (ClientId, BackendId),
        backend: &mut Backend,
        bytes: &[u8],
        (receiver, fate, shape): (Receiver, Fate, Shape),
        now: Duration,
    ) {
        let sequence = self.take_sequence();
        self.carrier = carrier;
        self.in_flight += 1;
        let slot = Slot::new(id, sequence, now, bytes.len(), receiver, fate).shaped(shape);
        planted::expect(carrier, backend, slot, now);
        backend.out.push(bytes);
    }

    /// The number of the request that is sent now.
    pub(super) fn take_sequence(&mut self) -> u32 {
        let sequence = self.sequence_next;
        self.sequence_next = sequence.wrapping_add(1);
        sequence
    }
}

impl Fate {
    /// What may be done for a request on its client's own backend, which is not asked again.
    pub(super) fn alone(spec: &Spec) -> Self {
        match Self::of(spec) {
            Self::Script => Self::Script,
            _ => Self::Unknown,
        }
    }

    /// What may be done for a request that is sent for the first time.
    #[inline]
    pub(super) fn of(spec: &Spec) -> Self {
        match spec.replay {
            true => Self::Replayable,
            false if spec.flags.contains(Flags::SCRIPT) => Self::Script,
            false => Self::Unknown,
        }
    }
}
