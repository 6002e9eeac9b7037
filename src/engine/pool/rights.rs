//! What the server lets the user of a backend do of what narrows needs.

use crate::engine::cx::Cx;
use crate::engine::key::{BackendId, ContextId};
use crate::engine::lease::holding::Lease;
use crate::session::StateChange;

use super::Pool;
use super::backend::Phase;
use super::close_reason::CloseReason;

impl Pool {
    /// Its user is not asked again: each refusal would stand in the server's `ACL LOG`.
    pub fn may_not_clean(&mut self, id: BackendId) {
        let credential = self.backends.get(id).map(|backend| backend.credential());
        if let Some(credential) = credential.and_then(|id| self.credentials.get_mut(id)) {
            credential.may_not_clean = true;
        }
    }

    pub fn can_be_cleaned(&self, lease: &Lease) -> bool {
        let Some(backend) = self.backends.get(lease.backend()) else {
            return false;
        };
        let credential = self.credentials.get(backend.credential());
        let refused = credential.is_none_or(|credential| credential.may_not_clean);
        !refused && backend.is_quiet() && lease.state.is_known()
    }

    /// The user of a pipe may begin a transaction and not end it: its whole transactions travel alone from now on.
    pub fn transactions_need_leases(&mut self, pipe: BackendId) {
        let Some(credential) = self.backends.get(pipe).map(|backend| backend.credential()) else {
            return;
        };
        if let Some(credential) = self.credentials.get_mut(credential) {
            credential.blocks_stay_open = true;
        }
    }

    /// Whether the user of `context` may begin a transaction and end it, if that is known.
    pub fn may_begin_transaction(&self, context: ContextId) -> Option<bool> {
        let credential = self.contexts.credential(context);
        let credential = credential.and_then(|id| self.credentials.get(id))?;
        match credential.blocks_stay_open {
            true => Some(false),
            false => credential.may_multi,
        }
    }

    pub fn may_not_begin_blocks(&mut self, on: BackendId) {
        let credential = self.backends.get(on).map(|backend| backend.credential());
        let Some(credential) = credential.and_then(|id| self.credentials.get_mut(id)) else {
            return;
        };
        if credential.may_multi.replace(false) != Some(false) {
            tracing::warn!(
                "the server does not let a user begin blocks (MULTI): what its clients wait for is \
                 tried only when they find a place"
            );
        }
    }

    /// The whole reply to a command that takes something back.
    pub fn undone(&mut self, cx: &mut Cx, id: BackendId, change: StateChange, reply: &[u8]) {
        if reply != b"+OK\r\n" {
            if reply.starts_with(b"-NOPERM ") {
                self.may_not_clean(id);
            }
            // What it should have taken back is still there.
            return self.close_backend(cx, id, CloseReason::ClientGone);
        }
        if change == StateChange::TrackingOff
            && let Some(Phase::Cleaning(cleaning)) = self.backends.get_mut(id).map(|b| &mut b.phase)
            && let Some(push_stream) = &mut cleaning.push_stream
        {
            push_stream.tracking = false;
        }
    }
}
