//! Places in the line of waits.

use crate::engine::cx::Cx;
use crate::engine::effect::Reply;
use crate::engine::key::ClientId;

use super::Waits;
use super::line::Unblocked;

impl Waits {
    /// Whether it is being tried, or somebody is who stands before it on one of its keys and is not to
    /// be passed over. Its place is kept for it until that is decided.
    pub fn is_decided_by_try(&self, id: ClientId) -> bool {
        let tried = |id: &ClientId| self.tries.contains_key(id);
        !self.tries.is_empty() && (tried(&id) || self.line.before(id).any(|first| tried(&first)))
    }

    /// A client stands in line no more: it is gone, or waits on the server.
    pub fn leave_line(&mut self, cx: &mut Cx, id: ClientId) {
        let left = self.line.leave(id, None);
        if let Some(Unblocked { asker, .. }) = left.and_then(|one| one.unblocked) {
            cx.reply_to(asker, Reply::Killed(0));
        }
    }

    pub fn wake_for_line(&mut self, cx: &mut Cx) {
        if let Some(at) = self.line.next() {
            cx.wake_at(at);
        }
    }
}
