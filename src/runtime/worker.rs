//! A worker: one thread, one engine, one task that owns all of its sockets.
//!
//! A turn reads what is ready, lets the engine finish, writes the backends (so that the
//! server works while we go on), then the clients. Nothing is written while there is
//! still something to read: one write carries the requests of many clients.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use slotmap::SecondaryMap;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc::{Sender, error::TrySendError};
use tokio::time::Sleep;

use crate::engine::{
    AnswerTo, BackendId, ClientId, Effect, Engine, Mail, Received, Reply, SHARED_BYTES_MIN,
    WorkerQuery,
};
use crate::telemetry::Cell;

use super::control::ControlOrder;
use super::current::Current;
use super::dial::{self, BackendSocket};
use super::inbox::Inbox;
use super::message::{AcceptedSocket, Asker, Epoch, HealthVerdict, Message, NewClient};
use super::ready::{ReadyQueue, Token};
use super::scratch::Scratch;
use super::sockets::ClientSocket;
use super::transport::{PeerEnd, Transport};
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
    /// When the process' clock began.
    pub epoch: Instant,
    /// Where it lets others know how things stand.
    pub cell: Arc<Cell>,
}

struct BackendConnection {
    socket: BackendSocket,
    waker: Waker,
    blocked: bool,
}

/// See the module. Finished when it has been drained.
pub struct Worker {
    engine: Engine,
    links: Links,
    messages: Vec<Message>,
    ready: Arc<ReadyQueue>,
    clients: SecondaryMap<ClientId, ClientSocket>,
    backends: SecondaryMap<BackendId, BackendConnection>,
    tokens: Vec<Token>,
    dirty_clients: Vec<ClientId>,
    dirty_backends: Vec<BackendId>,
    scratch: Scratch,
    timer: Pin<Box<Sleep>>,
    timer_at: Option<Duration>,
    /// The time of this turn: read at its beginning, and when its first requests have gone out.
    /// No deadline is finer than a turn is long.
    now: Duration,
    draining: bool,
    /// Questions of other workers that the engine has not answered, by its numbers for them.
    queries: BTreeMap<u64, Asker>,
    queries_next: u64,
}

impl Worker {
    /// A worker for `engine`. Must be made and polled inside its own tokio runtime.
    pub fn new(engine: Engine, links: Links) -> Self {
        Self {
            engine,
            links,
            messages: Vec::new(),
            ready: Arc::new(ReadyQueue::default()),
            clients: SecondaryMap::new(),
            backends: SecondaryMap::new(),
            tokens: Vec::new(),
            dirty_clients: Vec::new(),
            dirty_backends: Vec::new(),
            scratch: Scratch::new(),
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            timer_at: None,
            now: Duration::ZERO,
            draining: false,
            queries: BTreeMap::new(),
            queries_next: 0,
        }
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
        let transport = match client.socket {
            AcceptedSocket::Tcp(socket) => TcpStream::from_std(socket).map(Transport::Tcp),
            AcceptedSocket::Unix(socket) => UnixStream::from_std(socket).map(Transport::Unix),
        };
        let transport = match transport {
            Ok(transport) => transport,
            Err(error) => {
                tracing::warn!(%error, "client not taken over");
                return;
            }
        };
        fault_injection::came(client.accepted.id);
        let id = self.engine.client_connected(client.accepted, now);
        let token = Token::Client(id);
        let socket = ClientSocket::new(transport, self.ready.waker(token), client.guard);
        self.clients.insert(id, socket);
        self.tokens.push(token);
    }

    fn dialled(&mut self, id: BackendId, result: Result<BackendSocket, String>, now: Duration) {
        match result {
            Ok(socket) if self.engine.survey().has_backend(id) => {
                let token = Token::Backend(id);
                let waker = self.ready.waker(token);
                self.backends.insert(
                    id,
                    BackendConnection {
                        socket,
                        waker,
                        blocked: false,
                    },
                );
                self.tokens.push(token);
                self.engine.dialled(id, now);
            }
            Ok(socket) => {
                tokio::spawn(dial::close_gracefully(socket));
            }
            Err(error) => self.engine.dial_failed(id, error, now),
        }
    }

    fn read_client(&mut self, id: ClientId) {
        for _ in 0..READS_MAX {
            if !self.engine.may_read(id) {
                return self.watch_client(id);
            }
            let Some(socket) = self.clients.get_mut(id) else {
                return;
            };
            match socket.poll_read(self.scratch.room()) {
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
        self.ready.push(Token::Client(id));
    }

    /// A client that is not read is still watched for its end.
    fn watch_client(&mut self, id: ClientId) {
        let Some(socket) = self.clients.get_mut(id) else {
            return;
        };
        match socket.poll_end() {
            Poll::Pending => {}
            Poll::Ready(PeerEnd::Sent) => self.engine.client_hung_up(id, self.now),
            Poll::Ready(PeerEnd::Broken) => {
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
            let mut cx = Context::from_waker(&backend.waker);
            let transport = &mut backend.socket.transport;
            match transport.poll_read(&mut cx, self.scratch.room()) {
                Poll::Pending => return,
                Poll::Ready(Ok([])) | Poll::Ready(Err(_)) => {
                    self.backends.remove(id);
                    return self.engine.backend_gone(id, self.now);
                }
                Poll::Ready(Ok(bytes)) if bytes.len() < SHARED_BYTES_MIN => {
                    self.engine
                        .backend_bytes(id, Received::from(bytes), self.now);
                }
                Poll::Ready(Ok(bytes)) => {
                    let (n, now, engine) = (bytes.len(), self.now, &mut self.engine);
                    self.scratch.lend(n, |bytes| {
                        engine.backend_bytes(id, Received::lent(bytes, SHARED_BYTES_MIN), now);
                    });
                }
            }
        }
        self.ready.push(Token::Backend(id));
    }

    /// A socket can be read or written.
    fn serve(&mut self, token: Token) {
        match token {
            Token::Client(id) => {
                if let Some(socket) = self.clients.get_mut(id)
                    && std::mem::take(&mut socket.blocked)
                {
                    self.dirty_clients.push(id);
                }
                self.read_client(id);
            }
            Token::Backend(id) => {
                if let Some(backend) = self.backends.get_mut(id)
                    && std::mem::take(&mut backend.blocked)
                {
                    self.dirty_backends.push(id);
                }
                self.read_backend(id);
            }
        }
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
                    tokio::spawn(async move {
                        let outcome = dial::dial(&current, endpoint, permit).await;
                        inbox.dialled(life, backend, outcome);
                    });
                }
                Effect::CloseBackend(id) => {
                    if let Some(backend) = self.backends.remove(id) {
                        tokio::spawn(dial::close_gracefully(backend.socket));
                    }
                }
                Effect::CloseClient(id) => {
                    self.clients.remove(id);
                }
                Effect::ReadClient(id) => self.ready.push(Token::Client(id)),
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

    fn turn(&mut self, cx: &mut Context<'_>) {
        self.now = self.links.epoch.elapsed();
        let mut messages = std::mem::take(&mut self.messages);
        self.links.inbox.take(&mut messages, cx.waker());
        for message in messages.drain(..) {
            self.message(message);
        }
        self.messages = messages;
        let mut tokens = std::mem::take(&mut self.tokens);
        self.ready.take(&mut tokens, cx.waker());
        for token in tokens.drain(..) {
            self.serve(token);
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

    /// Sleeps until the engine's alarm. True when that is over already.
    fn arm(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(at) = self.engine.survey().alarm() else {
            return false;
        };
        if self.timer_at != Some(at) {
            self.timer_at = Some(at);
            let at = tokio::time::Instant::from_std(self.links.epoch + at);
            self.timer.as_mut().reset(at);
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            self.timer_at = None;
            return true;
        }
        false
    }
}

impl Future for Worker {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let worker = self.get_mut();
        worker.turn(cx);
        let survey = worker.engine.survey();
        if worker.draining && survey.clients_len() == 0 && !survey.is_tidying() {
            worker.engine.mail(Mail::CloseBackends, worker.now);
            return Poll::Ready(());
        }
        let due = worker.arm(cx) || !worker.tokens.is_empty();
        let survey = worker.engine.survey();
        if due || survey.has_unwritten() || survey.is_unfinished() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

mod writing;

#[cfg(test)]
mod tests;
