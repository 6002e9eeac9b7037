//! `WAIT` and `WAITAOF`: they ask whether what their own connection has written has arrived elsewhere,
//! and a client's writes have gone by other connections than the one that it is lent. A publication
//! of narrows' own in front of them, which stores nothing, moves that connection's place in the
//! stream of replication behind everything that was written before, whoever did.

use crate::command::Spec;
use crate::resp::write;
use crate::session::{StateChange, own_channel};

use crate::engine::Rules;
use crate::engine::clients::hold::RequestOutcome;
use crate::engine::key::{BackendId, ClientId};
use crate::engine::reach::Traffic;
use crate::engine::slot::Receiver;

impl Traffic<'_> {
    /// Sends a wait for a client's own writes, whose earlier replies are in, behind what makes it
    /// wait for all of them. Both leave in one write.
    pub fn wait_for_writes(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        spec: &Spec,
    ) -> RequestOutcome {
        let now = self.cx.now;
        let lease = self.clients.get(id).and_then(|c| c.lease.as_ref());
        let Some(current_backend) = lease.map(|lease| lease.backend()) else {
            return RequestOutcome::Ended;
        };
        let mut publish = Vec::with_capacity(64);
        write::request(&mut publish, &[b"PUBLISH", own_channel::OFFSET, b""]);
        let change = match &*spec.name {
            "waitaof" => StateChange::WaitAof,
            _ => StateChange::Wait,
        };
        if let Some(outcome) = self.no_room_to_send(id, rules) {
            return outcome;
        }
        if let Some(backend) = self.pool.backend_mut(current_backend) {
            backend.send_own(Receiver::Offset, &publish, now);
        }
        self.pool.mark_backend(current_backend);
        self.send_on_lease(id, rules, bytes, spec, Receiver::OnLease(change))
    }

    /// The server's answer to the publication.
    pub fn offset_moved(&mut self, id: BackendId, reply: &[u8]) {
        let owner = match self.pool.backend(id).map(|b| &b.phase) {
            Some(crate::engine::pool::backend::Phase::Leased(owner)) => *owner,
            _ => return,
        };
        if let Some(lease_state) = self.clients.lease_state(owner) {
            lease_state.offset_unmoved = reply.first() != Some(&b':');
        }
    }
}
