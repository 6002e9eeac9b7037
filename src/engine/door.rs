//! The door: what a client may do that has not logged in, and who a client is from then on.

use std::sync::Arc;

use crate::command::{Bracket as Verb, Flags, Policy, Route, Spec, Verdict};
use crate::resp::{Frame, Limits, ProtocolError, Refusal};
use crate::session::client_line::Address;
use crate::session::{Account, AuthMode, Standing};
use crate::telemetry::Leave;
use crate::telemetry::door::TurnedAway;

use super::backend::Backend;
use super::client::Client;
use super::context::Context;
use super::credential::CredentialId;
use super::hold::{Ending, Outcome};
use super::key::{BackendId, ClientId};
use super::{Engine, Rules};

impl Engine {
    /// A client that has just connected, or that has said `RESET`, is whoever clients are that have
    /// not logged in.
    pub(super) fn place_stranger(&mut self, id: ClientId) {
        let rules = Arc::clone(&self.rules);
        let (standing, account, credential) = match rules.access.of_strangers() {
            Some(account) => {
                let credential = self.credential_of(account.as_deref());
                (Standing::In, account, credential)
            }
            None if rules.access.mode == AuthMode::Passthrough => {
                (Standing::Unknown, None, CredentialId::ANONYMOUS)
            }
            None => (Standing::Stranger, None, self.credentials.own()),
        };
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        client.session.standing = standing;
        client.session.account = account.clone();
        client.credential = credential;
        client.seat = None;
        self.enter_context(id);
        if let Some(account) = account
            && !self.take_seat(id, &account)
        {
            self.turn_away(id);
        }
    }

    /// As whom the commands of a user of the configuration run.
    pub(super) fn credential_of(&mut self, account: Option<&Account>) -> CredentialId {
        match account.and_then(|account| account.runs_as.as_ref()) {
            Some(login) => self.credentials.learn(login),
            None => self.credentials.own(),
        }
    }

    /// A place among the clients of the user. False: there are too many.
    pub(super) fn take_seat(&mut self, id: ClientId, account: &Account) -> bool {
        let seat = self.shared.seats.take(&account.name, account.max_clients);
        let Some(client) = self.clients.get_mut(id) else {
            return true;
        };
        let taken = seat.is_some();
        client.seat = seat;
        taken
    }

    /// Redis' own words for too many clients, and the end.
    pub(super) fn turn_away(&mut self, id: ClientId) {
        let refusal = Refusal::MaxClients;
        self.counters.refused("max_clients_of_user");
        if let Some(client) = self.clients.get(id) {
            let user = client.session.user().escape_ascii().to_string();
            let addr = client.address.peer();
            tracing::warn!(user, addr, "max number of clients of this user reached");
        }
        self.reply_with(id, |out| refusal.write(out));
        self.leaves_for(id, Leave::UserLimit);
        self.end(id, Ending::AfterOutput);
    }

    /// Whether a client that need not log in, as the server says, comes from another machine where
    /// that is not meant: towards the server it would come from this one, and be served.
    pub(super) fn is_protected_from(&self, id: ClientId) -> bool {
        let tcp = self.clients.get(id).map(|client| &*client.address);
        let Some(Address::Tcp { peer, .. }) = tcp else {
            return false;
        };
        !self.rules.access.allow_open && !peer.ip().to_canonical().is_loopback()
    }

    /// Redis' own words in protected mode, and the end.
    pub(super) fn protect_from(&mut self, id: ClientId) -> Outcome {
        let refusal = Refusal::Protected;
        self.counters.refused(refusal.label());
        self.shared.door.turned_away(TurnedAway::Protected);
        let (key, peer) = ("listen.allow_open", self.clients.get(id));
        let peer = peer.map(|client| client.address.peer());
        tracing::debug!(peer, key, "a client of another machine is turned away");
        self.reply_with(id, |out| refusal.write(out));
        self.leaves_for(id, Leave::Refused);
        self.end(id, Ending::AfterOutput);
        Outcome::Ended
    }

    /// The client is `account` from now on, on backends of `credential`. `Err`: it cannot be.
    pub(super) fn enter_as(
        &mut self,
        id: ClientId,
        account: Arc<Account>,
        credential: CredentialId,
    ) -> Result<(), Outcome> {
        let Some(client) = self.clients.get_mut(id) else {
            return Err(Outcome::Ended);
        };
        // What its backend holds for it is another user's. Whoever need not log in is the default
        // user before it does as well.
        let same = client.credential == credential || client.session.user() == &*account.name;
        if client.lease.is_some() && !same {
            return Err(self.refuse(id, &Refusal::LoginOnLease));
        }
        let same = client.seat.is_some() && client.session.user() == &*account.name;
        if !same && !self.take_seat(id, &account) {
            self.turn_away(id);
            return Err(Outcome::Ended);
        }
        if let Some(client) = self.clients.get_mut(id) {
            client.session.standing = Standing::In;
            client.session.account = Some(account);
            client.credential = credential;
        }
        self.enter_context(id);
        Ok(())
    }

    /// What of a client may be said of its requests: less before it has logged in
    /// (`authRequired`, networking.c).
    pub(super) fn limits_of(&self, id: ClientId, rules: &Rules) -> Option<Limits> {
        let is_in = self.clients.get(id).is_none_or(Client::is_in);
        (!is_in).then(|| Limits {
            authenticated: false,
            ..rules.settings.limits.clone()
        })
    }

    /// A request that is none, of a client that has not logged in. `None`: it is one, since this
    /// client need not.
    pub(super) fn strangers_error(
        &mut self,
        id: ClientId,
        error: ProtocolError,
    ) -> Option<Outcome> {
        let client = self.clients.get(id);
        let unknown = client.is_some_and(|client| client.session.standing == Standing::Unknown);
        if !unknown || !error.is_for_strangers() || self.strangers_refused() {
            return Some(self.protocol_error(id, error));
        }
        self.ask_for_strangers(id, &Refusal::NoAuth, true).err()
    }

    /// A request of a client that has not logged in. `None`: it may go on.
    pub(super) fn at_the_door(
        &mut self,
        id: ClientId,
        bytes: &[u8],
        frame: &Frame,
        spec: &Spec,
    ) -> Option<Outcome> {
        // In the order of `processCommand`, server.c.
        if spec.on_server == Some(false) {
            return Some(self.unknown_to_server(id, bytes, spec));
        }
        if !spec.accepts(frame.argc) {
            let command = &spec.name;
            return self.stranger(id, &Refusal::Arity { command }, false);
        }
        let free = spec.flags.contains(Flags::NO_AUTH);
        if free && matches!(spec.route, Route::Local(_)) {
            return None;
        }
        let matters = match spec.route {
            Route::Local(local) => local.matters_to_what_follows(),
            Route::Shared
            | Route::Unpins(_)
            | Route::Restricted
            | Route::Info
            | Route::Blocking
            | Route::OwnConnection => false,
            _ => true,
        };
        let refusal = match spec.route {
            Route::Bracket(Verb::Exec) => Refusal::ExecNoAuth,
            _ => Refusal::NoAuth,
        };
        self.stranger(id, &refusal, matters)
    }

    /// A name that the table does not have: the server is not asked for those who have not logged
    /// in, unless it turns out that this one need not.
    pub(super) fn unknown_to_strangers(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        frame: &Frame,
    ) -> Outcome {
        if rules.commands.is_learned() {
            return self.refuse(id, &Refusal::UnknownCommand { frame: bytes });
        }
        match self.stranger(id, &Refusal::NoAuth, false) {
            Some(outcome) => outcome,
            None => self.unknown(id, rules, bytes, frame),
        }
    }

    /// What a client that has not logged in gets for a command that needs that. `None`: this one
    /// need not, as it turns out.
    pub(super) fn stranger(
        &mut self,
        id: ClientId,
        refusal: &Refusal<'_>,
        matters: bool,
    ) -> Option<Outcome> {
        let standing = self.clients.get(id)?.session.standing;
        match standing {
            Standing::In => None,
            Standing::Stranger => Some(self.refuse(id, refusal)),
            Standing::Unknown => self.ask_for_strangers(id, refusal, matters).err(),
        }
    }

    /// What the operator allows this client.
    pub(super) fn policy<'a>(&'a self, id: ClientId, rules: &'a Rules) -> &'a Policy {
        let client = self.clients.get(id);
        client.map_or(&rules.policy, |client| client.policy(rules))
    }

    /// Why this client may not use a command, if it may not.
    pub(super) fn forbidden<'s>(
        &self,
        id: ClientId,
        rules: &Rules,
        spec: &'s Spec,
    ) -> Option<Refusal<'s>> {
        let command = &*spec.name;
        match self.policy(id, rules).verdict(spec) {
            Verdict::Denied => Some(Refusal::Forbidden { command }),
            Verdict::Evades => Some(Refusal::Scripts),
            Verdict::Allowed if self.is_kept_from(id, rules, spec) => {
                Some(Refusal::NoPermission { command })
            }
            Verdict::Allowed => None,
        }
    }

    /// Whether the client's user is one that narrows itself keeps from what administrates.
    fn is_kept_from(&self, id: ClientId, rules: &Rules, spec: &Spec) -> bool {
        rules.access.mode == AuthMode::Local
            && spec.flags.contains(Flags::ADMIN)
            && self.clients.get(id).is_some_and(|client| {
                let account = client.session.account.as_deref();
                account.is_none_or(|account| !account.admin)
            })
    }

    /// Users, their passwords or narrows' own login are not what they were.
    pub(super) fn access_changed(&mut self) {
        let rules = Arc::clone(&self.rules);
        if let Some(before) = self.credentials.set_own(&rules.access.own) {
            self.retire_credential(before);
        }
        self.credentials.forget_accounts();
        let ids: Vec<ClientId> = self.clients.keys().collect();
        for id in ids {
            self.judge_again(id, &rules);
        }
    }

    /// A client goes on as the user that it is now, or not at all if there is no such user.
    fn judge_again(&mut self, id: ClientId, rules: &Rules) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let own = self.credentials.own();
        match (rules.access.mode, client.session.account.clone()) {
            (AuthMode::None, _) => {
                client.session.standing = Standing::In;
                client.session.account = None;
                client.credential = own;
            }
            (AuthMode::Local, Some(account)) => {
                let Some(now) = rules.access.users.get(&account.name).cloned() else {
                    tracing::info!("client closed: its user is not configured any more");
                    return self.close_for(id, Leave::UserRefused);
                };
                let credential = self.credential_of(Some(&now));
                if let Some(client) = self.clients.get_mut(id) {
                    client.session.account = Some(now);
                    client.credential = credential;
                }
            }
            (AuthMode::Passthrough, Some(account)) => {
                let account = match client.credential {
                    CredentialId::ANONYMOUS => rules.access.users.get(&account.name).cloned(),
                    credential => self.credentials.account(credential, rules),
                };
                client.session.account = account;
            }
            (AuthMode::Local | AuthMode::Passthrough, None) => {}
        }
        self.enter_context(id);
    }

    /// Nothing new goes to backends of this credential; they are closed once they are empty.
    pub(super) fn retire_credential(&mut self, credential: CredentialId) {
        let of_it = self
            .backends
            .iter()
            .filter(|(_, b)| b.credential() == credential);
        let ids: Vec<BackendId> = of_it.map(|(id, _)| id).collect();
        for id in ids {
            // One that is lent goes when it is given back.
            if let Some(backend) = self.backends.get_mut(id) {
                backend.retire_at = Some(self.now);
            }
            self.retire_when_quiet(id);
        }
    }

    /// The client's commands run in its session's context from now on. Those of one that holds a
    /// backend run as that one is logged in until it is given back, whoever the client is by then.
    pub(super) fn enter_context(&mut self, id: ClientId) {
        if let Some(client) = self.clients.get_mut(id) {
            let lent = client.lease.as_ref().map(|lease| lease.backend());
            let lent = lent.and_then(|lent| self.backends.get(lent));
            let context = self.contexts.key(Context {
                credential: lent.map_or(client.credential, Backend::credential),
                protocol: client.session.protocol,
                db: client.session.db,
            });
            self.contexts.move_on(&mut client.within, context);
        }
    }
}

impl Client {
    /// What the operator allows it.
    #[inline]
    pub(super) fn policy<'a>(&'a self, rules: &'a Rules) -> &'a Policy {
        let account = self.session.account.as_deref();
        account.map_or(&rules.policy, |account| &account.policy)
    }

    /// Whether it may use commands.
    #[inline]
    pub(super) fn is_in(&self) -> bool {
        self.session.standing == Standing::In
    }
}

impl Rules {
    /// What is configured of a user of the server.
    pub(super) fn account_of(&self, user: &[u8]) -> Arc<Account> {
        match self.access.users.get(user) {
            Some(account) => Arc::clone(account),
            None => {
                let max = self.access.user_clients_max;
                Arc::new(Account::plain(user, self.policy.clone(), max))
            }
        }
    }
}
