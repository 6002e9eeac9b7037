//! What narrows takes each of its connections for, held against what it is. And a reload that makes
//! all clients another user of the server in the middle of whatever they do, which connections that
//! are lent must survive as what they were.

use std::sync::Arc;

use narrows::engine::{Mail, Rules};
use narrows::session::access::BackendLogin;
use narrows::session::{Access, Account, AuthMode};

use super::rules;
use super::server::{State, Users, user_name};
use super::world::World;

/// Steps between two such reloads.
const STEPS: u64 = 10;

/// The user that clients run as first, where there are such reloads.
pub fn for_reloads(rules: &mut Rules, users: &Users) -> u8 {
    rules.access = run_as(1, users);
    1
}

/// Everybody is a user of the configuration that runs as this user of the server.
fn run_as(user: u8, users: &Users) -> Access {
    let policy = rules::policy();
    let account = Account {
        nopass: true,
        admin: true,
        runs_as: Some(BackendLogin {
            user: Some(user_name(user).as_bytes().into()),
            password: Some(users.password(user).as_bytes().into()),
        }),
        ..Account::plain(b"default", policy, 0)
    };
    let name: Box<[u8]> = b"default"[..].into();
    Access {
        mode: AuthMode::Local,
        users: [(name, Arc::new(account))].into_iter().collect(),
        ..Access::default()
    }
}

impl World {
    /// Now and then another user.
    pub fn reload_users(&mut self) {
        let Some(user) = self.runs_as.filter(|_| self.step.is_multiple_of(STEPS)) else {
            return;
        };
        // The one between them may less.
        let user = if user == 1 { 3 } else { 1 };
        self.runs_as = Some(user);
        let rules = Rules {
            settings: self.rules.settings.clone(),
            commands: self.rules.commands.clone(),
            policy: rules::policy(),
            access: run_as(user, &self.server.users),
        };
        self.rules = Arc::new(rules);
        for w in 0..self.workers.len() {
            let rules = Arc::clone(&self.rules);
            self.workers[w].engine.mail(Mail::Rules(rules), self.now);
        }
        self.note("another user", &[user]);
    }

    /// Of each connection on which nothing is on its way: is it what narrows takes it for?
    pub fn check_beliefs(&mut self) {
        if self.desyncs || !self.step.is_multiple_of(4) {
            return;
        }
        let mut wrong = None;
        for ((w, id), conn) in &self.conns {
            let Some(link) = &conn.link else {
                continue;
            };
            let settled = conn.to_server.is_empty()
                && link.input.is_empty()
                && link.out.is_empty()
                && matches!(link.state, State::Well);
            let taken_for = self.workers[*w].engine.survey().taken_for(*id);
            let Some(taken_for) = taken_for.filter(|_| settled) else {
                continue;
            };
            let setting = link.setting;
            let is_user = match setting.user {
                0 => taken_for.user.is_none(),
                number => taken_for.user.as_deref() == Some(user_name(number).as_bytes()),
            };
            if !is_user || setting.protocol != taken_for.protocol || setting.db != taken_for.db {
                wrong = Some(format!(
                    "a connection in {setting:?} is {taken_for:?} to narrows"
                ));
            }
        }
        if let Some(text) = wrong {
            self.history.offend(text);
        }
    }
}
