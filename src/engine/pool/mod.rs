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
pub mod contexts;
pub mod credential;
pub mod dialling;
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
pub mod steps;
pub mod users;
pub mod waiting;
pub mod weights;
pub mod writing;

use std::time::Duration;

use slotmap::SlotMap;
use slotmap::basic::{Iter, IterMut, Values};

use crate::admission::Backoff;
use crate::engine::Rules;
use crate::engine::context::Contexts;
use crate::engine::cx::Cx;
use crate::engine::key::{BackendId, ContextId, CredentialId, EndpointId, PoolKey};

use self::acquire_queue::AcquireQueue;
use self::backend::Backend;
use self::close_reason::CloseReason;
use self::credential::{Credential, Credentials};
use self::endpoint::Endpoint;
use self::weights::Weights;

/// See the module.
pub struct Pool {
    backends: SlotMap<BackendId, Backend>,
    contexts: Contexts,
    /// As whom backends are logged in.
    credentials: Credentials,
    acquire_queue: AcquireQueue,
    /// Backends in phase `Idle`, the last one used last.
    idle: Vec<BackendId>,
    /// The server that everything goes to.
    endpoint: Endpoint,
    /// Those with bytes to be written, each once.
    dirty_backends: Vec<BackendId>,
    /// Bytes put on pipes since backends were last written.
    unflushed: usize,
    /// The budget has been told that this worker waits; the other workers were, at that time.
    waits_for_budget: bool,
    place_wanted_at: Duration,
    /// No connection is made ready for leases before then.
    warm_at: Duration,
    weights: Weights,
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
            idle: Vec::new(),
            endpoint: Endpoint::new(endpoint, backoff),
            dirty_backends: Vec::new(),
            unflushed: 0,
            waits_for_budget: false,
            place_wanted_at: Duration::ZERO,
            warm_at: Duration::ZERO,
            weights: Weights::within(rules.settings.clients.memory_bytes_max, workers),
        }
    }

    /// A backend, unless it is gone.
    #[inline]
    pub fn backend(&self, id: BackendId) -> Option<&Backend> {
        self.backends.get(id)
    }

    /// As [`backend`](Self::backend), to change it.
    #[inline]
    pub fn backend_mut(&mut self, id: BackendId) -> Option<&mut Backend> {
        self.backends.get_mut(id)
    }

    /// Whether there is still this one.
    pub fn has(&self, id: BackendId) -> bool {
        self.backends.contains_key(id)
    }

    /// All of them.
    pub fn backends(&self) -> Values<'_, BackendId, Backend> {
        self.backends.values()
    }

    /// All backends, each with its key.
    pub fn backends_by_id(&self) -> Iter<'_, BackendId, Backend> {
        self.backends.iter()
    }

    /// As [`backends`](Self::backends), to change it.
    pub fn backends_mut(&mut self) -> IterMut<'_, BackendId, Backend> {
        self.backends.iter_mut()
    }

    /// The server that everything goes to.
    #[inline]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// As [`endpoint`](Self::endpoint), to change it.
    pub fn endpoint_mut(&mut self) -> &mut Endpoint {
        &mut self.endpoint
    }

    /// As whom backends are logged in.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// As [`credentials`](Self::credentials), to change it.
    pub fn credentials_mut(&mut self) -> &mut Credentials {
        &mut self.credentials
    }

    /// One of them, unless it is forgotten.
    pub fn credential(&self, id: CredentialId) -> Option<&Credential> {
        self.credentials.get(id)
    }

    /// As [`credential`](Self::credential), to change it.
    pub fn credential_mut(&mut self, id: CredentialId) -> Option<&mut Credential> {
        self.credentials.get_mut(id)
    }

    /// Those who wait for a backend.
    #[inline]
    pub fn acquire_queue(&self) -> &AcquireQueue {
        &self.acquire_queue
    }

    /// As [`acquire_queue`](Self::acquire_queue), to change it.
    pub fn acquire_queue_mut(&mut self) -> &mut AcquireQueue {
        &mut self.acquire_queue
    }

    /// Bytes of clients that are with their backends.
    #[inline]
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Where what is of this context goes.
    #[inline]
    pub fn key_of(&self, context: ContextId) -> PoolKey {
        PoolKey {
            endpoint: self.endpoint.id(),
            context,
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
        before.hand_on_to(&mut self.endpoint);
        self.credentials.forget_servers_words();
        cx.wake_at(cx.now);
    }
}
