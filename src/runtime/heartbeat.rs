//! Whether the threads live: each worker is sent a number now and then, and a worker that takes
//! its messages sends it back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of the last heartbeat that a worker has answered.
#[derive(Debug, Clone, Default)]
pub struct Heartbeat(Arc<AtomicU64>);

impl Heartbeat {
    /// The worker has come to this message.
    pub fn answer(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
    }

    /// The last number that has come back.
    pub fn answered(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
