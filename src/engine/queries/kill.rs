//! `SCRIPT KILL` and `FUNCTION KILL` of a client that has requests under way: they may be what stands
//! behind the script that is to be killed. So these two are sent at once, on a connection of their
//! own, and only their reply keeps its turn: the one exception to the order of execution. Not where a
//! script is the client's own: directly the server would not have read on.

use crate::command::Spec;
use crate::resp::Refusal;

use crate::engine::clients::hold::{Hold, RequestOutcome};
use crate::engine::fanout::kill::Kill;
use crate::engine::key::{BackendId, ClientId};
use crate::engine::pool::allocation::Allocation;
use crate::engine::pool::backend::{AcquireRequest, Next, Phase};
use crate::engine::pool::close_reason::CloseReason;
use crate::engine::reach::Queries;
use crate::engine::slot::{Receiver, RetryClass, Slot};

impl Queries<'_> {
    /// What becomes of such a request, the client's next one, if it does not go the common way.
    /// `refused`: the server would not run it.
    pub fn kill_at_once(
        &mut self,
        id: ClientId,
        bytes: &[u8],
        spec: &Spec,
        refused: bool,
    ) -> Option<RequestOutcome> {
        let client = self.clients.get(id)?;
        let (its_turn, current_backend) = (client.in_flight == 0, client.current_backend);
        match self.fanout.kill(&id) {
            Some(_) if !its_turn => Some(self.clients.hold(id, Hold::Replies)),
            Some(Kill::Sent) => Some(self.clients.hold(id, Hold::Kill)),
            // The common way has a deadline.
            Some(Kill::Wanted(_)) => {
                self.fanout.end_kill(&id);
                None
            }
            Some(Kill::Answered(reply)) => {
                let reply = reply.clone();
                self.fanout.end_kill(&id);
                Some(
                    self.clients
                        .finish_fan_out(self.cx, id, spec, |_, out| out.extend_from_slice(&reply)),
                )
            }
            None if its_turn => None,
            None => {
                let own = |slot: &Slot| slot.client() == id && slot.is_script();
                let current_backend = self.pool.backend(current_backend)?;
                let runs_own = current_backend.in_flight.iter().any(own);
                if runs_own || refused || !spec.name.ends_with("|kill") {
                    return None;
                }
                self.fanout.set_kill(id, Kill::Wanted(bytes.into()));
                self.pool.request(AcquireRequest::Kill(id));
                Some(self.clients.hold(id, Hold::Replies))
            }
        }
    }

    /// A connection for it.
    pub fn allocate_kill(&mut self, id: ClientId, starved: &mut bool) -> Allocation {
        match self.fanout.kill(&id) {
            Some(Kill::Wanted(_)) => {
                self.traffic()
                    .allocate_own_connection(AcquireRequest::Kill(id), id, starved)
            }
            _ => Allocation::Done,
        }
    }

    /// That connection is ready. It is closed behind this.
    pub fn send_kill(&mut self, id: BackendId, client_id: ClientId) {
        let now = self.cx.now;
        let (Some(Kill::Wanted(request)), Some(client), Some(backend)) = (
            self.fanout.kill(&client_id),
            self.clients.get(client_id),
            self.pool.backend(id),
        ) else {
            return self.pool.close_backend(self.cx, id, CloseReason::Retired);
        };
        // A reload may have changed as whom its commands run.
        let (on, of) = (backend.context(), client.context());
        if !self.pool.contexts().differ_in_db_only(on, of) {
            return self.pool.close_backend(self.cx, id, CloseReason::Retired);
        }
        let renamed = client.policy(&self.cx.rules).renames().sent(request);
        let sent = renamed.as_deref().unwrap_or(request);
        let Some(backend) = self.pool.backend_mut(id) else {
            return;
        };
        backend.phase = Phase::Draining(Next::Close);
        backend.made_for = None;
        let (receiver, retry_class) = (Receiver::Kill, RetryClass::Unknown);
        let slot = Slot::new(client_id, 0, now, sent.len(), receiver, retry_class);
        backend.send(slot, sent, now);
        self.pool.has_bytes(id, sent.len());
        self.fanout.set_kill(client_id, Kill::Sent);
    }

    /// Its reply has come, or it may have run and nobody will know: `None`.
    pub fn kill_answered(&mut self, id: ClientId, reply: Option<&[u8]>) {
        let Some(kill) = self.fanout.kill_mut(&id) else {
            return;
        };
        let mut unknown = Vec::new();
        let reply = reply.unwrap_or_else(|| {
            Refusal::UnknownOutcome.write(&mut unknown);
            &unknown
        });
        *kill = Kill::Answered(reply.into());
        self.clients.end_hold(id, Hold::Kill);
        self.cx.shared.busy.over(self.cx.now);
    }
}
