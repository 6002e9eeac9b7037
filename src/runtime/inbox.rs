//! What other threads can tell a worker. Nothing else reaches one.
//!
//! *News* says how things stand (rules, health, the end): of each kind only the last counts, so each
//! has one place. *Mail* is one thing each: a client, a finished dial, a query, an answer; it is
//! bounded, and whoever brings it learns that there is no room. What was meant for an engine that
//! has ended since reaches no other. A worker takes a bounded part at a time, by [`Inbox::take`]
//! alone, which sees to it that the rest is not forgotten.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;

use crate::admission::fault_injection::{Bug, has};
use crate::engine::{BackendId, Reply, Rules, WorkerQuery};
use crate::topology::Topology;

use super::dial::DialOutcome;
use super::heartbeat::Heartbeat;
use super::message::{Asker, Epoch, HealthVerdict, Message, NewClient, Straggling};

/// Pieces of mail that a worker takes in one turn.
const TAKEN_MAX: usize = 256;

/// Clients that wait in an inbox. Past it they wait in the kernel's queue.
const CLIENTS_MAX: usize = 1024;

/// Queries that wait in an inbox. Past it the worker counts as one that does not answer.
const QUERIES_MAX: usize = 4096;

/// Answers that wait in an inbox: to as many queries as three others take. Past it they are
/// missing, as those that come too late are.
const ANSWERS_MAX: usize = 3 * QUERIES_MAX;

/// See the module.
#[derive(Debug, Default)]
pub struct Inbox {
    state: Mutex<InboxState>,
    /// Told when clients find room again; one for all workers.
    room: Arc<Notify>,
}

#[derive(Debug, Default)]
struct InboxState {
    epoch: Epoch,
    closed: bool,
    news: News,
    mail: VecDeque<Message>,
    /// Clients in it, and those that have been promised room.
    clients: usize,
    queries: usize,
    answers: usize,
    /// What the next engine has to be told as well.
    health: Option<HealthVerdict>,
    draining: bool,
    /// Woken by the next that comes in.
    worker: Option<Waker>,
}

/// The last of each kind that has not been taken.
#[derive(Debug, Default)]
struct News {
    rules: Option<Arc<Rules>>,
    topology: Option<Arc<Topology>>,
    commands_learned: bool,
    health: Option<HealthVerdict>,
    heartbeat: Option<(Heartbeat, u64)>,
    place_wanted: bool,
    publish: bool,
    drain: bool,
    stragglers: Option<Sender<Straggling>>,
}

/// The right to bring one client.
#[derive(Debug)]
pub struct InboxPermit(Option<Arc<Inbox>>);

impl Inbox {
    /// An empty one; `room` is told when clients find room again.
    pub fn new(room: &Arc<Notify>) -> Arc<Self> {
        Arc::new(Self {
            room: Arc::clone(room),
            ..Self::default()
        })
    }

    /// The worker's: a new engine begins. What was meant for the one before it is dropped; clients
    /// that have just come and queries to whoever is here are kept.
    pub fn begin(&self) -> Epoch {
        let mut state = self.state.lock();
        state.epoch = state.epoch.next();
        state.answers = 0;
        let of_nobody =
            |mail: &Message| matches!(mail, Message::Dialled(..) | Message::Answer { .. });
        // Dropped behind the lock: with it sockets are closed.
        let (dropped, kept): (VecDeque<_>, _) = std::mem::take(&mut state.mail)
            .into_iter()
            .partition(of_nobody);
        state.mail = kept;
        // It begins with those that hold now.
        (state.news.rules, state.news.topology) = (None, None);
        state.news.health = state.health;
        state.news.drain = state.draining;
        let epoch = state.epoch;
        drop(state);
        drop(dropped);
        epoch
    }

    /// The worker's: moves what has come to `into`, at most [`TAKEN_MAX`] pieces of mail. Whatever
    /// comes next wakes `worker`, and so does what is left.
    pub fn take(&self, into: &mut Vec<Message>, worker: &Waker) {
        let mut state = self.state.lock();
        let had_room = state.has_room();
        state.news.take_first(into);
        for _ in 0..TAKEN_MAX {
            let Some(mail) = state.mail.pop_front() else {
                break;
            };
            match mail {
                Message::Client(_) => state.clients -= 1,
                Message::WorkerQuery(..) => state.queries -= 1,
                Message::Answer { .. } => state.answers -= 1,
                _ => {}
            }
            into.push(mail);
        }
        let left = !state.mail.is_empty();
        if !left {
            // Those who came before the end are served.
            state.news.take_last(into);
        }
        if !state.worker.as_ref().is_some_and(|w| w.will_wake(worker)) {
            state.worker = Some(worker.clone());
        }
        let has_room = state.has_room();
        drop(state);
        if left && !has(Bug::MailForgotten) {
            worker.wake_by_ref();
        }
        if has_room && !had_room {
            self.room.notify_waiters();
        }
    }

    /// The worker has ended: nothing is taken any more.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let dropped = (
            std::mem::take(&mut state.mail),
            std::mem::take(&mut state.news),
        );
        drop(state);
        drop(dropped);
        self.room.notify_waiters();
    }

    /// Whether the worker has ended.
    pub fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// The permit for one client, if there is room. One that is closed has room: whom it is given is
    /// closed too.
    pub fn permit(self: &Arc<Self>) -> Option<InboxPermit> {
        let mut state = self.state.lock();
        if !state.has_room() {
            return None;
        }
        state.clients += 1;
        drop(state);
        Some(InboxPermit(Some(Arc::clone(self))))
    }

    /// Whether a [permit](Self::permit) is to be had.
    pub fn has_room(&self) -> bool {
        self.state.lock().has_room()
    }

    /// A dial of the engine of `epoch` has ended. Each holds a permit, which bounds them.
    pub fn dialled(&self, epoch: Epoch, id: BackendId, result: DialOutcome) {
        // What nobody wants is closed right here.
        self.put(Message::Dialled(id, result), |state| state.epoch == epoch);
    }

    /// Puts a query; false: it will not be answered.
    pub fn ask(&self, asker: Asker, query: WorkerQuery) -> bool {
        self.put(Message::WorkerQuery(asker, query), |state| {
            let room = state.queries < QUERIES_MAX;
            state.queries += usize::from(room);
            room
        })
    }

    /// Answers the query that the engine of `epoch` numbered so.
    pub fn answer(&self, epoch: Epoch, ticket: u64, reply: Reply) {
        self.put(Message::Answer { ticket, reply }, |state| {
            let room = state.epoch == epoch && state.answers < ANSWERS_MAX;
            state.answers += usize::from(room);
            room
        });
    }

    /// New rules are in force.
    pub fn rules(&self, rules: &Arc<Rules>) {
        self.tell(|news| news.rules = Some(Arc::clone(rules)));
    }

    /// `COMMAND` has been asked again.
    pub fn commands_learned(&self) {
        self.tell(|news| news.commands_learned = true);
    }

    /// Another picture of where the servers are.
    pub fn topology(&self, topology: &Arc<Topology>) {
        self.tell(|news| news.topology = Some(Arc::clone(topology)));
    }

    /// A server does, or does not, answer.
    pub fn health(&self, verdict: HealthVerdict) {
        self.state.lock().health = Some(verdict);
        self.tell(|news| news.health = Some(verdict));
    }

    /// Is the worker alive?
    pub fn heartbeat(&self, heartbeat: Heartbeat, number: u64) {
        self.tell(|news| news.heartbeat = Some((heartbeat, number)));
    }

    /// Another worker waits for a place in the budget.
    pub fn place_wanted(&self) {
        self.tell(|news| news.place_wanted = true);
    }

    /// How do things stand?
    pub fn publish(&self) {
        self.tell(|news| news.publish = true);
    }

    /// The end begins, for this engine and any that follows.
    pub fn drain(&self) {
        self.state.lock().draining = true;
        self.tell(|news| news.drain = true);
    }

    /// Who is still there?
    pub fn stragglers(&self, to: Sender<Straggling>) {
        self.tell(|news| news.stragglers = Some(to));
    }

    fn tell(&self, change: impl FnOnce(&mut News)) {
        let mut state = self.state.lock();
        if !state.closed {
            change(&mut state.news);
        }
        let worker = state.worker.take();
        drop(state);
        if let Some(worker) = worker {
            worker.wake();
        }
    }

    /// Puts mail in, if the worker lives and `may` says so.
    fn put(&self, mail: Message, may: impl FnOnce(&mut InboxState) -> bool) -> bool {
        let mut state = self.state.lock();
        if state.closed || !may(&mut state) {
            return false;
        }
        state.mail.push_back(mail);
        let worker = state.worker.take();
        drop(state);
        if let Some(worker) = worker {
            worker.wake();
        }
        true
    }
}

impl InboxState {
    fn has_room(&self) -> bool {
        self.clients < CLIENTS_MAX || self.closed
    }
}

impl News {
    /// What is judged by comes before what is to be judged.
    fn take_first(&mut self, into: &mut Vec<Message>) {
        into.extend(self.rules.take().map(Message::Rules));
        into.extend(self.topology.take().map(Message::Topology));
        into.extend(self.health.take().map(Message::Health));
        let heartbeat = self.heartbeat.take();
        into.extend(heartbeat.map(|(heartbeat, number)| Message::Heartbeat { heartbeat, number }));
        let learned = std::mem::take(&mut self.commands_learned);
        into.extend(learned.then_some(Message::CommandsLearned));
        let wanted = std::mem::take(&mut self.place_wanted);
        into.extend(wanted.then_some(Message::PlaceWanted));
        let publish = std::mem::take(&mut self.publish);
        into.extend(publish.then_some(Message::Publish));
    }

    fn take_last(&mut self, into: &mut Vec<Message>) {
        let drain = std::mem::take(&mut self.drain);
        into.extend(drain.then_some(Message::Drain));
        into.extend(self.stragglers.take().map(Message::Stragglers));
    }
}

impl InboxPermit {
    /// Brings the client. A worker that has ended closes it by dropping it.
    pub fn bring(mut self, client: NewClient) {
        if let Some(inbox) = self.0.take() {
            // It counts already.
            inbox.put(Message::Client(client), |_| true);
        }
    }
}

impl Drop for InboxPermit {
    fn drop(&mut self) {
        if let Some(inbox) = self.0.take() {
            inbox.state.lock().clients -= 1;
            inbox.room.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests;
