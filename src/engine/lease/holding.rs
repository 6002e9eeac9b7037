//! What a client holds: exclusive use of a backend, or none. The types here see to it that no lease
//! takes the place of another, that none is dropped unseen, and that what is open on one is not
//! forgotten with it.

use crate::admission::fault_injection::{self, Bug};
use crate::engine::key::{BackendId, ContextId};
use crate::session::LostTransaction;

use super::state::LeaseState;

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
    pub state: LeaseState,
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
    pub fn orphaned(mut self) -> (BackendId, LeaseState) {
        self.ended = true;
        let none = LeaseState::new(self.state.purpose, self.state.since);
        (self.backend, std::mem::replace(&mut self.state, none))
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
/// emptied only together with what is told to the client's memory of it: [`Holding::part`].
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

    /// Takes the lease. What is still open on it is `lost` to its client, who is not to forget that
    /// with it.
    pub fn part(&mut self, lost: &mut LostTransaction) -> Option<Lease> {
        let lease = *self.0.take()?;
        if fault_injection::has(Bug::LostWatchTaken) && !lease.state.transaction.is_open() {
            lost.over();
        }
        if !fault_injection::has(Bug::WatchForgotten) {
            lease.state.transaction.is_lost_to(lost);
        }
        Some(lease)
    }

    /// The place, if it is vacant.
    pub fn vacancy(&mut self) -> Option<Vacancy<'_>> {
        self.0.is_none().then_some(Vacancy(&mut self.0))
    }
}

impl Vacancy<'_> {
    /// The client holds this backend from now on.
    pub fn fill(self, backend: BackendId, state: LeaseState) {
        *self.0 = Some(Box::new(Lease {
            backend,
            state,
            ended: false,
        }));
    }
}

/// What can be lent, as far as that matters when it comes back.
pub trait Lendable {
    /// Nothing is owed and nothing is half sent or half here.
    fn is_quiet(&self) -> bool;
    /// The context that it is in.
    fn context(&self) -> ContextId;
}

/// Proof that a leased backend carries no trace of its client: nothing is in flight, all
/// of it was written, no reply is under way, its context is the one it was lent in.
#[derive(Debug)]
pub struct Clean(());

impl Clean {
    /// The proof, if it is so: nothing of its client is left on `backend`, which is in `context`, the
    /// client's.
    pub fn prove(lease: &Lease, backend: &impl Lendable, context: ContextId) -> Option<Self> {
        let clean = backend.is_quiet() && lease.state.is_clean() && backend.context() == context;
        clean.then_some(Self(()))
    }
}
