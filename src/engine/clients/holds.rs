//! What clients wait for, and how their end begins.

use crate::engine::cx::Cx;
use crate::engine::event::EngineEvent;
use crate::engine::key::ClientId;
use crate::engine::lease::state::LeaseFor;
use crate::telemetry::ClientCloseReason;

use super::hold::{Ending, Hold, RequestOutcome};
use super::{Client, Clients};

impl Clients {
    pub fn hold(&mut self, id: ClientId, hold: Hold) -> RequestOutcome {
        match self.get_mut(id) {
            Some(client) => client.hold(hold),
            None => RequestOutcome::Ended,
        }
    }

    /// What comes behind an `INFO` that is heard waits for its reply.
    pub fn alone_if_held(&self, id: ClientId, outcome: RequestOutcome) -> RequestOutcome {
        match self.get(id).and_then(|client| client.head.hold) {
            Some(Hold::FanOut(_)) if outcome == RequestOutcome::Taken => RequestOutcome::TakenAlone,
            _ => outcome,
        }
    }

    pub fn has_left(&self, id: ClientId) -> bool {
        let client = self.get(id);
        client.is_some_and(|client| client.ending == Ending::HalfClosed || client.hung_up)
    }

    /// What a client waits for a lease for.
    pub fn awaited_lease(&self, id: ClientId) -> Option<LeaseFor> {
        match self.get(id)?.head.hold {
            Some(Hold::Lease(purpose)) => Some(purpose),
            _ => None,
        }
    }

    /// `count` replies of a client are in, or will never be, from number `first` on.
    ///
    /// # Panics
    /// When that is not the one that is due, in release builds too: the worker closes its sockets and starts
    /// afresh rather than let a reply reach another client.
    pub fn replies_in(&mut self, cx: &mut Cx, id: ClientId, first: u32, count: u32) {
        let in_flight_max = &cx.rules.settings.clients.in_flight_max;
        let Some(client) = self.get_mut(id) else {
            return;
        };
        assert_eq!(first, client.sequence_due, "replies leave in request order");
        client.sequence_due = first.wrapping_add(count);
        client.in_flight -= count;
        let goes_on = match client.head.hold {
            Some(Hold::Replies) => client.in_flight == 0,
            Some(Hold::Room) => (client.in_flight as usize) <= in_flight_max / 2,
            _ => false,
        };
        if goes_on {
            client.head.hold = None;
            self.resume(id);
        } else if client.in_flight == 0 && (client.ending != Ending::No || cx.draining) {
            self.close_if_done(cx, id);
        }
    }

    /// It is looked at whether the client's end has come.
    pub fn close_if_done(&mut self, cx: &mut Cx, id: ClientId) {
        let ends = |client: &Client| client.ending != Ending::No;
        if cx.draining || self.get(id).is_some_and(ends) {
            cx.events.push_back(EngineEvent::ClientEnding(id));
        }
    }

    /// The client's connection ends for this reason, unless it does already for another.
    pub fn closes_for(&mut self, id: ClientId, why: ClientCloseReason) {
        if let Some(client) = self.get_mut(id) {
            client.leaving.get_or_insert(why);
        }
    }

    /// The hold is over, if it is still this one.
    pub fn end_hold(&mut self, id: ClientId, hold: Hold) {
        if let Some(client) = self.get_mut(id)
            && client.head.hold == Some(hold)
        {
            client.head.hold = None;
            self.resume(id);
        }
    }

    /// As many requests less are in flight for the client as replies have ended.
    pub fn settled(&mut self, cx: &mut Cx, id: ClientId, first: u32, ended: u32) {
        if ended > 0 {
            self.replies_in(cx, id, first, ended);
        }
    }

    /// What it was asked on keeps silent: it is asked elsewhere.
    pub fn ask_permission_again(&mut self, id: ClientId) {
        if let Some(client) = self.get_mut(id)
            && client.head.hold == Some(Hold::Permission)
        {
            client.head.take_verdict();
            self.end_hold(id, Hold::Permission);
        }
    }

    pub fn leaving_is_over(&mut self, client: Option<ClientId>) {
        if let Some(client) = client {
            self.end_hold(client, Hold::Leaving);
        }
    }
}
