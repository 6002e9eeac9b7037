//! What one worker has counted since it started. Written by its own thread only.

use std::collections::BTreeMap;

/// Plain counters of one worker.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// Connections to the server that were begun.
    pub dials: u64,
    /// Those that failed, in dialling or in the handshake.
    pub dials_failed: u64,
    /// Pipes drained so that another context could have its turn.
    pub context_switches: u64,
    /// Requests of a lost backend that were dealt with again.
    pub replays: u64,
    /// Clients closed because they did not read their replies.
    pub closed_for_output: u64,
    /// Clients closed because all buffers together were too large.
    pub closed_for_memory: u64,
    /// Clients closed because the server does not accept their user any more.
    pub closed_user_refused: u64,
    /// Logins of clients that were refused for what they gave.
    pub logins_failed: u64,
    /// Clients closed because they sat in a transaction.
    pub closed_in_transaction: u64,
    /// Clients closed because they said nothing for too long.
    pub closed_idle: u64,
    /// Clients closed because they did not log in in time.
    pub closed_for_login: u64,
    /// Backends closed for what they did. Must stay 0 on a healthy server.
    pub poisoned: u64,
    /// Errors that narrows itself answered, by reason.
    pub refusals: BTreeMap<&'static str, u64>,
    /// Backends closed, by cause.
    pub losses: BTreeMap<&'static str, u64>,
}

impl Counters {
    /// One more error of this kind was answered.
    pub fn refused(&mut self, reason: &'static str) {
        *self.refusals.entry(reason).or_default() += 1;
    }

    /// One more backend was closed.
    pub fn backend_lost(&mut self, cause: &'static str, poison: bool) {
        *self.losses.entry(cause).or_default() += 1;
        self.poisoned += u64::from(poison);
    }
}
