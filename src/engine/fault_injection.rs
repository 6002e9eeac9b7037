//! What the injected faults of [`crate::admission::fault_injection`] do in the engine, where it is more
//! than a line. Without the feature `fault_injection` everything here does nothing, or what is right.

use std::time::Duration;

use crate::command::{Local, Spec};
use crate::session::push_stream::FrameKind;

use super::clients::Client;
use super::key::{BackendId, ClientId, ContextId, CredentialId};
use super::pool::backend::{AcquireRequest, Backend};
use super::pool::handshake::HandshakeStep;
use super::reach::Blocking;
use super::settings::ClientSettings;
use super::slot::{Receiver, Settled, Slot};

pub use crate::admission::fault_injection::{Bug, has};

#[cfg(feature = "fault_injection")]
pub use crate::admission::fault_injection::inject;

type Backends<'a> = slotmap::basic::IterMut<'a, BackendId, Backend>;

/// What bugs keep beside the engine.
#[derive(Default)]
struct FaultState {
    /// Slots of lost backends.
    queue: Vec<Settled>,
    /// Slots of requests that are not registered yet.
    late: Vec<(BackendId, Settled)>,
    /// Backends that have been written since.
    written: Vec<BackendId>,
}

thread_local! {
    static KEPT: std::cell::RefCell<FaultState> = std::cell::RefCell::default();
}

/// Another simulation begins on this thread.
#[cfg(feature = "fault_injection")]
pub fn forget() {
    KEPT.take();
}

/// [`Bug::OrphanDropped`].
pub(super) fn drop_orphans(backends: Backends<'_>, client: ClientId) {
    if has(Bug::OrphanDropped) {
        drop_slots(backends, |slot| slot.client() == client);
    }
}

/// [`Bug::TimeoutForgotten`].
pub(super) fn drop_tombstones(backends: Backends<'_>) {
    if has(Bug::TimeoutForgotten) {
        drop_slots(backends, |slot| slot.receiver() == Receiver::Tombstone);
    }
}

fn drop_slots(backends: Backends<'_>, is_dropped: impl Fn(&Slot) -> bool) {
    for (_, backend) in backends {
        for slot in std::mem::take(&mut backend.in_flight) {
            match is_dropped(&slot) {
                true => backend.out.reply_came(slot.discard().bytes),
                false => backend.in_flight.push_back(slot),
            }
        }
    }
}

/// [`Bug::QueueKept`].
pub(super) fn keep_queue(backend: &mut Backend) {
    if !has(Bug::QueueKept) {
        return;
    }
    let slots = backend.in_flight.drain(..);
    let settled = slots.map(Slot::fail);
    let clients = settled.filter(|settled| settled.receiver == Receiver::Client);
    KEPT.with_borrow_mut(|kept| kept.queue.extend(clients));
}

/// [`Bug::QueueKept`].
pub(super) fn restore_queue(backend: &mut Backend) {
    if has(Bug::QueueKept) {
        let queue = KEPT.with_borrow_mut(|kept| std::mem::take(&mut kept.queue));
        backend.in_flight.extend(queue.into_iter().map(again));
    }
}

fn again(settled: Settled) -> Slot {
    let Settled {
        client,
        sequence,
        receiver,
        retry_class,
        ..
    } = settled;
    Slot::new(client, sequence, Duration::ZERO, 0, receiver, retry_class)
}

/// A request has been sent; with [`Bug::SlotAfterWrite`] its reply is only going to be expected.
pub(super) fn sent(id: BackendId, backend: &mut Backend) {
    if has(Bug::SlotAfterWrite)
        && let Some(slot) = backend.in_flight.pop_back()
    {
        KEPT.with_borrow_mut(|kept| kept.late.push((id, slot.discard())));
    }
}

/// [`Bug::ReadingStops`]: whether so much unread stops a client from being read.
pub(super) fn stops_reading(unread: usize, settings: &ClientSettings) -> bool {
    has(Bug::ReadingStops) && unread > settings.output_pause_bytes
}

/// [`Bug::MessageTakesSlot`].
pub(super) fn kind_of_frame(kind: FrameKind) -> FrameKind {
    match kind {
        FrameKind::Message if has(Bug::MessageTakesSlot) => FrameKind::Reply,
        kind => kind,
    }
}

/// As whom a backend is logged in that is lent to `client`.
pub(super) fn credential_of(backend: &Backend, client: Option<&Client>) -> CredentialId {
    match client {
        Some(client) if has(Bug::LeaseMovedAsClient) => client.credential,
        _ => backend.credential(),
    }
}

/// [`Bug::TransactionWithSelect`]: whether it is one.
pub(super) fn is_select_in_transaction(spec: &Spec) -> bool {
    has(Bug::TransactionWithSelect) && spec.local() == Some(Local::Select)
}

/// [`Bug::SlotAfterWrite`].
pub(super) fn wrote(id: BackendId) {
    if has(Bug::SlotAfterWrite) {
        KEPT.with_borrow_mut(|kept| kept.written.push(id));
    }
}

/// [`Bug::SlotAfterWrite`].
pub(super) fn register_slots(backends: Backends<'_>, now: Duration) {
    if !has(Bug::SlotAfterWrite) {
        return;
    }
    KEPT.with_borrow_mut(|kept| {
        let written = std::mem::take(&mut kept.written);
        for (id, backend) in backends.filter(|(id, _)| written.contains(id)) {
            for (_, settled) in kept.late.extract_if(.., |(of, _)| *of == id) {
                let Settled {
                    client,
                    sequence,
                    receiver,
                    retry_class,
                    bytes,
                    ..
                } = settled;
                let slot = Slot::new(client, sequence, now, bytes, receiver, retry_class);
                backend.push_slot(slot, now);
            }
        }
        kept.late.retain(|(id, _)| !written.contains(id));
    });
}

impl Blocking<'_> {
    /// [`Bug::SwitchNotAwaited`].
    pub fn switch_without_waiting(
        &mut self,
        id: BackendId,
        request: AcquireRequest,
        context: ContextId,
        steps: Vec<(HandshakeStep, Vec<u8>)>,
    ) {
        let now = self.cx.now;
        self.pool.set_context(id, context);
        if let Some(backend) = self.pool.backend_mut(id) {
            for (_, request) in steps {
                backend.send_own(Receiver::Tombstone, &request, now);
            }
        }
        self.pool.accepted(context);
        self.pool.mark_backend(id);
        let key = self.pool.key_of(context);
        self.hand_over(id, request, key);
    }
}
