//! How many clients each user has, in all workers together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

/// The counts of all users. Touched when a client logs in and when it leaves, never between.
#[derive(Debug, Default)]
pub struct UserQuotas {
    by_user: Mutex<ByUser>,
}

#[derive(Debug, Default)]
struct ByUser {
    counts: BTreeMap<Box<[u8]>, Arc<AtomicUsize>>,
    /// How many were left when those without clients were last forgotten.
    kept: usize,
}

/// Users that may come before those are forgotten that have no client any more.
const NEW_MAX: usize = 64;

impl ByUser {
    fn forget_some(&mut self) {
        if self.counts.len() >= self.kept + NEW_MAX {
            // Each client has its user's count.
            self.counts.retain(|_, count| Arc::strong_count(count) > 1);
            self.kept = self.counts.len();
        }
    }
}

/// One client's place among those of its user, given up when it is dropped.
#[derive(Debug)]
pub struct UserQuota(Arc<AtomicUsize>);

impl UserQuotas {
    /// A place for one more client of `user`, unless it has `max` already (0: no bound).
    pub fn take(&self, user: &[u8], max: usize) -> Option<UserQuota> {
        let mut by_user = self.by_user.lock();
        let count = match by_user.counts.get(user) {
            Some(count) => Arc::clone(count),
            None => {
                by_user.forget_some();
                Arc::clone(by_user.counts.entry(user.into()).or_default())
            }
        };
        drop(by_user);
        let before = count.fetch_add(1, Ordering::Relaxed);
        let user_quota = UserQuota(count);
        (max == 0 || before < max).then_some(user_quota)
    }

    /// The clients of each user that has some, or had lately.
    pub fn counts(&self) -> Vec<(Box<[u8]>, usize)> {
        let by_user = self.by_user.lock();
        let mut counts = Vec::with_capacity(by_user.counts.len());
        for (user, count) in &by_user.counts {
            counts.push((user.clone(), count.load(Ordering::Relaxed)));
        }
        counts
    }
}

impl Drop for UserQuota {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_as_many_places_as_it_may_and_gets_them_back() {
        let user_quotas = UserQuotas::default();
        let first = user_quotas.take(b"a", 2);
        let second = user_quotas.take(b"a", 2);
        assert!(first.is_some() && second.is_some());
        assert!(user_quotas.take(b"a", 2).is_none());
        assert!(user_quotas.take(b"b", 2).is_some());
        drop(first);
        assert!(user_quotas.take(b"a", 2).is_some());
        assert_eq!(
            user_quotas.counts(),
            [(b"a"[..].into(), 1), (b"b"[..].into(), 0)]
        );
        assert!(user_quotas.take(b"a", 0).is_some());
    }

    #[test]
    fn users_that_come_and_go_are_forgotten_and_those_that_stay_are_not() {
        let user_quotas = UserQuotas::default();
        let stays = user_quotas.take(b"stays", 1);
        for user in 0..10_000_u32 {
            assert!(user_quotas.take(&user.to_be_bytes(), 1).is_some());
            assert!(user_quotas.take(b"stays", 1).is_none());
        }
        assert!(user_quotas.counts().len() <= NEW_MAX + 1);
        drop(stays);
        assert!(user_quotas.take(b"stays", 1).is_some());
    }
}
