//! One server at one generation: what is believed of it, and its pools. Another server that takes its
//! place begins with a new value: nothing that one has said is believed of the other.

use std::time::Duration;

use crate::admission::Backoff;
use crate::engine::cx::Cx;
use crate::engine::key::{EndpointId, PoolKey};
use crate::engine::server_role::Role;
use crate::resp::Protocol;

use super::context_pools::{ContextPool, ContextPools};
use super::handshake::Hellos;

/// See the file's head.
#[derive(Debug)]
pub struct Endpoint {
    id: EndpointId,
    /// narrows' own health check is answered.
    answering: bool,
    backoff: Backoff,
    /// No dial before then.
    dial_at: Duration,
    /// Nor a switch: the server was too busy for one.
    switch_at: Duration,
    /// What the last failed attempt said.
    last_error: String,
    /// It refuses our credentials.
    credentials_refused: bool,
    /// It is a cluster node.
    cluster: bool,
    /// Its replies to `HELLO 2` and `HELLO 3`.
    hello: Hellos,
    /// Its pipes and who waits for them.
    pools: ContextPools,
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

    /// Its pipes and who waits for them.
    #[inline]
    pub fn pools(&self) -> &ContextPools {
        &self.pools
    }

    /// The same.
    #[inline]
    pub fn pools_mut(&mut self) -> &mut ContextPools {
        &mut self.pools
    }

    /// What is asked of its successor, of which nothing is known yet: those who wait for a pipe wait on.
    pub fn hand_on_to(self, successor: &mut Self) {
        successor.pools = self.pools.of_successor();
    }

    /// Whether it is a master, as far as any worker or control has heard.
    pub fn role(&self, cx: &Cx) -> Option<Role> {
        cx.shared.role.known(self.id)
    }

    /// Whether narrows' own health check is answered.
    pub fn is_answering(&self) -> bool {
        self.answering
    }

    /// The health check is answered, or is not any more. Whether that is news.
    pub fn answers(&mut self, answering: bool, now: Duration) -> bool {
        if answering {
            let news = !self.answering;
            self.dial_at = if news {
                self.dial_at.min(now)
            } else {
                self.dial_at
            };
        }
        std::mem::replace(&mut self.answering, answering) != answering
    }

    /// Whether a dial is not too soon.
    pub fn may_be_dialled(&self, now: Duration) -> bool {
        self.dial_at <= now
    }

    /// When it may be dialled next.
    pub fn dial_at(&self) -> Duration {
        self.dial_at
    }

    /// It is not dialled before then.
    pub fn no_dial_before(&mut self, at: Duration) {
        self.dial_at = at;
    }

    /// When a backend may be set to another context, if not yet.
    pub fn switches_not_before(&self, now: Duration) -> Option<Duration> {
        Some(self.switch_at).filter(|at| *at > now)
    }

    /// It was too busy for a switch: the next one is tried then.
    pub fn no_switch_before(&mut self, at: Duration) {
        self.switch_at = at;
    }

    /// Whether the last attempt to reach it has failed.
    pub fn is_backing_off(&self) -> bool {
        self.backoff.failures() > 0
    }

    /// What the last attempt that failed said.
    pub fn last_error(&self) -> &str {
        &self.last_error
    }

    /// An attempt to reach it has failed: no further one before a while has passed. Whether that is
    /// worth a line of the log.
    pub fn was_not_reached(&mut self, cx: &mut Cx, error: String) -> bool {
        self.dial_at = cx.now + self.backoff.failed(&mut cx.jitter);
        let news = self.last_error != error || self.backoff.failures() == 1;
        self.last_error = error;
        news
    }

    /// It answers on a new connection.
    pub fn was_reached(&mut self) {
        self.backoff.succeeded();
    }

    /// It has let narrows in.
    pub fn has_taken_us(&mut self) {
        self.was_reached();
        (self.credentials_refused, self.cluster) = (false, false);
    }

    /// The credentials are others than before: they may be taken now.
    pub fn may_take_us_again(&mut self, now: Duration) {
        self.was_reached();
        (self.credentials_refused, self.dial_at) = (false, now);
    }

    /// The bounds of the pauses between attempts.
    pub fn set_backoff(&mut self, min: Duration, max: Duration) {
        self.backoff.set_bounds(min, max);
    }

    /// It refuses narrows' credentials. Whether that is news.
    pub fn refuses_credentials(&mut self) -> bool {
        !std::mem::replace(&mut self.credentials_refused, true)
    }

    /// Whether it refuses narrows' credentials.
    pub fn has_refused_credentials(&self) -> bool {
        self.credentials_refused
    }

    /// It is a node of a cluster.
    pub fn is_cluster(&mut self) {
        self.cluster = true;
    }

    /// Whether it is one, as far as is known before it is asked again.
    pub fn refuses_as_cluster(&self, now: Duration) -> bool {
        self.cluster && self.dial_at > now
    }

    /// Its reply to `HELLO` with this protocol.
    pub fn hello(&self, protocol: Protocol) -> Option<&[u8]> {
        self.hello.of(protocol)
    }

    /// This is its reply to `HELLO`.
    pub fn says_hello(&mut self, protocol: Protocol, reply: Vec<u8>) {
        self.hello.set(protocol, reply);
    }

    /// Another server may be behind the address from now on.
    pub fn forget_hellos(&mut self) {
        self.hello = Hellos::default();
    }
}
