//! What a client holds: exclusive use of a backend, or none. The types here see to it that no lease
//! takes the place of another, that none is dropped unseen, and that what is open on one is not
//! forgotten with it.

use super::client::Client;
use super::key::BackendId;
use super::lease::{Clean, Lent};
use super::planted::{self, Bug};

/// One client's exclusive use of one backend.
///
/// Owned and not `Clone`. It ends in exactly three ways: given back with the proof that the
/// backend is clean, broken, which closes the backend, or orphaned, which has its wait ended, or what
/// its client has left on it taken back first.
/// Debug builds panic when one is dropped otherwise.
#[derive(Debug)]
#[must_use]
pub struct Lease {
    backend: BackendId,
    /// What its client has done on it.
    pub lent: Lent,
    ended: bool,
}

impl Lease {
    /// The backend.
    pub fn backend(&self) -> BackendId {
        self.backend
    }

    fn end(mut self) -> BackendId {
        self.ended = true;
        self.backend
    }

    /// The backend is clean and goes back.
    pub fn give_back(self, _proof: Clean) -> BackendId {
        self.end()
    }

    /// Its client has left in the middle: the engine keeps the backend until that has ended.
    pub fn orphaned(mut self) -> (BackendId, Lent) {
        self.ended = true;
        let none = Lent::new(self.lent.purpose, self.lent.since);
        (self.backend, std::mem::replace(&mut self.lent, none))
    }

    /// The backend is to be closed.
    pub fn broken(self) -> BackendId {
        self.end()
    }
}

#[cfg(debug_assertions)]
impl Drop for Lease {
    fn drop(&mut self) {
        assert!(
            self.ended || std::thread::panicking(),
            "a lease was dropped without being given back or broken"
        );
    }
}

/// The place of a client's lease. It can be filled only by who has seen that it is vacant, and
/// emptied only by [`Client::part_with_lease`].
#[derive(Debug, Default)]
pub struct Holding(Option<Box<Lease>>);

/// Proof that a client holds no backend.
pub struct Vacancy<'a>(&'a mut Option<Box<Lease>>);

impl Holding {
    /// The lease.
    #[inline]
    pub fn as_ref(&self) -> Option<&Lease> {
        self.0.as_deref()
    }

    /// The lease.
    #[inline]
    pub fn as_mut(&mut self) -> Option<&mut Lease> {
        self.0.as_deref_mut()
    }

    /// Whether there is one.
    #[inline]
    pub fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Whether there is none.
    #[inline]
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// The place, if it is vacant.
    pub fn vacancy(&mut self) -> Option<Vacancy<'_>> {
        self.0.is_none().then_some(Vacancy(&mut self.0))
    }
}

impl Vacancy<'_> {
    /// The client holds this backend from now on.
    pub fn fill(self, backend: BackendId, lent: Lent) {
        *self.0 = Some(Box::new(Lease {
            backend,
            lent,
            ended: false,
        }));
    }
}

impl Client {
    /// Takes its lease from a client. What is still open on it is lost to the client, who is not
    /// to forget that with it.
    pub(super) fn part_with_lease(&mut self) -> Option<Lease> {
        let lease = *self.lease.0.take()?;
        if planted::has(Bug::LostWatchTaken) && !lease.lent.bracket.is_open() {
            self.session.lost.over();
        }
        if !planted::has(Bug::WatchForgotten) {
            self.session.lost.lose(&lease.lent.bracket);
        }
        Some(lease)
    }

    /// Whether it holds a backend for whatever it asks for, and not just for one request.
    pub(super) fn has_session_lease(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| {
            let lent = &lease.lent;
            !lent.purpose.is_one_request()
                || (planted::has(Bug::ErrandShared) && !lent.errand_to_come)
        })
    }
}
