//! Rights to what narrows answers itself, in mode `passthrough`: the server is asked, by sending it
//! the client's own command in a form that changes nothing, as the client's own user. Its `NOPERM`
//! is the answer, and stands in its `ACL LOG` as it would have directly. A right is believed for
//! [`BELIEVED`]; a refusal is asked for again each time.

use std::time::Duration;

use crate::command::{Local, Spec};
use crate::resp::write;
use crate::session::AuthMode;
use crate::telemetry::Leave;

use super::backend::Access;
use super::hold::{Ending, Hold, Outcome};
use super::key::ClientId;
use super::login::Verdict;
use super::slot::{Fate, Receiver, Slot};
use super::{Engine, Rules};

/// How long a right is believed without asking again.
const BELIEVED: Duration = Duration::from_secs(5);

impl Engine {
    /// What comes of a local command whose right the server has to be asked for. `None`: it has
    /// been, or need not be. The client has nothing in flight.
    pub(super) fn ask_permission(
        &mut self,
        id: ClientId,
        rules: &Rules,
        spec: &Spec,
        local: Local,
    ) -> Option<Outcome> {
        if rules.access.mode != AuthMode::Passthrough {
            return None;
        }
        let harmless = local.harmless()?;
        let client = self.clients.get(id)?;
        if let Some(Verdict::Refused(reply)) = client.verdict.as_deref() {
            let reply = reply.clone();
            return Some(self.answer_error(id, &reply));
        }
        let known = self.credentials.get(client.credential);
        let granted = known.and_then(|known| known.rights.get(&*spec.name));
        if granted.is_some_and(|at| self.now.saturating_sub(*at) < BELIEVED) {
            return None;
        }
        let mut request = Vec::new();
        write::request(&mut request, harmless);
        let (context, lease) = (client.context, client.lease.as_ref());
        let carrier = match lease.map(|lease| lease.backend()) {
            Some(carrier) => carrier,
            None => match self.pick(context, Access::Read, request.len(), &rules.settings) {
                Some(pipe) => pipe,
                None => return Some(self.wait_for_right(id, rules, local)),
            },
        };
        let now = self.now;
        let backend = self.backends.get_mut(carrier)?;
        let receiver = Receiver::Permission;
        backend.expect(
            Slot::new(id, 0, now, request.len(), receiver, Fate::Unknown),
            now,
        );
        backend.out.push(&request);
        self.mark_backend(carrier);
        if let Some(client) = self.clients.get_mut(id) {
            client.verdict = Some(Box::new(Verdict::Asked(spec.name.clone())));
        }
        Some(self.hold(id, Hold::Permission))
    }

    /// There is no backend to ask on. Where the client's next requests mean something else without
    /// this one, it is closed after it was told that it could not be carried out.
    fn wait_for_right(&mut self, id: ClientId, rules: &Rules, local: Local) -> Outcome {
        let outcome = self.wait_for_pipe(id, rules);
        if outcome == Outcome::Taken && local.matters_to_what_follows() {
            self.leaves_for(id, Leave::Refused);
            self.end(id, Ending::AfterOutput);
            return Outcome::Ended;
        }
        outcome
    }

    /// What the server says to the harmless form of the client's next request.
    pub(super) fn permission_came(&mut self, id: ClientId, reply: &[u8]) {
        let now = self.now;
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        if client.hold != Some(Hold::Permission) {
            return;
        }
        let asked = client.verdict.take().map(|verdict| *verdict);
        if ["-NOPERM", "-NOAUTH"]
            .iter()
            .any(|no| reply.starts_with(no.as_bytes()))
        {
            client.verdict = Some(Box::new(Verdict::Refused(reply.into())));
        } else if let Some(Verdict::Asked(name)) = asked
            && let Some(known) = self.credentials.get_mut(client.credential)
        {
            known.rights.insert(name, now);
        }
        self.end_hold(id, Hold::Permission);
    }
}
