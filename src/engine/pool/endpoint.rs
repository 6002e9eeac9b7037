//! One server at one generation: what is believed of it, and its pools. Another server that takes its
//! place begins with a new value: nothing that one has said is believed of the other.

use std::time::Duration;

use crate::admission::Backoff;
use crate::engine::cx::Cx;
use crate::engine::key::{EndpointId, PoolKey};
use crate::engine::server_role::Role;

use super::context_pools::{ContextPool, ContextPools};
use super::handshake::Hellos;

/// See the file's head.
#[derive(Debug)]
pub struct Endpoint {
    id: EndpointId,
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
    /// Its pipes and who waits for them.
    pub pools: ContextPools,
}

impl Endpoint {
    /// One of which nothing is known yet.
    pub fn new(id: EndpointId, backoff: Backoff) -> Self {
        Self {
            id,
            answering: true,
            backoff,
            dial_at: Duration::ZERO,
            switch_at: Duration::ZERO,
            last_error: String::new(),
            credentials_refused: false,
            cluster: false,
            hello: Hellos::default(),
            pools: ContextPools::default(),
        }
    }

    /// Which one it is.
    #[inline]
    pub fn id(&self) -> EndpointId {
        self.id
    }

    /// The pool of this key, if it is this server's and there has been anything in it.
    #[inline]
    pub fn pool(&self, key: PoolKey) -> Option<&ContextPool> {
        match key.endpoint == self.id {
            true => self.pools.get(key.context),
            false => None,
        }
    }

    /// The same.
    pub fn pool_mut(&mut self, key: PoolKey) -> Option<&mut ContextPool> {
        match key.endpoint == self.id {
            true => self.pools.get_mut(key.context),
            false => None,
        }
    }

    /// Whether it is a master, as far as any worker or control has heard.
    pub fn role(&self, cx: &Cx) -> Option<Role> {
        cx.shared.role.known(self.id)
    }
}
