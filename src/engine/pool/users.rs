//! As whom backends are logged in, and as whom not.

use std::time::Duration;

use crate::engine::cx::Cx;
use crate::engine::fault_injection::{self, Bug};
use crate::engine::key::{BackendId, ContextId, CredentialId, PoolKey};
use crate::engine::server_user::SaidUser;
use crate::session::Account;
use crate::session::access::BackendLogin;

use super::Pool;
use super::backend::{AcquireRequest, Backend, Phase};
use super::credential::{Credential, CredentialState};
use super::handshake::{ByCertificate, Failure, HandshakeVerdict};

/// How long it is believed that a user may not `SELECT`.
pub const SELECT_REFUSED: Duration = Duration::from_secs(60);

impl Pool {
    /// Which of all turns in the line for leases was this user's last.
    pub fn last_turn_of(&self, user: CredentialId) -> u64 {
        let known = self.credentials.get(user);
        known.map_or(0, |known| known.asked_for_at)
    }

    /// As whom the commands of a user of the configuration run.
    pub fn credential_of(&mut self, account: Option<&Account>) -> CredentialId {
        match account.and_then(|account| account.runs_as.as_ref()) {
            Some(login) => self.credentials.learn(login),
            None => self.credentials.own(),
        }
    }

    /// Whether the server has said lately that clients may not go on without a login.
    pub fn unauthenticated_refused(&self, cx: &Cx) -> bool {
        let known = self.credentials.get(CredentialId::ANONYMOUS);
        known.is_some_and(|known| known.is_refused(cx.now, UNAUTHENTICATED_KEPT))
    }

    /// Whether a pipe that was taken out of use to check a login is about to serve again those who
    /// want one: none is dialled meanwhile.
    pub fn comes_back_soon(&mut self, cx: &mut Cx, request: AcquireRequest) -> bool {
        let AcquireRequest::Pipe(key) = request else {
            return false;
        };
        let checks = |b: &Backend| {
            b.pool_key() == key
                && matches!(b.made_for, Some(AcquireRequest::Login(_)))
                && !b.kept_back
        };
        let Some(backend) = self.backends.values().find(|b| checks(b)) else {
            return false;
        };
        let known = self.credentials.get(backend.credential());
        let until = known.and_then(|known| known.checked_at);
        let until = until.map(|at| at + cx.rules.settings.pool.slice);
        let soon = until.filter(|until| *until > cx.now);
        if let Some(until) = soon {
            cx.wake_at(until);
        }
        soon.is_some()
    }

    /// The server does not let the user of this backend `SELECT`. Whoever logs in while its
    /// connection is in another db stays there, as directly: a backend of that user in that db is
    /// one that was there before it was logged in. True: that can be had, perhaps.
    pub fn has_no_right_to_select(&mut self, cx: &Cx, id: BackendId, reply: &[u8]) -> bool {
        let now = cx.now;
        let accepted = |known: &Credential| matches!(known.standing, CredentialState::Accepted(_));
        let anonymous = self.credentials.get(CredentialId::ANONYMOUS);
        if !reply.starts_with(b"-NOPERM") || !anonymous.is_some_and(accepted) {
            return false;
        }
        let credential = self.backends.get(id).map(|backend| backend.credential());
        let credential = credential.filter(|id| *id != CredentialId::ANONYMOUS);
        let known = credential.and_then(|id| self.credentials.get_mut(id));
        if let Some(known) = known {
            known.select_refused_at = Some(now);
            return true;
        }
        false
    }

    /// Whether the server does not let this user `SELECT`.
    pub fn may_not_select(&self, cx: &Cx, credential: CredentialId) -> bool {
        let known = self.credentials.get(credential);
        known
            .and_then(|known| known.select_refused_at)
            .is_some_and(|at| cx.now.saturating_sub(at) < SELECT_REFUSED)
    }

    /// What becomes of a login of a new connection by narrows' certificate.
    pub fn by_certificate(
        &self,
        cx: &Cx,
        credential: CredentialId,
        login: &BackendLogin,
    ) -> ByCertificate {
        if !cx.rules.settings.backend.presents_certificate
            || fault_injection::has(Bug::CertificateIgnored)
        {
            return ByCertificate::Impossible;
        }
        match credential == CredentialId::ANONYMOUS || login.password.is_some() {
            true => ByCertificate::Reset,
            false => ByCertificate::Kept,
        }
    }

    /// The server was asked whom it takes a connection for that nothing has logged in, and has said this.
    pub fn is_said_to_be(&mut self, cx: &Cx, id: BackendId, reply: &[u8]) -> HandshakeVerdict {
        let Some(backend) = self.backends.get(id) else {
            return HandshakeVerdict::Fine;
        };
        let said = SaidUser::in_reply(reply);
        match (backend.credential(), said) {
            (CredentialId::ANONYMOUS, said) => of_anonymous(backend, said, reply),
            (own, SaidUser::Is(user)) => self.own_is_said_to_be(cx, own, &user),
            // Whoever that is, it is narrows.
            _ => HandshakeVerdict::Fine,
        }
    }

    fn own_is_said_to_be(&mut self, cx: &Cx, own: CredentialId, user: &[u8]) -> HandshakeVerdict {
        let shown = user.escape_ascii().to_string();
        if cx.shared.own_user.heard(self.endpoint.id(), user) {
            tracing::info!(user = shown, "narrows is this user of the server");
        }
        let known = self.credentials.get_mut(own);
        let before = known.map(|known| &*known.said_to_be.get_or_insert_with(|| user.into()));
        match before.is_none_or(|before| **before == *user) {
            true => HandshakeVerdict::Fine,
            false => HandshakeVerdict::Failed(Failure::AnotherUser(shown)),
        }
    }

    /// Whether another worker has heard that narrows' own connections are another user's now than those that
    /// this one has.
    pub fn is_another_elsewhere(&self, cx: &Cx) -> bool {
        let own = self.credentials.get(self.credentials.own());
        let here = own.and_then(|own| own.said_to_be.as_ref());
        let there = cx.shared.own_user.of(self.endpoint.id());
        here.zip(there).is_some_and(|(here, there)| *here != there)
    }

    /// Whether a backend can serve this pool: it leads there, and is of the same user, who may do that.
    pub fn can_become(&self, cx: &Cx, backend: &Backend, key: PoolKey) -> bool {
        let (from, to) = (backend.context(), key.context);
        let db = |id| self.contexts.get(id).map(|context| context.db);
        backend.endpoint() == key.endpoint
            && self.contexts.credential(to) == Some(backend.credential())
            && (db(from) == db(to) || !self.may_not_select(cx, backend.credential()))
    }

    /// Whether a backend is for narrows' own user.
    pub fn is_own(&self, id: BackendId) -> bool {
        let backend = self.backends.get(id);
        backend.is_none_or(|backend| backend.credential() == self.credentials.own())
    }

    /// Whether connections of this context's user may be dialled now.
    pub fn is_refused_user(&self, cx: &Cx, context: ContextId) -> bool {
        let credential = self.contexts.credential(context);
        let known = credential.and_then(|id| self.credentials.get(id));
        known.is_some_and(|known| known.is_refused(cx.now, REFUSED_USER))
    }

    /// As whom a wait of a backend of this user can be ended, as far as is known.
    pub fn canceller_for(&self, cx: &Cx, of: CredentialId) -> Option<CredentialId> {
        let own = self.credentials.own();
        let has_own = cx.rules.access.has_own_login();
        let may = |id: &CredentialId| {
            let credential = self.credentials.get(*id);
            credential.is_some_and(|credential| !credential.may_not_cancel)
        };
        let own = Some(own).filter(|_| has_own);
        own.into_iter().chain([of]).find(may)
    }
}

/// Of a connection for clients that have not logged in: whether it is what theirs would be.
fn of_anonymous(backend: &Backend, said: SaidUser, reply: &[u8]) -> HandshakeVerdict {
    let was_reset = matches!(&backend.phase, Phase::Handshake(handshake) if handshake.was_reset);
    let refused = |text: &str| HandshakeVerdict::Failed(Failure::Refused(text.to_owned()));
    match said {
        SaidUser::Is(user) if *user == *b"default" => HandshakeVerdict::Fine,
        SaidUser::Is(user) => {
            HandshakeVerdict::Failed(Failure::AnotherUser(user.escape_ascii().to_string()))
        }
        _ if was_reset => HandshakeVerdict::Fine,
        // Every server has one of them that knows HELLO, which it has said its number by.
        SaidUser::UnknownCommand if backend.server_id.is_some() => refused(
            "the server does not say whom it takes narrows' certificate for: it knows neither RESET \
             nor ACL WHOAMI",
        ),
        _ if reply.starts_with(b"-BUSY") => refused("BUSY the server is busy with a script"),
        SaidUser::UnknownCommand | SaidUser::Nobody => HandshakeVerdict::Fine,
    }
}

/// How long the server's word on those who have not logged in is believed.
pub const UNAUTHENTICATED_KEPT: Duration = Duration::from_secs(10);

/// How long no connection is dialled with a credential that the server has refused.
pub const REFUSED_USER: Duration = Duration::from_secs(1);
