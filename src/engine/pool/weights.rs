//! Bytes of clients that are with their backends.

use std::collections::BTreeMap;

use crate::engine::key::BackendId;

/// Bytes of clients that are with their backends.
#[derive(Debug, Default)]
pub struct Weights {
    pub of: BTreeMap<BackendId, usize>,
    pub total: usize,
    /// Those on which something has happened since they were weighed.
    pub touched: Vec<BackendId>,
    /// How much may be held by this worker: asked for with each reply.
    pub limit: usize,
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

    pub fn set(&mut self, id: BackendId, bytes: usize) {
        let before = match bytes {
            0 => self.of.remove(&id),
            _ => self.of.insert(id, bytes),
        };
        self.total = self.total + bytes - before.unwrap_or_default();
    }
}
