//! What other threads tell an engine: control, and the other workers.

use std::sync::Arc;
use std::time::Duration;

use crate::session::info::{ClientFigures, ClosedClients};
use crate::telemetry::ClientCloseReason;
use crate::topology::Topology;

use super::clients::hold::{Hold, RequestOutcome};
use super::clients::view;
use super::effect::{AnswerTo, Effect, NOBODY, Reply, WorkerQuery};
use super::fanout::pending::{PendingFanOut, Purpose};
use super::key::{ClientId, EndpointId};
use super::{Engine, Rules};

/// One message.
#[derive(Debug)]
pub enum Mail {
    /// Another worker's query, under its number there. The answer follows, at once or as soon as it
    /// is known.
    Asked(AnswerTo, WorkerQuery),
    /// Another worker's answer to the query of this number.
    Answered(u64, Reply),
    /// Another worker cannot be asked the query of this number: it is answered without that one.
    NotAsked(u64),
    /// Another worker waits for a place in the budget.
    PlaceWanted,
    /// This server does, or does not, answer narrows' own health check. Told at each check that is
    /// answered, and once when none is any more.
    Health(EndpointId, bool),
    /// The backend's `COMMAND` has been learned, or could not be: [`Mail::Rules`] came before if it was.
    CommandsLearned,
    /// The rules are these from now on.
    Rules(Arc<Rules>),
    /// The servers are there from now on.
    Topology(Arc<Topology>),
    /// Nothing new is begun: clients are closed as soon as they owe and are owed nothing.
    Drain,
    /// No client is left, and all backends are closed: replies that are still due would reach nobody.
    CloseBackends,
}

/// Longest wait for the server to say whether a wait is ended.
const UNBLOCK_PATIENCE: Duration = Duration::from_secs(10);

/// Longest wait for the other workers.
const PATIENCE: Duration = Duration::from_secs(1);

impl Engine {
    /// Another thread tells this one something.
    pub fn mail(&mut self, mail: Mail, now: Duration) {
        self.advance_to(now);
        match mail {
            Mail::Asked(asker, WorkerQuery::Unblock(id, with_error)) => {
                self.blocking().unblock(id, with_error, asker);
            }
            Mail::Asked(asker, query) => {
                let reply = self.answer(&query, now);
                self.cx.reply_to(asker, reply);
            }
            Mail::Answered(ticket, reply) => self.queries().one_more(ticket, reply),
            Mail::NotAsked(ticket) => self.queries().one_less(ticket),
            // Looked at by the next timer.
            Mail::PlaceWanted => self.cx.wake_at(now),
            Mail::Health(endpoint, answering) => {
                self.traffic().health_checked(endpoint, answering);
            }
            Mail::Topology(topology) => {
                self.blocking().topology_changed(&topology);
                self.dispatch();
            }
            Mail::CommandsLearned => self.clients.end_command_waits(),
            Mail::Rules(rules) => self.blocking().rules_changed(rules),
            Mail::Drain => self.blocking().drain(),
            Mail::CloseBackends => self.pool.close_backends(&mut self.cx),
        }
    }

    /// Puts `query` to all workers for `client`, whose later requests wait for it.
    pub(super) fn fan_out(
        &mut self,
        client: ClientId,
        query: WorkerQuery,
        mut purpose: Purpose,
    ) -> RequestOutcome {
        let ticket = self.fanout.number();
        // Before anything is answered: one that kills itself gets its answer first.
        if let Some(client) = self.clients.get_mut(client) {
            client.head.hold = Some(Hold::FanOut(ticket));
        }
        let unblocks = matches!(query, WorkerQuery::Unblock(..));
        let patience = match unblocks {
            true => UNBLOCK_PATIENCE,
            false => PATIENCE,
        };
        let deadline = self.cx.now + patience;
        let answer = match &mut purpose {
            // Whether a wait is ended the server has to say, here as on other workers.
            Purpose::Unblock => Reply::Killed(0),
            Purpose::Exec(filling) => filling.take_own(),
            _ => self.answer(&query, self.cx.now),
        };
        let missing = self.cx.workers.saturating_sub(usize::from(!unblocks));
        let fan_out = PendingFanOut {
            client,
            bytes: purpose.held_bytes() + answer.held_bytes(),
            purpose,
            answer,
            missing,
            deadline,
        };
        self.fanout.add(ticket, fan_out);
        if missing == 0 {
            self.queries().finish(ticket);
        } else {
            let worker = self.cx.worker;
            let asked = AnswerTo { worker, ticket };
            if let WorkerQuery::Unblock(id, with_error) = query {
                self.blocking().unblock(id, with_error, asked);
            }
            self.cx.effects.push(Effect::Ask(ticket, query));
            self.cx.wake_at(deadline);
        }
        RequestOutcome::TakenAlone
    }

    /// This worker's own answer.
    pub fn answer(&mut self, query: &WorkerQuery, now: Duration) -> Reply {
        self.cx.now = now;
        match query {
            WorkerQuery::List(filter) => Reply::List(
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
            WorkerQuery::Kill(filter) => Reply::Killed(self.traffic().kill(filter)),
            // That takes a while: `asked`. Inside a transaction nobody waits for how it ends.
            WorkerQuery::Unblock(id, with_error) => {
                let found = self.blocking().waiting_client(*id).is_some();
                self.blocking().unblock(*id, *with_error, NOBODY);
                Reply::Killed(u64::from(found))
            }
            WorkerQuery::Each(queries) => {
                let answers = queries.iter().map(|query| self.answer(query, now));
                Reply::Each(answers.collect())
            }
            WorkerQuery::Figures => Reply::Figures(Box::new(ClientFigures {
                connected: self.clients.len() as u64,
                in_flight: self.survey().count_in_flight(),
                blocked: self.survey().count_blocked(),
                subscribed: self.survey().leased_clients(|lease_state| {
                    (lease_state.push_stream.as_ref())
                        .is_some_and(|push_stream| push_stream.subscriptions.any())
                }),
                tracking: self.survey().leased_clients(|lease_state| {
                    lease_state
                        .push_stream
                        .as_ref()
                        .is_some_and(|push_stream| push_stream.tracking)
                }),
                watching: self
                    .survey()
                    .leased_clients(|lease_state| lease_state.transaction.is_watching()),
                waiting: self.pool.waiting() as u64,
                dials: self.cx.counters.dials,
                dials_failed: self.cx.counters.dials_failed,
                poisoned: self.cx.counters.poisoned,
                replays: self.cx.counters.replays,
                context_switches: self.cx.counters.context_switches,
                refusals: self.cx.counters.refusals.values().sum(),
                closed_for_limits: self.cx.counters.leaves(ClientCloseReason::OutputLimit)
                    + self.cx.counters.leaves(ClientCloseReason::MemoryLimit),
                closed: ClosedClients {
                    output: self.cx.counters.leaves(ClientCloseReason::OutputLimit),
                    memory: self.cx.counters.leaves(ClientCloseReason::MemoryLimit),
                    in_transaction: self
                        .cx
                        .counters
                        .leaves(ClientCloseReason::IdleInTransaction),
                    idle: self.cx.counters.leaves(ClientCloseReason::Idle),
                    login: self.cx.counters.leaves(ClientCloseReason::Login),
                },
                ..ClientFigures::default()
            })),
        }
    }
}
