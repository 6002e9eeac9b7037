//! One application's connection: its session, what has come in and not been dealt with,
//! what has not been sent, and what it waits for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::admission::UserQuota;
use crate::engine::context::Within;
use crate::engine::key::{BackendId, ContextId, CredentialId};
use crate::engine::lease::holding::Holding;
use crate::session::Session;
use crate::session::client_line::ClientAddress;
use crate::telemetry::ClientCloseReason;

use super::head::InputHead;
use super::hold::Ending;
use super::input::Input;
use super::outbox::Outbox;
use super::stream::UploadStream;

/// See the module.
#[derive(Debug)]
pub struct Client {
    /// Its virtual state.
    pub session: Session,
    /// The session's context.
    pub within: Within,
    /// As whom its commands run on the server.
    pub credential: CredentialId,
    /// Its place among the clients of its user.
    pub user_quota: Option<UserQuota>,
    /// Where it comes from.
    pub address: ClientAddress,
    /// Bytes received and not dealt with.
    pub input: Input,
    /// Bytes to be sent.
    pub out: Outbox,
    /// Requests forwarded whose replies are not in.
    pub in_flight: u32,
    /// The number of its next request.
    pub sequence_next: u32,
    /// The number of the request whose reply is next.
    pub sequence_due: u32,
    /// The backend that carries what is in flight.
    pub current_backend: BackendId,
    /// What is known of its next request.
    pub head: InputHead,
    /// A backend of its own.
    pub lease: Holding,
    /// A huge request that is passing through.
    pub stream: Option<Box<UploadStream>>,
    /// See [`Ending`].
    pub ending: Ending,
    /// Why it ends, if that is not the client's own doing.
    pub leaving: Option<ClientCloseReason>,
    /// It is listed for writing.
    pub dirty: bool,
    /// The runtime does not read it.
    pub unread: bool,
    /// While it was not read it has sent its end, behind what has not been read of it.
    pub hung_up: bool,
    /// When it connected.
    pub connected_at: Duration,
    /// It has shown a certificate that somebody who is trusted has signed.
    pub is_proven: bool,
    /// Whom it begins as, by that, and is again after `RESET`.
    pub certificate_user: Option<Arc<Box<[u8]>>>,
    /// Since when it has been expected to log in, where it has to.
    pub asked_since: Duration,
    /// When it last sent something, or took something that was sent to it.
    pub active_at: Duration,
    /// When it is next looked at whether it is idle.
    pub idle_timer: Option<Duration>,
    /// Its last command.
    pub last_command: CommandName,
}

/// Name of a command for `CLIENT LIST`, cut to what fits beside the other fields.
#[derive(Debug, Clone, Copy, Default)]
pub struct CommandName {
    len: u8,
    bytes: [u8; 23],
}

impl CommandName {
    /// Remembers `name`.
    pub fn set(&mut self, name: &str) {
        let len = name.len().min(self.bytes.len());
        if let (Some(to), Some(from)) = (self.bytes.get_mut(..len), name.as_bytes().get(..len)) {
            to.copy_from_slice(from);
        }
        self.len = len as u8;
    }

    /// The name; `NULL` before the first command, as Redis prints it.
    pub fn as_str(&self) -> &str {
        match self
            .bytes
            .get(..usize::from(self.len))
            .map(std::str::from_utf8)
        {
            Some(Ok(name)) if !name.is_empty() => name,
            _ => "NULL",
        }
    }
}

/// What the runtime knows of a connection that was accepted.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// `CLIENT ID`: unique in the process.
    pub id: u64,
    /// Both ends.
    pub address: ClientAddress,
    /// It has shown a certificate that somebody who is trusted has signed.
    pub is_proven: bool,
    /// The user that it is by that.
    pub certificate_user: Option<Arc<Box<[u8]>>>,
}

impl Accepted {
    /// A TCP client.
    pub fn tcp(id: u64, peer: SocketAddr, local: impl Into<Arc<SocketAddr>>) -> Self {
        Self::of(id, ClientAddress::tcp(peer, local.into()))
    }

    /// A client of whom only that is known.
    pub fn of(id: u64, address: ClientAddress) -> Self {
        Self {
            id,
            address,
            is_proven: false,
            certificate_user: None,
        }
    }
}

impl Client {
    /// Key of the session's context.
    #[inline]
    pub fn context(&self) -> ContextId {
        self.within.id()
    }

    /// Bytes that narrows holds for it, those left aside that are with its backend.
    pub fn buffered_bytes(&self) -> usize {
        self.out.len() + self.input.len() + self.session.names_bytes()
    }

    /// A client that has just connected.
    pub fn new(accepted: Accepted, within: Within, db: u32, now: Duration) -> Self {
        Self {
            session: Session::new(accepted.id, db),
            within,
            credential: CredentialId::default(),
            user_quota: None,
            address: accepted.address,
            is_proven: accepted.is_proven,
            certificate_user: accepted.certificate_user,
            input: Input::default(),
            out: Outbox::default(),
            in_flight: 0,
            sequence_next: 0,
            sequence_due: 0,
            current_backend: BackendId::default(),
            head: InputHead::default(),
            lease: Holding::default(),
            stream: None,
            ending: Ending::No,
            leaving: None,
            dirty: false,
            unread: false,
            hung_up: false,
            connected_at: now,
            asked_since: now,
            active_at: now,
            idle_timer: None,
            last_command: CommandName::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_client_is_small() {
        // With all that it says of itself and where it comes from, but what its names take.
        assert!(size_of::<Client>() <= 328, "{}", size_of::<Client>());
        assert_eq!(size_of::<ClientAddress>(), 16);
        assert_eq!(size_of::<Outbox>(), 16);
    }
}
