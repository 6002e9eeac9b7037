//! A worker: one thread with one engine, one event loop and all of its sockets.
//!
//! A turn reads what is ready, lets the engine finish, writes the backends (so that the
//! server works while we go on), then the clients. Nothing is written while there is
//! still something to read: one write carries the requests of many clients.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use slotmap::SecondaryMap;
use tokio::sync::mpsc::{Sender, error::TrySendError};

use crate::engine::{
    AnswerTo, BackendId, ClientId, Effect, Engine, Mail, Received, Reply, SHARED_BYTES_MIN,
    WorkerQuery,
};
use crate::telemetry::Cell;

use super::coalescing::Coalescing;
use super::control::ControlOrder;
use super::current::Current;
use super::dial::{BackendSocket, DialOutcome};
use super::event_loop::{EventLoop, Token};
use super::inbox::Inbox;
use super::message::{Asker, ConnectionGuard, Epoch, HealthVerdict, Message, NewClient};
use super::scratch::Scratch;
use super::socket::{PeerEnd, Socket};
use super::tasks::ControlTasks;
use super::{drain, fault_injection};

/// Reads of one socket in one turn: then it is the others' turn.
const READS_MAX: usize = 4;

/// What a worker needs of the world.
pub struct Links {
    /// Its number.
    pub worker: usize,
    /// What holds now.
    pub current: Arc<Current>,
    /// All workers' inboxes, its own included.
    pub inboxes: Vec<Arc<Inbox>>,
    /// Its own.
    pub inbox: Arc<Inbox>,
    /// Which of its engines this is.
    pub life: Epoch,
    /// Orders to the control thread.
    pub control: Sender<ControlOrder>,
    /// What control does for it.
    pub tasks: ControlTasks,
    /// When the process' clock began.
    pub epoch: Instant,
    /// Where it lets others know how things stand.
    pub cell: Arc<Cell>,
}

/// A client's connection.
struct ClientConnection {
    socket: Socket,
    _guard: ConnectionGuard,
}

/// See the module. Finished when it has been drained.
pub struct Worker {
    engine: Engine,
    links: Links,
    messages: Vec<Message>,
    events: EventLoop,
    clients: SecondaryMap<ClientId, ClientConnection>,
    backends: SecondaryMap<BackendId, BackendSocket<Socket>>,
    /// Whose sockets are read in the next turn.
    tokens: Vec<Token>,
    dirty_clients: Vec<ClientId>,
    dirty_backends: Vec<BackendId>,
    scratch: Scratch,
    /// `None`: it never waits for more.
    coalescing: Option<Coalescing>,
    /// The time of this turn: read at its beginning, and when its first requests have gone out.
    /// No deadline is finer than a turn is long.
    now: Duration,
    draining: bool,
    /// Questions of other workers that the engine has not answered, by its numbers for them.
    queries: BTreeMap<u64, Asker>,
    queries_next: u64,
}

impl Worker {
    /// A worker for `engine`.
    pub fn new(engine: Engine, links: Links) -> io::Result<Self> {
        Ok(Self {
            engine,
            links,
            messages: Vec::new(),
            events: EventLoop::new()?,
            clients: SecondaryMap::new(),
            backends: SecondaryMap::new(),
            tokens: Vec::new(),
            dirty_clients: Vec::new(),
            dirty_backends: Vec::new(),
            scratch: Scratch::new(),
            coalescing: None,
            now: Duration::ZERO,
            draining: false,
            queries: BTreeMap::new(),
            queries_next: 0,
        })
    }

    /// Works until it has been drained.
    pub fn run(mut self) -> io::Result<()> {
        if self.links.current.settings().coalescing_pause {
            self.coalescing = Some(Coalescing::of_this_thread());
        }
        loop {
            self.turn();
            if self.is_drained() {
                self.engine.mail(Mail::CloseBackends, self.now);
                return Ok(());
            }
            let limit = self.until_due();
            if limit != Some(Duration::ZERO) && self.may_pause() {
                Coalescing::pause();
            }
            self.wait(limit)?;
        }
    }

    /// Whether it waits a moment for more, now that it has nothing left to do.
    fn may_pause(&self) -> bool {
        let coalescing = self.coalescing.as_ref();
        coalescing.is_some_and(Coalescing::is_worth_it) && !self.draining
    }

    fn is_drained(&self) -> bool {
        let survey = self.engine.survey();
        self.draining && survey.clients_len() == 0 && !survey.is_tidying()
    }

    /// How long there is nothing to do if nothing happens. `None`: for ever.
    fn until_due(&self) -> Option<Duration> {
        let survey = self.engine.survey();
        if !self.tokens.is_empty() || survey.has_unwritten() || survey.is_unfinished() {
            return Some(Duration::ZERO);
        }
        let alarm = survey.alarm()?;
        Some(alarm.saturating_sub(self.links.epoch.elapsed()))
    }

    /// Sleeps until something happens, or for `limit`.
    fn wait(&mut self, limit: Option<Duration>) -> io::Result<()> {
        self.events.wait(limit)?;
        for (token, readiness) in self.events.news() {
            match token {
                Token::Client(id) => {
                    if let Some(client) = self.clients.get_mut(id)
                        && client.socket.changed(readiness)
                    {
                        self.dirty_clients.push(id);
                    }
                }
                Token::Backend(id) => {
                    if let Some(backend) = self.backends.get_mut(id)
                        && backend.transport.changed(readiness)
                    {
                        self.dirty_backends.push(id);
                    }
                }
            }
            if readiness.is_of_reading() {
                self.tokens.push(token);
            }
        }
        Ok(())
    }

    fn message(&mut self, message: Message) {
        let now = self.now;
        match message {
            Message::Client(client) => self.accept(client, now),
            Message::Dialled(id, result) => self.dialled(id, result, now),
            Message::Health(HealthVerdict {
                endpoint,
                answering,
            }) => self.engine.mail(Mail::Health(endpoint, answering), now),
            Message::Topology(topology) => self.engine.mail(Mail::Topology(topology), now),
            Message::Rules(rules) => self.engine.mail(Mail::Rules(rules), now),
            Message::Heartbeat { heartbeat, number } => heartbeat.answer(number),
            Message::PlaceWanted => self.engine.mail(Mail::PlaceWanted, now),
            Message::CommandsLearned => self.engine.mail(Mail::CommandsLearned, now),
            Message::WorkerQuery(asker, query) => {
                self.queries_next += 1;
                self.queries.insert(self.queries_next, asker);
                let to = AnswerTo {
                    worker: asker.worker,
                    ticket: self.queries_next,
                };
                self.engine.mail(Mail::Asked(to, query), now);
            }
            Message::Answer { ticket, reply } => {
                self.engine.mail(Mail::Answered(ticket, reply), now)
            }
            Message::Publish => self.links.cell.publish(self.engine.survey().snapshot()),
            Message::Drain => {
                self.draining = true;
                self.engine.mail(Mail::Drain, now);
            }
            Message::Stragglers(to) => {
                // Nobody waits for it any more when the process has ended.
                let _ = to.try_send(drain::straggling(&mut self.engine, now));
            }
        }
    }

    fn accept(&mut self, client: NewClient, now: Duration) {
        if self.draining {
            // It was on its way when the end began.
            return;
        }
        fault_injection::came(client.accepted.id);
        let id = self.engine.client_connected(client.accepted, now);
        match Socket::open(client.socket, self.events.registry(), Token::Client(id)) {
            Ok(socket) => {
                let _guard = client.guard;
                self.read_if_due(&socket, Token::Client(id));
                self.clients.insert(id, ClientConnection { socket, _guard });
            }
            Err(error) => {
                tracing::warn!(%error, "client not taken over");
                self.engine.client_gone(id, now);
            }
        }
    }

    fn dialled(&mut self, id: BackendId, result: DialOutcome, now: Duration) {
        let open = |socket| Socket::open(socket, self.events.registry(), Token::Backend(id));
        match result {
            Ok(socket) if self.engine.survey().has_backend(id) => match socket.map(open) {
                Ok(socket) => {
                    self.read_if_due(&socket.transport, Token::Backend(id));
                    self.backends.insert(id, socket);
                    self.engine.dialled(id, now);
                }
                Err(error) => self.engine.dial_failed(id, error.to_string(), now),
            },
            Ok(socket) => self.links.tasks.close_backend(socket),
            Err(error) => self.engine.dial_failed(id, error, now),
        }
    }

    /// Of what came before it was in the event loop there will be no news.
    fn read_if_due(&mut self, socket: &Socket, token: Token) {
        if socket.may_have_more() {
            self.tokens.push(token);
        }
    }

    /// Ends a client's connection. One that has not ended may still be sending.
    fn close_client(&mut self, id: ClientId) {
        let Some(mut client) = self.clients.remove(id) else {
            return;
        };
        if client.socket.end().is_some() {
            client.socket.say_goodbye();
        } else if let Ok(socket) = client.socket.detach(self.events.registry()) {
            self.links.tasks.close_client(socket);
        }
    }

    // Unless it is told to, the compiler calls these two and others: 140 instructions a request.
    #[inline(always)]
    fn read_client(&mut self, id: ClientId) {
        for _ in 0..READS_MAX {
            if !self.engine.may_read(id) {
                return self.watch_client(id);
            }
            let Some(client) = self.clients.get_mut(id) else {
                return;
            };
            match client.socket.read(self.scratch.room()) {
                Poll::Pending => return,
                Poll::Ready(Ok([])) => {
                    return self.engine.client_eof(id, self.now);
                }
                Poll::Ready(Ok(bytes)) => {
                    self.engine.client_bytes(id, bytes, self.now);
                }
                Poll::Ready(Err(_)) => {
                    self.clients.remove(id);
                    return self.engine.client_gone(id, self.now);
                }
            }
        }
        self.tokens.push(Token::Client(id));
    }

    /// A client that is not read is still watched for its end.
    fn watch_client(&mut self, id: ClientId) {
        match self.clients.get(id).and_then(|client| client.socket.end()) {
            None => {}
            Some(PeerEnd::Sent) => self.engine.client_hung_up(id, self.now),
            Some(PeerEnd::Broken) => {
                self.clients.remove(id);
                self.engine.client_gone(id, self.now);
            }
        }
    }

    fn read_backend(&mut self, id: BackendId) {
        for _ in 0..READS_MAX {
            let Some(backend) = self.backends.get_mut(id) else {
                return;
            };
            match backend.transport.read(self.scratch.room()) {
                Poll::Pending => return,
                Poll::Ready(Ok([])) => return self.backend_ended(id, None),
                Poll::Ready(Err(error)) => return self.backend_ended(id, Some(error)),
                Poll::Ready(Ok(bytes)) if bytes.len() < SHARED_BYTES_MIN => {
                    self.engine
                        .backend_bytes(id, Received::from(bytes), self.now);
                }
                Poll::Ready(Ok(bytes)) => {
                    let n = bytes.len();
                    if let Some(coalescing) = &mut self.coalescing {
                        coalescing.read_much(n);
                    }
                    let chunk = self.scratch.lend(n);
                    let bytes = Received::lent(&chunk, SHARED_BYTES_MIN);
                    self.engine.backend_bytes(id, bytes, self.now);
                    drop(chunk);
                    // So much is written while the processor has it at hand, and before the next read.
                    self.write_clients();
                }
            }
        }
        self.tokens.push(Token::Backend(id));
    }

    #[cold]
    fn backend_ended(&mut self, id: BackendId, why: Option<io::Error>) {
        if let Some(error) = why.filter(|error| error.kind() == ErrorKind::InvalidData) {
            tracing::warn!(%error, "TLS connection to the server lost");
        }
        self.backends.remove(id);
        self.engine.backend_gone(id, self.now);
    }

    fn effects(&mut self) {
        for effect in self.engine.effects().collect::<Vec<Effect>>() {
            match effect {
                Effect::Dial {
                    endpoint,
                    backend,
                    permit,
                } => {
                    let current = Arc::clone(&self.links.current);
                    let (inbox, life) = (Arc::clone(&self.links.inbox), self.links.life);
                    let done = move |outcome| inbox.dialled(life, backend, outcome);
                    self.links.tasks.dial(current, endpoint, permit, done);
                }
                Effect::CloseBackend(id) => {
                    let socket = self.backends.remove(id);
                    let detach = |socket: Socket| socket.detach(self.events.registry());
                    if let Some(Ok(socket)) = socket.map(|socket| socket.map(detach)) {
                        self.links.tasks.close_backend(socket);
                    }
                }
                Effect::CloseClient(id) => self.close_client(id),
                Effect::ReadClient(id) => self.tokens.push(Token::Client(id)),
                Effect::LearnCommands => {
                    // One that finds no room is answered with those before it.
                    let sent = self.links.control.try_send(ControlOrder::LearnCommands);
                    if matches!(sent, Err(TrySendError::Closed(_))) {
                        let now = self.now;
                        self.engine.mail(Mail::CommandsLearned, now);
                    }
                }
                Effect::Answer(_, number, reply) => self.answer(number, reply),
                Effect::Ask(ticket, query) => self.ask_others(ticket, &query),
                Effect::WantPlace => {
                    for inbox in self.others() {
                        inbox.place_wanted();
                    }
                }
            }
        }
    }

    fn answer(&mut self, number: u64, reply: Reply) {
        if let Some(asker) = self.queries.remove(&number)
            && let Some(inbox) = self.links.inboxes.get(asker.worker)
        {
            inbox.answer(asker.epoch, asker.ticket, reply);
        }
    }

    fn ask_others(&mut self, ticket: u64, query: &WorkerQuery) {
        let (worker, epoch) = (self.links.worker, self.links.life);
        let asker = Asker {
            worker,
            epoch,
            ticket,
        };
        for (other, inbox) in self.links.inboxes.iter().enumerate() {
            if other != worker && !inbox.ask(asker, query.clone()) {
                self.engine.mail(Mail::NotAsked(ticket), self.now);
            }
        }
    }

    fn others(&self) -> impl Iterator<Item = &Arc<Inbox>> {
        let (worker, all) = (self.links.worker, self.links.inboxes.iter().enumerate());
        all.filter_map(move |(other, inbox)| (other != worker).then_some(inbox))
    }

    #[inline(always)]
    fn turn(&mut self) {
        self.now = self.links.epoch.elapsed();
        let mut messages = std::mem::take(&mut self.messages);
        self.links.inbox.take(&mut messages, self.events.waker());
        for message in messages.drain(..) {
            self.message(message);
        }
        self.messages = messages;
        let mut tokens = std::mem::take(&mut self.tokens);
        if let Some(coalescing) = &mut self.coalescing {
            coalescing.begin(&tokens, self.now);
        }
        for token in tokens.drain(..) {
            match token {
                Token::Client(id) => self.read_client(id),
                Token::Backend(id) => self.read_backend(id),
            }
            if self.engine.writing().wants_flush() {
                self.write_backends();
                // Replies to these may come in this very turn.
                self.now = self.links.epoch.elapsed();
            }
        }
        fault_injection::strike();
        tokens.append(&mut self.tokens);
        self.tokens = tokens;
        let now = self.now;
        self.engine.tick(now);
        self.engine.turn(now);
        self.effects();
        self.write_backends();
        self.write_clients();
        // Writing can end holds and connections, and what a turn makes idle is lent in the next one.
        if self.engine.survey().wants_turn() {
            self.engine.turn(now);
            self.effects();
            self.write_backends();
        }
    }
}

mod writing;

#[cfg(test)]
mod tests;
