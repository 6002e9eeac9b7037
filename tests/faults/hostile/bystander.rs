//! A well-behaved client beside the hostile ones, which checks each of its replies and how long it
//! took, on the same worker and the same few connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::{Narrows, PATIENCE, wait_until};

/// See the module.
pub(crate) struct Bystander {
    thread: JoinHandle<Duration>,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
}

impl Bystander {
    pub(crate) fn beside(narrows: &Narrows) -> Self {
        let mut conn = narrows.connect();
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicU64::new(0));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&done));
        let thread = std::thread::spawn(move || {
            let mut slowest = Duration::ZERO;
            while !stopped.load(Ordering::Relaxed) {
                let n = count.fetch_add(1, Ordering::Relaxed).to_string();
                let begin = Instant::now();
                conn.expect(&["SET", "bystander", &n], "+OK\r\n");
                conn.expect(&["GET", "bystander"], format!("${}\r\n{n}\r\n", n.len()));
                slowest = slowest.max(begin.elapsed());
                std::thread::sleep(Duration::from_millis(1));
            }
            slowest
        });
        Self { thread, stop, done }
    }

    /// Fails if a reply was wrong, none came, or one took longer than `limit`.
    #[track_caller]
    pub(crate) fn noticed_nothing(self, limit: Duration) {
        let goal = self.done.load(Ordering::Relaxed) + 20;
        wait_until("the bystander to be served", PATIENCE, || {
            self.done.load(Ordering::Relaxed) > goal || self.thread.is_finished()
        });
        self.stop.store(true, Ordering::Relaxed);
        let slowest = self.thread.join().expect("the bystander noticed");
        assert!(slowest < limit, "the bystander waited {slowest:?}");
    }
}

/// The connections of narrows were never closed for what they did.
#[track_caller]
pub(crate) fn expect_no_poison(narrows: &Narrows) {
    let log = narrows.log();
    for words in ["unsolicited", "malformed", "stalled", "dirty", "panicked"] {
        assert!(!log.contains(words), "{words}: {log}");
    }
}
