//! What differs between the configuration in force and one that was read again, and which of it
//! may change while narrows runs. Walks the list of keys, so no key can be forgotten.

use std::any::Any;

use super::Config;
use super::keys::{Draft, Visitor, renamings, visit};
use super::kind::Kind;
use crate::runtime::settings::RuntimeSettings;

/// One key whose value is another one now. No secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key, `the login` for user and password towards the server, or `users` for all of them.
    pub key: &'static str,
    /// The value in force, as a file would have it.
    pub from: String,
    /// The value that was read.
    pub to: String,
    /// It is read at the start only: the value in force stays.
    pub needs_restart: bool,
}

/// Keys that are read at the start only. Sockets are open and threads run by then; what the
/// server calls its commands changes with a restart of the server alone; and a process that was
/// told to talk to one server must not talk to another in the middle of its clients' sessions. Nor can
/// clients that were let in without a login be asked for one later.
const AT_START: [&str; 13] = [
    "listen.addresses",
    "listen.unix_socket_mode",
    "listen.backlog",
    "listen.allow_open",
    "listen.proxy_protocol_from",
    "backend.url",
    "backend.instance",
    "commands.rename",
    "auth.mode",
    "runtime.workers",
    "runtime.coalescing_pause",
    "admin.listen",
    "log.format",
];

/// Everything that differs between `old`, which is in force, and `new`. What needs a restart is
/// put back in `new`, so that it can be put into force as a whole.
pub fn changes(old: &Config, new: &mut Config) -> Vec<Change> {
    let mut before = Before::default();
    visit(&mut draft_of(old.clone()), &mut before);
    let mut comparing = Comparing {
        before: before.0.into_iter(),
        changes: Vec::new(),
    };
    let mut draft = draft_of(std::mem::take(new));
    visit(&mut draft, &mut comparing);
    *new = draft.config;
    let mut changes = comparing.changes;
    server(&old.runtime, &mut new.runtime, &mut changes);
    renames_of_users(old, new, &mut changes);
    // It may follow from the login, and clients were let in by it.
    new.auth.mode = old.auth.mode;
    if old.auth.users != new.auth.users {
        let count = |config: &Config| format!("{} (not shown)", config.auth.users.len());
        changes.push(Change {
            key: "users",
            from: count(old),
            to: count(new),
            needs_restart: false,
        });
    }
    changes
}

/// As `commands.rename`, so that of a user: it stays, and who is new has none.
fn renames_of_users(old: &Config, new: &mut Config, changes: &mut Vec<Change>) {
    for user in &mut new.auth.users {
        let before = old.auth.users.iter().find(|known| known.name == user.name);
        let before = before.map_or(&[][..], |known| &known.commands.rename);
        if before != user.commands.rename {
            changes.push(Change {
                key: "users.NAME.rename",
                from: format!("{} of {}", renamings().show(&before.to_vec()), user.name),
                to: renamings().show(&user.commands.rename),
                needs_restart: true,
            });
            user.commands.rename = before.to_vec();
        }
    }
}

/// The server's address and database stay; the login may change. The URL is all three in one.
fn server(old: &RuntimeSettings, new: &mut RuntimeSettings, changes: &mut Vec<Change>) {
    let place = |settings: &RuntimeSettings| {
        let tls = settings.backend_tls.as_ref().map_or("", |_| " with TLS");
        format!("{}/{}{tls}", settings.backend, settings.database)
    };
    if place(old) != place(new) {
        changes.push(Change {
            key: "backend.url",
            from: place(old),
            to: place(new),
            needs_restart: true,
        });
        new.backend = old.backend.clone();
        new.database = old.database;
        new.backend_tls = old.backend_tls.clone();
        // Who narrows is belongs to where it is somebody.
        new.credentials = old.credentials.clone();
    }
    if old.backend_tls_settings == new.backend_tls_settings && old.backend_tls != new.backend_tls {
        changes.push(Change {
            key: "backend.tls",
            from: "files as they were".to_owned(),
            to: "files as they are".to_owned(),
            needs_restart: false,
        });
    }
    clients_tls(old, new, changes);
    if old.credentials != new.credentials {
        let login = |settings: &RuntimeSettings| format!("{:?}", settings.credentials);
        changes.push(Change {
            key: LOGIN,
            from: login(old),
            to: login(new),
            needs_restart: false,
        });
    }
}

/// Listeners stay, and so does what they need.
fn clients_tls(old: &RuntimeSettings, new: &mut RuntimeSettings, changes: &mut Vec<Change>) {
    if new.client_tls.is_none() {
        new.client_tls = old.client_tls.clone();
    }
    if old.client_tls_settings == new.client_tls_settings && old.client_tls != new.client_tls {
        changes.push(Change {
            key: "tls",
            from: "files as they were".to_owned(),
            to: "files as they are".to_owned(),
            needs_restart: false,
        });
    }
}

/// How a change of user or password is called.
const LOGIN: &str = "the login";

/// The URL and the password file have been resolved into `config` already.
fn draft_of(config: Config) -> Draft {
    Draft {
        config,
        ..Draft::default()
    }
}

/// The values of all keys, in their order, with how they are shown.
#[derive(Default)]
struct Before(Vec<(Box<dyn Any>, String)>);

impl Visitor for Before {
    fn key<K: Kind>(&mut self, _: &'static str, value: &mut K::Value, kind: &K) {
        self.0.push((Box::new(value.clone()), kind.show(value)));
    }
}

struct Comparing {
    before: std::vec::IntoIter<(Box<dyn Any>, String)>,
    changes: Vec<Change>,
}

impl Visitor for Comparing {
    fn key<K: Kind>(&mut self, path: &'static str, value: &mut K::Value, kind: &K) {
        let Some((before, from)) = self.before.next() else {
            return;
        };
        let Some(before) = before.downcast_ref::<K::Value>() else {
            return;
        };
        if before == value {
            return;
        }
        let needs_restart = AT_START.contains(&path);
        self.changes.push(Change {
            key: path,
            from,
            to: kind.show(value),
            needs_restart,
        });
        if needs_restart {
            *value = before.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::command::PolicySettings;
    use crate::config::keys::paths;
    use crate::runtime::settings::{BackendCredentials, Listen};
    use crate::session::access::UserSettings;
    use crate::topology::ServerAddress;

    #[test]
    fn every_key_read_at_the_start_only_is_a_key() {
        for key in AT_START {
            assert!(paths().contains(&key), "{key}");
        }
    }

    #[test]
    fn the_manual_names_what_needs_a_restart() {
        const MANUAL: &str = include_str!("../../docs/operating.md");
        for key in AT_START {
            assert!(MANUAL.contains(&format!("`{key}`")), "{key}");
        }
    }

    #[test]
    fn what_may_change_is_taken_over_and_what_may_not_stays() {
        let (old, mut new) = (Config::default(), Config::default());
        assert_eq!(changes(&old, &mut new), []);
        new.engine.pool.slice = Duration::from_millis(5);
        new.runtime.workers = 3;
        new.runtime.listen = vec![Listen::Unix("/x".into())];
        let mut expected = old.clone();
        expected.engine.pool.slice = Duration::from_millis(5);
        let found = changes(&old, &mut new);
        assert_eq!(new, expected);
        let said: Vec<_> = found
            .iter()
            .map(|c| (c.key, &*c.from, &*c.to, c.needs_restart))
            .collect();
        let expected = [
            (
                "listen.addresses",
                "[\"127.0.0.1:6380\"]",
                "[\"unix:/x\"]",
                true,
            ),
            ("pool.slice", "\"20ms\"", "\"5ms\"", false),
            ("runtime.workers", "0", "3", true),
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn what_a_user_calls_differently_stays_and_a_new_user_has_nothing_of_that() {
        let user = |name: &str, rename: &[&str], max_clients| UserSettings {
            commands: PolicySettings {
                rename: rename.iter().map(|entry| (*entry).to_owned()).collect(),
                ..PolicySettings::default()
            },
            max_clients,
            ..UserSettings::new(name)
        };
        let (mut old, mut new) = (Config::default(), Config::default());
        old.auth.users = vec![user("ops", &["KEYS=a"], 1)];
        new.auth.users = vec![user("ops", &[], 2), user("new", &["KEYS=b"], 3)];
        let found = changes(&old, &mut new);
        let kept = [user("ops", &["KEYS=a"], 2), user("new", &[], 3)];
        assert_eq!(new.auth.users, kept);
        let said: Vec<_> = found.iter().map(|c| (c.key, c.needs_restart)).collect();
        let renamed = ("users.NAME.rename", true);
        assert_eq!(said, [renamed, renamed, ("users", false)]);
    }

    #[test]
    fn the_login_may_change_and_is_never_shown_and_the_server_may_not() {
        let (old, mut new) = (Config::default(), Config::default());
        let login = BackendCredentials {
            user: Some("app".to_owned()),
            password: Some("s3cret".into()),
        };
        new.runtime.credentials = login.clone();
        let found = changes(&old, &mut new);
        assert_eq!(new.runtime.credentials, login);
        assert_eq!(found.len(), 1);
        assert!(!found[0].needs_restart && !format!("{found:?}").contains("s3cret"));

        new.runtime.backend = ServerAddress::Unix("/redis.sock".into());
        let found = changes(&old, &mut new);
        assert_eq!((new, found.len()), (old, 1), "with its login");
        assert_eq!(found[0].to, "unix:/redis.sock/0");
        assert!(found[0].needs_restart);
    }
}
