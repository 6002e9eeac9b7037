//! Logins that the server is to check, and who waits for that. Equal ones are one, found without a
//! look at the others, and so is the one that has waited longest.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use slotmap::SlotMap;

use crate::session::access::BackendLogin;

use super::credential::CredentialId;
use super::key::{ClientId, LoginId};

/// A login that the server is to check.
#[derive(Debug)]
pub struct LoginCheck {
    /// What it is about. Nothing to log in with: whether clients have to log in at all.
    pub login: BackendLogin,
    /// The credential that backends may be logged in with already.
    pub credential: Option<CredentialId>,
    /// Who wants to know, and since when: whoever comes to a check that is under way may wait as
    /// long as anybody.
    waiting: VecDeque<(ClientId, Duration)>,
    since: Duration,
}

impl LoginCheck {
    /// Who wants to know.
    pub fn waiting(&self) -> impl Iterator<Item = ClientId> {
        self.waiting.iter().map(|(id, _)| *id)
    }

    /// Since when the first one waits, or since when nobody has.
    fn oldest(&self) -> Duration {
        self.waiting.front().map_or(self.since, |(_, since)| *since)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct LoginChecks {
    all: SlotMap<LoginId, LoginCheck>,
    by_login: BTreeMap<BackendLogin, LoginId>,
    by_age: BTreeSet<(Duration, LoginId)>,
    waiting: usize,
}

impl LoginChecks {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// How many clients wait for them.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// All of them.
    pub fn ids(&self) -> impl Iterator<Item = LoginId> {
        self.all.keys()
    }

    /// Whether what is counted and kept in order is what there is.
    pub fn is_sound(&self) -> bool {
        let waiting: usize = self.all.values().map(|check| check.waiting.len()).sum();
        let known = |(id, check): (LoginId, &LoginCheck)| {
            self.by_age.contains(&(check.oldest(), id)) && self.find(&check.login) == Some(id)
        };
        waiting == self.waiting
            && self.all.iter().all(known)
            && (self.by_age.len(), self.by_login.len()) == (self.len(), self.len())
    }

    /// One of them.
    pub fn get(&self, id: LoginId) -> Option<&LoginCheck> {
        self.all.get(id)
    }

    /// The check of this login that is under way.
    pub fn find(&self, login: &BackendLogin) -> Option<LoginId> {
        self.by_login.get(login).copied()
    }

    /// A check of this login, which may be that of a known user, begins now. There is none yet.
    pub fn begin(
        &mut self,
        login: BackendLogin,
        credential: Option<CredentialId>,
        now: Duration,
    ) -> LoginId {
        let id = self.all.insert(LoginCheck {
            login: login.clone(),
            credential,
            waiting: VecDeque::new(),
            since: now,
        });
        self.by_login.insert(login, id);
        self.by_age.insert((now, id));
        id
    }

    /// A client waits for it from now on.
    pub fn waits(&mut self, id: LoginId, client: ClientId, now: Duration) {
        self.change(id, |check| check.waiting.push_back((client, now)));
    }

    /// The client that has waited for it longest waits no more.
    pub fn take_first(&mut self, id: LoginId) -> Option<ClientId> {
        let (client, _) = self.change(id, |check| check.waiting.pop_front())??;
        Some(client)
    }

    fn change<R>(&mut self, id: LoginId, change: impl FnOnce(&mut LoginCheck) -> R) -> Option<R> {
        let check = self.all.get_mut(id)?;
        let (before, len) = (check.oldest(), check.waiting.len());
        let result = change(check);
        let oldest = check.oldest();
        self.waiting = self.waiting + check.waiting.len() - len;
        if oldest != before {
            self.by_age.remove(&(before, id));
            self.by_age.insert((oldest, id));
        }
        Some(result)
    }

    /// The check that somebody has waited for longest, and since when.
    pub fn oldest(&self) -> Option<(Duration, LoginId)> {
        self.by_age.first().copied()
    }

    /// It is over.
    pub fn end(&mut self, id: LoginId) -> Option<LoginCheck> {
        let check = self.all.remove(id)?;
        self.waiting -= check.waiting.len();
        self.by_age.remove(&(check.oldest(), id));
        self.by_login.remove(&check.login);
        Some(check)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_logins_are_one_and_whoever_has_waited_longest_is_known() {
        let login = |password: u32| BackendLogin {
            user: None,
            password: Some(password.to_be_bytes().into()),
        };
        let mut keys: SlotMap<ClientId, ()> = SlotMap::with_key();
        let clients: Vec<ClientId> = (0..4).map(|_| keys.insert(())).collect();
        let at = Duration::from_secs;
        let mut checks = LoginChecks::default();
        let one = checks.begin(login(1), None, at(1));
        let two = checks.begin(login(2), None, at(2));
        assert_eq!(
            (checks.find(&login(2)), checks.find(&login(3))),
            (Some(two), None)
        );
        for (client, since) in (3..).zip(&clients[..3]) {
            checks.waits(one, *since, at(client));
        }
        assert_eq!(checks.oldest(), Some((at(2), two)));
        checks.waits(two, clients[3], at(4));
        assert_eq!(checks.oldest(), Some((at(3), one)));
        assert_eq!(checks.take_first(one), Some(clients[0]));
        assert_eq!(checks.oldest(), Some((at(4), one.min(two))));
        let ended = checks.end(one).map(|check| check.waiting().collect());
        assert_eq!(ended, Some(vec![clients[1], clients[2]]));
        assert_eq!((checks.len(), checks.oldest()), (1, Some((at(4), two))));
        // Who waits for nothing any more is judged by when it began.
        assert_eq!(checks.take_first(two), Some(clients[3]));
        assert_eq!(checks.oldest(), Some((at(2), two)));
        assert!(checks.is_sound() && checks.waiting() == 0);
        assert!(checks.end(two).is_some() && checks.oldest().is_none());
    }
}
