//! The auth gate: what a client may do that has not logged in, and who a client is from then on.

use std::sync::Arc;

use crate::command::Policy;
use crate::resp::{ProtocolError, Refusal};
use crate::session::{Account, AuthMode, AuthState};
use crate::telemetry::ClientCloseReason;

use crate::engine::Rules;
use crate::engine::clients::Client;
use crate::engine::clients::hold::RequestOutcome;
use crate::engine::context::Context;
use crate::engine::key::{ClientId, CredentialId};
use crate::engine::pool::backend::Backend;
use crate::engine::reach::{Blocking, Gate, Traffic};

impl Gate<'_> {
    /// A name that the table does not have: the server is not asked for those who have not logged
    /// in, unless it turns out that this one need not. `None`: this one may go on.
    pub fn unknown_unauthenticated(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
    ) -> Option<RequestOutcome> {
        if self.clients.get(id).is_none_or(Client::is_authenticated) {
            return None;
        }
        if rules.commands.is_learned() {
            let refusal = Refusal::UnknownCommand { frame: bytes };
            return Some(self.clients.refuse(self.cx, id, &refusal));
        }
        self.unauthenticated(id, &Refusal::NoAuth, false)
    }

    /// A request that is none, of a client that has not logged in. `None`: it is one, since this
    /// client need not.
    pub fn unauthenticated_error(
        &mut self,
        id: ClientId,
        error: ProtocolError,
    ) -> Option<RequestOutcome> {
        let client = self.clients.get(id);
        let unknown = client.is_some_and(|client| client.session.auth_state == AuthState::Unknown);
        if !unknown || !error.is_for_unauthenticated() || self.pool.unauthenticated_refused(self.cx)
        {
            return Some(self.clients.protocol_error(self.cx, id, error));
        }
        self.ask_for_unauthenticated(id, &Refusal::NoAuth, true)
            .err()
    }

    /// What a client that has not logged in gets for a command that needs that. `None`: this one
    /// need not, as it turns out.
    pub fn unauthenticated(
        &mut self,
        id: ClientId,
        refusal: &Refusal<'_>,
        matters: bool,
    ) -> Option<RequestOutcome> {
        match self.clients.get(id)?.session.auth_state {
            AuthState::Authenticated => None,
            AuthState::Unauthenticated => Some(self.clients.refuse(self.cx, id, refusal)),
            AuthState::Unknown => self.ask_for_unauthenticated(id, refusal, matters).err(),
        }
    }
}

impl Blocking<'_> {
    /// Users, their passwords or narrows' own login are not what they were.
    pub fn access_changed(&mut self) {
        let rules = Arc::clone(&self.cx.rules);
        if let Some(before) = self.pool.credentials_mut().set_own(&rules.access.own) {
            self.pool.retire_credential(self.cx, before);
        }
        self.pool.credentials_mut().forget_accounts();
        self.judge_all_again(&rules);
    }

    /// narrows' own connections are another user's at the server from now on: those of before are closed
    /// once they are empty.
    pub fn own_is_another(&mut self) {
        if let Some(before) = self.pool.credentials_mut().own_is_another() {
            self.pool.retire_credential(self.cx, before);
        }
        let rules = Arc::clone(&self.cx.rules);
        self.judge_all_again(&rules);
    }

    fn judge_all_again(&mut self, rules: &Rules) {
        let ids: Vec<ClientId> = self.clients.keys().collect();
        for id in ids {
            self.judge_again(id, rules);
        }
    }

    /// A client goes on as the user that it is now, or not at all if there is no such user.
    fn judge_again(&mut self, id: ClientId, rules: &Rules) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let own = self.pool.credentials().own();
        match (rules.access.mode, client.session.account.clone()) {
            (AuthMode::None, _) => {
                client.session.auth_state = AuthState::Authenticated;
                client.session.account = None;
                client.credential = own;
            }
            (AuthMode::Local, Some(account)) => {
                let Some(now) = rules.access.users.get(&account.name).cloned() else {
                    tracing::info!("client closed: its user is not configured any more");
                    return self
                        .clients
                        .close_for(self.cx, id, ClientCloseReason::UserRefused);
                };
                let credential = self.pool.credential_of(Some(&now));
                if let Some(client) = self.clients.get_mut(id) {
                    client.session.account = Some(now);
                    client.credential = credential;
                }
            }
            (AuthMode::Passthrough, Some(account)) => {
                let account = match client.credential {
                    CredentialId::ANONYMOUS => rules.access.users.get(&account.name).cloned(),
                    credential => self.pool.credentials_mut().account(credential, rules),
                };
                client.session.account = account;
            }
            (AuthMode::Local | AuthMode::Passthrough, None) => {}
        }
        self.user_changed(id);
        self.traffic().enter_context(id);
    }
}

impl Traffic<'_> {
    /// A client that has just connected, or that has said `RESET`, is the user of its certificate, or
    /// whoever clients are that have not logged in.
    pub fn begin_unauthenticated(&mut self, id: ClientId) {
        let rules = Arc::clone(&self.cx.rules);
        let proven = self
            .clients
            .get(id)
            .and_then(|client| client.certificate_user.as_deref());
        let proven = proven.and_then(|name| rules.access.of_certificate(name));
        let begins_as = match proven {
            Some(account) => Some(Some(account)),
            None => rules.access.of_unauthenticated(),
        };
        let (auth_state, account, credential) = match begins_as {
            Some(account) => {
                let credential = self.pool.credential_of(account.as_deref());
                (AuthState::Authenticated, account, credential)
            }
            None if rules.access.mode == AuthMode::Passthrough => {
                (AuthState::Unknown, None, CredentialId::ANONYMOUS)
            }
            None => (
                AuthState::Unauthenticated,
                None,
                self.pool.credentials().own(),
            ),
        };
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        client.session.auth_state = auth_state;
        client.session.account = account.clone();
        client.credential = credential;
        client.user_quota = None;
        self.enter_context(id);
        if let Some(account) = account
            && !self.clients.take_user_quota(self.cx, id, &account)
        {
            self.clients.turn_away(self.cx, id);
        }
    }

    /// The client is `account` from now on, on backends of `credential`. `Err`: it cannot be.
    pub fn enter_as(
        &mut self,
        id: ClientId,
        account: Arc<Account>,
        credential: CredentialId,
    ) -> Result<(), RequestOutcome> {
        let Some(client) = self.clients.get_mut(id) else {
            return Err(RequestOutcome::Ended);
        };
        // What its backend holds for it is another user's. Whoever need not log in is the default
        // user before it does as well.
        let same = client.credential == credential || client.session.user() == &*account.name;
        if client.lease.is_some() && !same {
            return Err(self.clients.refuse(self.cx, id, &Refusal::LoginOnLease));
        }
        let same = client.user_quota.is_some() && client.session.user() == &*account.name;
        if !same && !self.clients.take_user_quota(self.cx, id, &account) {
            self.clients.turn_away(self.cx, id);
            return Err(RequestOutcome::Ended);
        }
        if let Some(client) = self.clients.get_mut(id) {
            client.session.auth_state = AuthState::Authenticated;
            client.session.account = Some(account);
            client.credential = credential;
        }
        self.enter_context(id);
        Ok(())
    }

    /// The client's commands run in its session's context from now on. Those of one that holds a
    /// backend run as that one is logged in until it is given back, whoever the client is by then.
    pub fn enter_context(&mut self, id: ClientId) {
        if let Some(client) = self.clients.get_mut(id) {
            let backend = client.lease.as_ref().map(|lease| lease.backend());
            let backend = backend.and_then(|id| self.pool.backend(id));
            let context = self.pool.context_key(Context {
                credential: backend.map_or(client.credential, Backend::credential),
                protocol: client.session.protocol,
                db: client.session.db,
            });
            self.pool.move_on(&mut client.within, context);
        }
    }
}

impl Client {
    /// What the operator allows it.
    #[inline]
    pub fn policy<'a>(&'a self, rules: &'a Rules) -> &'a Policy {
        let account = self.session.account.as_deref();
        account.map_or(&rules.policy, |account| &account.policy)
    }

    /// Whether it may use commands.
    #[inline]
    pub fn is_authenticated(&self) -> bool {
        self.session.auth_state == AuthState::Authenticated
    }
}

impl Rules {
    /// What is configured of a user of the server.
    pub fn account_of(&self, user: &[u8]) -> Arc<Account> {
        match self.access.users.get(user) {
            Some(account) => Arc::clone(account),
            None => {
                let max = self.access.user_clients_max;
                Arc::new(Account::plain(user, self.policy.clone(), max))
            }
        }
    }
}
