//! Logins that the server is to check, and who waits for that. Equal ones are one, found without a
//! look at the others, and so is the one that has waited longest.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use slotmap::SlotMap;

use crate::engine::key::{ClientId, CredentialId, LoginId};
use crate::session::access::BackendLogin;

/// A login that the server is to check.
#[derive(Debug)]
pub struct LoginCheck {
    /// What it is about. Nothing to log in with: whether clients have to log in at all.
    pub login: Arc<BackendLogin>,
    /// The credential that backends may be logged in with already.
    pub credential: Option<CredentialId>,
    /// Who has wanted to know, and since when: whoever comes to a check that is under way may wait as
    /// long as anybody. The first one still does.
    line: VecDeque<(ClientId, Duration)>,
    /// Those of them that still do. Who is gone may be said to be gone more than once.
    waiting: BTreeSet<ClientId>,
    since: Duration,
}

impl LoginCheck {
    /// Who wants to know.
    pub fn waiting(&self) -> impl Iterator<Item = ClientId> {
        let ids = self.line.iter().map(|(id, _)| *id);
        ids.filter(|id| self.waiting.contains(id))
    }

    /// Bytes of what is to be checked.
    pub fn held_bytes(&self) -> usize {
        let BackendLogin { user, password } = &*self.login;
        let texts = [user, password].into_iter().flatten();
        texts.map(|text| text.len()).sum()
    }

    /// Somebody wants to know no more.
    fn leaves(&mut self, client: ClientId) {
        self.waiting.remove(&client);
        while let Some((first, _)) = self.line.front()
            && !self.waiting.contains(first)
        {
            self.line.pop_front();
        }
    }

    /// Since when the first one waits, or since when nobody has.
    fn oldest(&self) -> Duration {
        self.line.front().map_or(self.since, |(_, since)| *since)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Auth {
    all: SlotMap<LoginId, LoginCheck>,
    by_login: BTreeMap<Arc<BackendLogin>, LoginId>,
    by_age: BTreeSet<(Duration, LoginId)>,
    waiting: usize,
    bytes: usize,
}

impl Auth {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// How many clients wait for them.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Bytes of what is to be checked.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// All of them.
    pub fn ids(&self) -> impl Iterator<Item = LoginId> {
        self.all.keys()
    }

    /// Whether what is counted and kept in order is what there is.
    pub fn is_sound(&self) -> bool {
        let waiting: usize = self.all.values().map(|check| check.waiting().count()).sum();
        let bytes: usize = self.all.values().map(LoginCheck::held_bytes).sum();
        let known = |(id, check): (LoginId, &LoginCheck)| {
            self.by_age.contains(&(check.oldest(), id)) && self.find(&check.login) == Some(id)
        };
        (waiting, bytes) == (self.waiting, self.bytes)
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
        let login = Arc::new(login);
        let check = LoginCheck {
            login: Arc::clone(&login),
            credential,
            line: VecDeque::new(),
            waiting: BTreeSet::new(),
            since: now,
        };
        self.bytes += check.held_bytes();
        let id = self.all.insert(check);
        self.by_login.insert(login, id);
        self.by_age.insert((now, id));
        id
    }

    /// A client waits for it from now on.
    pub fn waits(&mut self, id: LoginId, client: ClientId, now: Duration) {
        self.change(id, |check| {
            if check.waiting.insert(client) {
                check.line.push_back((client, now));
            }
        });
    }

    /// The client that has waited for it longest waits no more.
    pub fn take_first(&mut self, id: LoginId) -> Option<ClientId> {
        self.change(id, |check| {
            let (first, _) = *check.line.front()?;
            check.leaves(first);
            Some(first)
        })?
    }

    /// A client that waits for it is gone. How many are left.
    pub fn leaves(&mut self, id: LoginId, client: ClientId) -> Option<usize> {
        self.change(id, |check| {
            check.leaves(client);
            check.waiting.len()
        })
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
        self.bytes -= check.held_bytes();
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
        let mut checks = Auth::default();
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

    #[test]
    fn who_is_gone_waits_no_more_and_what_is_to_be_checked_is_counted_once() {
        let login = BackendLogin {
            user: Some((*b"user").into()),
            password: Some((*b"password").into()),
        };
        let mut keys: SlotMap<ClientId, ()> = SlotMap::with_key();
        let at = Duration::from_secs;
        let mut checks = Auth::default();
        let check = checks.begin(login, None, at(0));
        let clients: Vec<ClientId> = (1..5)
            .map(|since| {
                let client = keys.insert(());
                checks.waits(check, client, at(since));
                client
            })
            .collect();
        assert_eq!((checks.waiting(), checks.bytes()), (4, 12));
        // From the middle, then from the front, past the one that was in the middle.
        assert_eq!(checks.leaves(check, clients[1]), Some(3));
        assert_eq!(checks.oldest(), Some((at(1), check)));
        // Whoever closes it may have said so before it is gone: nobody else goes with it.
        assert_eq!(checks.leaves(check, clients[1]), Some(3));
        assert_eq!(checks.leaves(check, clients[0]), Some(2));
        assert_eq!(checks.leaves(check, clients[0]), Some(2));
        assert_eq!(checks.oldest(), Some((at(3), check)));
        assert!(checks.is_sound());
        assert_eq!(checks.leaves(check, clients[3]), Some(1));
        let waiting = checks.get(check).map(|check| check.waiting().collect());
        assert_eq!(waiting, Some(vec![clients[2]]));
        assert_eq!(checks.take_first(check), Some(clients[2]));
        assert_eq!(
            (checks.waiting(), checks.oldest()),
            (0, Some((at(0), check)))
        );
        assert!(checks.is_sound());
        assert!(checks.end(check).is_some());
        assert_eq!((checks.waiting(), checks.bytes()), (0, 0));
    }
}
