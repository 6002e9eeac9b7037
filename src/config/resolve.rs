//! From single values to a whole: who narrows is towards the server, which values contradict
//! each other, and what deserves a warning. Runs after every value has been read.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use secrecy::SecretString;

use super::env::PASSWORD_VARIABLE;
use super::keys::Draft;
use super::kind::{show_bytes, show_duration};
use super::mistake::{Mistake, Origin, Origins};
use super::sources::BackendUse;
use super::users::warning_about_scripts;
use super::{listen, secret};
use crate::command::{Policy, Renames};
use crate::runtime::settings::{BackendCredentials, Listen};
use crate::session::access::AuthChoice;
use crate::tls::listener::ClientCertificates;
use crate::topology::ServerAddress;

mod tls;

/// What has been read so far, and what is found on the way.
pub(super) struct Resolving<'a> {
    pub(super) draft: &'a mut Draft,
    pub(super) origins: &'a Origins,
    /// Keys whose value somewhere could not be read: no word on what they may contradict.
    pub(super) broken: &'a BTreeSet<&'static str>,
    pub(super) mistakes: &'a mut Vec<Mistake>,
    pub(super) warnings: &'a mut Vec<String>,
}

/// A value and the key that it was given under.
#[derive(Clone, Copy)]
struct Keyed<T> {
    key: &'static str,
    value: T,
}

fn keyed<T>(key: &'static str, value: T) -> Keyed<T> {
    Keyed { key, value }
}

impl Resolving<'_> {
    /// Fills in the server and the credentials and checks the whole. `password` is the value
    /// of its variable.
    pub(super) fn run(&mut self, backend: BackendUse, password: Option<SecretString>) {
        self.draft.config.runtime.credentials = BackendCredentials::default();
        match backend {
            BackendUse::Configured => {
                self.address();
                self.backend_tls();
                self.credentials(password);
                self.loops();
            }
            BackendUse::Embedded => {}
        }
        self.logins();
        self.client_tls();
        self.listening();
        self.admin();
        self.connections();
        self.durations();
        self.sizes();
        self.renames();
        self.rules_in_scripts();
    }

    /// Says whether what is denied to everybody holds inside scripts.
    fn rules_in_scripts(&mut self) {
        let commands = &self.draft.config.commands;
        let evaded = Policy::new(commands).is_ok_and(|policy| policy.is_evaded());
        if evaded {
            let at = self.origins.of("commands.deny");
            let text = warning_about_scripts(commands.scripts, "to everybody", "commands.scripts");
            self.warnings.push(format!("{at}: commands.deny {text}"));
        }
    }

    fn renames(&mut self) {
        let everybody = self.draft.config.commands.rename.clone();
        let found = Renames::new(&everybody).err();
        for mistake in found.iter().flatten() {
            let text = format!("{:?} {}", mistake.entry, mistake.why);
            self.contradiction(&["commands.rename"], text);
        }
        let users = match found {
            None => self.draft.config.auth.users.clone(),
            Some(_) => Vec::new(),
        };
        for user in users {
            let both = [&everybody[..], &user.commands.rename].concat();
            for mistake in Renames::new(&both).err().into_iter().flatten() {
                let text = format!("{:?} of users.{} {}", mistake.entry, user.name, mistake.why);
                self.contradiction(&["commands.rename"], text);
            }
        }
    }

    /// How clients log in, which may follow from how narrows does.
    fn logins(&mut self) {
        let config = &mut self.draft.config;
        let has_credentials = config.runtime.credentials.password.is_some();
        config.auth.mode = config.auth.choice.mode(has_credentials);
        if config.auth.choice == AuthChoice::Auto
            && has_credentials
            && !config.auth.users.is_empty()
        {
            let text = "users mean nothing with auth.mode = \"auto\" where narrows has credentials of \
                        its own: for all clients it is that one user";
            self.warnings
                .push(format!("{}: {text}", self.origins.of("auth.mode")));
        }
    }

    fn address(&mut self) {
        let runtime = &mut self.draft.config.runtime;
        runtime.backend = self.draft.url.address.clone();
        runtime.database = self.draft.url.database;
    }

    /// The password of the strongest source; two of the same source contradict each other.
    fn credentials(&mut self, password: Option<SecretString>) {
        let url_origin = self.origins.of("backend.url");
        let file_origin = self.origins.of("backend.password_file");
        let in_url = self.draft.url.credentials.password.clone();
        self.warn_of_url(&url_origin, in_url.is_some());
        let mut found: Vec<(Origin, PasswordSource<'_>)> = Vec::new();
        found.extend(in_url.map(|text| (url_origin.clone(), PasswordSource::Text(text))));
        let file = self.draft.password_file.clone();
        found.extend(
            file.as_deref()
                .map(|path| (file_origin, PasswordSource::File(path))),
        );
        let variable = Origin::Variable(PASSWORD_VARIABLE);
        found.extend(password.map(|text| (variable, PasswordSource::Text(text))));
        found.sort_by_key(|(origin, _)| std::cmp::Reverse(origin.rank()));
        let mut found = found.into_iter();
        let first = found.next();
        if let (Some((a, _)), Some((b, _))) = (&first, found.next())
            && a.rank() == b.rank()
        {
            let text = format!("the password is given twice, here and by {a}; keep one");
            self.mistakes.push(Mistake::at(b, text));
        }
        let nowhere = first.is_none();
        let text = match first {
            None => None,
            Some((_, PasswordSource::Text(text))) => Some(text),
            Some((origin, PasswordSource::File(path))) => self.password_in(path, origin),
        };
        let user = self.draft.url.credentials.user.clone();
        if user.is_some() && nowhere && !self.broken.contains("backend.password_file") {
            let text = "the URL names a user but no password is given; add it to the URL, or name \
                        its file in password_file (a user without password needs any word here)";
            self.mistakes
                .push(Mistake::about(url_origin, "backend.url", text));
        }
        self.draft.config.runtime.credentials = BackendCredentials {
            user,
            password: text,
        };
    }

    fn password_in(&mut self, path: &Path, origin: Origin) -> Option<SecretString> {
        match secret::read(path) {
            Ok(secret) => {
                self.warnings.extend(secret.warning);
                Some(secret.text)
            }
            Err(why) => {
                let mistake = Mistake::about(origin, "backend.password_file", why);
                self.mistakes.push(mistake);
                None
            }
        }
    }

    fn warn_of_url(&mut self, origin: &Origin, holds_password: bool) {
        match origin {
            Origin::Flag(flag) if holds_password => self.warnings.push(format!(
                "the password in {flag} can be seen by everybody on this machine (ps); better: \
                 --backend-password-file or the variable {PASSWORD_VARIABLE}"
            )),
            Origin::File { path, .. } if holds_password => {
                let mode = secret::mode_of(path);
                self.warnings.extend(secret::warning_about(path, mode));
            }
            _ => {}
        }
    }

    /// An address of our own as the server would be a loop without end.
    fn loops(&mut self) {
        let runtime = &self.draft.config.runtime;
        let own = runtime
            .listen
            .iter()
            .find(|own| is_same(own, &runtime.backend));
        if let Some(own) = own.map(listen::show) {
            let text = format!("narrows would connect to itself: it listens on {own}");
            self.contradiction(&["backend.url", "listen.addresses"], text);
        }
    }

    fn listening(&mut self) {
        let mut seen = BTreeSet::new();
        let listens = self.draft.config.runtime.listen.clone();
        for own in &listens {
            let shown = listen::show(own);
            let address = shown.strip_prefix("tls:").unwrap_or(&shown).to_owned();
            let fixed = !address.ends_with(":0") || matches!(own, Listen::Unix(_));
            if fixed && !seen.insert(address) {
                let text = format!("{shown} stands in the list twice");
                self.contradiction(&["listen.addresses"], text);
            }
            let config = &self.draft.config;
            let proven = config.runtime.client_tls_settings.clients == ClientCertificates::Required;
            if listen::is_local(own) || proven && matches!(own, Listen::Tls(_)) {
                continue;
            }
            if config.auth.asks_for_login() {
                // With a mode that somebody has chosen it is known.
                if config.auth.choice == AuthChoice::Auto {
                    self.warnings
                        .push(warning_of_open_server(&shown, config.runtime.allow_open));
                }
                continue;
            }
            self.warnings.push(match config.runtime.allow_open {
                true => format!(
                    "{shown} can be reached from other machines, and clients are not asked for a \
                     password: whoever reaches it acts as narrows' own user on the server"
                ),
                false => format!(
                    "{shown} can be reached from other machines, but clients are not asked for a \
                     password: only those of this machine are served, unless listen.allow_open \
                     says that all may act as narrows' own user on the server"
                ),
            });
        }
    }

    fn admin(&mut self) {
        let config = &self.draft.config;
        let Some(address) = config.admin.listen.filter(|address| address.port() != 0) else {
            return;
        };
        let of_clients = [Listen::Tcp(address), Listen::Tls(address)];
        if of_clients
            .iter()
            .any(|own| config.runtime.listen.contains(own))
        {
            let text = format!("{address} is an address for clients already");
            self.contradiction(&["admin.listen", "listen.addresses"], text);
        } else if !listen::is_local(&Listen::Tcp(address)) {
            self.warnings.push(format!(
                "{address} can be reached from other machines, and whoever reaches it reads \
                 narrows' figures"
            ));
        }
    }

    fn connections(&mut self) {
        let runtime = &self.draft.config.runtime;
        let (total, workers) = (runtime.backend_connections_max, runtime.workers);
        let places = usize::try_from(total)
            .unwrap_or(usize::MAX)
            .saturating_sub(1);
        let keys = ["runtime.workers", "backend.max_connections"];
        if workers > places {
            let text = format!(
                "{workers} workers need at least {} connections, one each and one for health \
                 checks, but backend.max_connections is {total} ({})",
                workers.saturating_add(1),
                self.place("backend.max_connections"),
            );
            self.contradiction(&keys, text);
            return;
        }
        let warm = self.draft.config.engine.pool.min_idle;
        let needed = warm.saturating_mul(workers.max(1));
        if needed > places {
            let text = format!(
                "{warm} warm backends per worker are {needed} in all, but backend.max_connections \
                 is {total} and one of them is for health checks"
            );
            self.contradiction(&["pool.min_idle", keys[1], keys[0]], text);
        }
    }

    fn durations(&mut self) {
        let (engine, runtime) = (
            &self.draft.config.engine.backend,
            &self.draft.config.runtime,
        );
        let first = keyed("backend.backoff_min", engine.backoff_min);
        let last = keyed("backend.backoff_max", engine.backoff_max);
        let health = keyed("backend.health_interval", runtime.health_interval);
        let stall = keyed("backend.stall_timeout", engine.stall_timeout);
        let answering = engine.stall_timeout_answering;
        let answering = keyed("backend.stall_timeout_answering", answering);
        for (low, high) in [(first, last), (health, stall), (stall, answering)] {
            self.ordered(low, high, show_duration);
        }
    }

    fn sizes(&mut self) {
        let (clients, pool) = (
            &self.draft.config.engine.clients,
            &self.draft.config.engine.pool,
        );
        let pause = keyed(
            "clients.output_pause_bytes",
            wide(clients.output_pause_bytes),
        );
        let output = keyed("clients.output_bytes_max", wide(clients.output_bytes_max));
        let soft = keyed(
            "clients.output_subscriber_soft_bytes",
            wide(clients.output_subscriber_soft_bytes),
        );
        let hard = keyed(
            "clients.output_subscriber_bytes_max",
            wide(clients.output_subscriber_bytes_max),
        );
        let big = keyed("clients.big_request_bytes", clients.big_request_bytes);
        let memory = keyed("clients.memory_bytes_max", wide(clients.memory_bytes_max));
        let pipe = keyed("pool.pipe_bytes_max", wide(pool.pipe_bytes_max));
        for (low, high) in [(pause, output), (soft, hard), (big, memory), (big, pipe)] {
            self.ordered(low, high, show_bytes);
        }
    }

    /// A mistake if the value of `low` is above that of `high`.
    fn ordered<T: PartialOrd>(&mut self, low: Keyed<T>, high: Keyed<T>, show: fn(T) -> String) {
        if low.value <= high.value {
            return;
        }
        let text = format!(
            "{} ({}) must not be above {}, which is {} ({})",
            show(low.value),
            self.place(low.key),
            high.key,
            show(high.value),
            self.place(high.key),
        );
        self.contradiction(&[low.key, high.key], text);
    }

    /// Where the value of `key` was set, in short.
    fn place(&self, key: &str) -> String {
        match self.origins.of(key) {
            Origin::File { line, .. } => format!("line {line}"),
            other => other.to_string(),
        }
    }

    /// Values of `keys` contradict each other. Reported at the strongest of their origins,
    /// under the first key; not at all if one of them could not be read.
    fn contradiction(&mut self, keys: &[&'static str], text: String) {
        if keys.iter().any(|key| self.broken.contains(key)) {
            return;
        }
        let named = keys.first().copied().unwrap_or_default();
        // Of equals the first key counts, and `max_by_key` prefers the last.
        let strongest = keys
            .iter()
            .rev()
            .max_by_key(|key| self.origins.of(key).rank());
        let origin = strongest
            .map(|key| self.origins.of(key))
            .unwrap_or_default();
        let text = match &origin {
            Origin::File { .. } | Origin::Default => text,
            Origin::Variable(_) | Origin::Flag(_) => format!("{named}: {text}"),
        };
        self.mistakes.push(Mistake::about(origin, named, text));
    }
}

/// A password, or where it is.
enum PasswordSource<'a> {
    Text(SecretString),
    File(&'a Path),
}

/// What may come of an address for other machines where the server asks for logins, or does not.
fn warning_of_open_server(shown: &str, allow_open: bool) -> String {
    let open = match allow_open {
        true => "whoever reaches it acts as the server's default user",
        false => {
            "only clients of this machine are served, unless listen.allow_open says that all may act \
             as the server's default user"
        }
    };
    format!(
        "{shown} can be reached from other machines, and clients log in to the server's own users: \
         where that asks for no password, {open}"
    )
}

/// Whether the server at `backend` would be narrows' own listener.
fn is_same(own: &Listen, backend: &ServerAddress) -> bool {
    match (own, backend) {
        (Listen::Unix(own), ServerAddress::Unix(path)) => own == path,
        (Listen::Tcp(own) | Listen::Tls(own), ServerAddress::Tcp { host, port })
            if own.port() == *port =>
        {
            let named = host.eq_ignore_ascii_case("localhost");
            let address = host.parse::<IpAddr>().ok();
            let here = named || address.is_some_and(|ip| ip.is_loopback());
            let own = own.ip();
            address == Some(own) || here && own.is_unspecified() || named && own.is_loopback()
        }
        _ => false,
    }
}

fn wide(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
