//! Keys of what the engine stores. Each carries a generation, so that a late reply or
//! event cannot reach whatever took the place of a client or backend that is gone.

slotmap::new_key_type! {
    /// A client of this worker.
    pub struct ClientId;
    /// A backend connection of this worker, being dialled or open.
    pub struct BackendId;
    /// A context of this worker: what a backend must be set to for a client's commands.
    pub struct ContextId;
    /// A login that the server is to check.
    pub struct LoginId;
}

pub use crate::topology::EndpointId;

/// Where, and set to what: the key of a pool of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolKey {
    /// Which server.
    pub endpoint: EndpointId,
    /// What its connections are set to.
    pub context: ContextId,
}

/// A user of the server. One that is forgotten and comes back is another: a number is never given
/// again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialId(u32);

/// narrows' own: what every context has that nobody has logged in for.
impl Default for CredentialId {
    fn default() -> Self {
        Self::OWN
    }
}

impl CredentialId {
    /// Nobody: the connection has not logged in, and the server takes it for its default user if
    /// that one needs no password.
    pub const ANONYMOUS: Self = Self(0);
    /// Whose it will be is not known: a connection that was dialled to check a login.
    pub const PENDING: Self = Self(1);
    /// narrows' own user, unless a reload has changed who that is.
    pub const OWN: Self = Self(2);

    /// The next one.
    ///
    /// # Panics
    /// When there are no numbers left, rather than give one again: commands would run as somebody
    /// else.
    pub fn next(self) -> Self {
        assert!(self.0 < u32::MAX, "a user's number is never given again");
        Self(self.0 + 1)
    }
}
