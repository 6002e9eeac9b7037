//! The engine: who carries a request, and to whom its reply goes. One per worker thread.
//!
//! It knows nothing of sockets, threads or clocks. Bytes and events come in through the
//! methods below, each with the time `now`; bytes to be written are fetched from it, other
//! things to be done are [`Effect`]s. The same calls give the same results, always.
//!
//! `request.rs` is the way in, `reply.rs` the way out: read those two first.

mod backend;
mod block;
mod bracket;
mod busy;
mod cancel;
mod canceller;
mod census;
mod check;
mod cleaning;
mod client;
mod context;
mod credential;
mod door;
mod drain;
mod effect;
mod errand;
mod feed;
mod forget;
mod gather;
mod gathers;
mod handshake;
mod hold;
mod holding;
mod idle;
mod in_line;
mod input;
mod key;
mod kill;
mod lease;
mod lease_line;
mod lease_turns;
mod lent;
mod lifecycle;
mod line;
mod listen;
mod local;
mod login;
mod login_checks;
mod logins;
mod loss;
mod memory;
mod offset;
mod opening;
mod orphan;
mod outbox;
mod outgoing;
mod output;
mod pause;
mod permission;
pub mod planted;
mod probe;
mod provision;
mod queued;
mod reload;
mod reply;
mod request;
mod route;
mod run;
mod send;
mod server;
mod server_busy;
mod server_role;
pub mod settings;
mod slot;
mod snapshot;
mod stand_in;
mod stretch;
mod timers;
mod tries;
mod upload;
mod wait;
mod waits;
mod wants;
mod warm;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use slotmap::SlotMap;

use crate::admission::{Budget, DialRate, Failures, Jitter, Paused, Seats, ServerPause};
use crate::command::{CommandTable, Policy, Renames};
use crate::resp::Refusal;
use crate::session::Access;
use crate::telemetry::Counters;
use crate::telemetry::door::DoorCounts;

use backend::{Backend, Rotation};
use cancel::Cancels;
use client::Client;
use context::{Context, Contexts};
use credential::Credentials;
use gathers::Gathers;
use idle::Looks;
use kill::Kill;
use lease::Leases;
use lease_line::LeaseLine;
use lifecycle::Event;
use line::Line;
use login_checks::LoginChecks;
use memory::{Debtors, Weights};
use outbox::BufferStore;
use server::Server;
use settings::Settings;
use tries::Try;
use wants::Wants;

pub use census::Census;
pub use client::Accepted;
pub use effect::{Effect, Question, Reply};
pub use handshake::Identity;
pub use key::{BackendId, ClientId};
pub use loss::Loss;
pub use server_busy::ServerBusy;
pub use server_role::{Role, ServerRole};
pub use stand_in::StandIns;

/// What requests are judged by. Replaced as a whole, between two turns.
pub struct Rules {
    /// Bounds and deadlines.
    pub settings: Settings,
    /// What each command is.
    pub commands: CommandTable,
    /// What the operator allows.
    pub policy: Policy,
    /// Who may come in, and as whom.
    pub access: Access,
}

impl Rules {
    /// All that the server calls differently, for any user.
    pub fn renames(&self) -> Renames {
        let users = self.access.users.values();
        users.fold(self.policy.renames().clone(), |all, user| {
            all.with(user.policy.renames())
        })
    }
}

/// What one worker shares with the others.
#[derive(Clone)]
pub struct Shared {
    /// The bound on backend connections.
    pub budget: Arc<Budget>,
    /// The bound on dials a second.
    pub dials: Arc<DialRate>,
    /// Connections that never became clients.
    pub door: Arc<DoorCounts>,
    /// How many clients each user has.
    pub seats: Arc<Seats>,
    /// Failed logins, by address.
    pub failures: Arc<Failures>,
    /// For how long clients have paused the server.
    pub pause: Arc<ServerPause>,
    /// What the server says while it is busy with a script.
    pub busy: Arc<ServerBusy>,
    /// Whether the server is a master.
    pub role: Arc<ServerRole>,
    /// As whom control may ask what needs a login.
    pub stand_ins: Arc<StandIns>,
}

impl Shared {
    /// Nobody has come yet.
    pub fn new(budget: Arc<Budget>, dials: DialRate) -> Self {
        Self {
            budget,
            dials: Arc::new(dials),
            door: Arc::default(),
            seats: Arc::default(),
            failures: Arc::default(),
            pause: Arc::default(),
            busy: Arc::default(),
            role: Arc::default(),
            stand_ins: Arc::default(),
        }
    }
}

/// Silence of a pipe that owes replies, while the server answers others, from which its
/// oldest request is taken for a paused write, or the pipe for a broken one where that is a
/// read. One server runs one command at a time, so nothing else explains it.
const PAUSED_AFTER: Duration = Duration::from_millis(500);

/// One worker's engine.
pub struct Engine {
    worker: usize,
    workers: usize,
    initial_db: u32,
    rules: Arc<Rules>,
    identity: Arc<Identity>,
    shared: Shared,
    clients: SlotMap<ClientId, Client>,
    backends: SlotMap<BackendId, Backend>,
    contexts: Contexts,
    credentials: Credentials,
    /// Logins that the server is to check.
    logins: LoginChecks,
    wants: Wants,
    lease_line: LeaseLine,
    leases: Leases,
    /// Backends in phase `Spare`, the last one used last.
    spares: Vec<BackendId>,
    server: Server,
    jitter: Jitter,
    /// The budget has been told that this worker waits; the other workers were, at that time.
    wanting: bool,
    place_wanted_at: Duration,
    /// No connection is made ready for leases before then.
    warm_at: Duration,
    store: BufferStore,
    /// An inline request in canonical form.
    inline_frame: Vec<u8>,
    effects: Vec<Effect>,
    dirty_clients: Vec<ClientId>,
    dirty_backends: Vec<BackendId>,
    /// What has ended and is still to be seen to.
    events: VecDeque<Event>,
    /// Clients whose hold is over.
    resumed: VecDeque<ClientId>,
    /// Whether all that is here of clients has been read: what is dealt with now is the turn's.
    all_is_read: bool,
    /// Bytes put on pipes since backends were last written.
    unflushed: usize,
    /// Waits that are being ended.
    cancels: Cancels,
    /// Waits that have found no place on the server.
    line: Line,
    /// Those of them that are being tried, and some whose clients have left meanwhile.
    tries: BTreeMap<ClientId, Try>,
    gathers: Gathers,
    /// What the server, paused through narrows, holds up, by the last look at that.
    paused: Option<Paused>,
    /// Clients that wait for the end of a pause, and of which one.
    held_up: Vec<ClientId>,
    held_up_in: Option<Paused>,
    /// Clients that wait for the backend's `COMMAND`.
    command_waiters: Vec<(ClientId, Duration)>,
    /// `SCRIPT KILL` and its like that go before their turn.
    kills: BTreeMap<ClientId, Kill>,
    /// When it was last asked for.
    commands_asked_at: Option<Duration>,
    draining: bool,
    looks: Looks,
    /// When huge requests are judged by their speed.
    streams: BTreeSet<(Duration, ClientId)>,
    /// Bytes of clients in all inputs and outboxes, and of their names.
    buffered_bytes: usize,
    weights: Weights,
    debtors: Debtors,
    /// Steps taken of loops over what waits or merely exists.
    steps: u64,
    counters: Counters,
    now: Duration,
    alarm: Option<Duration>,
}

impl Engine {
    /// The engine of worker number `worker` of `workers`. Clients begin in `initial_db`.
    /// `seed` decides all jitter.
    pub fn new(
        (worker, workers): (usize, usize),
        rules: Arc<Rules>,
        identity: Arc<Identity>,
        shared: Shared,
        initial_db: u32,
        seed: u64,
    ) -> Self {
        let server = Server::new(&rules.settings.backend);
        Self {
            worker,
            workers,
            initial_db,
            credentials: Credentials::new(&rules.access.own),
            logins: LoginChecks::default(),
            weights: Weights::within(rules.settings.clients.memory_bytes_max, workers),
            rules,
            identity,
            shared,
            clients: SlotMap::with_key(),
            backends: SlotMap::with_key(),
            contexts: Contexts::default(),
            wants: Wants::default(),
            lease_line: LeaseLine::default(),
            leases: Leases::default(),
            spares: Vec::new(),
            server,
            jitter: Jitter::new(seed),
            wanting: false,
            place_wanted_at: Duration::ZERO,
            warm_at: Duration::ZERO,
            store: BufferStore::default(),
            inline_frame: Vec::new(),
            effects: Vec::new(),
            dirty_clients: Vec::new(),
            dirty_backends: Vec::new(),
            events: VecDeque::new(),
            resumed: VecDeque::new(),
            all_is_read: false,
            unflushed: 0,
            cancels: Cancels::default(),
            line: Line::default(),
            tries: BTreeMap::new(),
            gathers: Gathers::default(),
            paused: None,
            held_up: Vec::new(),
            held_up_in: None,
            command_waiters: Vec::new(),
            kills: BTreeMap::new(),
            commands_asked_at: None,
            draining: false,
            looks: Looks::default(),
            streams: BTreeSet::new(),
            buffered_bytes: 0,
            debtors: Debtors::default(),
            steps: 0,
            counters: Counters::new(Refusal::LABELS, &Loss::labels()),
            now: Duration::ZERO,
            alarm: None,
        }
    }

    /// A client has connected.
    pub fn client_connected(&mut self, accepted: Accepted, now: Duration) -> ClientId {
        self.advance_to(now);
        let context = self.contexts.key(Context {
            credential: self.credentials.own(),
            db: self.initial_db,
            ..Context::default()
        });
        let within = self.contexts.enter(context);
        let client = Client::new(accepted, within, self.initial_db, now);
        let id = self.clients.insert(client);
        self.place_stranger(id);
        self.look_later(id);
        id
    }

    /// The rules in force.
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// The server does, or does not, answer narrows' own health check. Told at each check
    /// that is answered, and once when none is any more.
    pub fn health_checked(&mut self, answering: bool, now: Duration) {
        self.advance_to(now);
        if self.server.answering != answering {
            self.server.answering = answering;
            if answering {
                self.server.dial_at = self.server.dial_at.min(now);
            }
            self.wake_at(now);
        }
        if !answering {
            return;
        }
        if self.shared.budget.growth_stopped() {
            // Idle backends go back to a server that is short of room.
            self.wake_at(now);
        }
        if self.shared.busy.says(now).is_some() {
            self.go_around_scripts();
        }
        let mut lanes = Vec::new();
        for (id, backend) in &mut self.backends {
            let silent = now.saturating_sub(backend.heard_at) >= PAUSED_AFTER;
            let owes = !backend.in_flight.is_empty() && backend.out.unsent_len() == 0;
            if silent && owes && backend.rotation() == Some(Rotation::Open) {
                if backend.owes_despite_a_pause() {
                    // A read or a ping: it is this connection that says nothing.
                    tracing::info!("the server answers others: a connection says nothing");
                    backend.turn_to(Rotation::Rested);
                } else {
                    tracing::info!("the server answers others: writes seem to be paused");
                    backend.turn_to(Rotation::Writes);
                    lanes.push(id);
                }
            }
        }
        for id in lanes {
            self.ask_elsewhere(id);
        }
    }

    /// Finishes what the events since the last turn have begun. To be called after each
    /// batch of events, before output is fetched.
    pub fn turn(&mut self, now: Duration) {
        self.advance_to(now);
        self.all_is_read = true;
        self.weigh();
        // Each pass deals with at least one held request or ends one hold, so the number
        // of passes is bounded by what has been received.
        let mut waiting = usize::MAX;
        loop {
            while let Some(id) = self.resumed.pop_front() {
                self.resume(id);
                self.dispatch();
            }
            self.provide();
            self.dispatch();
            // More of those who wait, as long as those before them got through.
            if self.resumed.is_empty() && self.contexts.waiting() < waiting {
                waiting = self.contexts.waiting();
                self.wake_where_room();
            }
            if self.resumed.is_empty() {
                break;
            }
        }
        self.try_newcomers();
        self.dispatch();
        self.all_is_read = false;
    }

    /// What the runtime has to do, in order.
    pub fn effects(&mut self) -> std::vec::Drain<'_, Effect> {
        self.effects.drain(..)
    }

    /// Whether there is something to do that no alarm and no socket will tell of: a turn is
    /// to follow at once. Writing can end holds, and what then goes on has output again.
    pub fn is_unfinished(&self) -> bool {
        !self.effects.is_empty()
            || !self.dirty_clients.is_empty()
            || !self.resumed.is_empty()
            || !self.events.is_empty()
    }

    /// Whether backends have output that has not been looked at.
    pub fn has_unwritten(&self) -> bool {
        !self.dirty_backends.is_empty()
    }

    /// When [`Engine::tick`] wants to be called next.
    pub fn alarm(&self) -> Option<Duration> {
        self.alarm
    }

    /// Steps taken so far of loops over what waits or merely exists, and not over what a turn has
    /// brought: for tests of what a turn costs.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Clients connected to this worker.
    pub fn clients_len(&self) -> usize {
        self.clients.len()
    }

    /// What has been counted since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn wake_at(&mut self, at: Duration) {
        self.alarm = Some(self.alarm.map_or(at, |alarm| alarm.min(at)));
    }
}
