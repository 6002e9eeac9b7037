//! What a configuration comes to, for `narrows check`: short, and with every secret hidden.

use std::fmt::Write;

use super::keys::{Draft, Visitor, visit};
use super::kind::Kind;
use super::mistake::{Origin, Origins, one_line};
use super::{Config, listen};
use crate::runtime::settings::Listen;
use crate::session::AuthMode;
use crate::session::access::AuthSettings;

/// The lines about `draft`, whose values come from `origins`.
pub(super) fn of(draft: &mut Draft, origins: &Origins) -> String {
    let mut text = String::new();
    for (name, value) in headlines(draft) {
        let _ = writeln!(text, "  {name:<12} {}", one_line(&value));
    }
    let logins = draft.config.auth.shown();
    let _ = writeln!(text, "  {:<12} {logins}", "logins");
    if let Some(users) = users(&draft.config.auth) {
        let _ = writeln!(text, "  {:<12} {}", "users", one_line(&users));
    }
    let mut changed = Changed {
        origins,
        defaults: all_shown(&mut Draft::default()).into_iter(),
        lines: String::new(),
    };
    visit(draft, &mut changed);
    match changed.lines.is_empty() {
        true => text.push_str("  everything else is as by default\n"),
        false => {
            text.push_str("  other than the defaults:\n");
            text.push_str(&changed.lines);
        }
    }
    text
}

/// Who may log in, where anybody has to.
fn users(auth: &AuthSettings) -> Option<String> {
    let mut names = Vec::new();
    for user in &auth.users {
        let also = match (user.admin, user.nopass) {
            (true, true) => " (admin, no password)",
            (true, false) => " (admin)",
            (false, true) => " (no password)",
            (false, false) => "",
        };
        names.push(format!("{}{also}", user.name));
    }
    match auth.mode {
        AuthMode::None => None,
        AuthMode::Local if names.is_empty() => Some("none: nobody can log in".to_owned()),
        AuthMode::Local => Some(names.join(", ")),
        AuthMode::Passthrough if names.is_empty() => Some("the server's".to_owned()),
        AuthMode::Passthrough => Some(format!(
            "the server's; more is said of {}",
            names.join(", ")
        )),
    }
}

fn headlines(draft: &Draft) -> [(&'static str, String); 5] {
    let Config {
        runtime,
        engine,
        log,
        ..
    } = &draft.config;
    let mut listens: Vec<_> = runtime.listen.iter().map(listen::show).collect();
    if runtime
        .listen
        .iter()
        .any(|own| matches!(own, Listen::Unix(_)))
    {
        listens.push(format!(
            "(unix sockets with mode {:04o})",
            runtime.unix_socket_mode
        ));
    }
    let mut url = draft.url.clone();
    url.credentials = crate::runtime::settings::BackendCredentials::default();
    let user = runtime.credentials.user.as_deref().unwrap_or("default");
    let login = match runtime.credentials.password {
        Some(_) => format!("user {user}, password (set)"),
        None => "no password".to_owned(),
    };
    let login = match (
        &runtime.backend_tls,
        &runtime.backend_tls_settings.cert_file,
    ) {
        (Some(_), Some(_)) => format!("{login}, and a certificate"),
        _ => login,
    };
    let workers = match runtime.workers {
        0 => "as many workers as the cores suggest".to_owned(),
        1 => "1 worker".to_owned(),
        n => format!("{n} workers"),
    };
    let most = runtime.backend_connections_max;
    let clients = engine.clients.max_clients;
    [
        ("listen", listens.join(" ")),
        ("backend", url.to_string()),
        ("credentials", login),
        (
            "bounds",
            format!("{clients} clients over {most} connections, {workers}"),
        ),
        (
            "log",
            format!("{} as {:?}", log.level, log.format).to_lowercase(),
        ),
    ]
}

/// Collects the keys whose value is not the default.
struct Changed<'a> {
    origins: &'a Origins,
    defaults: std::vec::IntoIter<String>,
    lines: String,
}

impl Visitor for Changed<'_> {
    fn key<K: Kind>(&mut self, path: &'static str, value: &mut K::Value, kind: &K) {
        let default = self.defaults.next().unwrap_or_default();
        let shown = kind.show(value);
        let origin = self.origins.of(path);
        if shown != default && origin != Origin::Default {
            let line = one_line(&format!("{path} = {shown}  ({origin})"));
            let _ = writeln!(self.lines, "    {line}");
        }
    }
}

fn all_shown(draft: &mut Draft) -> Vec<String> {
    struct Shown(Vec<String>);
    impl Visitor for Shown {
        fn key<K: Kind>(&mut self, _: &'static str, value: &mut K::Value, kind: &K) {
            self.0.push(kind.show(value));
        }
    }
    let mut shown = Shown(Vec::new());
    visit(draft, &mut shown);
    shown.0
}
