//! `[users.<name>]`: the users that clients log in to, or what is said of the server's own. A
//! table for each, of which there may be any number, so they are no keys of `keys.rs`.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file::{Document, USERS};
use super::keys::{MILLION, SCRIPTS, patterns, renamings};
use super::kind::{Kind, Raw, boolean, choice, count, list, path, text};
use super::mistake::{Mistake, Origin};
use super::secret;
use super::suggest::nearest;
use crate::command::{Policy, Scripts};
use crate::session::access::{AuthMode, BackendLogin, PasswordHash, UserSettings};

/// The keys of one user.
pub(super) const KEYS: [&str; 11] = [
    "password_file",
    "password_sha256",
    "nopass",
    "admin",
    "backend_user",
    "backend_password_file",
    "max_clients",
    "allow",
    "deny",
    "rename",
    "scripts",
];

/// Keys that mean nothing where the server checks logins.
const LOCAL_ONLY: [&str; 6] = [
    "password_file",
    "password_sha256",
    "nopass",
    "admin",
    "backend_user",
    "backend_password_file",
];

/// What of the rest of the configuration says what users may say.
#[derive(Clone, Copy)]
pub(super) struct UserContext {
    /// How clients log in.
    pub(super) mode: AuthMode,
    /// They may do so by their certificates.
    pub(super) has_certificates: bool,
    /// Whether everybody may use scripts that get round what is denied.
    pub(super) scripts: Scripts,
}

impl UserContext {
    /// Whether somebody without a password could never log in.
    fn asks_for_password(self) -> bool {
        self.mode == AuthMode::Local && !self.has_certificates
    }
}

/// Reads all users. What they contradict is for `context` to say.
pub(super) fn read(
    document: &Document<'_>,
    context: UserContext,
    mistakes: &mut Vec<Mistake>,
    warnings: &mut Vec<String>,
) -> Vec<UserSettings> {
    let mut users = Vec::new();
    for (name, value) in document.users() {
        let here = document.at(name.span().start);
        let mut reading = User {
            document,
            path: format!("{USERS}.{}", name.get_ref()),
            mistakes: &mut *mistakes,
            warnings: &mut *warnings,
        };
        if let Some(why) = unfit(name.get_ref()) {
            reading.mistake(here.clone(), why);
        }
        match value.get_ref() {
            DeValue::Table(table) => {
                let user = reading.read(name.get_ref(), here, table, context);
                reading.rules_in_scripts(table, &user, context.scripts);
                users.push(user);
            }
            _ => reading.mistake(here, "is a section with the keys of one user, not a value"),
        }
    }
    users
}

/// Why Redis would not take this for a user's name (`ACLStringHasSpaces`, acl.c).
fn unfit(name: &str) -> Option<&'static str> {
    let bad = name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '\0');
    bad.then_some("is no name for a user: empty, or with a blank in it")
}

struct User<'a, 'd> {
    document: &'a Document<'d>,
    path: String,
    mistakes: &'a mut Vec<Mistake>,
    warnings: &'a mut Vec<String>,
}

impl User<'_, '_> {
    fn read(
        &mut self,
        name: &str,
        here: Origin,
        table: &DeTable<'_>,
        context: UserContext,
    ) -> UserSettings {
        self.unknown_keys(table);
        self.useless_keys(table, context.mode, &here);
        let mut user = UserSettings::new(name);
        let (mut file, mut backend_file): (Option<PathBuf>, Option<PathBuf>) = (None, None);
        let (mut hashes, mut backend_user): (Vec<String>, String) = Default::default();
        self.key(table, "password_file", &path(), &mut file);
        self.key(
            table,
            "password_sha256",
            &list(text(HASH, hash), 0, 16),
            &mut hashes,
        );
        self.key(table, "nopass", &boolean(), &mut user.nopass);
        self.key(table, "admin", &boolean(), &mut user.admin);
        self.key(
            table,
            "backend_user",
            &text(NAME, backend_name),
            &mut backend_user,
        );
        self.key(table, "backend_password_file", &path(), &mut backend_file);
        self.key(
            table,
            "max_clients",
            &count(1, MILLION).or_zero("no bound of its own"),
            &mut user.max_clients,
        );
        self.key(table, "allow", &patterns(), &mut user.commands.allow);
        self.key(table, "deny", &patterns(), &mut user.commands.deny);
        self.key(table, "rename", &renamings(), &mut user.commands.rename);
        if key_of(table, "scripts").is_some() {
            let scripts = user.scripts.get_or_insert_default();
            self.key(table, "scripts", &choice(&SCRIPTS), scripts);
        }
        user.is_kept_from_admin = key_of(table, "admin").is_some() && !user.admin;
        user.passwords = hashes
            .iter()
            .filter_map(|hex| PasswordHash::from_hex(hex))
            .collect();
        if let Some(password) = self.secret(table, "password_file", file.as_ref()) {
            let password = password.expose_secret().as_bytes();
            user.passwords.push(PasswordHash::of(password));
        }
        let password = self.secret(table, "backend_password_file", backend_file.as_ref());
        self.backend(
            &mut user,
            &here,
            backend_user,
            password,
            backend_file.is_some(),
        );
        let has_password = file.is_some() || !hashes.is_empty() || user.nopass;
        if context.asks_for_password() && !has_password {
            self.mistake(here.clone(), NO_PASSWORD);
        }
        if user.nopass && name != "default" {
            self.mistake(
                here,
                "nopass is for the user default only, as which clients begin",
            );
        }
        user
    }

    /// Says which of the user's rules do not hold inside scripts, and what becomes of scripts.
    fn rules_in_scripts(&mut self, table: &DeTable<'_>, user: &UserSettings, all: Scripts) {
        let denies = Policy::new(&user.commands).is_ok_and(|policy| policy.is_evaded());
        let scripts = user.scripts.unwrap_or(all);
        for (key, evaded) in [("deny", denies), ("admin", user.is_kept_from_admin)] {
            if let Some(name) = key_of(table, key).filter(|_| evaded) {
                let at = self.document.at(name.span().start);
                let path = &self.path;
                let whom = format!("to the clients of {}", user.name);
                let text = warning_about_scripts(scripts, &whom, &format!("{path}.scripts"));
                self.warnings.push(format!("{at}: {path}.{key} {text}"));
            }
        }
    }

    fn backend(
        &mut self,
        user: &mut UserSettings,
        here: &Origin,
        name: String,
        password: Option<SecretString>,
        has_file: bool,
    ) {
        match (name.is_empty(), password) {
            (false, Some(password)) => {
                user.runs_as = Some(BackendLogin {
                    user: Some(name.into_bytes().into()),
                    password: Some(password.expose_secret().as_bytes().into()),
                });
            }
            (false, None) if !has_file => {
                self.mistake(here.clone(), "backend_user needs backend_password_file");
            }
            (true, _) if has_file => {
                self.mistake(here.clone(), "backend_password_file needs backend_user");
            }
            _ => {}
        }
    }

    fn key<K: Kind>(&mut self, table: &DeTable<'_>, key: &str, kind: &K, to: &mut K::Value) {
        let Some((_, value)) = table.iter().find(|(name, _)| name.get_ref() == key) else {
            return;
        };
        match kind.read(Raw::Toml(value.get_ref())) {
            Ok(read) => *to = read,
            Err(wrongs) => {
                for wrong in wrongs {
                    let (at, expected) = match wrong.element {
                        Some((at, expected)) => (at, expected),
                        None => (None, kind.expected()),
                    };
                    let at = at.unwrap_or(value.span().start);
                    let text = format!("{}; allowed: {expected}", wrong.text);
                    let path = format!("{}.{key}", self.path);
                    let mistake = Mistake::about(self.document.at(at), &path, text);
                    self.mistakes.push(mistake);
                }
            }
        }
    }

    /// The password in a file that `key` names.
    fn secret(
        &mut self,
        table: &DeTable<'_>,
        key: &str,
        file: Option<&PathBuf>,
    ) -> Option<SecretString> {
        match secret::read(file?) {
            Ok(secret) => {
                self.warnings.extend(secret.warning);
                Some(secret.text)
            }
            Err(why) => {
                let at = key_of(table, key).map_or(0, |name| name.span().start);
                let path = format!("{}.{key}", self.path);
                self.mistakes
                    .push(Mistake::about(self.document.at(at), &path, why));
                None
            }
        }
    }

    fn unknown_keys(&mut self, table: &DeTable<'_>) {
        for (name, _) in table {
            let key: &str = name.get_ref();
            if KEYS.contains(&key) {
                continue;
            }
            let text = match (key, nearest(key, KEYS)) {
                ("password", _) => "unknown key; a password stands in a file that password_file \
                                    names, or as password_sha256 = [\"<64 hex digits>\"]"
                    .to_owned(),
                (_, Some(near)) => format!("unknown key; did you mean {near}?"),
                (_, None) => format!("unknown key; there are {}", KEYS.join(", ")),
            };
            let path = format!("{}.{key}", self.path);
            let at = self.document.at(name.span().start);
            self.mistakes.push(Mistake::about(at, &path, text));
        }
    }

    fn useless_keys(&mut self, table: &DeTable<'_>, mode: AuthMode, here: &Origin) {
        match mode {
            AuthMode::Local => {}
            AuthMode::None => {
                self.mistake(here.clone(), "users mean nothing without auth.mode");
            }
            AuthMode::Passthrough => {
                for key in LOCAL_ONLY {
                    if let Some(name) = key_of(table, key) {
                        let at = self.document.at(name.span().start);
                        let path = format!("{}.{key}", self.path);
                        self.mistakes.push(Mistake::about(at, &path, NOT_OURS));
                    }
                }
            }
        }
    }

    fn mistake(&mut self, at: Origin, text: &str) {
        self.mistakes.push(Mistake::about(at, &self.path, text));
    }
}

/// What follows for scripts from a rule that does not hold inside them: `whom` they are refused to,
/// and which key lets them.
pub(super) fn warning_about_scripts(scripts: Scripts, whom: &str, key: &str) -> String {
    let holds = "only the ACL of the server's own users holds there";
    match scripts {
        Scripts::Guarded => format!(
            "denies commands that scripts could run all the same, where narrows does not see them: \
             EVAL, FCALL and their like are refused {whom}, unless {key} = \"allow\"; {holds}"
        ),
        Scripts::Allowed => {
            format!("does not hold inside scripts, which {key} allows {whom}: {holds}")
        }
    }
}

fn key_of<'t, 'd>(
    table: &'t DeTable<'d>,
    key: &str,
) -> Option<&'t Spanned<std::borrow::Cow<'d, str>>> {
    let found = table.iter().find(|(name, _)| name.get_ref() == key);
    found.map(|(name, _)| name)
}

fn hash(text: &str) -> Result<(), String> {
    match PasswordHash::from_hex(text) {
        Some(_) => Ok(()),
        None => Err("is no SHA-256".to_owned()),
    }
}

fn backend_name(text: &str) -> Result<(), String> {
    match text.is_empty() || unfit(text).is_none() {
        true => Ok(()),
        false => Err("is no name of a user".to_owned()),
    }
}

const HASH: &str = "64 hexadecimal digits: printf %s 'the password' | sha256sum";
const NAME: &str = "the name of a user of the server, without blanks";
const NO_PASSWORD: &str = "the user has no password: password_file or password_sha256 is needed, or \
                           tls.client_user";
const NOT_OURS: &str = "means nothing with auth.mode = \"passthrough\": the server has the users";
