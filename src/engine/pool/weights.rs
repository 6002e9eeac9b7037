//! Bytes of clients that are with their backends.

use std::collections::BTreeMap;

use crate::engine::key::BackendId;

/// Bytes of clients that are with their backends.
#[derive(Debug, Default)]
pub struct Weights {
    of: BTreeMap<BackendId, usize>,
    total: usize,
    /// Those on which something has happened since they were weighed.
    touched: Vec<BackendId>,
    /// How much may be held by this worker: asked for with each reply.
    limit: usize,
}

impl Weights {
    /// None yet, where all workers together may hold so many bytes.
    pub fn within(bytes_max: usize, workers: usize) -> Self {
        Self {
            limit: bytes_max / workers.max(1),
            ..Self::default()
        }
    }

    /// Something happens on a backend that is lent, or was.
    #[inline]
    pub fn touch(&mut self, id: BackendId) {
        if self.touched.last() != Some(&id) {
            self.touched.push(id);
        }
    }

    /// The same, if it has been weighed.
    pub fn touch_if_known(&mut self, id: BackendId) {
        if self.of.contains_key(&id) {
            self.touch(id);
        }
    }

    /// So many bytes may be held, by all workers together.
    pub fn set_limit(&mut self, bytes_max: usize, workers: usize) {
        self.limit = bytes_max / workers.max(1);
    }

    /// What it weighs.
    pub fn of(&self, id: BackendId) -> usize {
        self.of.get(&id).copied().unwrap_or_default()
    }

    /// Bytes with all backends.
    #[inline]
    pub fn total(&self) -> usize {
        self.total
    }

    /// How much may be held by this worker.
    #[inline]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Those that weigh anything.
    pub fn known(&self) -> impl Iterator<Item = BackendId> {
        self.of.keys().copied()
    }

    /// Whether the total is that of all.
    pub fn add_up(&self) -> bool {
        self.of.values().sum::<usize>() == self.total
    }

    /// Whether something has happened on it since it was weighed.
    pub fn is_touched(&self, id: BackendId) -> bool {
        self.touched.contains(&id)
    }

    /// Whether any is to be weighed.
    #[inline]
    pub fn any_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    /// One that is weighed now.
    pub fn next_touched(&mut self) -> Option<BackendId> {
        self.touched.pop()
    }

    /// So much is with it.
    pub fn set(&mut self, id: BackendId, bytes: usize) {
        let before = match bytes {
            0 => self.of.remove(&id),
            _ => self.of.insert(id, bytes),
        };
        self.total = self.total + bytes - before.unwrap_or_default();
    }
}
