//! Counts the connections of narrows as the server sees them, without a pause.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::support::RedisServer;
use crate::support::setup::other_clients;

/// A census under way.
pub(crate) struct Census {
    thread: JoinHandle<(usize, u64)>,
    stop: Arc<AtomicBool>,
}

impl Census {
    pub(crate) fn begin(server: &RedisServer) -> Self {
        let mut admin = server.connect();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut most, mut looks) = (0, 0);
            while !stopped.load(Ordering::Relaxed) {
                most = most.max(other_clients(&mut admin).len());
                looks += 1;
                std::thread::yield_now();
            }
            (most, looks)
        });
        Self { thread, stop }
    }

    /// The most connections that were there at once, and how often that was looked at.
    pub(crate) fn end(self) -> (usize, u64) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
