//! What is to be written to backends, and what they hold.

use crate::engine::cx::Cx;
use crate::engine::key::BackendId;
use crate::engine::slot::Receiver;
use crate::resp::write;
use crate::session::StateChange;

use super::Pool;
use super::backend::{Backend, Phase};

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
