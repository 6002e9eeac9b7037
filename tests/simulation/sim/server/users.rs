//! Users of the fake server: passwords, which may change, and who may not do what.

use narrows::resp::write;

use super::link::Link;
use crate::sim::history::Setting;

/// Users beside the default one, whose number is 0.
pub const USERS: u8 = 3;

/// The user that has no right to `CLIENT ID`.
pub const RESTRICTED: u8 = 2;

/// What the server knows of its users.
#[derive(Debug, Default)]
pub struct Users {
    /// How often each user's password has changed.
    passwords: [u32; USERS as usize],
    /// The default user needs a password, which nobody has.
    pub default_is_closed: bool,
    /// How often any password has changed.
    pub changes: u32,
    /// As whom connections are logged in by the certificate that narrows presents.
    pub by_certificate: Option<u8>,
    /// It has no `RESET`.
    pub knows_no_reset: bool,
}

impl Users {
    /// The password that is right now.
    pub fn password(&self, user: u8) -> String {
        format!("pw{user}-{}", self.passwords[usize::from(user) - 1])
    }

    /// An operator gives a user another password. Connections stay logged in.
    pub fn change_password(&mut self, user: u8) {
        self.passwords[usize::from(user) - 1] += 1;
        self.changes += 1;
    }

    /// `AUTH` on a connection: one that is wrong changes nothing.
    pub fn log_in(&self, link: &mut Link, args: &[&[u8]]) {
        let number = match args {
            [_, user, password] => (1..=USERS).find(|number| {
                *user == name(*number).as_bytes() && *password == self.password(*number).as_bytes()
            }),
            _ => None,
        };
        match number {
            Some(number) => {
                link.setting.user = number;
                link.logged_in = true;
                write::status(&mut link.out, "OK");
            }
            None => {
                let text = "WRONGPASS invalid username-password pair or user is disabled.";
                write::error(&mut link.out, text);
            }
        }
    }

    /// What a new connection is logged in as.
    pub fn greet(&self, link: &mut Link) {
        if let Some(user) = self.by_certificate {
            link.setting.user = user;
            link.logged_in = true;
        }
    }

    /// `RESET` on a connection: it is as if nobody had logged in.
    pub fn reset(&self, link: &mut Link) {
        if self.knows_no_reset {
            return write::error(&mut link.out, "ERR unknown command 'RESET'");
        }
        link.setting = Setting::default();
        link.logged_in = false;
        write::status(&mut link.out, "RESET");
    }

    /// What a connection is told instead of an answer.
    pub fn refusal(&self, link: &Link, name: &str, args: &[&[u8]]) -> Option<&'static str> {
        if self.default_is_closed && !link.logged_in && !["AUTH", "RESET"].contains(&name) {
            return Some("NOAUTH Authentication required.");
        }
        let is_id = name == "CLIENT" && args.get(1).is_some_and(|arg| *arg == b"ID");
        (is_id && link.setting.user == RESTRICTED).then_some(NOPERM)
    }
}

/// What `ACL WHOAMI` says.
pub fn said(number: u8) -> String {
    match number {
        0 => "default".to_owned(),
        number => name(number),
    }
}

/// The name of a user.
pub fn name(number: u8) -> String {
    format!("u{number}")
}

/// What the restricted user is told.
pub const NOPERM: &str = "NOPERM this user has no permissions to run the 'client|id' command";
