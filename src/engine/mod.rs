//! The engine: who carries a request, and to whom its reply goes. One per worker thread.
//!
//! It knows nothing of sockets, threads or clocks. Bytes and events come in through the
//! methods below, each with the time `now`; bytes to be written are fetched from it, other
//! things to be done are [`Effect`]s. The same calls give the same results, always.
//!
//! `request/` is the way in, `reply/` the way out: read those two first. What each piece of work can
//! touch is in `reach.rs`.

mod auth;
mod blocking;
mod clients;
mod context;
mod cx;
mod effect;
mod event;
mod fanout;
pub mod fault_injection;
mod gate;
mod key;
mod lease;
mod leases;
mod lending;
mod lifecycle;
mod mail;
mod memory;
mod pause;
mod pool;
mod queries;
mod reach;
mod received;
mod reply;
mod request;
mod rules;
mod server_busy;
mod server_role;
mod server_user;
pub mod settings;
mod slot;
mod stand_in;
mod survey;
mod traffic;
mod verdict;
mod waits;
mod writing;

use std::sync::Arc;
use std::time::Duration;

use clients::{Client, Clients};
use context::Context;
use cx::Cx;
use leases::Leases;

use crate::resp::Refusal;
use crate::telemetry::Counters;

use self::auth::Auth;
use self::fanout::Fanout;
use self::pool::Pool;
use self::reach::{Blocking, Gate, Lending, Memory, Queries, Survey, Traffic, Writing};
use self::waits::Waits;

pub use clients::{Accepted, Output, Pieces, SHARED_BYTES_MIN};
pub use effect::{AnswerTo, Effect, Reply, WorkerQuery};
pub use key::{BackendId, ClientId};
pub use mail::Mail;
pub use pool::close_reason::CloseReason;
pub use pool::handshake::Identity;
pub use received::Received;
pub use rules::{Rules, Setup, WorkerShared};
pub use server_busy::ServerBusy;
pub use server_role::{Role, ServerRole};
pub use server_user::OwnUser;
pub use stand_in::StandIns;
pub use survey::census::Census;

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
        let mut counters = Counters::new(Refusal::LABELS, &CloseReason::labels());
        if let Some(before) = &setup.counted {
            counters.add(&before.counters);
        }
        Self {
            pool: Pool::new(endpoint, rules, setup.workers),
            auth: Auth::default(),
            leases: Leases::default(),
            waits: Waits::default(),
            fanout: Fanout::default(),
            identity: Arc::clone(&setup.identity),
            cx: Cx::new(setup, counters),
            clients: Clients::default(),
            inline_frame: Vec::new(),
        }
    }

    /// A client has connected.
    pub fn client_connected(&mut self, accepted: Accepted, now: Duration) -> ClientId {
        self.advance_to(now);
        let context = self.pool.context_key(Context {
            credential: self.pool.credentials().own(),
            db: self.cx.initial_db,
            ..Context::default()
        });
        let within = self.pool.enter_context(context);
        let client = Client::new(accepted, within, self.cx.initial_db, now);
        let id = self.clients.insert(client);
        self.traffic().begin_unauthenticated(id);
        self.clients.set_idle_timer(&mut self.cx, id);
        id
    }

    /// Finishes what the events since the last turn have begun. To be called after each
    /// batch of events, before output is fetched.
    pub fn turn(&mut self, now: Duration) {
        self.advance_to(now);
        self.cx.all_is_read = true;
        self.memory().weigh();
        // Each pass deals with at least one held request or ends one hold, so the number
        // of passes is bounded by what has been received.
        let mut waiting = usize::MAX;
        loop {
            while let Some(id) = self.clients.next_resumed() {
                self.resume(id);
                self.dispatch();
            }
            self.allocate();
            self.dispatch();
            // More of those who wait, as long as those before them got through.
            if !self.clients.any_resumed() && self.pool.waiting() < waiting {
                waiting = self.pool.waiting();
                self.traffic().wake_where_room();
            }
            if !self.clients.any_resumed() {
                break;
            }
        }
        self.blocking().try_newcomers();
        self.dispatch();
        self.cx.all_is_read = false;
    }

    /// What the runtime has to do, in order.
    pub fn effects(&mut self) -> std::vec::Drain<'_, Effect> {
        self.cx.effects.drain(..)
    }

    /// What is to be written, to be fetched when a turn is over.
    #[inline]
    pub fn writing(&mut self) -> Writing<'_> {
        Writing {
            cx: &mut self.cx,
            clients: &mut self.clients,
            pool: &mut self.pool,
        }
    }

    /// How it stands.
    #[inline]
    pub fn survey(&self) -> Survey<'_> {
        Survey {
            cx: &self.cx,
            clients: &self.clients,
            pool: &self.pool,
            auth: &self.auth,
            leases: &self.leases,
            waits: &self.waits,
            fanout: &self.fanout,
        }
    }
}

reach::reach! { Engine:
    traffic -> Traffic { cx clients pool }
    lending -> Lending { cx clients pool leases }
    blocking -> Blocking { cx clients pool leases waits }
    gate -> Gate { cx clients pool auth }
    queries -> Queries { cx clients pool fanout }
    memory -> Memory { cx clients pool auth fanout }
}
