//! The engine: who carries a request, and to whom its reply goes. One per worker thread.
//!
//! It knows nothing of sockets, threads or clocks. Bytes and events come in through the
//! methods below, each with the time `now`; bytes to be written are fetched from it, other
//! things to be done are [`Effect`]s. The same calls give the same results, always.
//!
//! `request.rs` is the way in, `reply.rs` the way out: read those two first.

mod auth;
mod block;
mod bracket;
mod busy;
mod cancel;
mod canceller;
mod census;
mod cleaning;
mod clients;
mod context;
mod cx;
mod door;
mod drain;
mod effect;
mod errand;
mod event;
mod fanout;
mod feed;
mod forget;
mod gather;
mod idle;
mod in_line;
mod key;
mod kill;
mod lease;
mod lease_turns;
mod leases;
mod lending;
mod lent;
mod lifecycle;
mod listen;
mod local;
mod login;
mod logins;
mod loss;
mod memory;
mod offset;
mod opening;
mod orphan;
mod output;
mod pause;
mod permission;
pub mod planted;
mod pool;
mod provision;
mod queued;
mod reload;
mod reply;
mod request;
mod route;
mod send;
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
mod verdict;
mod wait;
mod wait_on_server;
mod waits;
mod warm;

use std::sync::Arc;
use std::time::Duration;

use clients::{Client, Clients};
use context::Context;
use cx::Cx;
use leases::Leases;
use pool::backend::Rotation;
use settings::Settings;

use crate::admission::{Budget, DialRate, Failures, Seats, ServerPause};
use crate::command::{CommandTable, Policy, Renames};
use crate::session::Access;
use crate::telemetry::Counters;
use crate::telemetry::door::DoorCounts;
use crate::topology::{EndpointId, Topology};

use self::auth::Auth;
use self::fanout::Fanout;
use self::pool::Pool;
use self::waits::Waits;

pub use census::Census;
pub use clients::Accepted;
pub use effect::{Effect, Question, Reply};
pub use key::{BackendId, ClientId};
pub use pool::handshake::Identity;
pub use pool::loss::Loss;
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

/// What an engine begins with.
pub struct Setup {
    /// The number of its worker.
    pub worker: usize,
    /// How many workers there are.
    pub workers: usize,
    /// What requests are judged by.
    pub rules: Arc<Rules>,
    /// Where the servers are.
    pub topology: Arc<Topology>,
    /// What its connections are called.
    pub identity: Arc<Identity>,
    /// What it shares with the other workers.
    pub shared: Shared,
    /// The db that clients begin in.
    pub initial_db: u32,
    /// It decides all jitter.
    pub seed: u64,
}

/// Silence of a pipe that owes replies, while the server answers others, from which its
/// oldest request is taken for a paused write, or the pipe for a broken one where that is a
/// read. One server runs one command at a time, so nothing else explains it.
const PAUSED_AFTER: Duration = Duration::from_millis(500);

/// One worker's engine.
pub struct Engine {
    cx: Cx,
    identity: Arc<Identity>,
    clients: Clients,
    pool: Pool,
    auth: Auth,
    leases: Leases,
    waits: Waits,
    fanout: Fanout,
    /// An inline request in canonical form.
    inline_frame: Vec<u8>,
}

impl Engine {
    /// The engine of one worker.
    pub fn new(setup: Setup) -> Self {
        let (rules, endpoint) = (&setup.rules, setup.topology.endpoint());
        Self {
            pool: Pool::new(endpoint, rules, setup.workers),
            auth: Auth::default(),
            leases: Leases::default(),
            waits: Waits::default(),
            fanout: Fanout::default(),
            identity: Arc::clone(&setup.identity),
            cx: Cx::new(setup),
            clients: Clients::default(),
            inline_frame: Vec::new(),
        }
    }

    /// A client has connected.
    pub fn client_connected(&mut self, accepted: Accepted, now: Duration) -> ClientId {
        self.advance_to(now);
        let context = self.pool.contexts.key(Context {
            credential: self.pool.credentials.own(),
            db: self.cx.initial_db,
            ..Context::default()
        });
        let within = self.pool.contexts.enter(context);
        let client = Client::new(accepted, within, self.cx.initial_db, now);
        let id = self.clients.insert(client);
        self.place_stranger(id);
        self.clients.look_later(&mut self.cx, id);
        id
    }

    /// The rules in force.
    pub fn rules(&self) -> &Arc<Rules> {
        &self.cx.rules
    }

    /// This server does, or does not, answer narrows' own health check. Told at each check
    /// that is answered, and once when none is any more.
    pub fn health_checked(&mut self, endpoint: EndpointId, answering: bool, now: Duration) {
        self.advance_to(now);
        if endpoint != self.pool.endpoint.id() {
            // Another one has taken its place since.
            return;
        }
        if self.pool.endpoint.answering != answering {
            self.pool.endpoint.answering = answering;
            if answering {
                self.pool.endpoint.dial_at = self.pool.endpoint.dial_at.min(now);
            }
            self.cx.wake_at(now);
        }
        if !answering {
            return;
        }
        if self.cx.shared.budget.growth_stopped() {
            // Idle backends go back to a server that is short of room.
            self.cx.wake_at(now);
        }
        if self.cx.shared.busy.says(now).is_some() {
            self.go_around_scripts();
        }
        let mut lanes = Vec::new();
        for (id, backend) in &mut self.pool.backends {
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
        self.cx.all_is_read = true;
        self.weigh();
        // Each pass deals with at least one held request or ends one hold, so the number
        // of passes is bounded by what has been received.
        let mut waiting = usize::MAX;
        loop {
            while let Some(id) = self.clients.next_resumed() {
                self.resume(id);
                self.dispatch();
            }
            self.provide();
            self.dispatch();
            // More of those who wait, as long as those before them got through.
            if !self.clients.any_resumed() && self.pool.endpoint.pools.waiting() < waiting {
                waiting = self.pool.endpoint.pools.waiting();
                self.wake_where_room();
            }
            if !self.clients.any_resumed() {
                break;
            }
        }
        self.try_newcomers();
        self.dispatch();
        self.cx.all_is_read = false;
    }

    /// What the runtime has to do, in order.
    pub fn effects(&mut self) -> std::vec::Drain<'_, Effect> {
        self.cx.effects.drain(..)
    }

    /// Whether there is something to do that no alarm and no socket will tell of: a turn is
    /// to follow at once. Writing can end holds, and what then goes on has output again.
    pub fn is_unfinished(&self) -> bool {
        !self.cx.effects.is_empty()
            || self.clients.any_dirty()
            || self.clients.any_resumed()
            || !self.cx.events.is_empty()
    }

    /// Whether backends have output that has not been looked at.
    pub fn has_unwritten(&self) -> bool {
        !self.pool.dirty_backends.is_empty()
    }

    /// When [`Engine::tick`] wants to be called next.
    pub fn alarm(&self) -> Option<Duration> {
        self.cx.alarm()
    }

    /// Steps taken so far of loops over what waits or merely exists, and not over what a turn has
    /// brought: for tests of what a turn costs.
    pub fn steps(&self) -> u64 {
        self.cx.steps
    }

    /// Clients connected to this worker.
    pub fn clients_len(&self) -> usize {
        self.clients.len()
    }

    /// What has been counted since the start.
    pub fn counters(&self) -> &Counters {
        &self.cx.counters
    }
}
