//! The backends of a worker: who has which, what each owes, and how they come and go. Knows nothing of
//! clients but their keys.

pub mod acquire_queue;
pub mod allocation;
pub mod backend;
pub mod check;
pub mod checks;
pub mod cleaning;
pub mod close_reason;
pub mod closing;
pub mod context_pools;
pub mod credential;
pub mod due;
pub mod endpoint;
pub mod handshake;
pub mod idle;
pub mod latency_sample;
pub mod orphan;
pub mod outgoing;
pub mod pick;
pub mod reply_batch;
pub mod rights;
pub mod room;
pub mod users;
pub mod weights;
pub mod writing;

use std::time::Duration;

use slotmap::SlotMap;

use crate::admission::Backoff;
use crate::engine::Rules;
use crate::engine::context::Contexts;
use crate::engine::cx::Cx;
use crate::engine::key::{BackendId, ContextId, EndpointId, PoolKey};

use self::acquire_queue::AcquireQueue;
use self::backend::Backend;
use self::close_reason::CloseReason;
use self::credential::Credentials;
use self::endpoint::Endpoint;
use self::weights::Weights;

/// See the module.
pub struct Pool {
    pub backends: SlotMap<BackendId, Backend>,
    pub contexts: Contexts,
    /// As whom backends are logged in.
    pub credentials: Credentials,
    pub acquire_queue: AcquireQueue,
    /// Backends in phase `Spare`, the last one used last.
    pub spares: Vec<BackendId>,
    /// The server that everything goes to.
    pub endpoint: Endpoint,
    /// Those with bytes to be written, each once.
    pub dirty_backends: Vec<BackendId>,
    /// Bytes put on pipes since backends were last written.
    pub unflushed: usize,
    /// The budget has been told that this worker waits; the other workers were, at that time.
    pub wanting: bool,
    pub place_wanted_at: Duration,
    /// No connection is made ready for leases before then.
    pub warm_at: Duration,
    pub weights: Weights,
}

impl Pool {
    /// No connection to this server yet.
    pub fn new(endpoint: EndpointId, rules: &Rules, workers: usize) -> Self {
        let backend = &rules.settings.backend;
        let backoff = Backoff::new(backend.backoff_min, backend.backoff_max);
        Self {
            backends: SlotMap::with_key(),
            contexts: Contexts::default(),
            credentials: Credentials::new(&rules.access.own),
            acquire_queue: AcquireQueue::default(),
            spares: Vec::new(),
            endpoint: Endpoint::new(endpoint, backoff),
            dirty_backends: Vec::new(),
            unflushed: 0,
            wanting: false,
            place_wanted_at: Duration::ZERO,
            warm_at: Duration::ZERO,
            weights: Weights::within(rules.settings.clients.memory_bytes_max, workers),
        }
    }

    /// Where what is of this context goes.
    #[inline]
    pub fn key_of(&self, context: ContextId) -> PoolKey {
        PoolKey {
            endpoint: self.endpoint.id(),
            context,
        }
    }

    /// The server has accepted this context.
    pub fn accepted(&mut self, context: ContextId) {
        self.endpoint.pools.accepted(context, &self.contexts);
    }

    /// The server has refused this context, with these words: those who wait for it get them.
    pub fn context_refused(&mut self, context: ContextId, reply: Vec<u8>, now: Duration) {
        if let Some(pool) = self.endpoint.pools.open(context, &self.contexts) {
            pool.refusal = Some((reply, now));
        }
    }

    /// Another server has taken the place of the one there was. All connections to that are closed at
    /// once; who waits for one waits for one to the other, of which nothing is known.
    pub fn endpoint_replaced(&mut self, cx: &mut Cx, by: EndpointId) {
        let lost: Vec<BackendId> = self.backends.keys().collect();
        for id in lost {
            self.close_backend(cx, id, CloseReason::EndpointReplaced);
        }
        let backend = &cx.rules.settings.backend;
        let backoff = Backoff::new(backend.backoff_min, backend.backoff_max);
        let before = std::mem::replace(&mut self.endpoint, Endpoint::new(by, backoff));
        self.acquire_queue.move_on(before.id(), by);
        self.endpoint.pools = before.pools.of_successor();
        self.credentials.forget_servers_words();
        cx.wake_at(cx.now);
    }
}
