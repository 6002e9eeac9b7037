//! Questions about the clients of all workers: `CLIENT LIST`, `CLIENT KILL`, `INFO`. Each
//! is answered when all workers have replied, or after a second with what there is.

use std::time::Duration;

use crate::session::ClientFilter;
use crate::session::info::{ClientFigures, ClosedClients};
use crate::telemetry::{Leave, Way};

use super::Engine;
use super::clients::hold::{Ending, Hold, Outcome};
use super::clients::{Client, is_blocked, view};
use super::effect::{Asker, Effect, NOBODY, Question, Reply};
use super::fanout::gather::{Gather, Purpose};
use super::key::ClientId;
use super::lease::lent::{LeaseFor, Lent};
use super::pool::backend::Phase;
use super::slot::Slot;

/// Longest wait for the other workers.
const PATIENCE: Duration = Duration::from_secs(1);

/// Longest wait for the server to say whether a wait is ended.
const UNBLOCK_PATIENCE: Duration = Duration::from_secs(10);

impl Engine {
    /// Puts `question` to all workers for `client`, whose later requests wait for it.
    pub(super) fn gather(
        &mut self,
        client: ClientId,
        question: Question,
        mut purpose: Purpose,
    ) -> Outcome {
        let ticket = self.fanout.gathers.number();
        // Before anything is answered: one that kills itself gets its answer first.
        if let Some(client) = self.clients.get_mut(client) {
            client.head.hold = Some(Hold::Gather(ticket));
        }
        let unblocks = matches!(question, Question::Unblock(..));
        let patience = match unblocks {
            true => UNBLOCK_PATIENCE,
            false => PATIENCE,
        };
        let deadline = self.cx.now + patience;
        let answer = match &mut purpose {
            // Whether a wait is ended the server has to say, here as on other workers.
            Purpose::Unblock => Reply::Killed(0),
            Purpose::Exec(filling) => filling.take_own(),
            _ => self.answer(&question, self.cx.now),
        };
        let missing = self.cx.workers.saturating_sub(usize::from(!unblocks));
        let gather = Gather {
            client,
            bytes: purpose.held_bytes() + answer.held_bytes(),
            purpose,
            answer,
            missing,
            deadline,
        };
        self.fanout.gathers.add(ticket, gather);
        if missing == 0 {
            self.finish(ticket);
        } else {
            let asked = (self.cx.worker, ticket);
            if let Question::Unblock(id, with_error) = question {
                self.unblock(id, with_error, asked);
            }
            self.cx.effects.push(Effect::Ask(ticket, question));
            self.cx.wake_at(deadline);
        }
        Outcome::TakenAlone
    }

    /// A worker's question, under its number there. The answer follows, at once or as soon as it
    /// is known.
    pub fn asked(&mut self, asker: Asker, question: &Question, now: Duration) {
        self.advance_to(now);
        if let Question::Unblock(id, with_error) = question {
            return self.unblock(*id, *with_error, asker);
        }
        let reply = self.answer(question, now);
        self.cx.reply_to(asker, reply);
    }

    /// Another worker's answer to a question of this one.
    pub fn answered(&mut self, ticket: u64, answer: Reply, now: Duration) {
        self.advance_to(now);
        self.one_more(ticket, answer);
    }

    pub(super) fn one_more(&mut self, ticket: u64, answer: Reply) {
        let Some(client) = self.fanout.gathers.answered(ticket, answer) else {
            return;
        };
        self.one_less(ticket);
        self.shed_memory(client);
    }

    /// Another worker cannot be asked: the question is answered without it.
    pub fn not_asked(&mut self, ticket: u64, now: Duration) {
        self.advance_to(now);
        self.one_less(ticket);
    }

    fn one_less(&mut self, ticket: u64) {
        let Some(gather) = self.fanout.gathers.get_mut(ticket) else {
            return;
        };
        gather.missing = gather.missing.saturating_sub(1);
        if gather.missing == 0 {
            self.finish(ticket);
        }
    }

    /// Questions that have waited long enough are answered with what there is.
    pub(super) fn expire_gathers(&mut self) {
        while let Some((deadline, ticket)) = self.fanout.gathers.first_due() {
            if deadline > self.cx.now {
                return self.cx.wake_at(deadline);
            }
            self.finish(ticket);
        }
    }

    fn finish(&mut self, ticket: u64) {
        let Some(gather) = self.fanout.gathers.remove(ticket) else {
            return;
        };
        let id = gather.client;
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        // What the server has answered was silenced when it was sent, if at all.
        let was_sent = matches!(gather.purpose, Purpose::Info { .. } | Purpose::Exec(_));
        let silent = match &gather.purpose {
            Purpose::Info { .. } => false,
            Purpose::Exec(filling) => filling.silent,
            _ => client.session.reply_mode.begin_command(),
        };
        let protocol = client.session.protocol;
        let reply = gather.purpose.reply(gather.answer, protocol, &self.cx);
        if !was_sent {
            self.cx.counters.went(Way::Local);
        }
        if !silent {
            self.clients
                .reply_with(id, |out| out.extend_from_slice(&reply));
        }
        self.clients.end_hold(id, Hold::Gather(ticket));
        // One that only sends no more may have sent more before: it is resumed first.
        if (self.clients.get(id)).is_some_and(|client| client.ending != Ending::HalfClosed) {
            self.clients.close_if_done(&mut self.cx, id);
        }
    }

    /// This worker's own answer.
    pub fn answer(&mut self, question: &Question, now: Duration) -> Reply {
        self.cx.now = now;
        match question {
            Question::List(filter) => Reply::List(
                self.clients
                    .iter()
                    .filter(|(_, client)| filter.means(&view(client, now)))
                    .map(|(_, client)| {
                        let mut line = Vec::with_capacity(256);
                        view(client, now).write(&mut line);
                        line.push(b'\n');
                        (client.session.id, line)
                    })
                    .collect(),
            ),
            Question::Kill(filter) => Reply::Killed(self.kill(filter)),
            // That takes a while: `asked`. Inside a transaction nobody waits for how it ends.
            Question::Unblock(id, with_error) => {
                let found = self.waiting_client(*id).is_some();
                self.unblock(*id, *with_error, NOBODY);
                Reply::Killed(u64::from(found))
            }
            Question::Each(questions) => {
                let answers = questions.iter().map(|question| self.answer(question, now));
                Reply::Each(answers.collect())
            }
            Question::Figures => Reply::Figures(Box::new(ClientFigures {
                connected: self.clients.len() as u64,
                in_flight: self.count_in_flight(),
                blocked: self.count_blocked(),
                subscribed: self.lent_clients(|lent| {
                    (lent.feed.as_ref()).is_some_and(|feed| feed.subscriptions.any())
                }),
                tracking: self
                    .lent_clients(|lent| lent.feed.as_ref().is_some_and(|feed| feed.tracking)),
                watching: self.lent_clients(|lent| lent.bracket.is_watching()),
                waiting: self.pool.endpoint.pools.waiting() as u64,
                dials: self.cx.counters.dials,
                dials_failed: self.cx.counters.dials_failed,
                poisoned: self.cx.counters.poisoned,
                replays: self.cx.counters.replays,
                context_switches: self.cx.counters.context_switches,
                refusals: self.cx.counters.refusals.values().sum(),
                closed_for_limits: self.cx.counters.leaves(Leave::OutputLimit)
                    + self.cx.counters.leaves(Leave::MemoryLimit),
                closed: ClosedClients {
                    output: self.cx.counters.leaves(Leave::OutputLimit),
                    memory: self.cx.counters.leaves(Leave::MemoryLimit),
                    in_transaction: self.cx.counters.leaves(Leave::IdleInTransaction),
                    idle: self.cx.counters.leaves(Leave::Idle),
                    login: self.cx.counters.leaves(Leave::Login),
                },
                ..ClientFigures::default()
            })),
        }
    }

    /// How many clients hold a backend of their own of which this is true.
    fn lent_clients(&self, is: impl Fn(&Lent) -> bool) -> u64 {
        let lent = self.owners().filter_map(|owner| owner.lease.as_ref());
        lent.filter(|lease| is(&lease.lent)).count() as u64
    }

    /// The clients that hold a backend of their own.
    fn owners(&self) -> impl Iterator<Item = &Client> {
        let owners = self
            .pool
            .backends
            .values()
            .filter_map(|backend| match backend.phase {
                Phase::Leased(owner) => Some(owner),
                _ => None,
            });
        owners.filter_map(|owner| self.clients.get(owner))
    }

    /// How many clients [are blocked](is_blocked).
    fn count_blocked(&self) -> u64 {
        let held_up = self.clients.held_up_len();
        let on_server = self.owners().filter(|client| client.waits_on_server());
        let in_line = self.leases.line.of(LeaseFor::Blocking) + self.waits.line.len();
        (held_up + on_server.count() + in_line) as u64
    }

    /// Whether what is counted without a look at all clients is what all clients come to.
    pub(super) fn figures_agree(&self) -> bool {
        let blocked = self.clients.values().filter(|c| is_blocked(c)).count() as u64;
        let in_flight: u64 = self.clients.values().map(|c| u64::from(c.in_flight)).sum();
        blocked == self.count_blocked() && in_flight == self.count_in_flight()
    }

    /// How many requests of clients that are here are under way.
    fn count_in_flight(&self) -> u64 {
        let slots = self.pool.backends.values().flat_map(|b| &b.in_flight);
        let here =
            |slot: &&Slot| slot.receiver().is_client() && self.clients.contains_key(slot.client());
        // The reply of a wait that is being ended may be here, and is its client's only then.
        let ending = self.waits.cancels.all.values();
        let kept = ending.filter(|cancel| cancel.came.is_some() && cancel.owner.is_some());
        (slots.filter(here).count() + kept.count()) as u64
    }

    /// Closes the clients that `filter` means. One that kills itself gets its answer first,
    /// as in Redis.
    fn kill(&mut self, filter: &ClientFilter) -> u64 {
        let now = self.cx.now;
        let ids: Vec<ClientId> = self
            .clients
            .iter()
            .filter(|(_, client)| filter.means(&view(client, now)))
            .map(|(id, _)| id)
            .collect();
        let count = ids.len() as u64;
        for id in ids {
            self.clients.leaves_for(id, Leave::Killed);
            let asks = self
                .clients
                .get(id)
                .is_some_and(|c| matches!(c.head.hold, Some(Hold::Gather(_))));
            if asks {
                self.end(id, Ending::AfterReplies(Box::default()));
            } else {
                self.close_now(id);
            }
        }
        count
    }
}
