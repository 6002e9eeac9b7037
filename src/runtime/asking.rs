//! As whom control asks the server of itself (`INFO`) and of its commands (`COMMAND`), where narrows
//! has no login of its own and the server wants one: as a user that has logged in through narrows,
//! on control's own connection, which is dialled anew for that. Until there is one that may ask,
//! what only the server knows is unknown, which is said once.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::StandIns;
use crate::session::access::BackendLogin;

use super::exchange::{is_error, words};

/// See the module.
#[derive(Debug)]
pub struct Asking {
    stand_ins: Arc<StandIns>,
    /// As whom the connection is logged in; `None`: as narrows itself, or as nobody.
    login: Option<BackendLogin>,
    /// Whether the server answers what it is asked on this connection, once it has been.
    commands: Option<bool>,
    figures: Option<bool>,
    /// Why it does not say what its commands are to whoever asks now, though that one is somebody.
    denial: Option<String>,
    told: bool,
}

impl Asking {
    /// As nobody, until one of `stand_ins` is taken.
    pub fn new(stand_ins: Arc<StandIns>) -> Self {
        Self {
            stand_ins,
            login: None,
            commands: None,
            figures: None,
            denial: None,
            told: false,
        }
    }

    /// As whom a connection is to log in.
    pub fn login(&self) -> Option<&BackendLogin> {
        self.login.as_ref()
    }

    /// A connection begins: nothing has been asked on it.
    pub fn begins(&mut self) {
        (self.commands, self.figures) = (None, None);
        self.denial = None;
    }

    /// The server does not accept this login any more. False: it was no client's.
    pub fn is_wrong(&mut self) -> bool {
        let login = self.login.take();
        if let Some(login) = &login {
            self.stand_ins.is_wrong(login);
        }
        login.is_some()
    }

    /// Control has a login of its own now, or needs none.
    pub fn ends(&mut self) {
        self.login = None;
        self.begins();
    }

    /// The server was asked of its commands, with this reply.
    pub fn heard_commands(&mut self, reply: &[u8]) {
        self.commands = Some(!is_refusal(reply));
        self.denial = is_error(reply, b"NOPERM").then(|| words(reply));
    }

    /// Whether it does not say what its commands are.
    pub fn is_denied_commands(&self) -> bool {
        self.commands == Some(false)
    }

    /// Its words for that, unless they only ask for a login.
    pub fn denial(&self) -> Option<&str> {
        self.denial.as_deref()
    }

    /// The server was asked of itself, with this reply.
    pub fn heard_figures(&mut self, reply: &[u8]) {
        self.figures = Some(!is_refusal(reply));
    }

    /// Whether there is something that the server does not say.
    pub fn is_wanting(&self) -> bool {
        self.commands == Some(false) || self.figures == Some(false)
    }

    /// Whether somebody else may be answered more: the connection is to log in as that one.
    pub fn takes_another(&mut self, now: Duration) -> bool {
        let answered = [self.commands, self.figures];
        let answered = answered.into_iter().flatten().map(u8::from).sum();
        if let Some(login) = &self.login {
            self.stand_ins.answered(login, answered, now);
        }
        if !self.is_wanting() {
            return false;
        }
        let Some(better) = self.stand_ins.better_than(answered) else {
            return false;
        };
        self.login = Some(better);
        self.begins();
        true
    }

    /// Says once that something is unknown, and once that it is known.
    pub fn tell(&mut self) {
        let wanting = self.is_wanting();
        if wanting == std::mem::replace(&mut self.told, wanting) {
            return;
        }
        match wanting {
            true => tracing::info!(
                "what the server says of itself (INFO) and of its commands (COMMAND) is unknown \
                 until a client that may ask has logged in: narrows has no login of its own"
            ),
            false => tracing::info!("the server is asked of itself as a user that has logged in"),
        }
    }
}

/// Whether the server would say it to somebody else.
fn is_refusal(reply: &[u8]) -> bool {
    is_error(reply, b"NOAUTH") || is_error(reply, b"NOPERM")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1);

    fn login(user: &str) -> BackendLogin {
        BackendLogin {
            user: Some(user.as_bytes().into()),
            password: Some(b"pw"[..].into()),
        }
    }

    /// The server's replies on one connection.
    fn heard(asking: &mut Asking, commands: &[u8], figures: &[u8]) {
        asking.begins();
        asking.heard_commands(commands);
        asking.heard_figures(figures);
    }

    #[test]
    fn whoever_may_ask_most_is_taken_and_a_wrong_login_is_not_tried_again() {
        let stand_ins = Arc::new(StandIns::default());
        let mut asking = Asking::new(Arc::clone(&stand_ins));
        let no = b"-NOAUTH Authentication required.\r\n";
        heard(&mut asking, no, no);
        assert!(asking.is_wanting() && !asking.takes_another(NOW));
        stand_ins.logged_in(&login("a"), NOW);
        assert!(asking.takes_another(NOW));
        assert_eq!(asking.login(), Some(&login("a")));
        // One that may ask half of it stays, until there is a better one.
        heard(&mut asking, b"*0\r\n", b"-NOPERM no\r\n");
        assert!(!asking.takes_another(NOW));
        stand_ins.logged_in(&login("b"), NOW);
        assert!(asking.takes_another(NOW));
        heard(&mut asking, b"-NOPERM no\r\n", b"-NOPERM no\r\n");
        assert!(asking.takes_another(NOW));
        assert_eq!(asking.login(), Some(&login("a")));
        heard(&mut asking, b"*0\r\n", b"-NOPERM no\r\n");
        assert!(!asking.takes_another(NOW), "it is the best there is");
        assert!(asking.is_wrong() && !asking.is_wrong());
        heard(&mut asking, no, no);
        assert!(!asking.takes_another(NOW), "nobody else may ask");
    }
}
