//! Requests of a client that holds a backend of its own: nearly all of them travel there, as they
//! would on a direct connection. What narrows answers itself is answered at its turn, inside a
//! transaction too.

use crate::command::{Local, Spec};
use crate::resp::{Args, Refusal, write};
use crate::session::step::LostEnd;
use crate::session::{LocalAnswer, StateChange, answer};

use crate::engine::clients::hold::{Hold, RequestOutcome};
use crate::engine::context::Setting;
use crate::engine::key::ClientId;
use crate::engine::lease::state::LeaseFor;
use crate::engine::reach::{Lending, Traffic};
use crate::engine::slot::{Receiver, RetryClass};
use crate::engine::{Engine, Rules};

impl Engine {
    /// `SELECT` and `HELLO`: the connection changes together with its client, who has nothing in flight.
    pub fn switch_leased(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        spec: &Spec,
        local: Local,
    ) -> RequestOutcome {
        let Some(client) = self.clients.get_mut(id) else {
            return RequestOutcome::Ended;
        };
        let (protocol, db) = (client.session.protocol, client.session.db);
        let mut args = Args::new(bytes);
        args.next();
        let to = match answer(local, &mut client.session, args, &mut Vec::new()) {
            Ok(LocalAnswer::Select { db }) => Setting { protocol, db },
            Ok(LocalAnswer::Hello {
                protocol: other,
                name,
                login,
            }) if other != protocol => {
                if let Some(Err(outcome)) = login.map(|login| self.gate().log_in(id, login)) {
                    return outcome;
                }
                if let Some(name) = name {
                    self.clients.rename(&mut self.cx, id, &name);
                }
                Setting {
                    protocol: other,
                    db,
                }
            }
            // Nothing changes, or it is refused.
            _ => return self.local(id, bytes, spec, local),
        };
        let mut request = Vec::new();
        if to.protocol != protocol {
            let version = [b'0' + to.protocol.number()];
            write::request(&mut request, &[b"HELLO", &version]);
        } else {
            request.extend_from_slice(bytes);
        }
        let outcome = self.traffic().send_on_lease(
            id,
            rules,
            &request,
            spec,
            Receiver::OnLease(StateChange::Switch),
        );
        if outcome == RequestOutcome::Taken {
            if let Some(lease_state) = self.clients.lease_state(id) {
                lease_state.switch = Some(to);
            }
            // What follows is meant for where it leads.
            if let Some(client) = self.clients.get_mut(id) {
                client.head.hold = Some(Hold::Replies);
            }
            return RequestOutcome::TakenAlone;
        }
        outcome
    }
}

impl Lending<'_> {
    /// What may leave state: its reply tells whether the client keeps the backend for that.
    pub fn pin(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        spec: &Spec,
        change: StateChange,
    ) -> RequestOutcome {
        let lasts = self
            .clients
            .lease_state(id)
            .is_some_and(|lease_state| lease_state.lasts());
        if !lasts && !self.lease_lasts(id, LeaseFor::Pin) {
            return self.clients.no_room_to_last(self.cx, id);
        }
        self.traffic()
            .send_on_lease(id, rules, bytes, spec, Receiver::OnLease(change))
    }
}

impl Traffic<'_> {
    /// A transaction that its client has lost ends. `None`: what ends it is decided anew.
    pub fn end_lost(&mut self, id: ClientId, spec: &Spec, end: LostEnd) -> Option<RequestOutcome> {
        let lost = &mut self.clients.get_mut(id)?.session.lost;
        match end {
            LostEnd::Replaced => lost.begins_another(),
            LostEnd::Executed | LostEnd::Discarded | LostEnd::Left => lost.over(),
        }
        match end {
            LostEnd::Executed => Some(self.clients.refuse(self.cx, id, &Refusal::TransactionLost)),
            LostEnd::Discarded => Some(
                self.clients
                    .finish_fan_out(self.cx, id, spec, |_, out| write::status(out, "OK")),
            ),
            LostEnd::Replaced | LostEnd::Left => None,
        }
    }

    /// Sends a request down the client's own backend.
    pub fn send_on_lease(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        spec: &Spec,
        receiver: Receiver,
    ) -> RequestOutcome {
        if let Some(outcome) = self.no_room_to_send(id, rules) {
            return outcome;
        }
        let lease = self.clients.get(id).and_then(|c| c.lease.as_ref());
        let Some(current_backend) = lease.map(|lease| lease.backend()) else {
            return RequestOutcome::Ended;
        };
        self.send(
            id,
            current_backend,
            bytes,
            spec,
            receiver,
            RetryClass::alone(spec),
        );
        self.clients.queues(id, spec);
        RequestOutcome::Taken
    }

    /// Why the client's next request cannot go down its own backend now, if so.
    pub fn no_room_to_send(&mut self, id: ClientId, rules: &Rules) -> Option<RequestOutcome> {
        let settings = &rules.settings.clients;
        let client = self.clients.get_mut(id)?;
        if client.in_flight as usize >= settings.in_flight_max {
            return Some(client.hold(Hold::Room));
        }
        // What waits with the client is bounded; its connection takes as much as a shared one.
        let backend = client.lease.as_ref().map(|lease| lease.backend());
        let backend = backend.and_then(|id| self.pool.backend(id));
        let bytes_max = rules.settings.pool.pipe_bytes_max;
        if client.in_flight > 0 && backend.is_some_and(|b| b.out.unanswered_len() > bytes_max) {
            return Some(client.hold(Hold::Replies));
        }
        (client.out.len() > settings.output_pause_bytes).then(|| client.hold(Hold::Output))
    }

    /// A command of a transaction.
    pub fn transact(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        spec: &Spec,
        change: StateChange,
    ) -> RequestOutcome {
        let Some(lease_state) = self.clients.lease_state(id) else {
            return RequestOutcome::Ended;
        };
        let fan_outs = change == StateChange::ExecFilled && lease_state.transaction.fan_outs();
        let mut discard = Vec::new();
        let bytes = match change.abort_reason() {
            None => bytes,
            Some(_) => {
                write::request(&mut discard, &[b"DISCARD"]);
                &discard
            }
        };
        let outcome = self.send_on_lease(id, rules, bytes, spec, Receiver::OnLease(change));
        if let Some(lease_state) = self
            .clients
            .lease_state(id)
            .filter(|_| outcome == RequestOutcome::Taken)
        {
            lease_state.transaction.sent(change);
            if fan_outs {
                // Its reply takes a way round by the other workers; no later one may overtake it.
                self.clients.hold(id, Hold::FanOut(0));
                return RequestOutcome::TakenAlone;
            }
        }
        outcome
    }
}
