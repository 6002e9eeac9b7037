//! Where logins are checked: which backend is asked, and what follows for those who are logged in.
//!
//! A quiet backend of that very user is asked; where all are busy one of its pipes is drained for a round
//! trip, and where there is none one is dialled under a credential that is nobody's until the server has said
//! yes. The login goes alone: servers differ in what becomes of replies before an `AUTH` that fails.

use std::time::Duration;

use crate::admission::Claim;
use crate::telemetry::ClientCloseReason;

use crate::engine::context::Context;
use crate::engine::key::{BackendId, ClientId, CredentialId, LoginId};
use crate::engine::pool::allocation::Allocation;
use crate::engine::pool::backend::{AcquireRequest, Backend, Phase, PipeState};
use crate::engine::pool::close_reason::CloseReason;
use crate::engine::pool::credential::CredentialState;
use crate::engine::pool::handshake::{self, HandshakeStep};
use crate::engine::pool::users::REFUSED_USER;
use crate::engine::reach::{Gate, Traffic};

/// How long a pipe serves its clients between two logins that are checked on it.
const CHECK_PAUSE: Duration = Duration::from_millis(5);

impl Gate<'_> {
    /// A backend for a login to be checked on.
    pub fn allocate_login(&mut self, check: LoginId, starved: &mut bool) -> Allocation {
        let request = AcquireRequest::Login(check);
        let Some(login) = self.auth.get(check) else {
            return Allocation::Done;
        };
        let (known, asks) = (login.credential, login.login.password.is_some());
        if self.pool.backends().any(|b| b.made_for == Some(request)) {
            return Allocation::Waits;
        }
        if let Some(credential) = known
            && self.check_on_one_of(credential, check)
        {
            return Allocation::Waits;
        }
        let nobody = self.pool.context_key(Context {
            credential: match asks {
                true => CredentialId::PENDING,
                false => CredentialId::ANONYMOUS,
            },
            ..Context::default()
        });
        let key = self.pool.key_of(nobody);
        if self.traffic().dial(request, key) || !self.pool.endpoint().may_be_dialled(self.cx.now) {
            return Allocation::Waits;
        }
        // Whoever guesses must not push another user's connection out.
        *starved = true;
        if !self.cx.shared.budget.keeps_one_back() {
            self.pool.make_place(self.cx, request, nobody);
        } else {
            self.traffic().dial_with(Claim::Reserve, request, key);
        }
        Allocation::Waits
    }

    /// Checks a login on a backend of the same user, if there is one. A pipe is taken out of use
    /// for that no more often than every few milliseconds: whoever guesses passwords must not
    /// hold up those who know them.
    fn check_on_one_of(&mut self, credential: CredentialId, check: LoginId) -> bool {
        if let Some(idle) = self.pool.quiet_idle(|b| b.credential() == credential) {
            self.begin_check(idle, check);
            return true;
        }
        let of_it = |b: &&Backend| b.credential() == credential;
        let mine = || self.pool.backends().filter(of_it);
        if mine().any(|b| matches!(b.made_for, Some(AcquireRequest::Login(_)))) {
            return true;
        }
        let open = |b: &Backend| b.state() == Some(PipeState::Open);
        let pipes = self
            .pool
            .backends_by_id()
            .filter(|(_, b)| of_it(b) && open(b));
        let Some(pipe) = pipes
            .min_by_key(|(_, b)| b.in_flight.len())
            .map(|(id, _)| id)
        else {
            // All of them are lent, or on their way to somebody.
            return mine().any(|b| !matches!(b.phase, Phase::Leased(_)));
        };
        let now = self.cx.now;
        let Some(known) = self.pool.credential_mut(credential) else {
            return false;
        };
        let next = known.checked_at.map_or(now, |at| at + CHECK_PAUSE);
        if next > now {
            self.cx.wake_at(next);
            return true;
        }
        known.checked_at = Some(now);
        self.pool.drain_pipe(
            pipe,
            crate::engine::pool::backend::Next::For(AcquireRequest::Login(check)),
        );
        true
    }

    /// Sends the login on a quiet backend of the same user.
    pub fn begin_check(&mut self, id: BackendId, check: LoginId) {
        let Some(login) = self.auth.get(check).map(|check| check.login.clone()) else {
            return self.pool.make_idle(self.cx, id);
        };
        let Some(backend) = self.pool.backend_mut(id) else {
            return;
        };
        backend.made_for = Some(AcquireRequest::Login(check));
        let context = backend.context();
        let mut steps: Vec<_> = handshake::auth(HandshakeStep::Login, &login)
            .into_iter()
            .collect();
        steps.push((HandshakeStep::Check, self.pool.check_request(self.cx, id)));
        self.traffic().begin_handshake(id, context, steps, false);
    }

    /// A login was accepted on this backend: it is that user's from now on, or was before.
    pub fn login_checked(&mut self, id: BackendId, check: LoginId) {
        let before = self.pool.backend(id).map(|backend| backend.credential());
        let Some(credential) = self.login_accepted(check) else {
            // Nobody waits for it any more, and nobody knows whose it is.
            return match before {
                Some(CredentialId::PENDING) | None => {
                    self.pool.close_backend(self.cx, id, CloseReason::Retired)
                }
                Some(_) => self.pool.make_idle(self.cx, id),
            };
        };
        if before == Some(CredentialId::PENDING) {
            let context = self.pool.context_key(Context {
                credential,
                ..Context::default()
            });
            self.pool.is_now_of(id, credential, context);
        }
        self.pool.endpoint_mut().was_reached();
        self.pool.context_reached(id);
        self.pool.make_idle(self.cx, id);
    }

    /// Whether a backend is logged in as the user that this login is about.
    pub fn is_for(&self, id: BackendId, check: LoginId) -> bool {
        let credential = self.pool.backend(id).map(|backend| backend.credential());
        let login = self.auth.get(check);
        credential.is_some() && login.is_none_or(|login| login.credential == credential)
    }
}

impl Traffic<'_> {
    /// The server refuses a user that it has accepted before: its password is another now, or it
    /// is gone. Where none of its connections is left, its clients are disconnected, as the server
    /// would have done.
    pub fn user_refused(&mut self, id: BackendId, text: &str) {
        let now = self.cx.now;
        let Some(credential) = self.pool.backend(id).map(|backend| backend.credential()) else {
            return;
        };
        self.cx.counters.dials_failed += 1;
        if let Some(known) = self.pool.credential_mut(credential) {
            let user = known.login().user.as_deref().unwrap_or(b"default");
            let user = user.escape_ascii().to_string();
            tracing::warn!(
                user,
                error = text,
                "the server refuses this user's credentials"
            );
            known.standing =
                CredentialState::Refused(format!("-{text}\r\n").as_bytes().into(), now);
        }
        self.pool.close_backend(self.cx, id, CloseReason::Handshake);
        if self.pool.backends().any(|b| b.credential() == credential) {
            return self.cx.wake_at(now + REFUSED_USER);
        }
        let of_it = self
            .clients
            .iter()
            .filter(|(_, c)| c.credential == credential);
        let ids: Vec<ClientId> = of_it.map(|(id, _)| id).collect();
        for id in ids {
            self.clients
                .close_for(self.cx, id, ClientCloseReason::UserRefused);
        }
    }
}
