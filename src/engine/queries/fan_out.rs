//! Queries about the clients of all workers: `CLIENT LIST`, `CLIENT KILL`, `INFO`. Each
//! is answered when all workers have replied, or after a second with what there is.

use crate::session::ClientFilter;
use crate::telemetry::{ClientCloseReason, Way};

use crate::engine::clients::hold::{Ending, Hold};
use crate::engine::clients::{Client, is_blocked, view};
use crate::engine::effect::Reply;
use crate::engine::event::EngineEvent;
use crate::engine::fanout::pending::Purpose;
use crate::engine::key::ClientId;
use crate::engine::lease::state::{LeaseFor, LeaseState};
use crate::engine::pool::backend::Phase;
use crate::engine::reach::{Queries, Survey, Traffic};
use crate::engine::slot::Slot;

impl Survey<'_> {
    /// How many clients hold a backend of their own of which this is true.
    pub fn leased_clients(&self, is: impl Fn(&LeaseState) -> bool) -> u64 {
        let leases = self.owners().filter_map(|owner| owner.lease.as_ref());
        leases.filter(|lease| is(&lease.state)).count() as u64
    }

    /// The clients that hold a backend of their own.
    fn owners(&self) -> impl Iterator<Item = &Client> {
        let owners = self
            .pool
            .backends()
            .filter_map(|backend| match backend.phase {
                Phase::Leased(owner) => Some(owner),
                _ => None,
            });
        owners.filter_map(|owner| self.clients.get(owner))
    }

    /// How many clients [are blocked](is_blocked).
    pub fn count_blocked(&self) -> u64 {
        let held_up = self.clients.held_up_len();
        let on_server = self.owners().filter(|client| client.waits_on_server());
        let in_line = self.leases.waiting_for(LeaseFor::Blocking) + self.waits.line().len();
        (held_up + on_server.count() + in_line) as u64
    }

    /// Whether what is counted without a look at all clients is what all clients come to.
    pub fn figures_agree(&self) -> bool {
        let blocked = self.clients.values().filter(|c| is_blocked(c)).count() as u64;
        let in_flight: u64 = self.clients.values().map(|c| u64::from(c.in_flight)).sum();
        blocked == self.count_blocked() && in_flight == self.count_in_flight()
    }

    /// How many requests of clients that are here are under way.
    pub fn count_in_flight(&self) -> u64 {
        let slots = self.pool.backends().flat_map(|b| &b.in_flight);
        let here =
            |slot: &&Slot| slot.receiver().is_client() && self.clients.contains_key(slot.client());
        // The reply of a wait that is being ended may be here, and is its client's only then.
        let ending = self.waits.cancels().values();
        let kept = ending.filter(|cancel| cancel.came.is_some() && cancel.owner.is_some());
        (slots.filter(here).count() + kept.count()) as u64
    }
}

impl Queries<'_> {
    pub fn one_more(&mut self, ticket: u64, answer: Reply) {
        let Some(client) = self.fanout.answered(ticket, answer) else {
            return;
        };
        self.one_less(ticket);
        self.cx.events.push_back(EngineEvent::HeldGrew(client));
    }

    pub fn one_less(&mut self, ticket: u64) {
        let Some(fan_out) = self.fanout.get_mut(ticket) else {
            return;
        };
        fan_out.missing = fan_out.missing.saturating_sub(1);
        if fan_out.missing == 0 {
            self.finish(ticket);
        }
    }

    /// Queries that have waited long enough are answered with what there is.
    pub fn expire_fan_outs(&mut self) {
        while let Some((deadline, ticket)) = self.fanout.first_due() {
            if deadline > self.cx.now {
                return self.cx.wake_at(deadline);
            }
            self.finish(ticket);
        }
    }

    pub fn finish(&mut self, ticket: u64) {
        let Some(fan_out) = self.fanout.remove(ticket) else {
            return;
        };
        let id = fan_out.client;
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        // What the server has answered was silenced when it was sent, if at all.
        let was_sent = matches!(fan_out.purpose, Purpose::Info { .. } | Purpose::Exec(_));
        let silent = match &fan_out.purpose {
            Purpose::Info { .. } => false,
            Purpose::Exec(filling) => filling.silent,
            _ => client.session.reply_mode.begin_command(),
        };
        let protocol = client.session.protocol;
        let reply = fan_out.purpose.reply(fan_out.answer, protocol, self.cx);
        if !was_sent {
            self.cx.counters.went(Way::Local);
        }
        if !silent {
            self.clients.share(id, reply.into());
        }
        self.clients.end_hold(id, Hold::FanOut(ticket));
        // One that only sends no more may have sent more before: it is resumed first.
        if (self.clients.get(id)).is_some_and(|client| client.ending != Ending::HalfClosed) {
            self.clients.close_if_done(self.cx, id);
        }
    }
}

impl Traffic<'_> {
    /// Closes the clients that `filter` means. One that kills itself gets its answer first,
    /// as in Redis.
    pub fn kill(&mut self, filter: &ClientFilter) -> u64 {
        let now = self.cx.now;
        let ids: Vec<ClientId> = self
            .clients
            .iter()
            .filter(|(_, client)| filter.means(&view(client, now)))
            .map(|(id, _)| id)
            .collect();
        let count = ids.len() as u64;
        for id in ids {
            self.clients.closes_for(id, ClientCloseReason::Killed);
            let asks = self
                .clients
                .get(id)
                .is_some_and(|c| matches!(c.head.hold, Some(Hold::FanOut(_))));
            if asks {
                self.clients
                    .end(self.cx, id, Ending::AfterReplies(Box::default()));
            } else {
                self.clients.close_now(self.cx, id);
            }
        }
        count
    }
}
