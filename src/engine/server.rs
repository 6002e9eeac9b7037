//! What the engine believes of the server.

use std::time::Duration;

use crate::admission::Backoff;

use super::handshake::Hellos;
use super::settings::BackendSettings;

/// See the module.
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

impl Server {
    /// Nothing is known of it yet.
    pub fn new(settings: &BackendSettings) -> Self {
        Self {
            answering: true,
            backoff: Backoff::new(settings.backoff_min, settings.backoff_max),
            dial_at: Duration::ZERO,
            switch_at: Duration::ZERO,
            last_error: String::new(),
            credentials_refused: false,
            cluster: false,
            hello: Hellos::default(),
        }
    }
}
