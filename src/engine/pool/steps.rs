//! How far a handshake or a switch has come.

use crate::engine::cx::Cx;
use crate::engine::key::BackendId;
use crate::engine::server_role::Role;

use super::Pool;
use super::backend::Phase;
use super::close_reason::CloseReason;
use super::handshake::{self, Failure, HandshakeStep, HandshakeVerdict, RESET};

impl Pool {
    /// One reply of a handshake has come, whole. Whether the handshake is over by that.
    pub fn handshake_reply(
        &mut self,
        cx: &mut Cx,
        id: BackendId,
        step: HandshakeStep,
        reply: &[u8],
    ) -> bool {
        if step == HandshakeStep::Check && !self.is_in_step(id, reply) {
            self.close_backend(cx, id, CloseReason::OutOfStep);
            return false;
        }
        let Some(backend) = self.backends.get_mut(id) else {
            return false;
        };
        let endpoint = backend.endpoint();
        let Phase::Handshake(handshake) = &mut backend.phase else {
            self.close_backend(cx, id, CloseReason::Unsolicited);
            return false;
        };
        let Some(target) = self.contexts.get(handshake.target) else {
            self.close_backend(cx, id, CloseReason::Retired);
            return false;
        };
        handshake.steps_left = handshake.steps_left.saturating_sub(1);
        handshake.was_reset |= step == HandshakeStep::Reset && reply == RESET;
        let verdict = match step {
            HandshakeStep::Check => HandshakeVerdict::Fine,
            _ => handshake::verdict_of(step, reply, target),
        };
        let verdict = match (step, verdict) {
            (HandshakeStep::WhoAmI, HandshakeVerdict::Fine) => self.is_said_to_be(cx, id, reply),
            (_, verdict) => verdict,
        };
        let Some(backend) = self.backends.get_mut(id) else {
            return false;
        };
        let Phase::Handshake(handshake) = &mut backend.phase else {
            return false;
        };
        match verdict {
            HandshakeVerdict::Failed(failure) => {
                handshake.failure.get_or_insert(failure);
            }
            // An old server's refusal of HELLO is what its clients get as well.
            HandshakeVerdict::Fine if step == HandshakeStep::Hello => {
                backend.server_id = handshake::id_of(reply).or(backend.server_id);
                let timeout = cx.rules.settings.backend.handshake_timeout;
                let asked = handshake.deadline.saturating_sub(timeout);
                if let Some(role) = Role::in_hello(reply) {
                    let shared = &cx.shared.role;
                    shared.heard(endpoint, role, asked, cx.now);
                }
                self.endpoint.says_hello(target.protocol, reply.to_vec());
            }
            HandshakeVerdict::Fine => {}
        }
        // Only a refused db leaves the connection of any use; and a server that refuses the
        // connection says so once and closes it.
        let hopeless = |failure: &Failure| {
            !matches!(
                failure,
                Failure::Db(_) | Failure::Busy(_) | Failure::Login(_)
            )
        };
        handshake.steps_left == 0 || handshake.failure.as_ref().is_some_and(hopeless)
    }
}
