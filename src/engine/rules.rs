//! What an engine goes by: the rules in force, and what it shares with the other workers.

use std::sync::Arc;

use crate::topology::Topology;

use crate::admission::{Budget, DialRate, Failures, ServerPause, UserQuotas};
use crate::command::{CommandTable, Policy, Renames};
use crate::session::Access;
use crate::telemetry::Snapshot;
use crate::telemetry::reject_counts::RejectCounts;

use super::pool::handshake::Identity;
use super::server_busy::ServerBusy;
use super::server_role::ServerRole;
use super::server_user::OwnUser;
use super::settings::EngineSettings;
use super::stand_in::StandIns;

/// What requests are judged by. Replaced as a whole, between two turns.
pub struct Rules {
    /// Bounds and deadlines.
    pub settings: EngineSettings,
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
pub struct WorkerShared {
    /// The bound on backend connections.
    pub budget: Arc<Budget>,
    /// The bound on dials a second.
    pub dials: Arc<DialRate>,
    /// Connections that never became clients.
    pub reject_counts: Arc<RejectCounts>,
    /// How many clients each user has.
    pub user_quotas: Arc<UserQuotas>,
    /// Failed logins, by address.
    pub failures: Arc<Failures>,
    /// For how long clients have paused the server.
    pub pause: Arc<ServerPause>,
    /// What the server says while it is busy with a script.
    pub busy: Arc<ServerBusy>,
    /// Whether the server is a master.
    pub role: Arc<ServerRole>,
    /// As whom the server logs narrows in by its certificate.
    pub own_user: Arc<OwnUser>,
    /// As whom control may ask what needs a login.
    pub stand_ins: Arc<StandIns>,
}

impl WorkerShared {
    /// Nobody has come yet.
    pub fn new(budget: Arc<Budget>, dials: DialRate) -> Self {
        Self {
            budget,
            dials: Arc::new(dials),
            reject_counts: Arc::default(),
            user_quotas: Arc::default(),
            failures: Arc::default(),
            pause: Arc::default(),
            busy: Arc::default(),
            role: Arc::default(),
            own_user: Arc::default(),
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
    pub shared: WorkerShared,
    /// The db that clients begin in.
    pub initial_db: u32,
    /// It decides all jitter.
    pub seed: u64,
    /// What an earlier engine of this worker had come to: it has panicked, and figures that fell
    /// would be taken for figures that rose from zero.
    pub counted: Option<Arc<Snapshot>>,
}
