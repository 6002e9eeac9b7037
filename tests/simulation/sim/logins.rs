//! Clients that log in: with right passwords, wrong ones, and such as have just been changed.

use narrows::resp::{Protocol, write};

use super::actor::{Actor, Expect, Mode, Pending};
use super::history::{History, Tag, Told};
use super::rng::Rng;
use super::server::{USERS, Users, user_name};

/// What a client has asked to be.
#[derive(Debug, Clone, Copy)]
pub struct Login {
    user: u8,
    /// The password was the right one when it was sent.
    right: bool,
    /// Passwords had been changed this often then.
    changes: u32,
    /// It was `HELLO` that it asked with.
    hello: Option<Protocol>,
}

impl Actor {
    /// Whether it may not ask for anything before it has logged in.
    pub fn must_log_in(&self, users: &Users) -> bool {
        users.default_is_closed && self.setting.user == 0
    }

    /// Logs in, if it can hear what comes of it.
    pub fn log_in(&mut self, rng: &mut Rng, users: &Users) {
        let unauthenticated = self.must_log_in(users);
        let free = self.pending.is_empty() && self.unsent.is_empty();
        // A RESP2 subscriber may not.
        if self.mode != Mode::On || (unauthenticated && !free) || self.subscribing {
            return;
        }
        let user = 1 + rng.below(usize::from(USERS)) as u8;
        let right = unauthenticated || rng.hits(85);
        let password = match right {
            true => users.password(user),
            false => rng.one_of(&["wrong", "pw1-0", "pw2-9"]).to_owned(),
        };
        let right = password == users.password(user);
        let (name, tag) = (
            user_name(user),
            Tag {
                client: self.number,
                request: self.next,
            },
        );
        self.next += 1;
        let hello = rng
            .hits(30)
            .then(|| rng.one_of(&[Protocol::Resp2, Protocol::Resp3]));
        let args = match hello {
            None => vec!["AUTH", &name, &password],
            Some(Protocol::Resp2) => vec!["HELLO", "2", "AUTH", &name, &password],
            Some(Protocol::Resp3) => vec!["HELLO", "3", "AUTH", &name, &password],
        };
        let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
        write::request(&mut self.unsent, &args);
        let changes = users.changes;
        self.pending.push_back(Pending {
            tag,
            silent: false,
            expect: Expect::Login(Login {
                user,
                right,
                changes,
                hello,
            }),
        });
    }

    /// The answer to a login.
    pub fn judge_login(
        &mut self,
        login: Login,
        frame: &[u8],
        history: &mut History,
    ) -> Result<(), &'static str> {
        let changed = history.password_changes != login.changes;
        match frame {
            b"+OK\r\n" if login.hello.is_none() => {}
            [b'*' | b'%', ..] if login.hello.is_some() => {
                self.setting.protocol = login.hello.unwrap_or_default();
            }
            _ if frame.starts_with(b"-TRYAGAIN narrows:") => {
                self.stranded = true;
                return Ok(());
            }
            _ if frame.starts_with(b"-WRONGPASS") && (!login.right || changed) => return Ok(()),
            // A server that answers before it has read. Where narrows has logged in for it before that,
            // it is who it asked to be, as where the server says no to what else a `HELLO` asks for.
            _ if frame == super::world::EARLY => {
                self.perhaps = login.hello.map(|_| login.user);
                return Ok(());
            }
            // Guesses of others from the same address; a transaction of its own.
            _ if frame.starts_with(b"-ERR narrows: too many failed logins")
                || frame.starts_with(b"-ERR narrows: a transaction")
                || frame.starts_with(b"-ERR Command not allowed inside a transaction") =>
            {
                return Ok(());
            }
            _ => return Err("no answer to a login"),
        }
        if !login.right && !changed {
            return Err("logged in with a wrong password");
        }
        (self.setting.user, self.perhaps) = (login.user, None);
        Ok(())
    }

    /// Whether it may be this user.
    pub fn may_be(&self, user: u8) -> bool {
        self.setting.user == user || self.perhaps == Some(user)
    }

    /// As whom a request of its has run tells who it is.
    pub fn learn_user(&mut self, tag: Tag, history: &History) {
        let ran = history.entry(tag).filter(|entry| entry.times > 0);
        if let Some(entry) = ran
            && let Some(user) = self.perhaps.take()
            && entry.setting.user == user
        {
            self.setting.user = user;
        }
    }

    /// An answer to one that has not logged in where it has to. What it asked has not run.
    pub fn judge_unauthenticated(
        &mut self,
        pending: &Pending,
        frame: &[u8],
        history: &mut History,
    ) -> Result<(), &'static str> {
        history.told(pending.tag, Told::NotRun, self.setting);
        // That one needs no login.
        let reset = matches!(pending.expect, Expect::Reset) && frame == b"+RESET\r\n";
        match reset || frame.starts_with(b"-") {
            true => Ok(()),
            false => Err("served without a login"),
        }
    }
}
