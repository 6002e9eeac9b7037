//! As whom backends are logged in at the server. Each credential has pools of its own: a backend
//! never changes user, so no command can run as another one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Rules;
use crate::engine::key::CredentialId;
use crate::session::Account;
use crate::session::access::BackendLogin;

/// What the server last said of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialState {
    /// It has not been used yet.
    Untried,
    /// It was accepted then.
    Accepted(Duration),
    /// It was refused then, with this error reply.
    Refused(Box<[u8]>, Duration),
}

/// One user of the server.
pub struct Credential {
    login: BackendLogin,
    kept: Arc<()>,
    /// See [`CredentialState`].
    pub standing: CredentialState,
    /// What its clients may do and how many they may be, once it has been asked for.
    account: Option<Arc<Account>>,
    /// Commands that narrows answers itself and that the server has allowed it, by when.
    pub rights: BTreeMap<Box<str>, Duration>,
    /// Which of all turns in the line for leases was the last one of its clients.
    pub asked_for_at: u64,
    /// When a pipe was last taken out of use to check a login on it.
    pub checked_at: Option<Duration>,
    /// The server lets it begin a transaction and not end it: on a pipe, everybody's commands would be
    /// queued behind.
    pub blocks_stay_open: bool,
    /// When the server has not let it `SELECT`.
    pub select_refused_at: Option<Duration>,
    /// The server does not let it end waits of other connections.
    pub may_not_cancel: bool,
    /// The server does not let it take back what its clients have left on a connection.
    pub may_not_clean: bool,
    /// Whether the server lets it begin a transaction, if that is known.
    pub may_multi: Option<bool>,
    /// Whom the server takes its connections for, where it is asked that.
    pub said_to_be: Option<Box<[u8]>>,
}

/// A user that somebody is going to be: it is not forgotten meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialGuard {
    id: CredentialId,
    _kept: Arc<()>,
}

impl CredentialGuard {
    /// Which one.
    pub fn id(&self) -> CredentialId {
        self.id
    }
}

/// All users of the server that backends are, or were, logged in as.
pub struct Credentials {
    all: BTreeMap<CredentialId, Credential>,
    /// The last number that was given.
    last: CredentialId,
    by_user: BTreeMap<Box<[u8]>, CredentialId>,
    own: CredentialId,
}

impl Credential {
    fn new(login: BackendLogin) -> Self {
        Self {
            login,
            kept: Arc::default(),
            standing: CredentialState::Untried,
            account: None,
            rights: BTreeMap::new(),
            asked_for_at: 0,
            checked_at: None,
            blocks_stay_open: false,
            select_refused_at: None,
            may_not_cancel: false,
            may_not_clean: false,
            may_multi: None,
            said_to_be: None,
        }
    }

    /// What a new connection logs in with.
    pub fn login(&self) -> &BackendLogin {
        &self.login
    }

    /// Whether the server refused it less than `for_how_long` ago.
    pub fn is_refused(&self, now: Duration, for_how_long: Duration) -> bool {
        matches!(&self.standing, CredentialState::Refused(_, at) if now.saturating_sub(*at) < for_how_long)
    }
}

impl Credentials {
    /// Only narrows' own, and nobody.
    pub fn new(own: &BackendLogin) -> Self {
        let nobody = || Credential::new(BackendLogin::default());
        Self {
            all: BTreeMap::from([
                (CredentialId::ANONYMOUS, nobody()),
                (CredentialId::PENDING, nobody()),
                (CredentialId::OWN, Credential::new(own.clone())),
            ]),
            last: CredentialId::OWN,
            by_user: BTreeMap::new(),
            own: CredentialId::OWN,
        }
    }

    /// narrows' own.
    pub fn own(&self) -> CredentialId {
        self.own
    }

    /// The credential behind `id`.
    pub fn get(&self, id: CredentialId) -> Option<&Credential> {
        self.all.get(&id)
    }

    /// The credential behind `id`.
    pub fn get_mut(&mut self, id: CredentialId) -> Option<&mut Credential> {
        self.all.get_mut(&id)
    }

    /// What a new connection of this credential logs in with. `None`: nobody knows any more, and a
    /// connection that did not log in would be somebody else's.
    pub fn login(&self, id: CredentialId) -> Option<BackendLogin> {
        self.get(id).map(|credential| credential.login.clone())
    }

    /// The credential of a user that clients have been accepted as.
    pub fn of_user(&self, user: &[u8]) -> Option<CredentialId> {
        self.by_user.get(user).copied()
    }

    /// What the clients of a user of the server may do and how many they may be.
    pub fn account(&mut self, id: CredentialId, rules: &Rules) -> Option<Arc<Account>> {
        let known = self.get_mut(id)?;
        let user = known.login.user.as_deref().unwrap_or(b"default");
        let account = known.account.get_or_insert_with(|| rules.account_of(user));
        Some(Arc::clone(account))
    }

    /// The configuration is another: what it says of users is asked for again.
    pub fn forget_accounts(&mut self) {
        for known in self.all.values_mut() {
            known.account = None;
        }
    }

    /// The server is another one: what the one before has said of its users is not believed.
    pub fn forget_servers_words(&mut self) {
        for known in self.all.values_mut() {
            known.standing = CredentialState::Untried;
            known.rights.clear();
            (known.checked_at, known.select_refused_at) = (None, None);
            known.blocks_stay_open = false;
            (known.may_not_cancel, known.may_not_clean) = (false, false);
            known.may_multi = None;
            known.said_to_be = None;
        }
    }

    /// The credential that `login` is of: it has this password from now on. Only for logins that
    /// the server has accepted, or that the operator has configured.
    pub fn learn(&mut self, login: &BackendLogin) -> CredentialId {
        let user = login.user.as_deref().unwrap_or(b"default");
        let Some(id) = self.of_user(user) else {
            let id = self.add(login);
            self.by_user.insert(user.into(), id);
            return id;
        };
        if let Some(known) = self.get_mut(id)
            && known.login != *login
        {
            known.login = login.clone();
            known.standing = CredentialState::Untried;
        }
        id
    }

    fn add(&mut self, login: &BackendLogin) -> CredentialId {
        self.last = self.last.next();
        self.all.insert(self.last, Credential::new(login.clone()));
        self.last
    }

    /// Somebody is going to be this user: it is not forgotten before.
    pub fn keep(&self, id: CredentialId) -> Option<CredentialGuard> {
        let _kept = Arc::clone(&self.get(id)?.kept);
        Some(CredentialGuard { id, _kept })
    }

    /// Forgets those whom nothing runs as any more, nor is going to. They are learned again when they
    /// come back.
    pub fn forget_unused(&mut self, in_use: impl Fn(CredentialId) -> bool) {
        let own = self.own;
        let is_kept = |id: CredentialId| id <= CredentialId::OWN || id == own || in_use(id);
        self.all
            .retain(|id, known| is_kept(*id) || Arc::strong_count(&known.kept) > 1);
        let all = &self.all;
        self.by_user.retain(|_, id| all.contains_key(id));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// narrows' own login comes to another user of the server than before, though it is the same. What it
    /// was before.
    pub fn own_is_another(&mut self) -> Option<CredentialId> {
        let before = self.own;
        let login = self.login(before)?;
        self.own = self.add(&login);
        Some(before)
    }

    /// narrows' own login is this from now on. What it was before, if it is another user now.
    pub fn set_own(&mut self, login: &BackendLogin) -> Option<CredentialId> {
        let before = self.own;
        let known = self.get_mut(before)?;
        if known.login.user == login.user {
            if known.login != *login {
                known.login = login.clone();
                known.standing = CredentialState::Untried;
            }
            return None;
        }
        self.own = self.add(login);
        Some(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(user: &str, password: &str) -> BackendLogin {
        BackendLogin {
            user: Some(user.as_bytes().into()),
            password: Some(password.as_bytes().into()),
        }
    }

    #[test]
    fn a_user_is_one_credential_whatever_its_password() {
        let mut all = Credentials::new(&BackendLogin::default());
        let alice = all.learn(&login("alice", "1"));
        assert_ne!(alice, all.own());
        assert_eq!(all.learn(&login("alice", "2")), alice);
        assert_eq!(all.login(alice), Some(login("alice", "2")));
        assert_ne!(all.learn(&login("bob", "2")), alice);
    }

    #[test]
    fn the_same_user_is_not_narrows_own() {
        let mut all = Credentials::new(&login("app", "1"));
        let app = all.learn(&login("app", "1"));
        assert_ne!(
            app,
            all.own(),
            "clients never share narrows' own connections"
        );
    }

    #[test]
    fn another_own_user_is_another_credential_and_another_password_is_not() {
        let mut all = Credentials::new(&login("app", "1"));
        let own = all.own();
        assert_eq!(own, CredentialId::default());
        assert_eq!(all.set_own(&login("app", "2")), None);
        assert_eq!((all.own(), all.login(own)), (own, Some(login("app", "2"))));
        assert_eq!(all.set_own(&login("other", "2")), Some(own));
        assert_ne!(all.own(), own);
    }

    #[test]
    fn a_user_that_nothing_runs_as_is_forgotten_and_never_taken_for_another() {
        let mut all = Credentials::new(&BackendLogin::default());
        let [alice, bob] = ["alice", "bob"].map(|user| all.learn(&login(user, "1")));
        all.forget_unused(|id| id == bob);
        assert_eq!((all.len(), all.of_user(b"alice")), (4, None));
        assert_eq!((all.of_user(b"bob"), all.login(alice)), (Some(bob), None));
        let again = all.learn(&login("alice", "2"));
        assert!(again != alice && again != bob && all.get(alice).is_none());
        assert_eq!(all.login(again), Some(login("alice", "2")));
        let is_to_be = all.keep(again);
        all.forget_unused(|_| false);
        assert_eq!((all.of_user(b"alice"), all.len()), (Some(again), 4));
        drop(is_to_be);
        all.forget_unused(|_| false);
        assert_eq!((all.of_user(b"alice"), all.len()), (None, 3));
    }
}
