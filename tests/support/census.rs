//! Counts the connections of narrows as the server sees them, without a pause.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use crate::support::RedisServer;
use crate::support::setup::other_clients;

/// A census under way.
pub(crate) struct Census {
    thread: JoinHandle<usize>,
    looks: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Census {
    pub(crate) fn begin(server: &RedisServer) -> Self {
        let mut admin = server.connect();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let looks = Arc::new(AtomicU64::new(0));
        let looked = Arc::clone(&looks);
        let thread = std::thread::spawn(move || {
            let mut most = 0;
            while !stopped.load(Ordering::Relaxed) {
                most = most.max(other_clients(&mut admin).len());
                looked.fetch_add(1, Ordering::Relaxed);
                std::thread::yield_now();
            }
            most
        });
        Self {
            thread,
            looks,
            stop,
        }
    }

    /// Waits until it has been looked so often: what it counts goes on meanwhile.
    pub(crate) fn wait_for(&self, looks: u64) {
        while self.looks.load(Ordering::Relaxed) < looks && !self.thread.is_finished() {
            std::thread::yield_now();
        }
    }

    /// The most connections that were there at once, and how often that was looked at.
    pub(crate) fn end(self) -> (usize, u64) {
        self.stop.store(true, Ordering::Relaxed);
        let most = self.thread.join().unwrap();
        (most, self.looks.load(Ordering::Relaxed))
    }
}
