//! What is to be written to backends, and what they hold.

use crate::engine::cx::Cx;
use crate::engine::fault_injection;
use crate::engine::key::{BackendId, ClientId};
use crate::engine::slot::Receiver;
use crate::resp::write;
use crate::session::StateChange;

use super::Pool;
use super::backend::{AcquireRequest, Backend, Phase};

/// What is left to be written to a backend.
pub enum Written {
    /// Some is left.
    Partly,
    /// Nothing is left. Whose it is, if it is somebody's.
    Wholly(Option<ClientId>),
}

impl Pool {
    /// Lists a backend for writing.
    pub fn mark_backend(&mut self, id: BackendId) {
        if let Some(backend) = self.backends.get_mut(id)
            && !backend.dirty
        {
            backend.dirty = true;
            self.dirty_backends.push(id);
        }
    }

    /// Bytes have been put on a backend.
    #[inline]
    pub fn has_bytes(&mut self, id: BackendId, bytes: usize) {
        self.unflushed += bytes;
        self.mark_backend(id);
    }

    /// The first `n` bytes for a backend have been written.
    pub fn wrote(&mut self, cx: &mut Cx, id: BackendId, n: usize) -> Written {
        let now = cx.now;
        let Some(backend) = self.backends.get_mut(id) else {
            return Written::Wholly(None);
        };
        backend.out.wrote(n);
        fault_injection::wrote(id);
        if matches!(backend.phase, Phase::Leased(_)) {
            self.weights.touch(id);
        }
        if backend.out.unsent_len() == 0 {
            backend.blocked_since = None;
            return Written::Wholly(backend.owner());
        }
        let since = *backend.blocked_since.get_or_insert(now);
        // Requests pile up before the socket: one more pipe may help.
        let grow_after = cx.rules.settings.pool.grow_after;
        if matches!(backend.phase, Phase::Pipe { .. }) {
            if now.saturating_sub(since) >= grow_after {
                let key = backend.pool_key();
                self.request(AcquireRequest::Pipe(key));
                // It is provided for in a turn, and this may have been the last of this one.
                cx.wake_at(now);
            } else {
                cx.wake_at(since + grow_after);
            }
        }
        Written::Partly
    }

    /// Whether anything is left to be written to it.
    pub fn has_unsent(&self, id: BackendId) -> bool {
        (self.backends.get(id)).is_some_and(|backend| backend.out.unsent_len() > 0)
    }

    /// Bytes put on backends since they were last written.
    #[inline]
    pub fn unflushed_bytes(&self) -> usize {
        self.unflushed
    }

    /// Takes those with bytes to be written, each once. Whether there are any.
    #[inline]
    pub fn take_dirty(&mut self, into: &mut Vec<BackendId>) -> bool {
        self.unflushed = 0;
        let any = self.any_dirty();
        into.append(&mut self.dirty_backends);
        any
    }

    /// Whether there are any.
    #[inline]
    pub fn any_dirty(&self) -> bool {
        !self.dirty_backends.is_empty()
    }

    /// What is held for clients with this backend is to be weighed.
    #[inline]
    pub fn touch(&mut self, id: BackendId) {
        self.weights.touch(id);
    }

    /// The same, if it has been weighed.
    pub fn touch_if_known(&mut self, id: BackendId) {
        self.weights.touch_if_known(id);
    }

    /// One that is to be weighed.
    pub fn next_touched(&mut self) -> Option<BackendId> {
        self.weights.next_touched()
    }

    /// So much is held there.
    pub fn weighs(&mut self, id: BackendId, bytes: usize) {
        self.weights.set(id, bytes);
    }

    pub fn send_for_cancel(&mut self, cx: &Cx, on: BackendId, receiver: Receiver, args: &[&[u8]]) {
        let now = cx.now;
        let mut request = Vec::with_capacity(64);
        write::request(&mut request, args);
        let renamed = cx.rules.renames().sent(&request);
        if let Some(backend) = self.backends.get_mut(on) {
            backend.send_own(receiver, renamed.as_deref().unwrap_or(&request), now);
        }
        self.mark_backend(on);
    }

    /// The end of the wait that a client's connection is in, when another ends it: nothing is known
    /// to have arrived anywhere. `None` for waits of another kind.
    pub fn nothing_acknowledged(&self, current_backend: BackendId) -> Option<&'static [u8]> {
        let slots = &self.backends.get(current_backend)?.in_flight;
        slots.iter().find_map(|slot| match slot.receiver() {
            Receiver::OnLease(StateChange::Wait) => Some(&b":0\r\n"[..]),
            Receiver::OnLease(StateChange::WaitAof) => Some(b"*2\r\n:0\r\n:0\r\n"),
            _ => None,
        })
    }

    /// Whether the reply under way on a backend, to a request with this mark, is one that may be
    /// long, and is no error: it goes on as it comes.
    pub fn streams(&self, id: BackendId, change: StateChange) -> bool {
        let streams = |kind| change.goes_on_as_it_comes(kind);
        // What has begun to be collected is collected to its end.
        self.backends.get(id).is_some_and(|backend| {
            backend.collected.is_empty() && backend.replies.kind().is_some_and(streams)
        })
    }

    /// Bytes that shared connections and those being made hold.
    pub fn count_shared_bytes(&self) -> usize {
        let shared = self.backends.values().filter(|b| b.owner().is_none());
        let bytes = |b: &Backend| {
            let push_stream = match &b.phase {
                Phase::Cleaning(cleaning) => cleaning.push_stream.as_ref(),
                _ => None,
            };
            let held = push_stream.map_or(0, |push_stream| push_stream.held_bytes());
            b.out.unanswered_len() + b.collected.len() + held
        };
        shared.map(bytes).sum()
    }

    /// How much may be held is another than before.
    pub fn memory_limit_changed(&mut self, cx: &Cx) {
        let all = cx.rules.settings.clients.memory_bytes_max;
        self.weights.set_limit(all, cx.workers);
    }
}
