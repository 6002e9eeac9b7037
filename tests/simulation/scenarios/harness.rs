//! One engine, driven by hand: the harness does what its runtime would do, and says what came of it.

use std::sync::Arc;
use std::time::Duration;

use narrows::admission::{Budget, DialRate, Permit};
use narrows::command::{CommandTable, Policy, PolicySettings};
use narrows::engine::settings::EngineSettings;
use narrows::engine::{
    Accepted, BackendId, ClientId, Effect, Engine, Identity, Mail, Output, OwnUser, Rules, Setup,
    WorkerShared,
};
use narrows::session::access::BackendLogin;
use narrows::session::{Access, AuthMode};
use narrows::topology::{EndpointId, ServerAddress, Topology};

pub const HELLO: &[u8] = b"*2\r\n$2\r\nid\r\n:9\r\n";

/// One engine, and what its runtime would hold.
pub struct Harness {
    pub engine: Engine,
    pub budget: Arc<Budget>,
    settings: EngineSettings,
    pub now: Duration,
    clients: u64,
    topology: Arc<Topology>,
    /// What all workers know of narrows' user.
    pub own_user: Arc<OwnUser>,
    pub permits: Vec<(BackendId, Permit)>,
    /// Which server each dial was of, in order.
    pub dials: Vec<EndpointId>,
    pub closed: Vec<BackendId>,
    /// Turns that the engine has had.
    pub turns: u64,
    /// Clients that were closed.
    pub gone: Vec<ClientId>,
    /// Numbers of questions to the other workers.
    pub asked: Vec<u64>,
}

impl Harness {
    /// With `backends` connections to be had.
    pub fn new(backends: u32, change: impl FnOnce(&mut EngineSettings)) -> Self {
        Self::with_access(backends, change, AuthMode::None)
    }

    /// The same, where clients log in like this.
    pub fn with_access(
        backends: u32,
        change: impl FnOnce(&mut EngineSettings),
        mode: AuthMode,
    ) -> Self {
        Self::one_of(1, backends, change, mode)
    }

    /// The same, where it is one of so many workers.
    pub fn one_of(
        workers: usize,
        backends: u32,
        change: impl FnOnce(&mut EngineSettings),
        mode: AuthMode,
    ) -> Self {
        let mut settings = EngineSettings::default();
        // Only what is about checks has them.
        settings.pool.check_interval = Duration::ZERO;
        // And only what is about connections kept ready keeps some.
        settings.pool.min_idle_leases = 0;
        change(&mut settings);
        let kept = settings.clone();
        let rules = Rules {
            settings,
            commands: CommandTable::builtin(),
            policy: Policy::new(&PolicySettings::default()).unwrap(),
            access: Access {
                mode,
                ..Access::default()
            },
        };
        let budget = Budget::new(backends + 1, 1);
        let shared = WorkerShared::new(Arc::clone(&budget), DialRate::new(1000));
        let topology = Arc::new(Topology::default());
        let own_user = Arc::clone(&shared.own_user);
        Self {
            engine: Engine::new(Setup {
                worker: 0,
                workers,
                rules: Arc::new(rules),
                topology: Arc::clone(&topology),
                identity: Arc::new(Identity::default()),
                shared,
                initial_db: 0,
                seed: 1,
                counted: None,
            }),
            topology,
            own_user,
            dials: Vec::new(),
            budget,
            settings: kept,
            now: Duration::from_secs(1),
            clients: 0,
            permits: Vec::new(),
            closed: Vec::new(),
            turns: 0,
            gone: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// The engine has panicked: another one takes its place.
    pub fn restart(&mut self) {
        let survey = self.engine.survey();
        let (rules, before) = (Arc::clone(survey.rules()), survey.snapshot());
        self.engine = Engine::new(Setup {
            worker: 0,
            workers: 1,
            rules,
            topology: Arc::clone(&self.topology),
            identity: Arc::new(Identity::default()),
            shared: WorkerShared::new(Arc::clone(&self.budget), DialRate::new(1000)),
            initial_db: 0,
            seed: 2,
            counted: Some(Arc::new(before)),
        });
    }

    /// Control has asked the server that is there now.
    pub fn check_health(&mut self, answering: bool) {
        self.check_health_of(self.server(), answering);
    }

    /// The same of this one.
    pub fn check_health_of(&mut self, endpoint: EndpointId, answering: bool) {
        self.engine
            .mail(Mail::Health(endpoint, answering), self.now);
    }

    /// The server that is there now.
    pub fn server(&self) -> EndpointId {
        self.topology.endpoint()
    }

    /// Another server takes its place.
    pub fn replace_server(&mut self) {
        self.topology = Arc::new(self.topology.replaced_by(ServerAddress::default()));
        self.engine
            .mail(Mail::Topology(Arc::clone(&self.topology)), self.now);
        self.turn();
    }

    /// The engine is told once more where the servers are, and late where one was before.
    pub fn hear_of_servers_again(&mut self) {
        for topology in [Topology::default(), (*self.topology).clone()] {
            self.engine
                .mail(Mail::Topology(Arc::new(topology)), self.now);
            self.turn();
        }
    }

    /// A reload: narrows' own login is another one.
    pub fn log_in_as(&mut self, user: &str) {
        self.reload(Access {
            own: BackendLogin {
                user: Some(user.as_bytes().into()),
                password: Some(b"secret"[..].into()),
            },
            ..Access::default()
        });
    }

    /// A reload: clients log in as users of the server.
    pub fn let_users_log_in(&mut self) {
        self.reload(Access {
            mode: AuthMode::Passthrough,
            ..Access::default()
        });
    }

    fn reload(&mut self, access: Access) {
        let rules = Rules {
            settings: self.settings.clone(),
            commands: CommandTable::builtin(),
            policy: Policy::new(&PolicySettings::default()).unwrap(),
            access,
        };
        self.engine.mail(Mail::Rules(Arc::new(rules)), self.now);
        self.turn();
    }

    pub fn client(&mut self) -> ClientId {
        self.clients += 1;
        let here = ([127, 0, 0, 1], 1).into();
        let accepted = Accepted::tcp(self.clients, here, here);
        self.engine.client_connected(accepted, self.now)
    }

    pub fn turn(&mut self) {
        loop {
            self.engine.tick(self.now);
            self.engine.turn(self.now);
            self.turns += 1;
            let effects: Vec<Effect> = self.engine.effects().collect();
            for effect in effects {
                match effect {
                    Effect::Dial {
                        endpoint,
                        backend,
                        permit,
                    } => {
                        self.dials.push(endpoint);
                        self.permits.push((backend, permit));
                    }
                    Effect::CloseBackend(id) => {
                        self.permits.retain(|(open, _)| *open != id);
                        self.closed.push(id);
                    }
                    Effect::CloseClient(id) => self.gone.push(id),
                    Effect::Ask(ticket, _) => self.asked.push(ticket),
                    _ => {}
                }
            }
            let mut dirty = Vec::new();
            self.engine.writing().take_dirty_clients(&mut dirty);
            if !self.engine.survey().is_unfinished() {
                return;
            }
        }
    }

    pub fn send(&mut self, client: ClientId, bytes: &str) {
        self.engine.client_bytes(client, bytes.as_bytes(), self.now);
        self.turn();
    }

    pub fn received(&mut self, client: ClientId) -> String {
        let bytes = match self.engine.writing().of_client(client) {
            Output::One(bytes) => bytes.to_vec(),
            Output::Many(pieces) => pieces.flatten().copied().collect(),
        };
        self.engine.client_wrote(client, bytes.len(), self.now);
        self.turn();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The dial under way comes to a connection whose handshake goes well.
    pub fn connect(&mut self) -> BackendId {
        let id = self.permits.last().expect("a dial under way").0;
        self.connect_one(id)
    }

    /// The same of this one.
    pub fn connect_one(&mut self, id: BackendId) -> BackendId {
        self.engine.dialled(id, self.now);
        self.written(id);
        self.reply(id, HELLO);
        self.reply(id, b"+OK\r\n+OK\r\n");
        id
    }

    pub fn written(&mut self, id: BackendId) -> String {
        self.turn();
        let mut dirty = Vec::new();
        self.engine.writing().take_dirty_backends(&mut dirty);
        let text = String::from_utf8_lossy(self.engine.writing().of_backend(id)).into_owned();
        self.engine.backend_wrote(id, text.len(), self.now);
        text
    }

    pub fn reply(&mut self, id: BackendId, bytes: &[u8]) {
        self.engine.backend_bytes(id, bytes, self.now);
        self.turn();
    }

    /// Time passes, with a wake for each alarm and for nothing else. How many there were.
    pub fn advance(&mut self, length: Duration) -> usize {
        let until = self.now + length;
        let mut wakes = 0;
        while let Some(at) = self.engine.survey().alarm().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.turn();
            wakes += 1;
            assert!(wakes < 100_000, "alarms without end");
        }
        self.now = until;
        wakes
    }
}

pub fn without_alarms(settings: &mut EngineSettings) {
    settings.pool.ping_interval = Duration::ZERO;
    settings.pool.idle_timeout = Duration::ZERO;
    settings.pool.max_lifetime = Duration::ZERO;
}
