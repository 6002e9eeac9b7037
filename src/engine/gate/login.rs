//! Logins: `AUTH`, and the one inside `HELLO`. In mode `passthrough` each is checked by the server
//! itself: on a backend that is logged in as the same user, which a right login leaves as it is and
//! a wrong one does not change; where there is none, on a connection dialled for it. Clients that
//! come with the same credential at once share one check.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use crate::resp::{NotExecuted, Refusal};
use crate::session::access::{Access, BackendLogin};
use crate::session::{AuthMode, AuthState, auth};

use crate::engine::auth::LoginCheck;
use crate::engine::clients::Client;
use crate::engine::clients::hold::{Hold, RequestOutcome};
use crate::engine::effect::Effect;
use crate::engine::fault_injection::{self, Bug};
use crate::engine::key::{ClientId, CredentialId, LoginId};
use crate::engine::pool::credential::CredentialState;
use crate::engine::pool::users::UNAUTHENTICATED_KEPT;
use crate::engine::reach::{Gate, Traffic};
use crate::engine::verdict::ServerVerdict;

impl Gate<'_> {
    /// A client logs in. `Err`: it has not, or not yet, and has been told where it is to be.
    pub fn log_in(&mut self, id: ClientId, login: BackendLogin) -> Result<(), RequestOutcome> {
        let rules = Arc::clone(&self.cx.rules);
        match rules.access.mode {
            AuthMode::None => self.traffic().log_in_as_own(id, &rules.access.own, &login),
            AuthMode::Local => self.traffic().log_in_here(id, &rules.access, &login),
            AuthMode::Passthrough => self.log_in_there(id, login),
        }
    }

    /// Against the server.
    fn log_in_there(&mut self, id: ClientId, login: BackendLogin) -> Result<(), RequestOutcome> {
        let verdict = self
            .clients
            .get(id)
            .and_then(|client| client.head.verdict().cloned());
        match &verdict {
            Some(ServerVerdict::Accepted(kept)) => {
                let rules = Arc::clone(&self.cx.rules);
                if let Some(account) = self.pool.credentials_mut().account(kept.id(), &rules) {
                    return self.traffic().enter_as(id, account, kept.id());
                }
            }
            Some(ServerVerdict::Refused(reply)) => {
                return Err(self.clients.answer_error(self.cx, id, reply));
            }
            Some(ServerVerdict::Asked(..)) | None => {}
        }
        self.clients.not_blocked(self.cx, id)?;
        Err(self.wait_for_login(id, login, true))
    }

    /// Whether clients may go on without a login. `Err`: they may not, or nobody knows yet.
    /// Where they may not, `refusal` says so. Where nobody can be asked, a client is closed whose
    /// request `matters` to what it has sent behind.
    pub fn ask_for_unauthenticated(
        &mut self,
        id: ClientId,
        refusal: &Refusal<'_>,
        matters: bool,
    ) -> Result<(), RequestOutcome> {
        let known = self.pool.credential(CredentialId::ANONYMOUS);
        let now = self.cx.now;
        let fresh = |at: Duration| now.saturating_sub(at) < UNAUTHENTICATED_KEPT;
        match known.map(|known| known.standing.clone()) {
            Some(CredentialState::Accepted(at))
                if fresh(at) && self.clients.is_protected_from(self.cx, id) =>
            {
                Err(self.clients.protect_from(self.cx, id))
            }
            Some(CredentialState::Accepted(at)) if fresh(at) => {
                if let Some(client) = self.clients.get_mut(id) {
                    client.session.auth_state = AuthState::Authenticated;
                    let account = self.cx.rules.access.users.get(&b"default"[..]);
                    client.session.account = account.cloned();
                }
                Ok(())
            }
            // Versions differ in their words.
            Some(CredentialState::Refused(words, at))
                if fresh(at)
                    && matches!(refusal, Refusal::HelloNoAuth)
                    && words.starts_with(b"-NOAUTH HELLO") =>
            {
                Err(self.clients.answer_error(self.cx, id, &words))
            }
            Some(CredentialState::Refused(_, at)) if fresh(at) => {
                Err(self.clients.refuse(self.cx, id, refusal))
            }
            _ => Err(self.wait_for_login(id, BackendLogin::default(), matters)),
        }
    }

    /// Whether a client that has not logged in may go on waiting, since the server does not ask it
    /// to, or has not been asked yet.
    pub fn need_not_log_in(&mut self, id: ClientId) -> bool {
        let now = self.cx.now;
        let Some(client) = self.clients.get_mut(id) else {
            return false;
        };
        let anonymous = self.pool.credential(CredentialId::ANONYMOUS);
        match anonymous.map(|known| &known.standing) {
            _ if client.session.auth_state != AuthState::Unknown => false,
            Some(CredentialState::Refused(..)) => false,
            Some(CredentialState::Accepted(_)) => {
                client.asked_since = now;
                true
            }
            Some(CredentialState::Untried) | None => {
                client.asked_since = now;
                self.ask_about_unauthenticated();
                true
            }
        }
    }

    /// Asks the server whether clients have to log in, for nobody in particular.
    fn ask_about_unauthenticated(&mut self) {
        let nobody = BackendLogin::default();
        if self.auth.find(&nobody).is_none() {
            let check = self.auth.begin(nobody, None, self.cx.now);
            self.pool
                .request(crate::engine::pool::backend::AcquireRequest::Login(check));
            self.cx.wake_at(self.cx.now);
        }
    }

    /// The client's request waits for the server to check `login`.
    fn wait_for_login(
        &mut self,
        id: ClientId,
        login: BackendLogin,
        matters: bool,
    ) -> RequestOutcome {
        let now = self.cx.now;
        let Some(client) = self.clients.get_mut(id) else {
            return RequestOutcome::Ended;
        };
        if client.in_flight > 0 {
            return client.hold(Hold::Replies);
        }
        if self.pool.endpoint().refuses_as_cluster(now) {
            let outcome = self.clients.refuse(self.cx, id, &Refusal::Cluster);
            return self.clients.not_logged_in(self.cx, id, outcome, matters);
        }
        if client.head.has_queue_timed_out() {
            let outcome = self.traffic().queue_timed_out(id);
            return self.clients.not_logged_in(self.cx, id, outcome, matters);
        }
        let pool = &self.cx.rules.settings.pool;
        let (limit, most) = (pool.queue_timeout, pool.queue_clients_max);
        let same = self.auth.find(&login);
        let check = match same {
            _ if self.auth.waiting() >= most => {
                let outcome = self
                    .clients
                    .not_executed(self.cx, id, NotExecuted::QueueFull);
                return self.clients.not_logged_in(self.cx, id, outcome, matters);
            }
            Some(check) => check,
            None => {
                let user = login.user.as_deref().unwrap_or(b"default");
                let known = || self.pool.credentials().of_user(user);
                let credential = login.password.is_some().then(known).flatten();
                self.auth.begin(login, credential, now)
            }
        };
        self.auth.waits(check, id, now);
        self.pool
            .request(crate::engine::pool::backend::AcquireRequest::Login(check));
        self.cx.wake_at(now + limit);
        self.clients.hold(id, Hold::Login(check))
    }

    /// The server has accepted a login.
    pub fn login_accepted(&mut self, check: LoginId) -> Option<CredentialId> {
        let now = self.cx.now;
        let login = (*self.auth.get(check)?.login).clone();
        let credential = match login.password {
            Some(_) => self.pool.credentials_mut().learn(&login),
            None => CredentialId::ANONYMOUS,
        };
        if let Some(known) = self.pool.credential_mut(credential) {
            known.standing = CredentialState::Accepted(now);
        }
        if login.password.is_some()
            && !self.cx.rules.access.has_own_login()
            && self.cx.shared.stand_ins.logged_in(&login, now)
        {
            // Control waits for somebody as whom it may ask.
            self.cx.effects.push(Effect::LearnCommands);
        }
        let kept = self.pool.credentials_mut().keep(credential)?;
        self.login_decided(check, &ServerVerdict::Accepted(kept));
        Some(credential)
    }

    /// The server has refused a login, with this error reply.
    pub fn login_refused(&mut self, check: LoginId, reply: &[u8]) {
        let Some(login) = self.auth.get(check).map(|check| &check.login) else {
            return;
        };
        if fault_injection::has(Bug::LoginUnchecked) && login.password.is_some() {
            self.login_accepted(check);
            return;
        }
        if login.password.is_none()
            && let Some(anonymous) = self.pool.credential_mut(CredentialId::ANONYMOUS)
        {
            anonymous.standing = CredentialState::Refused(reply.into(), self.cx.now);
            return self.login_over(check);
        }
        let waiting = self.auth.get(check).map(|check| check.waiting());
        let waiting: Vec<ClientId> = waiting.into_iter().flatten().collect();
        for id in waiting {
            if is_guess(reply) {
                self.clients.login_failed(self.cx, id);
            }
        }
        self.login_decided(check, &ServerVerdict::Refused(reply.into()));
    }

    fn login_decided(&mut self, check: LoginId, verdict: &ServerVerdict) {
        let about_unauthenticated_clients = self
            .auth
            .get(check)
            .is_some_and(|c| c.login.password.is_none());
        if !about_unauthenticated_clients && let Some(check_of) = self.auth.get(check) {
            for id in check_of.waiting() {
                if let Some(client) = self.clients.get_mut(id)
                    && client.head.hold == Some(Hold::Login(check))
                {
                    client.head.is_judged(verdict.clone());
                }
            }
        }
        self.login_over(check);
    }

    pub fn login_over(&mut self, check: LoginId) {
        let over = self.auth.end(check);
        for id in over.iter().flat_map(|check| check.waiting()) {
            self.clients.end_hold(id, Hold::Login(check));
        }
    }

    /// One who waits for this is gone. With the last of them it is given up, unless it is about
    /// whether anybody has to log in.
    pub fn waits_no_more(&mut self, check: LoginId, id: ClientId) {
        let left = self.auth.leaves(check, id);
        let is_login = |check: &LoginCheck| check.login.password.is_some();
        if left == Some(0) && self.auth.get(check).is_some_and(is_login) {
            self.login_over(check);
        }
    }

    /// Clients that have waited for a login as long as they may are told so. A check that nobody
    /// waits for any more, or ever did, is given up.
    pub fn expire_logins(&mut self) {
        let limit = self.cx.rules.settings.pool.queue_timeout;
        while let Some((since, check)) = self.auth.oldest() {
            let at = self.cx.counts_from(since) + limit;
            if self.cx.now < at {
                return self.cx.wake_at(at);
            }
            self.cx.steps += 1;
            let Some(id) = self.auth.take_first(check) else {
                self.login_over(check);
                continue;
            };
            if let Some(client) = self.clients.get_mut(id)
                && client.head.hold == Some(Hold::Login(check))
            {
                client.head.queue_times_out(client.input.len());
                self.clients.end_hold(id, Hold::Login(check));
            }
        }
    }
}

impl Traffic<'_> {
    /// Where nobody need log in: against narrows' own login, if at all.
    fn log_in_as_own(
        &mut self,
        id: ClientId,
        own: &BackendLogin,
        login: &BackendLogin,
    ) -> Result<(), RequestOutcome> {
        match auth::without_clients_passwords(login, own) {
            auth::AuthAnswer::Wrong(refusal) => Err(self.clients.refuse(self.cx, id, &refusal)),
            // A password that is no secret to anybody need not be kept from who guesses.
            auth::AuthAnswer::Right if own.password.is_none() => Ok(()),
            auth::AuthAnswer::Right => self.clients.not_blocked(self.cx, id),
            auth::AuthAnswer::Guess(refusal) => {
                self.clients.not_blocked(self.cx, id)?;
                self.clients.login_failed(self.cx, id);
                Err(self.clients.refuse(self.cx, id, &refusal))
            }
        }
    }

    /// Against the users of the configuration.
    fn log_in_here(
        &mut self,
        id: ClientId,
        access: &Access,
        login: &BackendLogin,
    ) -> Result<(), RequestOutcome> {
        let open = access
            .users
            .get(&b"default"[..])
            .is_some_and(|user| user.nopass);
        if login.user.is_none() && open {
            return Err(self
                .clients
                .refuse(self.cx, id, &Refusal::AuthWithoutPassword));
        }
        self.clients.not_blocked(self.cx, id)?;
        let name = login.user.as_deref().unwrap_or(b"default");
        let password = login.password.as_deref().unwrap_or_default();
        match access.check(name, password) {
            Some(account) => {
                let credential = self.pool.credential_of(Some(account));
                self.enter_as(id, Arc::clone(account), credential)
            }
            None => {
                self.clients.login_failed(self.cx, id);
                Err(self.clients.refuse(self.cx, id, &Refusal::WrongPass))
            }
        }
    }
}

/// Whether a login was refused for what it said, and not because there is nothing to log in to.
fn is_guess(refusal: &[u8]) -> bool {
    // `AUTH` of a server whose default user has no password; the second before Redis 6.
    let none = [
        &b"-ERR AUTH "[..],
        b"-ERR Client sent AUTH, but no password is set",
    ];
    !none.iter().any(|text| refusal.starts_with(text))
}

impl Client {
    /// Where it comes from, as far as that tells one host from another.
    pub fn ip(&self) -> IpAddr {
        let unix = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        self.address.ip().unwrap_or(unix)
    }
}
