//! What Redis would remember of this client between two commands.

use std::sync::Arc;

use crate::resp::Protocol;

use super::client_names::{ClientNames, NameOf};
use super::{Account, LostTransaction, ReplyMode};

/// One client's virtual connection state. An idle client costs this and little else, so what it says of itself
/// is one piece of memory.
#[derive(Debug)]
pub struct Session {
    /// `CLIENT ID`: unique in this process, never reused.
    pub id: u64,
    /// Which protocol its replies are in.
    pub protocol: Protocol,
    /// The db its commands run in.
    pub db: u32,
    /// `CLIENT REPLY`.
    pub reply_mode: ReplyMode,
    /// `CLIENT NO-EVICT`: remembered for `CLIENT LIST`; narrows evicts by its own rules.
    pub no_evict: bool,
    /// Whether it has to log in.
    pub auth_state: AuthState,
    /// Its user; `None`: the default one, of which nothing is configured.
    pub account: Option<Arc<Account>>,
    /// What it has lost of a transaction.
    pub lost: LostTransaction,
    names: ClientNames,
    initial_db: u32,
}

/// What a client may do as far as logging in goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthState {
    /// It has logged in, or need not.
    #[default]
    Authenticated,
    /// It has to log in.
    Unauthenticated,
    /// It has not logged in, and only the server can say whether it has to.
    Unknown,
}

impl Session {
    /// A client that has just connected: RESP2, nothing set.
    pub fn new(id: u64, initial_db: u32) -> Self {
        Self {
            id,
            protocol: Protocol::Resp2,
            db: initial_db,
            reply_mode: ReplyMode::On,
            no_evict: false,
            auth_state: AuthState::Authenticated,
            account: None,
            lost: LostTransaction::default(),
            names: ClientNames::default(),
            initial_db,
        }
    }

    /// Who it is, as `CLIENT LIST` names it.
    pub fn user(&self) -> &[u8] {
        self.account
            .as_deref()
            .map_or(b"default", |account| &account.name)
    }

    /// A name, empty when not set.
    pub fn name(&self, of: NameOf) -> &[u8] {
        self.names.get(of)
    }

    /// Bytes of all its names.
    pub fn names_bytes(&self) -> usize {
        self.names.bytes()
    }

    /// Sets a name that has passed [`is_valid_name`]. An empty one unsets it.
    pub fn set_name(&mut self, of: NameOf, value: &[u8]) {
        self.names.set(of, value);
    }

    /// `RESET`: as just connected, but the library's name and version stay
    /// (Redis `resetCommand`, networking.c).
    pub fn reset(&mut self) {
        self.protocol = Protocol::Resp2;
        self.db = self.initial_db;
        self.reply_mode = ReplyMode::On;
        self.no_evict = false;
        self.lost.over();
        self.set_name(NameOf::Client, b"");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reset_keeps_the_library_and_forgets_the_rest() {
        let mut s = Session::new(5, 2);
        s.protocol = Protocol::Resp3;
        s.db = 7;
        s.set_name(NameOf::Client, b"me");
        s.set_name(NameOf::Library, b"lib");
        s.reply_mode = ReplyMode::Off;
        s.reset();
        assert_eq!((s.id, s.protocol, s.db), (5, Protocol::Resp2, 2));
        assert_eq!(s.reply_mode, ReplyMode::On);
        assert_eq!(
            (s.name(NameOf::Client), s.name(NameOf::Library)),
            (&b""[..], &b"lib"[..])
        );
    }

    #[test]
    fn a_session_of_a_client_that_sets_nothing_allocates_nothing() {
        let mut s = Session::new(1, 0);
        s.set_name(NameOf::Client, b"");
        assert!(s.names.is_empty());
        assert!(size_of::<Session>() <= 48);
    }
}
