//! A request leaves for its backend: first its slot is queued, then its bytes.

use std::time::Duration;

use crate::command::{Flags, Shape, Spec};

use crate::engine::clients::Client;
use crate::engine::clients::hold::Hold;
use crate::engine::fault_injection::{self, Bug};
use crate::engine::key::{BackendId, ClientId};
use crate::engine::pool::backend::Backend;
use crate::engine::reach::Traffic;
use crate::engine::slot::{Receiver, RetryClass, Slot};

/// What is expected of a request that leaves, and what may be done for it.
#[derive(Clone, Copy)]
pub struct Expected {
    /// Who is meant by its reply.
    pub receiver: Receiver,
    /// What may be done for it if its reply does not come.
    pub retry_class: RetryClass,
    /// What its reply can be.
    pub shape: Shape,
}

impl Expected {
    /// Of a plain request, which goes down a pipe.
    #[inline(always)]
    pub fn plain(spec: &Spec, checked: bool) -> Self {
        let shape = match checked {
            true => spec.shape,
            false => Shape::ANY,
        };
        Self {
            receiver: Receiver::Client,
            retry_class: RetryClass::of(spec),
            shape,
        }
    }

    /// Of a request of this kind. Unless it is `checked`, its reply may be anything.
    #[inline]
    fn of(spec: &Spec, receiver: Receiver, retry_class: RetryClass, checked: bool) -> Self {
        let shape = match retry_class {
            _ if !checked => Shape::ANY,
            // In a transaction it is queued; it runs at once if the server has refused MULTI.
            RetryClass::InTransaction => spec.shape.or(Shape::STATUS),
            _ => spec.shape,
        };
        Self {
            receiver,
            retry_class,
            shape,
        }
    }
}

impl Traffic<'_> {
    /// Sends a request of a client.
    pub fn send(
        &mut self,
        id: ClientId,
        current_backend: BackendId,
        bytes: &[u8],
        spec: &Spec,
        receiver: Receiver,
        retry_class: RetryClass,
    ) {
        let Traffic { cx, clients, pool } = self;
        let now = cx.now;
        let (Some(client), Some(on)) = (clients.get_mut(id), pool.backend(current_backend)) else {
            return;
        };
        let renames = client.policy(&cx.rules).renames();
        let renamed = match renames.is_empty() {
            true => None,
            false => renames.sent(bytes),
        };
        let bytes = renamed.as_deref().unwrap_or(bytes);
        assert!(
            pool.contexts().fit(on.context(), client.context(), spec)
                || fault_injection::has(Bug::OwnConnectionShared),
            "a command runs as its client's user and in its db"
        );
        let receiver = if client.session.reply_mode.begin_command() {
            receiver.silenced()
        } else {
            receiver
        };
        let replayed = client.head.takes_replay();
        let retry_class = match retry_class {
            RetryClass::Replayable if replayed => RetryClass::Unknown,
            other => other,
        };
        let checked = client.lease.is_none() && cx.rules.settings.pool.check_kinds;
        if matches!(receiver, Receiver::ClientInfo { .. }) {
            // Its reply takes a way round by the other workers; no later one may overtake it.
            client.head.hold = Some(Hold::FanOut(0));
        }
        client.served(now, &spec.name);
        match client.lease.as_ref() {
            // What is sent again has been counted.
            None => cx.counters.shared += u64::from(!replayed),
            Some(_) if replayed => {}
            Some(lease) => cx.counters.went(lease.state.purpose.way()),
        }
        let expected = Expected::of(spec, receiver, retry_class, checked);
        if client.lease.is_some() {
            pool.touch(current_backend);
        }
        let Some(backend) = pool.backend_mut(current_backend) else {
            return;
        };
        client.send(id, current_backend, backend, bytes, expected, now);
        pool.has_bytes(current_backend, bytes.len());
        if matches!(
            retry_class,
            RetryClass::Script | RetryClass::TransactionRuns
        ) {
            cx.watch_script();
        }
    }
}

impl Client {
    /// Sends a request down a backend, which is at hand: nothing is in flight that has no slot there.
    #[inline(always)]
    pub fn send(
        &mut self,
        id: ClientId,
        current_backend: BackendId,
        backend: &mut Backend,
        request: &[u8],
        expected: Expected,
        now: Duration,
    ) {
        let sequence = self.take_sequence();
        self.current_backend = current_backend;
        self.in_flight += 1;
        let Expected {
            receiver,
            retry_class,
            shape,
        } = expected;
        let bytes = request.len();
        let slot = Slot::new(id, sequence, now, bytes, receiver, retry_class).shaped(shape);
        backend.send(slot, request, now);
        fault_injection::sent(current_backend, backend);
    }

    /// The number of the request that is sent now.
    pub fn take_sequence(&mut self) -> u32 {
        let sequence = self.sequence_next;
        self.sequence_next = sequence.wrapping_add(1);
        sequence
    }
}

impl RetryClass {
    /// What may be done for a request on its client's own backend, which is not asked again.
    pub fn alone(spec: &Spec) -> Self {
        match Self::of(spec) {
            Self::Script => Self::Script,
            _ => Self::Unknown,
        }
    }

    /// What may be done for a request that is sent for the first time.
    #[inline]
    pub fn of(spec: &Spec) -> Self {
        match spec.replay {
            true => Self::Replayable,
            false if spec.flags.contains(Flags::SCRIPT) => Self::Script,
            false => Self::Unknown,
        }
    }
}
