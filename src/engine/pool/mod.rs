//! The backends of a worker: who has which, what each owes, and how they come and go. Knows nothing of
//! clients but their keys.

pub mod backend;
pub mod check;
pub mod checks;
pub mod cleaning;
pub mod closing;
pub mod credential;
pub mod due;
pub mod handshake;
pub mod idle;
pub mod loss;
pub mod orphan;
pub mod outgoing;
pub mod pick;
pub mod probe;
pub mod provided;
pub mod rights;
pub mod room;
pub mod run;
pub mod users;
pub mod wants;
pub mod weights;
pub mod writing;

use std::time::Duration;

use slotmap::SlotMap;

use crate::admission::Backoff;
use crate::engine::Rules;
use crate::engine::context::Contexts;
use crate::engine::key::BackendId;

use self::backend::Backend;
use self::credential::Credentials;
use self::handshake::Hellos;
use self::wants::Wants;
use self::weights::Weights;

/// See the module.
pub struct Pool {
    pub backends: SlotMap<BackendId, Backend>,
    pub contexts: Contexts,
    /// As whom backends are logged in.
    pub credentials: Credentials,
    pub wants: Wants,
    /// Backends in phase `Spare`, the last one used last.
    pub spares: Vec<BackendId>,
    pub server: Server,
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

/// What is believed of the server.
#[derive(Debug)]
pub struct Server {
    /// narrows' own health check is answered.
    pub answering: bool,
    pub backoff: Backoff,
    /// No dial before then.
    pub dial_at: Duration,
    /// Nor a switch: the server was too busy for one.
    pub switch_at: Duration,
    /// What the last failed attempt said.
    pub last_error: String,
    /// It refuses our credentials.
    pub credentials_refused: bool,
    /// It is a cluster node.
    pub cluster: bool,
    /// Its replies to `HELLO 2` and `HELLO 3`.
    pub hello: Hellos,
}

impl Pool {
    /// No connection yet.
    pub fn new(rules: &Rules, workers: usize) -> Self {
        let backend = &rules.settings.backend;
        Self {
            backends: SlotMap::with_key(),
            contexts: Contexts::default(),
            credentials: Credentials::new(&rules.access.own),
            wants: Wants::default(),
            spares: Vec::new(),
            server: Server {
                answering: true,
                backoff: Backoff::new(backend.backoff_min, backend.backoff_max),
                dial_at: Duration::ZERO,
                switch_at: Duration::ZERO,
                last_error: String::new(),
                credentials_refused: false,
                cluster: false,
                hello: Hellos::default(),
            },
            dirty_backends: Vec::new(),
            unflushed: 0,
            wanting: false,
            place_wanted_at: Duration::ZERO,
            warm_at: Duration::ZERO,
            weights: Weights::within(rules.settings.clients.memory_bytes_max, workers),
        }
    }
}
