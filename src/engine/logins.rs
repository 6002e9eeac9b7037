//! Where logins are checked: which backend is asked, and what follows for those who are logged in.

use std::time::Duration;

use crate::telemetry::Leave;

use crate::admission::Claim;

use super::Engine;
use super::backend::{Phase, Rotation, Want};
use super::context::Context;
use super::credential::{Credential, CredentialId, Standing};
use super::handshake::{self, Step};
use super::key::{BackendId, ClientId, ContextId, LoginId};
use super::loss::Loss;
use super::provision::Provided;

/// How long a pipe serves its clients between two logins that are checked on it.
const CHECK_PAUSE: Duration = Duration::from_millis(5);

/// How long no connection is dialled with a credential that the server has refused.
pub(super) const REFUSED_USER: Duration = Duration::from_secs(1);

/// How long it is believed that a user may not `SELECT`.
const SELECT_REFUSED: Duration = Duration::from_secs(60);

impl Engine {
    /// A backend for a login to be checked on.
    pub(super) fn provide_login(&mut self, check: LoginId, starved: &mut bool) -> Provided {
        let want = Want::Login(check);
        let Some(login) = self.logins.get(check) else {
            return Provided::Done;
        };
        let (known, asks) = (login.credential, login.login.password.is_some());
        if self.backends.values().any(|b| b.made_for == Some(want)) {
            return Provided::Waits;
        }
        if let Some(credential) = known
            && self.check_on_one_of(credential, check)
        {
            return Provided::Waits;
        }
        let nobody = self.contexts.key(Context {
            credential: match asks {
                true => CredentialId::PENDING,
                false => CredentialId::ANONYMOUS,
            },
            ..Context::default()
        });
        if self.dial(want, nobody) || self.server.dial_at > self.now {
            return Provided::Waits;
        }
        // Whoever guesses must not push another user's connection out.
        *starved = true;
        if !self.shared.budget.keeps_one_back() {
            self.make_place(want, nobody);
        } else {
            self.dial_with(Claim::Reserve, want, nobody);
        }
        Provided::Waits
    }

    /// Checks a login on a backend of the same user, if there is one. A pipe is taken out of use
    /// for that no more often than every few milliseconds: whoever guesses passwords must not
    /// hold up those who know them.
    fn check_on_one_of(&mut self, credential: CredentialId, check: LoginId) -> bool {
        if let Some(spare) = self.quiet_spare(|b| b.credential() == credential) {
            self.begin_check(spare, check);
            return true;
        }
        let of_it = |b: &&super::Backend| b.credential() == credential;
        let mine = || self.backends.values().filter(of_it);
        if mine().any(|b| matches!(b.made_for, Some(Want::Login(_)))) {
            return true;
        }
        let open = |b: &super::Backend| b.rotation() == Some(Rotation::Open);
        let pipes = self.backends.iter().filter(|(_, b)| of_it(b) && open(b));
        let Some(pipe) = pipes
            .min_by_key(|(_, b)| b.in_flight.len())
            .map(|(id, _)| id)
        else {
            // All of them are lent, or on their way to somebody.
            return mine().any(|b| !matches!(b.phase, Phase::Leased(_)));
        };
        let now = self.now;
        let Some(known) = self.credentials.get_mut(credential) else {
            return false;
        };
        let next = known.checked_at.map_or(now, |at| at + CHECK_PAUSE);
        if next > now {
            self.wake_at(next);
            return true;
        }
        known.checked_at = Some(now);
        self.drain_pipe(pipe, super::backend::Next::For(Want::Login(check)));
        true
    }

    /// Whether a pipe that was taken out of use to check a login is about to serve again those who
    /// want one: none is dialled meanwhile.
    pub(super) fn comes_back_soon(&mut self, want: Want) -> bool {
        let Want::Pipe(context) = want else {
            return false;
        };
        let checks = |b: &super::Backend| {
            b.context() == context && matches!(b.made_for, Some(Want::Login(_))) && !b.kept_back
        };
        let Some(backend) = self.backends.values().find(|b| checks(b)) else {
            return false;
        };
        let known = self.credentials.get(backend.credential());
        let until = known.and_then(|known| known.checked_at);
        let until = until.map(|at| at + self.rules.settings.pool.slice);
        let soon = until.filter(|until| *until > self.now);
        if let Some(until) = soon {
            self.wake_at(until);
        }
        soon.is_some()
    }

    /// The budget is spent: an idle backend of another user gives its place, or one that has had
    /// its turn.
    pub(super) fn make_place(&mut self, want: Want, context: ContextId) {
        match self.quiet_spare(|_| true) {
            Some(spare) => self.retire(spare),
            None => self.make_room(want, context),
        }
    }

    /// Sends the login on a quiet backend of the same user.
    pub(super) fn begin_check(&mut self, id: BackendId, check: LoginId) {
        let Some(login) = self.logins.get(check).map(|check| check.login.clone()) else {
            return self.make_spare(id);
        };
        let Some(backend) = self.backends.get_mut(id) else {
            return;
        };
        backend.made_for = Some(Want::Login(check));
        let context = backend.context();
        let mut steps: Vec<_> = handshake::auth(Step::Login, &login).into_iter().collect();
        steps.push((Step::Check, self.check_request(id)));
        self.begin_handshake(id, context, steps, false);
    }

    /// A login was accepted on this backend: it is that user's from now on, or was before.
    pub(super) fn login_checked(&mut self, id: BackendId, check: LoginId) {
        let before = self.backends.get(id).map(|backend| backend.credential());
        let Some(credential) = self.login_accepted(check) else {
            // Nobody waits for it any more, and nobody knows whose it is.
            return match before {
                Some(CredentialId::PENDING) | None => self.lose(id, Loss::Retired),
                Some(_) => self.make_spare(id),
            };
        };
        if before == Some(CredentialId::PENDING) {
            let context = self.contexts.key(Context {
                credential,
                ..Context::default()
            });
            if let Some(backend) = self.backends.get_mut(id) {
                backend.is_now_of(credential, (&mut self.contexts, context));
            }
        }
        self.server.backoff.succeeded();
        self.context_reached(id);
        self.make_spare(id);
    }

    /// The server has accepted the context that this backend is in.
    fn context_reached(&mut self, id: BackendId) {
        if let Some(backend) = self.backends.get(id) {
            self.contexts.accepted(backend.context());
        }
    }

    /// Whether a backend is logged in as the user that this login is about.
    pub(super) fn is_for(&self, id: BackendId, check: LoginId) -> bool {
        let credential = self.backends.get(id).map(|backend| backend.credential());
        let login = self.logins.get(check);
        credential.is_some() && login.is_none_or(|login| login.credential == credential)
    }

    /// The server does not let the user of this backend `SELECT`. Whoever logs in while its
    /// connection is in another db stays there, as directly: a backend of that user in that db is
    /// one that was there before it was logged in. True: that can be had, perhaps.
    pub(super) fn has_no_right_to_select(&mut self, id: BackendId, reply: &[u8]) -> bool {
        let now = self.now;
        let accepted = |known: &Credential| matches!(known.standing, Standing::Accepted(_));
        let strangers = self.credentials.get(CredentialId::ANONYMOUS);
        if !reply.starts_with(b"-NOPERM") || !strangers.is_some_and(accepted) {
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
    pub(super) fn may_not_select(&self, credential: CredentialId) -> bool {
        let known = self.credentials.get(credential);
        known
            .and_then(|known| known.select_refused_at)
            .is_some_and(|at| self.now.saturating_sub(at) < SELECT_REFUSED)
    }

    /// Whether a backend can be set to `context`: it is of the same user, who may do that.
    pub(super) fn can_become(&self, backend: &super::Backend, context: ContextId) -> bool {
        let (from, to) = (backend.context(), context);
        let db = |id| self.contexts.get(id).map(|pool| pool.context.db);
        self.contexts.credential(to) == Some(backend.credential())
            && (db(from) == db(to) || !self.may_not_select(backend.credential()))
    }

    /// Whether a backend is for narrows' own user.
    pub(super) fn is_own(&self, id: BackendId) -> bool {
        let backend = self.backends.get(id);
        backend.is_none_or(|backend| backend.credential() == self.credentials.own())
    }

    /// The server refuses a user that it has accepted before: its password is another now, or it
    /// is gone. Where none of its connections is left, its clients are disconnected, as the server
    /// would have done.
    pub(super) fn user_refused(&mut self, id: BackendId, text: &str) {
        let now = self.now;
        let Some(credential) = self.backends.get(id).map(|backend| backend.credential()) else {
            return;
        };
        self.counters.dials_failed += 1;
        if let Some(known) = self.credentials.get_mut(credential) {
            let user = known.login().user.as_deref().unwrap_or(b"default");
            let user = user.escape_ascii().to_string();
            tracing::warn!(
                user,
                error = text,
                "the server refuses this user's credentials"
            );
            known.standing = Standing::Refused(format!("-{text}\r\n").as_bytes().into(), now);
        }
        self.lose(id, Loss::Handshake);
        if self.backends.values().any(|b| b.credential() == credential) {
            return self.wake_at(now + REFUSED_USER);
        }
        let of_it = self
            .clients
            .iter()
            .filter(|(_, c)| c.credential == credential);
        let ids: Vec<ClientId> = of_it.map(|(id, _)| id).collect();
        for id in ids {
            self.close_for(id, Leave::UserRefused);
        }
    }

    /// Whether connections of this context's user may be dialled now.
    pub(super) fn is_refused_user(&self, context: ContextId) -> bool {
        let credential = self.contexts.credential(context);
        let known = credential.and_then(|id| self.credentials.get(id));
        known.is_some_and(|known| known.is_refused(self.now, REFUSED_USER))
    }
}
