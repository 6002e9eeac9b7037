//! Who may come in, and as whom: the users of the configuration, their passwords, and what each
//! of them runs as on the server. Pure data; `engine/gate/login.rs` acts on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::command::{EntryMistake, Policy, PolicySettings, Scripts};

/// How clients log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthMode {
    /// They need not: narrows logs in to the server with its own credentials, for all of them.
    #[default]
    None,
    /// They log in to users of narrows' configuration, which name the server's user they run as.
    Local,
    /// They log in to the server's own users; each login is checked by the server itself.
    Passthrough,
}

/// How clients log in, as an operator writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthChoice {
    /// As follows from narrows' own credentials: where it has none clients bring the server's own.
    #[default]
    Auto,
    /// In this way.
    Always(AuthMode),
}

impl AuthChoice {
    /// The mode in force, where narrows has credentials of its own or has none.
    pub fn mode(self, has_credentials: bool) -> AuthMode {
        match self {
            Self::Always(mode) => mode,
            Self::Auto if has_credentials => AuthMode::None,
            Self::Auto => AuthMode::Passthrough,
        }
    }
}

/// As whom a backend logs in to the server.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct BackendLogin {
    /// `None`: the server's default user.
    pub user: Option<Box<[u8]>>,
    /// `None`: no `AUTH` is sent.
    pub password: Option<Box<[u8]>>,
}

impl std::fmt::Debug for BackendLogin {
    /// Never shows the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackendLogin")
            .field(
                "user",
                &self
                    .user
                    .as_ref()
                    .map(|user| user.escape_ascii().to_string()),
            )
            .field("password", &self.password.as_ref().map(|_| "(set)"))
            .finish()
    }
}

/// SHA-256 of a password, as Redis keeps them (`ACL SETUSER … #<hex>`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PasswordHash([u8; 32]);

impl std::fmt::Debug for PasswordHash {
    /// A hash of a weak password is as good as the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

impl PasswordHash {
    /// The hash of `password`.
    pub fn of(password: &[u8]) -> Self {
        Self(Sha256::digest(password).into())
    }

    /// A hash in 64 hexadecimal digits; `None` for anything else.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).ok()?;
            if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Self(hash))
    }
}

/// One user, as clients know it.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its name.
    pub name: Box<[u8]>,
    /// Its passwords, any of which will do. Mode `local` only.
    pub passwords: Vec<PasswordHash>,
    /// Any password will do, and clients that have not logged in are this user (`default` only).
    pub nopass: bool,
    /// Whether it may use commands that Redis puts into `@admin`. Mode `local` only: else the
    /// server judges.
    pub admin: bool,
    /// What it may use, and how.
    pub policy: Policy,
    /// As whom its commands run; `None`: as narrows' own user. Mode `local` only.
    pub runs_as: Option<BackendLogin>,
    /// Its clients at once, in all workers together. 0: no bound of its own.
    pub max_clients: usize,
}

impl Account {
    /// A user of which nothing is configured.
    pub fn plain(name: &[u8], policy: Policy, max_clients: usize) -> Self {
        Self {
            name: name.into(),
            passwords: Vec::new(),
            nopass: false,
            admin: false,
            policy,
            runs_as: None,
            max_clients,
        }
    }

    /// Whether `password` is one of its own. The time it takes tells nothing about the password.
    pub fn accepts(&self, password: &[u8]) -> bool {
        let given = PasswordHash::of(password);
        let matches = |hash: &PasswordHash| bool::from(hash.0.ct_eq(&given.0));
        // All are compared, whichever matches.
        let known = self
            .passwords
            .iter()
            .fold(false, |found, hash| matches(hash) | found);
        known || self.nopass
    }
}

/// `[auth]` and `[users.<name>]`, as an operator writes them.
#[derive(Debug, Clone, PartialEq)]
pub struct AuthSettings {
    /// What is written.
    pub choice: AuthChoice,
    /// How clients log in: what that comes to.
    pub mode: AuthMode,
    /// See [`Access::user_clients_max`].
    pub user_clients_max: usize,
    /// See [`Access::failures_max`].
    pub failures_max: u32,
    /// The users.
    pub users: Vec<UserSettings>,
}

/// One user, as an operator writes it. See [`Account`] for what each field means.
#[derive(Debug, Clone, PartialEq)]
pub struct UserSettings {
    /// Its name.
    pub name: String,
    /// Its passwords.
    pub passwords: Vec<PasswordHash>,
    /// Any password will do.
    pub nopass: bool,
    /// Whether it may use what administrates.
    pub admin: bool,
    /// As whom its commands run.
    pub runs_as: Option<BackendLogin>,
    /// Its clients at once.
    pub max_clients: usize,
    /// What it may use beyond, or less than, everybody.
    pub commands: PolicySettings,
    /// Whether it may use scripts that get round its rules; `None`: as everybody.
    pub scripts: Option<Scripts>,
    /// That it is kept from what administrates is said, and not only so because nothing is.
    pub is_kept_from_admin: bool,
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            choice: AuthChoice::default(),
            mode: AuthChoice::default().mode(false),
            user_clients_max: 0,
            failures_max: 10,
            users: Vec::new(),
        }
    }
}

impl UserSettings {
    /// A user of whom nothing is said.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            passwords: Vec::new(),
            nopass: false,
            admin: false,
            runs_as: None,
            max_clients: 0,
            commands: PolicySettings::default(),
            scripts: None,
            is_kept_from_admin: false,
        }
    }

    /// The account. What `everybody` is allowed, denied or knows by another name is so for this
    /// user too.
    fn account(
        &self,
        everybody: &PolicySettings,
        clients_max: usize,
    ) -> Result<Account, Vec<EntryMistake>> {
        let both = |all: &[String], own: &[String]| [all, own].concat();
        let policy = Policy::new(&PolicySettings {
            allow: both(&everybody.allow, &self.commands.allow),
            deny: both(&everybody.deny, &self.commands.deny),
            dedicated: everybody.dedicated.clone(),
            rename: both(&everybody.rename, &self.commands.rename),
            scripts: self.scripts.unwrap_or(everybody.scripts),
        })?;
        let policy = match self.is_kept_from_admin {
            true => policy.evaded(),
            false => policy,
        };
        Ok(Account {
            name: self.name.as_bytes().into(),
            passwords: self.passwords.clone(),
            nopass: self.nopass,
            admin: self.admin,
            policy,
            runs_as: self.runs_as.clone(),
            max_clients: match self.max_clients {
                0 => clients_max,
                own => own,
            },
        })
    }
}

impl AuthMode {
    /// How clients log in, for people.
    pub fn shown(self) -> &'static str {
        match self {
            Self::None => "none: clients act as narrows' own user",
            Self::Local => "local: to the users of this configuration",
            Self::Passthrough => "passthrough: to the server's own users",
        }
    }
}

impl AuthSettings {
    /// How clients log in, and why so, for people.
    pub fn shown(&self) -> String {
        let why = match (self.choice, self.mode) {
            (AuthChoice::Always(_), _) => "",
            (AuthChoice::Auto, AuthMode::None) => {
                ", since narrows has credentials of its own (auto)"
            }
            (AuthChoice::Auto, _) => ", since narrows has no credentials of its own (auto)",
        };
        format!("{}{why}", self.mode.shown())
    }

    /// See [`Access::asks_for_login`].
    pub fn asks_for_login(&self) -> bool {
        let open = |user: &UserSettings| user.name == "default" && user.nopass;
        match self.mode {
            AuthMode::None => false,
            AuthMode::Local => !self.users.iter().any(open),
            AuthMode::Passthrough => true,
        }
    }
}

/// Who may come in.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// How clients log in.
    pub mode: AuthMode,
    /// narrows' own login.
    pub own: BackendLogin,
    /// The users of the configuration, by name.
    pub users: BTreeMap<Box<[u8]>, Arc<Account>>,
    /// Clients at once of a user that has no bound of its own, in all workers together. 0: no
    /// bound.
    pub user_clients_max: usize,
    /// Failed logins from one address, at once and then per 10 seconds, past which further ones
    /// are refused unchecked. 0: no bound.
    pub failures_max: u32,
    /// Clients of other machines may come in without a login, where nobody has to log in.
    pub allow_open: bool,
}

impl Access {
    /// What `settings` come to, with narrows' `own` login and what is allowed to `everybody`.
    ///
    /// # Errors
    /// All wrong patterns of the users' lists.
    pub fn new(
        settings: &AuthSettings,
        own: BackendLogin,
        everybody: &PolicySettings,
    ) -> Result<Self, Vec<EntryMistake>> {
        let mut access = Self {
            mode: settings.mode,
            own,
            users: BTreeMap::new(),
            user_clients_max: settings.user_clients_max,
            failures_max: settings.failures_max,
            allow_open: false,
        };
        for user in &settings.users {
            let account = user.account(everybody, settings.user_clients_max)?;
            access.users.insert(account.name.clone(), Arc::new(account));
        }
        Ok(access)
    }

    /// What clients are that have not logged in, where narrows itself can tell: `Some(None)`
    /// means that nothing is asked of them.
    pub fn of_unauthenticated(&self) -> Option<Option<Arc<Account>>> {
        match self.mode {
            AuthMode::None => Some(None),
            AuthMode::Local => {
                let default = self.users.get(&b"default"[..]).filter(|user| user.nopass);
                default.map(|user| Some(Arc::clone(user)))
            }
            AuthMode::Passthrough => None,
        }
    }

    /// The user of this name, as which a client is known by its certificate. Elsewhere than here only a
    /// password makes somebody a user.
    pub fn of_certificate(&self, name: &[u8]) -> Option<Arc<Account>> {
        match self.mode {
            AuthMode::Local => self.users.get(name).cloned(),
            AuthMode::None | AuthMode::Passthrough => None,
        }
    }

    /// Whether narrows has a login of its own, or needs none beside those of its clients.
    pub fn has_own_login(&self) -> bool {
        self.mode != AuthMode::Passthrough || self.own.password.is_some()
    }

    /// Whether narrows or the server asks whoever comes in for a login. With `passthrough` the
    /// server does, or lets unauthenticated clients in as it has been told to.
    pub fn asks_for_login(&self) -> bool {
        self.of_unauthenticated().is_none()
    }

    /// Whether there may be a user of this name.
    pub fn knows(&self, name: &[u8]) -> bool {
        match self.mode {
            AuthMode::None => name == b"default",
            AuthMode::Local => name == b"default" || self.users.contains_key(name),
            // Only the server knows its users.
            AuthMode::Passthrough => true,
        }
    }

    /// The user of this name and password. Mode `local`.
    pub fn check(&self, name: &[u8], password: &[u8]) -> Option<&Arc<Account>> {
        match self.users.get(name) {
            Some(user) => user.accepts(password).then_some(user),
            None => {
                // An unknown name takes as long as a wrong password.
                let _ = PasswordHash::of(password);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str, passwords: &[&str]) -> Account {
        let hash = |password: &&str| PasswordHash::of(password.as_bytes());
        Account {
            passwords: passwords.iter().map(hash).collect(),
            ..Account::plain(name.as_bytes(), Policy::default(), 0)
        }
    }

    #[test]
    fn any_of_a_users_passwords_will_do_and_no_other() {
        let alice = account("alice", &["old", "new"]);
        assert!(alice.accepts(b"old") && alice.accepts(b"new"));
        assert!(!alice.accepts(b"") && !alice.accepts(b"newer"));
        assert!(!account("bob", &[]).accepts(b""));
    }

    #[test]
    fn a_hash_is_64_hexadecimal_digits() {
        let hex = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        assert_eq!(
            PasswordHash::from_hex(hex),
            Some(PasswordHash::of(b"hello"))
        );
        for wrong in ["", "2cf2", &hex.replace('2', "+"), &format!("{hex}0")] {
            assert_eq!(PasswordHash::from_hex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn unauthenticated_clients_are_let_in_only_where_that_is_configured() {
        let mut access = Access::default();
        assert!(matches!(access.of_unauthenticated(), Some(None)));
        access.mode = AuthMode::Local;
        assert!(access.of_unauthenticated().is_none());
        let open = Account {
            nopass: true,
            ..account("default", &[])
        };
        access.users.insert(b"default"[..].into(), Arc::new(open));
        assert!(matches!(access.of_unauthenticated(), Some(Some(_))));
        access.mode = AuthMode::Passthrough;
        assert!(access.of_unauthenticated().is_none());
    }

    #[test]
    fn an_unknown_user_has_no_password() {
        let mut access = Access::default();
        let a = Arc::new(account("a", &["pw"]));
        access.users.insert(b"a"[..].into(), a);
        assert!(access.check(b"a", b"pw").is_some());
        assert!(access.check(b"a", b"pw2").is_none());
        assert!(access.check(b"b", b"pw").is_none());
        assert!(access.check(b"\xff", b"pw").is_none());
    }
}
