//! Two users, each of whom may see its own keys only: what one of them asks never runs as the other.

use std::collections::HashSet;
use std::thread::JoinHandle;

use super::{Client, Outcome, PACE, ended};
use crate::support::Value;

/// What narrows is told of them: everybody else begins as `default`, without a password.
pub(crate) const CONFIGURATION: &str = r#"
    [auth]
    mode = "local"
    failures_max = 0
    [users.default]
    nopass = true
    admin = true
    [users.alice]
    password_sha256 = ["2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"]
    backend_user = "alice"
    backend_password_file = "PASSWORD_FILE"
    [users.bob]
    password_sha256 = ["486ea46224d1bb4fb680f34f7c9ad96a8f24ec88be73ea8e5a6c65260e9cb8a7"]
    backend_user = "bob"
    backend_password_file = "PASSWORD_FILE"
"#;

/// Their password at the server.
pub(crate) const PASSWORD: &str = "x";

/// What the server is told of them, on its command line.
pub(crate) const OF_THE_SERVER: &[&str] = &[
    "--user", "alice", "on", ">x", "~alice:*", "&*", "+@all", "--user", "bob", "on", ">x",
    "~bob:*", "&*", "+@all",
];

const USERS: [(&str, &str); 2] = [("alice", "hello"), ("bob", "world")];

pub(super) struct Work {
    users: Vec<JoinHandle<Vec<String>>>,
}

impl Work {
    pub(super) fn start(client: &dyn Fn(&[&[&str]]) -> Client) -> Self {
        let users = [0, 1].map(|at| {
            let (name, password) = USERS[at];
            let client = client(&[&["AUTH", name, password]]);
            let other = USERS[1 - at].0;
            std::thread::spawn(move || act(client, name, other))
        });
        Self {
            users: users.into(),
        }
    }

    pub(super) fn judge(self) -> Vec<String> {
        self.users.into_iter().flat_map(ended).collect()
    }
}

/// Writes, reads, asks who it is, and tries what only the other one may.
fn act(mut client: Client, name: &str, other: &str) -> Vec<String> {
    let (own, foreign) = (format!("{name}:k"), format!("{other}:k"));
    let (mut offences, mut holds) = (Vec::new(), Holds::default());
    let mut rounds: u64 = 0;
    while client.goes_on() && offences.is_empty() {
        std::thread::sleep(PACE);
        if !client.connected() {
            continue;
        }
        rounds += 1;
        let value = format!("{name} {rounds}");
        let written = client.ask(&[&["SET", &own, &value]]);
        holds.written(value, Outcome::of(written.as_deref()));
        let asked = client.ask(&[&["GET", &own], &["ACL", "WHOAMI"], &["GET", &foreign]]);
        let is_other = |value: &Value| match value {
            Value::Error(text) => text.starts_with("NOPERM "),
            Value::Bulk(bytes) => !bytes.starts_with(name.as_bytes()),
            _ => false,
        };
        let own_replies = written.iter().flatten();
        let own_replies = own_replies.chain(asked.iter().flat_map(|replies| &replies[..2]));
        let wrong = own_replies.filter(|reply| is_other(&reply.value()));
        offences.extend(wrong.map(|reply| format!("{name}, {rounds}: {reply:?}")));
        if let Some(replies) = asked {
            if !replies[2].is_error() {
                offences.push(format!("{name} read {foreign}: {:?}", replies[2]));
            }
            if !holds.allows(&replies[0].value()) {
                offences.push(format!("{name}, {rounds}: read {:?}", replies[0]));
            }
        }
    }
    println!("  {name}: {rounds} rounds");
    offences.extend(client.offence_of_hangs(name));
    offences
}

/// What a key may hold: the last value that was acknowledged, or one of unknown retry class, which a server
/// that was stopped may still write late.
#[derive(Default)]
struct Holds {
    last: Option<String>,
    unknown: HashSet<String>,
}

impl Holds {
    fn written(&mut self, value: String, outcome: Outcome) {
        match outcome {
            Outcome::Done => self.last = Some(value),
            Outcome::MayHaveRun => {
                self.unknown.insert(value);
            }
            Outcome::NotRun => {}
        }
    }

    fn allows(&self, value: &Value) -> bool {
        match value {
            Value::Bulk(bytes) => {
                let text = String::from_utf8_lossy(bytes).into_owned();
                self.last.as_ref() == Some(&text) || self.unknown.contains(&text)
            }
            Value::Null => self.last.is_none(),
            Value::Error(_) => true,
            _ => false,
        }
    }
}
