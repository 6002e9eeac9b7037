//! Rights to what narrows answers itself, in mode `passthrough`: the server is asked, by sending it
//! the client's own command in a form that changes nothing, as the client's own user. Its `NOPERM`
//! is the answer, and stands in its `ACL LOG` as it would have directly. A right is believed for
//! [`BELIEVED`]; a refusal is asked for again each time. Whatever is not clearly a permission is none.

use std::time::Duration;

use crate::command::{Local, Spec};
use crate::resp::write;
use crate::session::AuthMode;
use crate::telemetry::ClientCloseReason;

use crate::engine::Rules;
use crate::engine::clients::hold::{Ending, Hold, RequestOutcome};
use crate::engine::key::ClientId;
use crate::engine::reach::Traffic;
use crate::engine::slot::{AccessKind, Receiver, RetryClass, Slot};
use crate::engine::verdict::ServerVerdict;

/// How long a right is believed without asking again.
const BELIEVED: Duration = Duration::from_secs(5);

impl Traffic<'_> {
    /// What comes of a local command whose right the server has to be asked for. `None`: it has
    /// been, or need not be. The client has nothing in flight.
    pub fn ask_permission(
        &mut self,
        id: ClientId,
        rules: &Rules,
        spec: &Spec,
        local: Local,
    ) -> Option<RequestOutcome> {
        if rules.access.mode != AuthMode::Passthrough {
            return None;
        }
        let harmless = local.harmless()?;
        let client = self.clients.get(id)?;
        if let Some(ServerVerdict::Refused(reply)) = client.head.verdict() {
            let reply = reply.clone();
            return Some(self.clients.answer_error(self.cx, id, &reply));
        }
        let known = self.pool.credential(client.credential);
        let granted = known.and_then(|known| known.rights.get(&*spec.name));
        if granted.is_some_and(|at| self.cx.now.saturating_sub(*at) < BELIEVED) {
            return None;
        }
        let mut request = Vec::new();
        write::request(&mut request, harmless);
        let (context, lease) = (client.context(), client.lease.as_ref());
        let current_backend = match lease.map(|lease| lease.backend()) {
            Some(current_backend) => current_backend,
            None => match self.pool.pick(
                self.cx,
                self.pool.key_of(context),
                AccessKind::Read,
                request.len(),
                &rules.settings,
            ) {
                Some(pipe) => pipe,
                None => {
                    let busy = self.clients.answer_busy(self.cx, id, spec);
                    return Some(busy.unwrap_or_else(|| self.wait_for_right(id, rules, local)));
                }
            },
        };
        let now = self.cx.now;
        let backend = self.pool.backend_mut(current_backend)?;
        let receiver = Receiver::Permission;
        let slot = Slot::new(id, 0, now, request.len(), receiver, RetryClass::Unknown);
        backend.send(slot, &request, now);
        self.pool.mark_backend(current_backend);
        if let Some(client) = self.clients.get_mut(id) {
            client
                .head
                .is_judged(ServerVerdict::Asked(spec.name.clone(), local));
        }
        Some(self.clients.hold(id, Hold::Permission))
    }

    /// There is no backend to ask on. Where the client's next requests mean something else without
    /// this one, it is closed after it was told that it could not be carried out.
    fn wait_for_right(&mut self, id: ClientId, rules: &Rules, local: Local) -> RequestOutcome {
        let outcome = self.wait_for_pipe(id, rules);
        if outcome == RequestOutcome::Taken && local.matters_to_what_follows() {
            self.clients.closes_for(id, ClientCloseReason::Refused);
            self.clients.end(self.cx, id, Ending::AfterOutput);
            return RequestOutcome::Ended;
        }
        outcome
    }

    /// What the server says to the harmless form of the client's next request.
    pub fn permission_came(&mut self, id: ClientId, reply: &[u8]) {
        let now = self.cx.now;
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        if client.head.hold != Some(Hold::Permission) {
            return;
        }
        let Some(ServerVerdict::Asked(name, local)) = client.head.take_verdict() else {
            // It is asked again.
            return self.clients.end_hold(id, Hold::Permission);
        };
        match is_permission(local, reply) {
            false => client.head.is_judged(ServerVerdict::Refused(reply.into())),
            true => {
                if let Some(known) = self.pool.credential_mut(client.credential) {
                    known.rights.insert(name, now);
                }
            }
        }
        self.clients.end_hold(id, Hold::Permission);
    }
}

/// Whether the server lets a user run a command, to whose harmless form it says `reply`. It looks at
/// rights before it says that it is loading, busy or a replica (`processCommand`, server.c); those
/// errors have a code of their own.
fn is_permission(local: Local, reply: &[u8]) -> bool {
    let begins = |code: &str| reply.starts_with(code.as_bytes());
    let refused = begins("-NOPERM") || begins("-NOAUTH");
    !(refused || (begins("-ERR") && local.runs_harmlessly()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_clearly_a_permission_is_none() {
        let cases: [(Local, &str, bool); 9] = [
            (Local::ClientId, ":7\r\n", true),
            (Local::ClientId, "-NOPERM no\r\n", false),
            (
                Local::ClientList,
                "-NOAUTH Authentication required.\r\n",
                false,
            ),
            (
                Local::ClientList,
                "-ERR max number of clients reached\r\n",
                false,
            ),
            (Local::ClientKill, "-ERR unknown subcommand\r\n", false),
            (Local::ClientKill, "-LOADING Redis is loading\r\n", true),
            (Local::ClientReply, "+OK\r\n", true),
            (
                Local::ClientSetname,
                "-ERR Client names cannot contain spaces\r\n",
                true,
            ),
            (Local::Select, "-ERR invalid DB index\r\n", true),
        ];
        for (local, reply, permits) in cases {
            assert_eq!(is_permission(local, reply.as_bytes()), permits, "{reply}");
        }
    }
}
