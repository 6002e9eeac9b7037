//! Questions about the clients of all workers: `CLIENT LIST`, `CLIENT KILL`, `INFO`. Each
//! is answered when all workers have replied, or after a second with what there is.

use std::time::Duration;

use crate::resp::write;
use crate::session::filter::KillForm;
use crate::session::info::{ClientFigures, ClosedClients};
use crate::session::{ClientFilter, ClientView};
use crate::telemetry::{Leave, Way};

use super::Engine;
use super::backend::Phase;
use super::client::Client;
use super::effect::{Effect, Question, Reply};
use super::hold::{Ending, Hold, Outcome};
use super::key::ClientId;
use super::lease::{LeaseFor, Lent};
use super::lifecycle::Event;
use super::queued::Filling;
use super::slot::Slot;

/// Longest wait for the other workers.
const PATIENCE: Duration = Duration::from_secs(1);

/// Longest wait for the server to say whether a wait is ended.
const UNBLOCK_PATIENCE: Duration = Duration::from_secs(10);

/// Nobody waits for the answer.
pub const NOBODY: Asker = (usize::MAX, 0);

/// A worker, and the number of its question there.
pub type Asker = (usize, u64);

/// What the answer is for.
#[derive(Debug)]
pub enum Purpose {
    /// `CLIENT LIST`.
    List,
    /// `CLIENT KILL`.
    Kill(KillForm),
    /// `CLIENT UNBLOCK`.
    Unblock,
    /// `INFO`, whose text from the server this is.
    Info {
        /// The server's text.
        text: Box<[u8]>,
        /// Whether narrows' own section was asked for.
        section: bool,
    },
    /// `EXEC`, for those places of its reply that all workers are asked for.
    Exec(Box<Filling>),
}

/// A question under way.
#[derive(Debug)]
pub struct Gather {
    client: ClientId,
    purpose: Purpose,
    answer: Reply,
    missing: usize,
    deadline: Duration,
    bytes: usize,
}

impl Gather {
    /// Bytes that it holds for its client.
    pub fn held_bytes(&self) -> usize {
        self.bytes
    }

    /// Another worker has answered. How many bytes more it holds.
    pub fn answered(&mut self, answer: Reply) -> usize {
        let more = answer.held_bytes();
        self.answer.merge(answer);
        self.bytes += more;
        more
    }

    /// For whom it is asked.
    pub fn client(&self) -> ClientId {
        self.client
    }

    /// When it is answered with what there is.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }
}

impl Purpose {
    fn held_bytes(&self) -> usize {
        match self {
            Self::Info { text, .. } => text.len(),
            Self::Exec(filling) => filling.held_bytes(),
            Self::List | Self::Kill(_) | Self::Unblock => 0,
        }
    }
}

impl Engine {
    /// Puts `question` to all workers for `client`, whose later requests wait for it.
    pub(super) fn gather(
        &mut self,
        client: ClientId,
        question: Question,
        mut purpose: Purpose,
    ) -> Outcome {
        let ticket = self.gathers.number();
        // Before anything is answered: one that kills itself gets its answer first.
        if let Some(client) = self.clients.get_mut(client) {
            client.hold = Some(Hold::Gather(ticket));
        }
        let unblocks = matches!(question, Question::Unblock(..));
        let patience = match unblocks {
            true => UNBLOCK_PATIENCE,
            false => PATIENCE,
        };
        let deadline = self.now + patience;
        let answer = match &mut purpose {
            // Whether a wait is ended the server has to say, here as on other workers.
            Purpose::Unblock => Reply::Killed(0),
            Purpose::Exec(filling) => filling.take_own(),
            _ => self.answer(&question, self.now),
        };
        let missing = self.workers.saturating_sub(usize::from(!unblocks));
        let gather = Gather {
            client,
            bytes: purpose.held_bytes() + answer.held_bytes(),
            purpose,
            answer,
            missing,
            deadline,
        };
        self.gathers.add(ticket, gather);
        if missing == 0 {
            self.finish(ticket);
        } else {
            let asked = (self.worker, ticket);
            if let Question::Unblock(id, with_error) = question {
                self.unblock(id, with_error, asked);
            }
            self.effects.push(Effect::Ask(ticket, question));
            self.wake_at(deadline);
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
        self.reply_to(asker, reply);
    }

    /// Gives a worker the answer that it waits for.
    pub(super) fn reply_to(&mut self, (worker, ticket): Asker, reply: Reply) {
        match worker {
            usize::MAX => {}
            own if own == self.worker => self.events.push_back(Event::Answered(ticket, reply)),
            _ => self.effects.push(Effect::Answer(worker, ticket, reply)),
        }
    }

    /// Another worker's answer to a question of this one.
    pub fn answered(&mut self, ticket: u64, answer: Reply, now: Duration) {
        self.advance_to(now);
        self.one_more(ticket, answer);
    }

    pub(super) fn one_more(&mut self, ticket: u64, answer: Reply) {
        let Some(client) = self.gathers.answered(ticket, answer) else {
            return;
        };
        self.one_less(ticket);
        self.shed_memory(client);
    }

    /// Nobody waits for the answer any more.
    pub(super) fn forget_gather(&mut self, ticket: u64) {
        self.gathers.remove(ticket);
    }

    /// Another worker cannot be asked: the question is answered without it.
    pub fn not_asked(&mut self, ticket: u64, now: Duration) {
        self.advance_to(now);
        self.one_less(ticket);
    }

    fn one_less(&mut self, ticket: u64) {
        let Some(gather) = self.gathers.get_mut(ticket) else {
            return;
        };
        gather.missing = gather.missing.saturating_sub(1);
        if gather.missing == 0 {
            self.finish(ticket);
        }
    }

    /// Questions that have waited long enough are answered with what there is.
    pub(super) fn expire_gathers(&mut self) {
        while let Some((deadline, ticket)) = self.gathers.first_due() {
            if deadline > self.now {
                return self.wake_at(deadline);
            }
            self.finish(ticket);
        }
    }

    fn finish(&mut self, ticket: u64) {
        let Some(gather) = self.gathers.remove(ticket) else {
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
        let reply = self.gathered(id, gather.purpose, gather.answer);
        if !was_sent {
            self.counters.went(Way::Local);
        }
        if !silent {
            self.reply_with(id, |out| out.extend_from_slice(&reply));
        }
        self.end_hold(id, Hold::Gather(ticket));
        // One that only sends no more may have sent more before: it is resumed first.
        if (self.clients.get(id)).is_some_and(|client| client.ending != Ending::HalfClosed) {
            self.close_if_done(id);
        }
    }

    /// The reply for the client that follows from what all workers have answered.
    pub(super) fn gathered(&self, id: ClientId, purpose: Purpose, answer: Reply) -> Vec<u8> {
        let mut reply = Vec::new();
        let Some(client) = self.clients.get(id) else {
            return reply;
        };
        let protocol = client.session.protocol;
        match (purpose, answer) {
            (Purpose::List, Reply::List(mut lines)) => {
                lines.sort_by_key(|(id, _)| *id);
                let lines: Vec<u8> = lines.into_iter().flat_map(|(_, line)| line).collect();
                write::verbatim(&mut reply, &lines, protocol);
            }
            (Purpose::Kill(form), Reply::Killed(count)) => {
                Self::kill_reply(form, count, &mut reply);
            }
            (Purpose::Info { text, section }, Reply::Figures(figures)) => {
                let text = self.info_text(&text, section, *figures);
                write::verbatim(&mut reply, &text, protocol);
            }
            (Purpose::Unblock, Reply::Killed(count)) => {
                write::integer(&mut reply, i64::from(count > 0));
            }
            (Purpose::Exec(filling), Reply::Each(answers)) => {
                return self.filled(id, *filling, answers);
            }
            (
                Purpose::List
                | Purpose::Kill(_)
                | Purpose::Unblock
                | Purpose::Info { .. }
                | Purpose::Exec(_),
                _,
            ) => {}
        }
        reply
    }

    /// This worker's own answer.
    pub fn answer(&mut self, question: &Question, now: Duration) -> Reply {
        self.now = now;
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
                waiting: self.contexts.waiting() as u64,
                dials: self.counters.dials,
                dials_failed: self.counters.dials_failed,
                poisoned: self.counters.poisoned,
                replays: self.counters.replays,
                context_switches: self.counters.context_switches,
                refusals: self.counters.refusals.values().sum(),
                closed_for_limits: self.counters.leaves(Leave::OutputLimit)
                    + self.counters.leaves(Leave::MemoryLimit),
                closed: ClosedClients {
                    output: self.counters.leaves(Leave::OutputLimit),
                    memory: self.counters.leaves(Leave::MemoryLimit),
                    in_transaction: self.counters.leaves(Leave::IdleInTransaction),
                    idle: self.counters.leaves(Leave::Idle),
                    login: self.counters.leaves(Leave::Login),
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
        let held_up = self.held_up.iter().filter_map(|id| self.clients.get(*id));
        let held_up = held_up.filter(|client| client.hold == Some(Hold::Pause));
        let on_server = self.owners().filter(|client| client.waits_on_server());
        let in_line = self.lease_line.of(LeaseFor::Blocking) + self.line.len();
        (held_up.count() + on_server.count() + in_line) as u64
    }

    /// Whether what is counted without a look at all clients is what all clients come to.
    pub(super) fn figures_agree(&self) -> bool {
        let blocked = self.clients.values().filter(|c| is_blocked(c)).count() as u64;
        let in_flight: u64 = self.clients.values().map(|c| u64::from(c.in_flight)).sum();
        blocked == self.count_blocked() && in_flight == self.count_in_flight()
    }

    /// How many requests of clients that are here are under way.
    fn count_in_flight(&self) -> u64 {
        let slots = self.backends.values().flat_map(|b| &b.in_flight);
        let here =
            |slot: &&Slot| slot.receiver().is_client() && self.clients.contains_key(slot.client());
        // The reply of a wait that is being ended may be here, and is its client's only then.
        let ending = self.cancels.all.values();
        let kept = ending.filter(|cancel| cancel.came.is_some() && cancel.owner.is_some());
        (slots.filter(here).count() + kept.count()) as u64
    }

    /// Closes the clients that `filter` means. One that kills itself gets its answer first,
    /// as in Redis.
    fn kill(&mut self, filter: &ClientFilter) -> u64 {
        let now = self.now;
        let ids: Vec<ClientId> = self
            .clients
            .iter()
            .filter(|(_, client)| filter.means(&view(client, now)))
            .map(|(id, _)| id)
            .collect();
        let count = ids.len() as u64;
        for id in ids {
            self.leaves_for(id, Leave::Killed);
            let asks = self
                .clients
                .get(id)
                .is_some_and(|c| matches!(c.hold, Some(Hold::Gather(_))));
            if asks {
                self.end(id, Ending::AfterReplies(Box::default()));
            } else {
                self.close_now(id);
            }
        }
        count
    }

    /// The client's own line of `CLIENT LIST`, without a line end.
    pub(super) fn client_line(&self, id: ClientId) -> Vec<u8> {
        let mut line = Vec::with_capacity(256);
        if let Some(client) = self.clients.get(id) {
            view(client, self.now).write(&mut line);
        }
        line
    }
}

/// Whether a client is in a command that waits, or is held up by a pause.
fn is_blocked(client: &Client) -> bool {
    client.hold == Some(Hold::Pause) || client.waits()
}

fn view(client: &Client, now: Duration) -> ClientView<'_> {
    let lent = client.lease.as_ref().map(|lease| &lease.lent);
    let feed = lent.and_then(|lent| lent.feed.as_ref());
    let executing = lent.and_then(|lent| lent.executing);
    ClientView {
        session: &client.session,
        address: &client.address,
        age_seconds: now.saturating_sub(client.connected_at).as_secs(),
        idle_seconds: now.saturating_sub(client.active_at).as_secs(),
        last_command: match executing {
            // Whatever it has sent behind.
            Some(_) => "exec",
            None => client.last_command.as_str(),
        },
        query_bytes: client.input.len(),
        output_bytes: client.out.len(),
        blocked: is_blocked(client),
        subscriptions: feed.map(|feed| feed.subscriptions).unwrap_or_default(),
        monitoring: feed.is_some_and(|feed| feed.monitoring),
        tracking: feed.is_some_and(|feed| feed.tracking),
        queued: lent.and_then(|lent| {
            let queued = lent.bracket.queued(client.sequence_next);
            lent.executing.or(queued)
        }),
        // One that sends no more is not, in Redis: it is served or gone. Nor is one whose end stands
        // behind what it is still to hear, unless that is its own end.
        closing: client.is_ending()
            && (client.in_flight == 0
                || (executing.is_some() && client.leaving == Some(Leave::Killed))),
    }
}
