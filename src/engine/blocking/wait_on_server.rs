//! A command that waits on the server, on its client's own backend: how it is sent, what its reply
//! means, and that it ends with its client. How it is ended before its time: `cancel.rs`.

use std::time::Duration;

use crate::command::Spec;
use crate::resp::write;
use crate::session::put_back::is_nil;
use crate::session::waiting::{Least, Takes, Timeout, Waiting};

use crate::engine::Rules;
use crate::engine::clients::Client;
use crate::engine::clients::hold::{Ending, Hold, RequestOutcome};
use crate::engine::key::{BackendId, ClientId};
use crate::engine::lease::holding::Lease;
use crate::engine::lease::state::{LeaseFor, LeaseState};
use crate::engine::lease::wait::{Manner, SLICE, Slices, UNBLOCKED, Wait};
use crate::engine::pool::backend::Phase;
use crate::engine::pool::reply_batch::ReplyBatch;
use crate::engine::reach::{Blocking, Lending, Traffic};
use crate::engine::slot::{Receiver, RetryClass, Slot};
use crate::engine::waits::cancels::Why;

impl Client {
    /// Whether it is in a command that waits, on the server or in line for a place there.
    pub fn waits(&self) -> bool {
        self.waits_on_server() || self.waits_in_line()
    }

    /// Whether it is in a command that waits on the server.
    pub fn waits_on_server(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.state.waits())
    }

    /// What it waits in on the server.
    pub fn waits_with(&self) -> Option<&Wait> {
        let lease = self.lease.as_ref()?;
        lease.state.wait.as_deref()
    }

    /// Whether the command that it waits in goes on though it has left.
    pub fn waits_on_without_it(&mut self) -> bool {
        let wait = self
            .lease
            .as_mut()
            .and_then(|lease| lease.state.wait.as_mut());
        wait.is_some_and(|wait| wait.goes_on_without_client())
    }

    fn waits_in_line(&self) -> bool {
        self.head.hold == Some(Hold::Lease(LeaseFor::Blocking))
    }
}

impl Blocking<'_> {
    /// The whole reply of a wait.
    pub fn wait_answered(
        &mut self,
        backend: BackendId,
        batch: &ReplyBatch,
        reply: Vec<u8>,
        silent: bool,
    ) {
        if self.waits.cancels().is_under_way(backend) {
            return self.answered_while_ending(backend, reply, batch.first, silent);
        }
        let id = batch.client;
        let (nil, now) = (is_nil(&reply), self.cx.now);
        let Some(wait) = self
            .clients
            .lease_state(id)
            .and_then(|lease_state| lease_state.wait.as_ref())
        else {
            return self
                .clients
                .settled(self.cx, batch.client, batch.first, batch.ended);
        };
        if wait.was_in_vain(&reply) {
            return self.waits_in_vain(backend, batch);
        }
        match &wait.manner {
            Manner::Sliced(slices) if nil && slices.until.is_none_or(|until| until > now) => {
                let request = slices.request.clone();
                return self.traffic().wait_on(backend, batch, &request, silent);
            }
            Manner::Tried(_) | Manner::Sliced(_) | Manner::Brief(_) | Manner::Whole => {}
        }
        if !silent {
            self.clients.share(id, reply.into());
        }
        self.clients
            .settled(self.cx, batch.client, batch.first, batch.ended);
    }

    /// A client that has left would have to wait: as in Redis that is its end.
    pub fn waits_in_vain(&mut self, backend: BackendId, batch: &ReplyBatch) {
        self.wait_over(backend, batch.client);
        // Nothing that it has sent behind is dealt with.
        self.clients.end(self.cx, batch.client, Ending::AfterOutput);
        self.clients
            .settled(self.cx, batch.client, batch.first, batch.ended);
        self.lending().end_lease_if_done(batch.client);
    }

    /// Nothing is in flight any more on a client's own backend: it waits no more.
    pub fn wait_over(&mut self, backend: BackendId, owner: ClientId) {
        if !self.waits.cancels().is_under_way(backend)
            && let Some(lease_state) = self.clients.lease_state(owner)
        {
            lease_state.wait = None;
        }
    }

    /// A client is gone, and leaves this behind. If it waits, an element may be on its way to it:
    /// the wait is ended first.
    pub fn leave_lease_behind(&mut self, lease: Lease) {
        match lease.state.waits() && self.may_end_wait(lease.backend()) {
            true => self.orphan(lease),
            false => {
                self.lending().leave(lease, None);
            }
        }
    }

    /// Ends the wait of the client with this `CLIENT ID`, with the nil of a timeout or an error, and
    /// tells the one who asks whether it has.
    pub fn unblock(
        &mut self,
        number: u64,
        with_error: bool,
        asker: crate::engine::effect::AnswerTo,
    ) {
        match self.waiting_client(number) {
            Some((id, true)) => {
                self.unblock_in_line(id, with_error, asker);
            }
            Some((id, false)) => self.end_wait(id, Why::Unblocked { with_error, asker }),
            None => self.cx.reply_to(asker, crate::engine::Reply::Killed(0)),
        }
    }

    /// The client with this `CLIENT ID`, if it waits, and whether it stands in line for that.
    pub fn waiting_client(&self, number: u64) -> Option<(ClientId, bool)> {
        let in_line = self.leases.find(number, LeaseFor::Blocking);
        let in_line = in_line.or_else(|| self.waits.line().find(number));
        // One that has been closed just now stands there until that is seen to.
        let waits = |id: &ClientId| self.clients.awaited_lease(*id) == Some(LeaseFor::Blocking);
        if let Some(id) = in_line.filter(waits) {
            return Some((id, true));
        }
        let on_server = self.pool.backends().find_map(|backend| {
            let Phase::Leased(owner) = backend.phase else {
                return None;
            };
            let client = self.clients.get(owner)?;
            (client.session.id == number && client.waits_on_server()).then_some(owner)
        });
        on_server.map(|id| (id, false))
    }
}

impl Lending<'_> {
    /// A command that waits, by a client that has a backend to itself anyway and nothing in flight.
    pub fn wait_on_lease(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        spec: &Spec,
    ) -> RequestOutcome {
        if self.cx.draining {
            // It would not be there to be served.
            self.clients
                .close_for(self.cx, id, crate::telemetry::ClientCloseReason::Drained);
            return RequestOutcome::Ended;
        }
        if !self.cx.all_is_read {
            // Its end may be here already, right behind: then it gets what there is.
            self.clients.resume(id);
            return RequestOutcome::Held;
        }
        // It may do so for longer than what it was lent for, and counts among those that wait where
        // there is room for one more; where there is none it waits where it is.
        let ends = |lease_state: &mut LeaseState| lease_state.purpose.term().is_none();
        if self.clients.lease_state(id).is_some_and(ends) {
            self.lease_lasts(id, LeaseFor::Blocking);
        }
        let (wait, limited) = self.traffic().manner_of_waiting(id, bytes, spec);
        let asks_for_nothing = Least::of(&spec.name, bytes).is_nothing(&spec.name);
        let bytes = limited.as_deref().unwrap_or(bytes);
        let outcome = match (spec.waits_for_own_writes(), wait.is_short()) {
            (true, _) => self.traffic().wait_for_writes(id, rules, bytes, spec),
            (false, true) => self.traffic().send_on_lease(
                id,
                rules,
                bytes,
                spec,
                Receiver::Waited { silent: false },
            ),
            (false, false) => {
                self.traffic()
                    .send_on_lease(id, rules, bytes, spec, Receiver::Client)
            }
        };
        if outcome != RequestOutcome::Taken {
            return outcome;
        }
        // What asks for nothing does not wait: it is answered though its client sends no more.
        if !asks_for_nothing {
            self.traffic().waits_on_server(id, wait);
        }
        // As Redis looks at nothing behind a command that waits.
        let _ = self.clients.hold(id, Hold::Replies);
        RequestOutcome::TakenAlone
    }

    /// Ends a wait by closing its connection, where it cannot be ended otherwise: an element that
    /// is on its way is lost.
    pub fn end_by_closing(&mut self, id: ClientId, why: Why) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let (with_error, asker) = match why {
            Why::Unblocked { with_error, asker } => (with_error, asker),
            Why::Drained => {
                return self.clients.close_for(
                    self.cx,
                    id,
                    crate::telemetry::ClientCloseReason::Drained,
                );
            }
            Why::Left => return self.clients.close_now(self.cx, id),
        };
        let Some(lease) = client.part_with_lease() else {
            return;
        };
        let had_push_stream = lease
            .state
            .push_stream
            .as_ref()
            .is_some_and(|push_stream| push_stream.is_live());
        let (protocol, current_backend) = (client.session.protocol, client.current_backend);
        let slots = self
            .pool
            .backend(current_backend)
            .map(|backend| &backend.in_flight);
        let silent = slots.is_some_and(|slots| slots.iter().any(|slot| slot.is_silent()));
        let acknowledged = self.pool.nothing_acknowledged(current_backend);
        if !silent {
            self.clients
                .reply_with(id, |out| match (with_error, acknowledged) {
                    (true, _) => write::error(out, UNBLOCKED),
                    (false, None) => write::null_array(out, protocol),
                    (false, Some(none)) => out.extend_from_slice(none),
                });
        }
        self.break_lease(lease);
        self.traffic().enter_context(id);
        if had_push_stream {
            // What it is pushed has ended with the connection, which it would not know.
            self.clients
                .closes_for(id, crate::telemetry::ClientCloseReason::BackendLost);
            self.clients
                .end(self.cx, id, Ending::AfterReplies(Box::default()));
        }
        self.cx.reply_to(asker, crate::engine::Reply::Killed(1));
    }
}

impl Traffic<'_> {
    /// How the client's command is going to wait, and the request for that, if it is another one.
    fn manner_of_waiting(
        &self,
        id: ClientId,
        bytes: &[u8],
        spec: &Spec,
    ) -> (Wait, Option<Vec<u8>>) {
        let whole = |takes| Wait {
            takes,
            manner: Manner::Whole,
        };
        let Some(waiting) = Waiting::of(&spec.name, bytes) else {
            return (whole(Takes::Nothing), None);
        };
        let lease = self
            .clients
            .get(id)
            .and_then(|client| client.lease.as_ref());
        let Some(backend) = lease.and_then(|lease| self.pool.backend(lease.backend())) else {
            return (whole(waiting.takes), None);
        };
        // A server that has no HELLO reads no fractions either.
        let fractions = backend.server_id.is_some();
        if waiting.timeout == Timeout::Unreadable {
            return (whole(waiting.takes), None);
        }
        let takes = waiting.takes;
        if self.clients.has_left(id) {
            let limit = match (spec.waits_for_own_writes(), waiting.timeout) {
                // Directly its writes may have arrived long ago: here it waits for a later one, so
                // that it takes a while to learn that.
                (true, Timeout::After(length)) => length.min(SLICE),
                (true, _) => SLICE,
                (false, _) => Duration::ZERO,
            };
            let limited = waiting.limited(bytes, limit, fractions);
            let manner = Manner::Tried(Least::of(&spec.name, bytes));
            return (Wait { takes, manner }, Some(limited));
        }
        // What it has waited for in line is a part of its time.
        let since = self.clients.get(id).and_then(|client| client.head.since());
        let until = match waiting.timeout {
            Timeout::After(length) => Some(since.unwrap_or(self.cx.now) + length),
            Timeout::Never | Timeout::Unreadable => None,
        };
        let within_slice = until.is_some_and(|until| until <= self.cx.now + SLICE);
        if within_slice && spec.waits_for_own_writes() {
            let manner = Manner::Brief(Least::of(&spec.name, bytes));
            return (Wait { takes, manner }, None);
        }
        let in_slices = backend.server_id.is_some()
            && !within_slice
            && !spec.waits_for_own_writes()
            && self
                .pool
                .canceller_for(self.cx, backend.credential())
                .is_none();
        if !in_slices {
            let left = until.map(|until| until.saturating_sub(self.cx.now));
            let left = left.filter(|_| since.is_some_and(|since| since < self.cx.now));
            let limited = left.map(|left| waiting.limited(bytes, left, fractions));
            return (whole(takes), limited);
        }
        let request = waiting.limited(bytes, SLICE, fractions);
        let slices = Slices {
            request: request.clone(),
            until,
        };
        let manner = Manner::Sliced(Box::new(slices));
        (Wait { takes, manner }, Some(request))
    }

    /// The command that was just sent may wait on the server for as long as it likes.
    fn waits_on_server(&mut self, id: ClientId, wait: Wait) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let current_backend = client.current_backend;
        if let Some(lease) = client.lease.as_mut() {
            lease.state.wait = Some(Box::new(wait));
        }
        if let Some(backend) = self.pool.backend_mut(current_backend) {
            backend.patient = true;
        }
    }

    /// One more slice, in the place of the one before it.
    fn wait_on(&mut self, id: BackendId, batch: &ReplyBatch, request: &[u8], silent: bool) {
        let now = self.cx.now;
        let receiver = Receiver::Waited { silent };
        let renamed = self
            .clients
            .policy(batch.client, &self.cx.rules)
            .renames()
            .sent(request);
        let request = renamed.as_deref().unwrap_or(request);
        if let Some(backend) = self.pool.backend_mut(id) {
            let length = request.len();
            let slot = Slot::new(
                batch.client,
                batch.first,
                now,
                length,
                receiver,
                RetryClass::Unknown,
            );
            backend.send(slot, request, now);
        }
        self.pool.mark_backend(id);
    }
}
