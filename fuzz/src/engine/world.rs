//! What is around the engine: sockets, servers, clients, the other worker, the clock. It does what
//! the runtime does, in the runtime's order, and checks after each turn what must always hold.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use narrows::admission::{Budget, DialRate, Permit};
use narrows::engine::{
    BackendId, ClientId, Effect, Engine, Identity, Rules, Setup, WorkerQuery, WorkerShared,
};
use narrows::topology::Topology;

use super::actor::Actor;
use super::rules;
use super::server::{Link, Server};

/// One connection to the server, or a dial.
pub struct Conn {
    _permit: Permit,
    /// There once the dial has succeeded.
    pub link: Option<Link>,
    /// Bytes that its socket still takes.
    pub room: usize,
    pub blocked: bool,
}

/// See the file's head.
pub struct World {
    pub engine: Engine,
    pub budget: Arc<Budget>,
    pub now: Duration,
    pub topology: Topology,
    pub server: Server,
    pub conns: BTreeMap<BackendId, Conn>,
    pub actors: Vec<Actor>,
    /// Questions to the other worker.
    pub questions: VecDeque<(u64, WorkerQuery)>,
    /// The server's `COMMAND` is asked for.
    pub commands_asked: bool,
    /// Connections that are closed: late news of them find nothing.
    pub closed: Vec<BackendId>,
    dirty_clients: Vec<ClientId>,
    dirty_backends: Vec<BackendId>,
}

/// Turns in a row without news from outside: more is a loop.
const TURNS_MAX: usize = 200;

impl World {
    /// A world with rules drawn from `u`.
    pub fn drawn(u: &mut Unstructured<'_>) -> Result<Self> {
        let rules: Arc<Rules> = Arc::new(rules::draw(u)?);
        let workers = u.int_in_range(1..=2_usize)?;
        let budget = Budget::new(u.int_in_range(2..=6_u32)?, workers);
        let shared = WorkerShared::new(Arc::clone(&budget), DialRate::new(*u.choose(&[1000, 20])?));
        let identity = Identity {
            name: "narrows:fuzz".to_owned(),
        };
        let seed = u64::from(u.arbitrary::<u8>()?);
        Ok(Self {
            engine: Engine::new(Setup {
                worker: 0,
                workers,
                rules,
                topology: Arc::default(),
                identity: Arc::new(identity),
                shared,
                initial_db: 0,
                seed,
                counted: None,
            }),
            topology: Topology::default(),
            budget,
            now: Duration::from_secs(1),
            server: Server::default(),
            conns: BTreeMap::new(),
            actors: Vec::new(),
            questions: VecDeque::new(),
            commands_asked: false,
            closed: Vec::new(),
            dirty_clients: Vec::new(),
            dirty_backends: Vec::new(),
        })
    }

    /// Turns as long as there is something to do at once, as `runtime::worker` does them.
    pub fn pump(&mut self) {
        for _ in 0..TURNS_MAX {
            self.turn();
            let due = self
                .engine
                .survey()
                .alarm()
                .is_some_and(|at| at <= self.now);
            if !due && !self.engine.survey().is_unfinished() {
                return self.check();
            }
        }
        panic!("the engine spins: {:?}", self.engine.survey().census());
    }

    fn turn(&mut self) {
        self.engine.tick(self.now);
        self.engine.turn(self.now);
        self.effects();
        self.write_backends();
        self.write_clients();
        if self.engine.survey().wants_turn() {
            self.engine.turn(self.now);
            self.effects();
            self.write_backends();
        }
    }

    fn check(&self) {
        let census = self.engine.survey().census();
        assert!(census.totals_agree, "totals have drifted: {census:?}");
        assert!(self.budget.held() <= self.budget.total());
        assert_eq!(self.budget.held() as usize, self.conns.len(), "permits");
        let here = self.actors.iter().filter(|actor| !actor.gone).count();
        assert_eq!(census.clients, here, "clients");
        // Of a dial whose backend the engine has given up it knows nothing any more.
        assert!(census.backends <= self.conns.len(), "backends");
    }

    fn effects(&mut self) {
        let effects: Vec<Effect> = self.engine.effects().collect();
        for effect in effects {
            match effect {
                Effect::Dial {
                    endpoint,
                    backend: id,
                    permit,
                } => {
                    assert_eq!(endpoint, self.topology.endpoint(), "where nobody is");
                    let conn = Conn {
                        _permit: permit,
                        link: None,
                        room: usize::MAX,
                        blocked: false,
                    };
                    assert!(self.conns.insert(id, conn).is_none(), "dialled twice");
                }
                Effect::CloseBackend(id) => {
                    self.closed.push(id);
                    // A dial under way ends by itself.
                    if self.conns.get(&id).is_some_and(|conn| conn.link.is_some()) {
                        self.conns.remove(&id);
                    }
                }
                Effect::CloseClient(id) => {
                    if let Some(actor) = self.actor(id) {
                        actor.gone = true;
                    }
                }
                Effect::ReadClient(id) => {
                    if let Some(actor) = self.actor(id) {
                        actor.readable = true;
                    }
                }
                Effect::LearnCommands => self.commands_asked = true,
                // There is no other worker, and nobody else listens.
                Effect::WantPlace | Effect::Answer(..) => {}
                Effect::Ask(ticket, question) => self.questions.push_back((ticket, question)),
            }
        }
    }

    fn actor(&mut self, id: ClientId) -> Option<&mut Actor> {
        self.actors.iter_mut().find(|a| a.key == id && !a.gone)
    }

    fn write_backends(&mut self) {
        let mut ids = std::mem::take(&mut self.dirty_backends);
        self.engine.writing().take_dirty_backends(&mut ids);
        for id in ids {
            self.write_backend(id);
        }
    }

    pub fn write_backend(&mut self, id: BackendId) {
        loop {
            let Some(conn) = self.conns.get_mut(&id) else {
                return;
            };
            let Some(link) = &mut conn.link else {
                return;
            };
            let bytes = self.engine.writing().of_backend(id);
            if bytes.is_empty() {
                return;
            }
            let n = bytes.len().min(conn.room);
            link.input.extend_from_slice(&bytes[..n]);
            conn.room = conn.room.saturating_sub(n);
            conn.blocked = n == 0;
            self.engine.backend_wrote(id, n, self.now);
            if n == 0 {
                return;
            }
        }
    }

    fn write_clients(&mut self) {
        let mut ids = std::mem::take(&mut self.dirty_clients);
        self.engine.writing().take_dirty_clients(&mut ids);
        for id in ids {
            if let Some(at) = self.actors.iter().position(|a| a.key == id && !a.gone) {
                self.write_client(at);
            }
        }
    }

    pub fn write_client(&mut self, at: usize) {
        let actor = &mut self.actors[at];
        while !actor.gone {
            let bytes = self.engine.writing().of_client(actor.key).first();
            if bytes.is_empty() {
                return;
            }
            let n = bytes.len().min(actor.appetite);
            actor.blocked = n == 0;
            if n == 0 {
                self.engine.client_wrote(actor.key, 0, self.now);
                return;
            }
            actor.appetite = match actor.appetite {
                usize::MAX => usize::MAX,
                appetite => appetite - n,
            };
            actor.hear(&bytes[..n]);
            self.engine.client_wrote(actor.key, n, self.now);
        }
    }
}
