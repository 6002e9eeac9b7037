//! Everything around the engines of one simulation: sockets, fake servers, clients, messages
//! between workers, and the clock. It does what the runtime does, in the runtime's order, and
//! leaves what happens next to the generator or to the script of `play`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use narrows::admission::{Budget, DialRate, Permit};
use narrows::engine::{
    BackendId, ClientId, Effect, Engine, Reply, Rules, Setup, WorkerQuery, WorkerShared,
};
use narrows::topology::Topology;

use super::actor::Actor;
use super::backend_state;
use super::events::DialEnd;
use super::focus::{self, Focus};
use super::history::History;
use super::replay::{Plan, STEP, TraceLog};
use super::rng::{Part, Rng};
use super::rules;
use super::server::{Link, Server, State};

/// What a server says that answers before it has read the request, and then closes.
pub const EARLY: &[u8] = b"-ERR early\r\n";

/// One connection to the server, or a dial.
pub struct Conn {
    pub _permit: Permit,
    pub end: DialEnd,
    pub due: Duration,
    pub link: Option<Link>,
    /// Written by narrows and not received.
    pub to_server: Vec<u8>,
    /// How much of that its socket holds.
    pub capacity: usize,
    pub blocked: bool,
    /// The server has closed: narrows sees it once this many more bytes are delivered.
    pub closes_after: Option<usize>,
}

/// A message on its way to a worker.
pub enum Message {
    Commands,
    PlaceWanted,
    WorkerQuery(usize, u64, WorkerQuery),
    Answer(u64, Reply),
}

/// One worker and what its runtime keeps.
pub struct Worker {
    pub engine: Engine,
    dirty_clients: Vec<ClientId>,
    dirty_backends: Vec<BackendId>,
}

impl Worker {
    fn new(setup: Setup) -> Self {
        Self {
            engine: Engine::new(setup),
            dirty_clients: Vec::new(),
            dirty_backends: Vec::new(),
        }
    }
}

/// How often something goes wrong, in parts of 20.
fn draw_faults(in_time_slices: bool, desyncs: bool, rng: &mut Rng) -> usize {
    match (in_time_slices, desyncs) {
        (true, _) => 0,
        (false, true) => 10,
        (false, false) => rng.one_of(&[0, 2, 6, 12, 20]),
    }
}

/// What a world is like, beside its settings: see [`World`].
struct Kind {
    desyncs: bool,
    transacting: bool,
    subscribing: bool,
    users: bool,
    runs_as: Option<u8>,
    steps: u64,
    faults: usize,
}

impl Kind {
    fn draw(
        plan: &Plan,
        in_time_slices: bool,
        (rules, server): (&mut Rules, &mut Server),
        rng: &mut Rng,
    ) -> Self {
        let focus = plan.focus;
        let is_any = !in_time_slices && focus.is_none();
        let desyncs = is_any && rng.hits(20);
        let transacting = match focus {
            Some(focus) => focus.is_transacting(),
            None => is_any && !desyncs && rng.hits(25),
        };
        let subscribing = is_any && !desyncs && !transacting && rng.hits(25);
        if desyncs {
            rules::for_desyncs(rules, rng);
        }
        let users = is_any && !desyncs && rng.hits(25);
        if users {
            rules::for_users(rules, &mut server.users, rng);
            rules::for_certificate(rules, &mut server.users, plan.seed);
        }
        let reloads = match focus {
            Some(focus) => focus == Focus::Reloading,
            // By the seed and not by the generator, with which other worlds go on.
            None => !in_time_slices && !desyncs && !users && plan.seed % 5 == 2,
        };
        let runs_as = reloads.then(|| backend_state::for_reloads(rules, &server.users));
        let steps = rng.between(100, 500) as u64;
        let faults = match focus {
            Some(focus) => focus.faults(),
            None => draw_faults(in_time_slices, desyncs, rng),
        };
        if let Some(focus) = focus {
            focus.bend(rules, rng);
        }
        let waits = focus.is_none() && transacting && faults == 0 && !users;
        rules::for_seed(rules, plan.seed, waits);
        Self {
            desyncs,
            transacting,
            subscribing,
            users,
            runs_as,
            steps,
            faults,
        }
    }
}

/// See the file's head.
pub struct World {
    pub seed: u64,
    pub rng: Rng,
    /// Steps with faults.
    pub steps: u64,
    /// How often something goes wrong in it, in parts of 20.
    pub faults: usize,
    /// Connections get out of step, too.
    pub desyncs: bool,
    /// What it is focused on, if it is.
    pub focus: Option<Focus>,
    /// Clients do little else than transactions, and wait.
    pub transacting: bool,
    /// Clients log in as users of the server.
    pub users: bool,
    /// The user of the server that all clients run as, where reloads change that.
    pub runs_as: Option<u8>,
    /// Clients do little else than subscribe and publish.
    pub subscribing: bool,
    /// Budget and settings are drawn for contexts that take turns.
    pub in_time_slices: bool,
    pub now: Duration,
    pub step: u64,
    pub reads: Vec<(usize, Bytes)>,
    pub rules: Arc<Rules>,
    pub budget: Arc<Budget>,
    pub topology: Topology,
    pub server: Server,
    pub history: History,
    pub workers: Vec<Worker>,
    pub conns: BTreeMap<(usize, BackendId), Conn>,
    pub actors: Vec<Actor>,
    pub mail: Vec<(Duration, usize, Message)>,
    /// No faults any more.
    pub is_quiescent: bool,
    /// Step of the last loss of a connection.
    pub lost_at: u64,
    pub draining: bool,
    pub trace: u64,
    told: bool,
    trace_log: Option<TraceLog>,
}

impl World {
    pub fn new(plan: &Plan) -> Self {
        let seed = plan.seed;
        let mut rng = Rng::of(seed, Part::Setup);
        let focus = plan.focus;
        let in_time_slices = rng.hits(12) && focus.is_none();
        let mut rules = rules::draw(&mut rng);
        let mut workers = rng.one_of(&[1, 1, 2, 3]);
        let mut total = rng.between(workers + 1, workers + 4) as u32;
        if focus.is_some() {
            (workers, total) = focus::CONNECTIONS;
        }
        if in_time_slices {
            rules::for_time_slices(&mut rules);
            total = (workers + 1) as u32;
        }
        let mut server = Server::default();
        let kind = Kind::draw(plan, in_time_slices, (&mut rules, &mut server), &mut rng);
        let dials = focus.map_or_else(|| rng.one_of(&[20, 1000]), |_| 1000);
        let rules = Arc::new(rules);
        let budget = Budget::new(total, workers);
        let shared = WorkerShared::new(Arc::clone(&budget), DialRate::new(dials));
        let identity = Arc::new(rules::identity());
        let worker = |worker| {
            Worker::new(Setup {
                worker,
                workers,
                rules: Arc::clone(&rules),
                topology: Arc::default(),
                identity: Arc::clone(&identity),
                shared: shared.clone(),
                initial_db: 0,
                seed: seed + worker as u64,
                counted: None,
            })
        };
        let workers = (0..workers).map(worker).collect();
        Self {
            seed,
            rng,
            steps: kind.steps,
            faults: kind.faults,
            desyncs: kind.desyncs,
            focus,
            transacting: kind.transacting,
            users: kind.users,
            runs_as: kind.runs_as,
            subscribing: kind.subscribing,
            in_time_slices,
            now: Duration::from_secs(1),
            step: 0,
            reads: Vec::new(),
            budget,
            topology: Topology::default(),
            server,
            history: History::new(&rules, kind.faults == 0 && !kind.desyncs),
            workers,
            conns: BTreeMap::new(),
            actors: Vec::new(),
            mail: Vec::new(),
            is_quiescent: false,
            lost_at: 0,
            draining: false,
            rules,
            trace: 0xcbf2_9ce4_8422_2325,
            told: plan.told,
            trace_log: plan.trace_log.clone(),
        }
    }

    /// Adds to the hash of what has happened.
    pub fn note(&mut self, what: &str, bytes: &[u8]) {
        if self.told || self.trace_log.is_some() {
            self.tell(what, bytes);
        }
        for chunk in what.as_bytes().chunks(8).chain(bytes.chunks(8)) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            let mixed = self.trace ^ u64::from_le_bytes(word);
            self.trace = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
        }
    }

    fn tell(&self, what: &str, bytes: &[u8]) {
        let text = bytes.escape_ascii().to_string();
        let text = text.get(..160).unwrap_or(&text);
        let line = format!("{:>5} {:?} {what} {text}", self.step, self.now);
        if self.told {
            eprintln!("{line}");
        }
        if let Some(trace_log) = &self.trace_log {
            trace_log.borrow_mut().push(line);
        }
    }

    /// A step begins, with choices of its own.
    pub fn begin_step(&mut self, step: u64) {
        self.step = step;
        STEP.set(step);
        self.rng = Rng::of(self.seed, Part::Step(step));
    }

    /// One turn of a worker, as `runtime::worker` does it.
    pub fn pump(&mut self, w: usize) {
        self.history.now = self.now;
        for _ in 0..100 {
            self.turn(w);
            if !self.workers[w].engine.survey().is_unfinished() {
                self.look_at_line(w);
                return;
            }
        }
        self.history.offend("a turn never ends".to_owned());
    }

    fn turn(&mut self, w: usize) {
        self.workers[w].engine.tick(self.now);
        self.workers[w].engine.turn(self.now);
        self.effects(w);
        self.write_backends(w);
        self.write_clients(w);
        if self.workers[w].engine.survey().wants_turn() {
            self.workers[w].engine.turn(self.now);
            self.effects(w);
            self.write_backends(w);
        }
        self.check_permits();
        self.check_beliefs();
        if self.step.is_multiple_of(16) && !self.workers[w].engine.survey().census().totals_agree {
            let census = self.workers[w].engine.survey().census();
            self.history
                .offend(format!("totals have drifted: {census:?}"));
        }
    }

    fn effects(&mut self, w: usize) {
        let effects: Vec<Effect> = self.workers[w].engine.effects().collect();
        for effect in effects {
            self.note("effect", format!("{w} {effect:?}").as_bytes());
            match effect {
                Effect::Dial {
                    endpoint,
                    backend,
                    permit,
                } => self.dial((w, backend), endpoint, permit),
                Effect::CloseBackend(id) => self.hang_up(w, id),
                Effect::CloseClient(id) => self.closed(w, id),
                Effect::ReadClient(id) => {
                    match self.actor(w, id) {
                        Some(actor) => self.actors[actor].readable = true,
                        // It has left while it was not read.
                        None => self.workers[w].engine.client_gone(id, self.now),
                    }
                }
                Effect::LearnCommands => {
                    if self.is_quiescent || self.rng.hits(80) {
                        let due = self.now + self.rng.micros(3000);
                        self.mail.push((due, w, Message::Commands));
                    }
                }
                Effect::WantPlace => {
                    for other in (0..self.workers.len()).filter(|other| *other != w) {
                        let due = self.now + self.rng.micros(3000);
                        self.mail.push((due, other, Message::PlaceWanted));
                    }
                }
                Effect::Answer(asker, ticket, reply) => {
                    let due = self.now + self.rng.micros(2000);
                    if self.is_quiescent || self.rng.hits(95) {
                        self.mail.push((due, asker, Message::Answer(ticket, reply)));
                    }
                }
                Effect::Ask(ticket, question) => {
                    for other in (0..self.workers.len()).filter(|other| *other != w) {
                        let due = self.now + self.rng.micros(3000);
                        let mail = Message::WorkerQuery(w, ticket, question.clone());
                        if self.is_quiescent || self.rng.hits(90) {
                            self.mail.push((due, other, mail));
                        }
                    }
                }
            }
        }
    }

    /// narrows has closed a connection: the server may still read what was on its way.
    fn hang_up(&mut self, w: usize, id: BackendId) {
        self.lost_at = self.step;
        self.excuse_if_desynced((w, id));
        if let Some(mut conn) = self.conns.remove(&(w, id))
            && let Some(link) = &mut conn.link
            && self.rng.hits(50)
            && conn.closes_after.is_none()
        {
            if link.state != State::Deaf {
                link.input.append(&mut conn.to_server);
            }
            link.state = State::Well;
            self.server.now = self.now;
            while link.execute(&mut self.server, &mut self.history) {}
        }
        self.check_order_of_line();
        self.count_the_living();
    }

    /// narrows has closed a client.
    fn closed(&mut self, w: usize, id: ClientId) {
        let Some(at) = self.actor(w, id) else {
            return;
        };
        let actor = &mut self.actors[at];
        actor.gone = true;
        self.history.leaves(actor.number);
        let settings = &self.rules.settings.clients;
        // Of one that stays silent nothing is heard but the end, also of what was not carried out.
        let untold = actor.pending.iter().any(|p| p.silent);
        let excused = actor.done
            || actor.stranded
            || untold
            || actor.doomed
            || actor.half_closed
            || actor.huge
            || actor.loose
            || actor.moved
            || (actor.users && !settings.handshake_timeout.is_zero())
            || (actor.setting.user > 0 && self.server.users.changes > 0)
            || settings.output_subscriber_bytes_max < 1 << 20
            || (actor.is_in_transaction() && !settings.idle_in_transaction.is_zero())
            || self.lost_at >= actor.waits_since
            || settings.output_bytes_max < 1 << 20
            || settings.memory_bytes_max < 1 << 20
            || self.draining;
        if !excused {
            let why = format!("client {} was closed for nothing", actor.number);
            self.history.offend(why);
        }
    }

    fn actor(&self, w: usize, id: ClientId) -> Option<usize> {
        let is_it = |a: &Actor| a.worker == w && a.key == id && !a.gone;
        self.actors.iter().position(is_it)
    }

    fn write_backends(&mut self, w: usize) {
        let worker = &mut self.workers[w];
        let mut ids = std::mem::take(&mut worker.dirty_backends);
        worker.engine.writing().take_dirty_backends(&mut ids);
        for id in ids {
            self.write_backend(w, id);
        }
    }

    pub fn write_backend(&mut self, w: usize, id: BackendId) {
        loop {
            let Some(conn) = self.conns.get_mut(&(w, id)) else {
                return;
            };
            let bytes = self.workers[w].engine.writing().of_backend(id);
            if bytes.is_empty() || conn.link.is_none() {
                return;
            }
            let room = conn.capacity.saturating_sub(conn.to_server.len());
            let n = bytes.len().min(room);
            conn.to_server.extend_from_slice(&bytes[..n]);
            conn.blocked = n == 0;
            self.workers[w].engine.backend_wrote(id, n, self.now);
            if n == 0 {
                return;
            }
        }
    }

    fn write_clients(&mut self, w: usize) {
        let worker = &mut self.workers[w];
        let mut ids = std::mem::take(&mut worker.dirty_clients);
        worker.engine.writing().take_dirty_clients(&mut ids);
        for id in ids {
            let engine = &mut self.workers[w].engine;
            let waits = !engine.writing().of_client(id).first().is_empty();
            match self.actor(w, id) {
                Some(actor) => self.write_client(actor),
                None if waits => self.workers[w].engine.client_gone(id, self.now),
                None => {}
            }
        }
        self.check_reads(w);
    }

    pub fn write_client(&mut self, at: usize) {
        self.count_the_living();
        let late = !self.rules.settings.clients.request_timeout.is_zero();
        loop {
            let actor = &mut self.actors[at];
            if actor.gone {
                return;
            }
            let engine = &mut self.workers[actor.worker].engine;
            let bytes = engine.writing().of_client(actor.key).first();
            if bytes.is_empty() {
                return;
            }
            let n = bytes.len().min(actor.takes_now());
            actor.blocked = n == 0;
            if n == 0 {
                engine.client_wrote(actor.key, 0, self.now);
                return;
            }
            let bytes = bytes[..n].to_vec();
            actor.appetite -= if actor.appetite == usize::MAX { 0 } else { n };
            actor.hear(&bytes, late, &mut self.history);
            let (worker, key) = (actor.worker, actor.key);
            self.workers[worker].engine.client_wrote(key, n, self.now);
            let number = self.actors[at].number;
            self.note(&format!("client {number} hears"), &bytes);
        }
    }
}
