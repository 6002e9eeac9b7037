//! Requests that are not carried: what their clients are told, at the requests' turn.

use crate::admission::fault_injection::{self, Bug};
use crate::engine::cx::Cx;
use crate::engine::key::ClientId;
use crate::engine::lease::state::LeaseFor;
use crate::resp::{NotExecuted, Refusal};
use crate::telemetry::{ClientCloseReason, Way};

use super::Clients;
use super::hold::{Ending, Hold, RequestOutcome};

impl Clients {
    /// Answers with an error, at the request's turn.
    pub fn refuse(&mut self, cx: &mut Cx, id: ClientId, refusal: &Refusal<'_>) -> RequestOutcome {
        let now = cx.now;
        let Some(client) = self.get_mut(id) else {
            return RequestOutcome::Ended;
        };
        if client.in_flight > 0 {
            return client.hold(Hold::Replies);
        }
        let silent = client.session.reply_mode.begin_command();
        client.active_at = now;
        // Redis remembers what it has looked up, whatever became of it.
        match refusal {
            Refusal::UnknownCommand { .. } | Refusal::UnknownSubcommand { .. } => {
                client.last_command.set("NULL");
            }
            Refusal::Arity { command } => client.last_command.set(command),
            _ => {}
        }
        cx.counters.refused(refusal.label());
        cx.counters.went(Way::Refused);
        match silent {
            false => self.reply_with(id, |out| refusal.write(out)),
            true if refusal.is_failure() => return self.cannot_be_told(cx, id),
            true => {}
        }
        RequestOutcome::Taken
    }

    /// A request was not carried out, and its client has asked for silence: it learns that by the end
    /// of its connection.
    pub fn cannot_be_told(&mut self, cx: &mut Cx, id: ClientId) -> RequestOutcome {
        self.closes_for(id, ClientCloseReason::Refused);
        self.end(cx, id, Ending::AfterReplies(Box::default()));
        RequestOutcome::Ended
    }

    /// The request has not run; `why` says that and why.
    pub fn not_executed(
        &mut self,
        cx: &mut Cx,
        id: ClientId,
        why: NotExecuted<'_>,
    ) -> RequestOutcome {
        self.refuse(cx, id, &Refusal::NotExecuted(why))
    }

    /// Refuses a request; the transaction that it stands in cannot be executed any more.
    pub fn refuse_queued(
        &mut self,
        cx: &mut Cx,
        id: ClientId,
        refusal: &Refusal<'_>,
    ) -> RequestOutcome {
        let outcome = self.refuse(cx, id, refusal);
        if outcome == RequestOutcome::Taken
            && let Some(lease_state) = self.lease_state(id)
        {
            lease_state.transaction.refused();
        }
        outcome
    }

    /// What a client has pipelined behind a `MULTI` that narrows could not carry must not run
    /// without it: it is closed after being told.
    pub fn refused_lease(
        &mut self,
        cx: &mut Cx,
        id: ClientId,
        purpose: LeaseFor,
        outcome: RequestOutcome,
    ) -> RequestOutcome {
        let goes_on = fault_injection::has(Bug::MultiRefusedGoesOn);
        if outcome == RequestOutcome::Taken && purpose.decides_what_follows() && !goes_on {
            self.closes_for(id, ClientCloseReason::Refused);
            self.end(cx, id, Ending::AfterOutput);
            return RequestOutcome::Ended;
        }
        outcome
    }

    pub fn not_lent(
        &mut self,
        cx: &mut Cx,
        id: ClientId,
        purpose: LeaseFor,
        why: NotExecuted<'_>,
    ) -> RequestOutcome {
        let outcome = self.not_executed(cx, id, why);
        self.refused_lease(cx, id, purpose, outcome)
    }

    /// What its client holds cannot be lent for longer. Before the server's own limit is known that
    /// is no answer: control, which is about to ask for it, says when it has.
    pub fn no_room_to_last(&mut self, cx: &mut Cx, id: ClientId) -> RequestOutcome {
        let Some(client) = self.get_mut(id) else {
            return RequestOutcome::Ended;
        };
        if client.head.since().is_some() || !cx.shared.budget.is_limit_awaited() {
            client.head.waits_no_more();
            return self.not_executed(cx, id, NotExecuted::BudgetSpent);
        }
        match client.in_flight {
            0 => self.ask_control(cx, id),
            _ => client.hold(Hold::Replies),
        }
    }
}
