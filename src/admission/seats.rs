//! How many clients each user has, in all workers together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

/// The counts of all users. Touched when a client logs in and when it leaves, never between.
#[derive(Debug, Default)]
pub struct Seats {
    by_user: Mutex<BTreeMap<Box<[u8]>, Arc<AtomicUsize>>>,
}

/// One client's place among those of its user, given up when it is dropped.
#[derive(Debug)]
pub struct Seat(Arc<AtomicUsize>);

impl Seats {
    /// A place for one more client of `user`, unless it has `max` already (0: no bound). Only for
    /// users that exist: a name is remembered for ever.
    pub fn take(&self, user: &[u8], max: usize) -> Option<Seat> {
        let mut by_user = self.by_user.lock();
        let count = match by_user.get(user) {
            Some(count) => Arc::clone(count),
            None => Arc::clone(by_user.entry(user.into()).or_default()),
        };
        drop(by_user);
        let before = count.fetch_add(1, Ordering::Relaxed);
        let seat = Seat(count);
        (max == 0 || before < max).then_some(seat)
    }

    /// The clients of each user that ever had one.
    pub fn counts(&self) -> Vec<(Box<[u8]>, usize)> {
        let by_user = self.by_user.lock();
        let mut counts = Vec::with_capacity(by_user.len());
        for (user, count) in by_user.iter() {
            counts.push((user.clone(), count.load(Ordering::Relaxed)));
        }
        counts
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_as_many_places_as_it_may_and_gets_them_back() {
        let seats = Seats::default();
        let first = seats.take(b"a", 2);
        let second = seats.take(b"a", 2);
        assert!(first.is_some() && second.is_some());
        assert!(seats.take(b"a", 2).is_none());
        assert!(seats.take(b"b", 2).is_some());
        drop(first);
        assert!(seats.take(b"a", 2).is_some());
        assert_eq!(seats.counts(), [(b"a"[..].into(), 1), (b"b"[..].into(), 0)]);
        assert!(seats.take(b"a", 0).is_some());
    }
}
