//! As whom control asks the server what needs a login (`INFO`, `COMMAND`), where narrows has no
//! credentials of its own: as a user that has logged in through it. Workers say who has; control
//! takes one, and says what the server lets that one ask.

use std::time::Duration;

use parking_lot::Mutex;

use crate::session::access::BackendLogin;

/// Users that are known. Past it those that may ask least are forgotten.
const KEPT_MAX: usize = 8;

/// How soon a user that may not ask everything is tried again, when it logs in again.
const TRIED_AGAIN: Duration = Duration::from_secs(60);

/// See the file's head.
#[derive(Debug, Default)]
pub struct StandIns(Mutex<Vec<StandIn>>);

#[derive(Debug)]
struct StandIn {
    login: BackendLogin,
    /// How many kinds of question the server has answered it, and when; `None`: not asked.
    tried: Option<(u8, Duration)>,
}

impl StandIns {
    /// The server has accepted this login. True: it may be able to ask what nobody could before.
    pub fn logged_in(&self, login: &BackendLogin, now: Duration) -> bool {
        let mut all = self.0.lock();
        if let Some(known) = all.iter_mut().find(|known| known.login.user == login.user) {
            let stale = |(_, at): &mut (u8, Duration)| now.saturating_sub(*at) >= TRIED_AGAIN;
            if known.login != *login || known.tried.as_mut().is_some_and(stale) {
                known.login = login.clone();
                known.tried = None;
                return true;
            }
            return false;
        }
        if all.len() >= KEPT_MAX
            && let Some((least, _)) = (all.iter().enumerate())
                .min_by_key(|(_, known)| known.tried.map_or(u8::MAX, |(answered, _)| answered))
        {
            all.remove(least);
        }
        all.push(StandIn {
            login: login.clone(),
            tried: None,
        });
        true
    }

    /// One that may be able to ask more than `answered` kinds of question.
    pub fn better_than(&self, answered: u8) -> Option<BackendLogin> {
        let all = self.0.lock();
        let may = |known: &&StandIn| known.tried.is_none_or(|(count, _)| count > answered);
        all.iter().find(may).map(|known| known.login.clone())
    }

    /// The server has answered so many kinds of question to this one.
    pub fn answered(&self, login: &BackendLogin, answered: u8, now: Duration) {
        let mut all = self.0.lock();
        if let Some(known) = all.iter_mut().find(|known| known.login == *login) {
            known.tried = Some((answered, now));
        }
    }

    /// The server does not accept this login any more.
    pub fn is_wrong(&self, login: &BackendLogin) {
        self.0.lock().retain(|known| known.login != *login);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn login(user: &str, password: &str) -> BackendLogin {
        BackendLogin {
            user: Some(user.as_bytes().into()),
            password: Some(password.as_bytes().into()),
        }
    }

    #[test]
    fn whoever_may_ask_most_stands_in_and_nobody_is_tried_twice_for_nothing() {
        let all = StandIns::default();
        assert_eq!(all.better_than(0), None);
        assert!(all.logged_in(&login("a", "1"), SECOND));
        assert!(!all.logged_in(&login("a", "1"), SECOND));
        assert_eq!(all.better_than(1), Some(login("a", "1")));
        all.answered(&login("a", "1"), 1, SECOND);
        assert_eq!(all.better_than(0), Some(login("a", "1")));
        assert_eq!(all.better_than(1), None);
        assert!(all.logged_in(&login("b", "1"), SECOND));
        assert_eq!(all.better_than(1), Some(login("b", "1")));
        all.answered(&login("b", "1"), 0, SECOND);
        assert_eq!(
            all.better_than(0),
            Some(login("a", "1")),
            "the better of two"
        );
        assert!(!all.logged_in(&login("b", "1"), SECOND * 2));
        assert!(all.logged_in(&login("b", "1"), SECOND * 100));
    }

    #[test]
    fn another_password_is_tried_and_a_wrong_one_is_not() {
        let all = StandIns::default();
        all.logged_in(&login("a", "1"), SECOND);
        all.answered(&login("a", "1"), 2, SECOND);
        assert!(all.logged_in(&login("a", "2"), SECOND));
        assert_eq!(all.better_than(1), Some(login("a", "2")));
        all.is_wrong(&login("a", "1"));
        assert!(all.better_than(1).is_some(), "that was the one before");
        all.is_wrong(&login("a", "2"));
        assert_eq!(all.better_than(0), None);
    }

    #[test]
    fn users_that_come_and_go_do_not_pile_up() {
        let all = StandIns::default();
        for n in 0..100 {
            let one = login(&n.to_string(), "");
            all.logged_in(&one, SECOND);
            all.answered(&one, u8::from(n == 3), SECOND);
        }
        assert_eq!(all.0.lock().len(), KEPT_MAX);
        assert_eq!(all.better_than(0), Some(login("3", "")));
    }
}
