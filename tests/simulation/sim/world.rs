//! Everything around the engines of one simulation: sockets, fake servers, clients, messages
//! between workers, and the clock. It does what the runtime does, in the runtime's order, and
//! leaves what happens next to chance or to the script of `play`.

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
use super::belief;
use super::chance::{Chance, Part};
use super::events::DialEnd;
use super::ledger::Ledger;
use super::made::{self, Made};
use super::replay::{Plan, STEP, Story};
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
pub enum Letter {
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
fn draw_faults(in_turns: bool, slips: bool, chance: &mut Chance) -> usize {
    match (in_turns, slips) {
        (true, _) => 0,
        (false, true) => 10,
        (false, false) => chance.one_of(&[0, 2, 6, 12, 20]),
    }
}

/// What a world is like, beside its settings: see [`World`].
struct Kind {
    slips: bool,
    transacting: bool,
    listening: bool,
    users: bool,
    runs_as: Option<u8>,
    steps: u64,
    faults: usize,
}

impl Kind {
    fn draw(
        plan: &Plan,
        in_turns: bool,
        (rules, server): (&mut Rules, &mut Server),
        chance: &mut Chance,
    ) -> Self {
        let made = plan.made;
        let is_any = !in_turns && made.is_none();
        let slips = is_any && chance.hits(20);
        let transacting = match made {
            Some(made) => made.is_transacting(),
            None => is_any && !slips && chance.hits(25),
        };
        let listening = is_any && !slips && !transacting && chance.hits(25);
        if slips {
            rules::for_slips(rules, chance);
        }
        let users = is_any && !slips && chance.hits(25);
        if users {
            rules::for_users(rules, chance);
            server.users.default_is_closed = chance.hits(40);
        }
        let reloads = match made {
            Some(made) => made == Made::Reloading,
            // By the seed and not by chance, which other worlds go on with.
            None => !in_turns && !slips && !users && plan.seed % 5 == 2,
        };
        let runs_as = reloads.then(|| belief::for_reloads(rules, &server.users));
        let steps = chance.between(100, 500) as u64;
        let faults = match made {
            Some(made) => made.faults(),
            None => draw_faults(in_turns, slips, chance),
        };
        if let Some(made) = made {
            made.bend(rules, chance);
        }
        let waits = made.is_none() && transacting && faults == 0 && !users;
        rules::for_seed(rules, plan.seed, waits);
        Self {
            slips,
            transacting,
            listening,
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
    pub chance: Chance,
    /// Steps of the storm.
    pub steps: u64,
    /// How often something goes wrong in it, in parts of 20.
    pub faults: usize,
    /// Connections get out of step, too.
    pub slips: bool,
    /// What it is made for, if it is.
    pub made: Option<Made>,
    /// Clients do little else than transactions, and wait.
    pub transacting: bool,
    /// Clients log in as users of the server.
    pub users: bool,
    /// The user of the server that all clients run as, where reloads change that.
    pub runs_as: Option<u8>,
    /// Clients do little else than subscribe and publish.
    pub listening: bool,
    /// Budget and settings are drawn for contexts that take turns.
    pub in_turns: bool,
    pub now: Duration,
    pub step: u64,
    pub reads: Vec<(usize, Bytes)>,
    pub rules: Arc<Rules>,
    pub budget: Arc<Budget>,
    pub topology: Topology,
    pub server: Server,
    pub ledger: Ledger,
    pub workers: Vec<Worker>,
    pub conns: BTreeMap<(usize, BackendId), Conn>,
    pub actors: Vec<Actor>,
    pub mail: Vec<(Duration, usize, Letter)>,
    /// No faults any more.
    pub calm: bool,
    /// Step of the last loss of a connection.
    pub lost_at: u64,
    pub draining: bool,
    pub trace: u64,
    told: bool,
    story: Option<Story>,
}

impl World {
    pub fn new(plan: &Plan) -> Self {
        let seed = plan.seed;
        let mut chance = Chance::of(seed, Part::Setup);
        let made = plan.made;
        let in_turns = chance.hits(12) && made.is_none();
        let mut rules = rules::draw(&mut chance);
        let mut workers = chance.one_of(&[1, 1, 2, 3]);
        let mut total = chance.between(workers + 1, workers + 4) as u32;
        if made.is_some() {
            (workers, total) = made::CONNECTIONS;
        }
        if in_turns {
            rules::for_turns(&mut rules);
            total = (workers + 1) as u32;
        }
        let mut server = Server::default();
        let kind = Kind::draw(plan, in_turns, (&mut rules, &mut server), &mut chance);
        let dials = made.map_or_else(|| chance.one_of(&[20, 1000]), |_| 1000);
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
            chance,
            steps: kind.steps,
            faults: kind.faults,
            slips: kind.slips,
            made,
            transacting: kind.transacting,
            users: kind.users,
            runs_as: kind.runs_as,
            listening: kind.listening,
            in_turns,
            now: Duration::from_secs(1),
            step: 0,
            reads: Vec::new(),
            budget,
            topology: Topology::default(),
            server,
            ledger: Ledger::new(&rules, kind.faults == 0 && !kind.slips),
            workers,
            conns: BTreeMap::new(),
            actors: Vec::new(),
            mail: Vec::new(),
            calm: false,
            lost_at: 0,
            draining: false,
            rules,
            trace: 0xcbf2_9ce4_8422_2325,
            told: plan.told,
            story: plan.story.clone(),
        }
    }

    /// Adds to the hash of what has happened.
    pub fn note(&mut self, what: &str, bytes: &[u8]) {
        if self.told || self.story.is_some() {
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
        if let Some(story) = &self.story {
            story.borrow_mut().push(line);
        }
    }

    /// A step begins, with choices of its own.
    pub fn begin_step(&mut self, step: u64) {
        self.step = step;
        STEP.set(step);
        self.chance = Chance::of(self.seed, Part::Step(step));
    }

    /// One turn of a worker, as `runtime::worker` does it.
    pub fn pump(&mut self, w: usize) {
        self.ledger.now = self.now;
        for _ in 0..100 {
            self.turn(w);
            if !self.workers[w].engine.survey().is_unfinished() {
                self.look_at_line(w);
                return;
            }
        }
        self.ledger.offend("a turn never ends".to_owned());
    }

    fn turn(&mut self, w: usize) {
        let now = self.now;
        self.workers[w].engine.tick(now);
        self.workers[w].engine.turn(now);
        self.effects(w);
        self.write_backends(w);
        self.write_clients(w);
        self.workers[w].engine.turn(now);
        self.effects(w);
        self.write_backends(w);
        self.check_permits();
        self.check_beliefs();
        if self.step.is_multiple_of(16) && !self.workers[w].engine.survey().census().totals_agree {
            let census = self.workers[w].engine.survey().census();
            self.ledger
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
                    if self.calm || self.chance.hits(80) {
                        let due = self.now + self.chance.micros(3000);
                        self.mail.push((due, w, Letter::Commands));
                    }
                }
                Effect::WantPlace => {
                    for other in (0..self.workers.len()).filter(|other| *other != w) {
                        let due = self.now + self.chance.micros(3000);
                        self.mail.push((due, other, Letter::PlaceWanted));
                    }
                }
                Effect::Answer(asker, ticket, reply) => {
                    let due = self.now + self.chance.micros(2000);
                    if self.calm || self.chance.hits(95) {
                        self.mail.push((due, asker, Letter::Answer(ticket, reply)));
                    }
                }
                Effect::Ask(ticket, question) => {
                    for other in (0..self.workers.len()).filter(|other| *other != w) {
                        let due = self.now + self.chance.micros(3000);
                        let mail = Letter::WorkerQuery(w, ticket, question.clone());
                        if self.calm || self.chance.hits(90) {
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
        self.excuse_if_slipped((w, id));
        if let Some(mut conn) = self.conns.remove(&(w, id))
            && let Some(link) = &mut conn.link
            && self.chance.hits(50)
            && conn.closes_after.is_none()
        {
            if link.state != State::Deaf {
                link.input.append(&mut conn.to_server);
            }
            link.state = State::Well;
            self.server.now = self.now;
            while link.execute(&mut self.server, &mut self.ledger) {}
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
        self.ledger.leaves(actor.number);
        let settings = &self.rules.settings.clients;
        // Of one that stays silent nothing is heard but the end, also when something was not carried
        // out.
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
            self.ledger.offend(why);
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
            actor.hear(&bytes, late, &mut self.ledger);
            let (worker, key) = (actor.worker, actor.key);
            self.workers[worker].engine.client_wrote(key, n, self.now);
            let number = self.actors[at].number;
            self.note(&format!("client {number} hears"), &bytes);
        }
    }
}
