//! Who holds a connection to the admin endpoints: few, and none for ever. Where all places are taken
//! and somebody comes, the one that has said nothing for the longest goes: a health check is never
//! kept waiting by those who only hold connections open.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Connections at once; further ones wait in the kernel's queue.
const GUESTS_MAX: usize = 32;

/// So long whoever has come keeps its place, to send what it asks for.
const GRACE: Duration = Duration::from_millis(100);

/// And so long whoever has asked, to be answered: all figures take a second at most.
const ANSWER_GRACE: Duration = Duration::from_secs(3);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Guests {
    /// Oldest first.
    here: VecDeque<Guest>,
}

#[derive(Debug)]
struct Guest {
    task: JoinHandle<()>,
    asked: RequestSeen,
    since: Instant,
}

/// Whether a whole request has come.
#[derive(Debug, Clone, Default)]
pub(super) struct RequestSeen(Arc<AtomicBool>);

impl RequestSeen {
    /// It has.
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Guests {
    /// Resolves when there is a place: at once, unless all are taken by those who have only just come
    /// or are being answered.
    pub(super) async fn room(&mut self) {
        loop {
            self.here.retain(|guest| !guest.task.is_finished());
            if self.here.len() < GUESTS_MAX {
                return;
            }
            if let Some(guest) = self
                .longest(false, GRACE)
                .or_else(|| self.longest(true, ANSWER_GRACE))
                && let Some(guest) = self.here.remove(guest)
            {
                guest.task.abort();
                return;
            }
            tokio::time::sleep(GRACE / 10).await;
        }
    }

    /// Takes a place.
    pub(super) fn come(&mut self, task: JoinHandle<()>, asked: RequestSeen) {
        self.here.push_back(Guest {
            task,
            asked,
            since: Instant::now(),
        });
    }

    /// Who of those that have asked, or not, has been here for the longest, and at least for `grace`.
    fn longest(&self, asked: bool, grace: Duration) -> Option<usize> {
        let goes = |guest: &Guest| guest.asked.is_set() == asked && guest.since.elapsed() >= grace;
        self.here.iter().position(goes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn come(guests: &mut Guests, asks: bool) {
        let asked = RequestSeen::default();
        if asks {
            asked.set();
        }
        guests.come(tokio::spawn(std::future::pending()), asked);
    }

    /// How long the next one waits, in steps of the test's own clock.
    async fn waits(guests: &mut Guests) -> Duration {
        let begin = Instant::now();
        guests.room().await;
        begin.elapsed()
    }

    #[tokio::test]
    async fn whoever_has_asked_nothing_goes_first_and_nobody_waits_for_long() {
        let mut guests = Guests::default();
        for place in 0..GUESTS_MAX {
            assert!(waits(&mut guests).await < GRACE);
            come(&mut guests, place > 0);
        }
        // The one that has asked nothing is the oldest, and has its grace.
        guests.room().await;
        assert_eq!(guests.here.len(), GUESTS_MAX - 1);
        assert!(guests.here.iter().all(|guest| guest.asked.is_set()));
        come(&mut guests, false);
        guests.room().await;
        let asked = guests.here.iter().filter(|guest| guest.asked.is_set());
        assert_eq!(asked.count(), GUESTS_MAX - 1, "it was the silent one again");
        assert!(
            guests
                .here
                .front()
                .is_some_and(|oldest| oldest.since.elapsed() >= GRACE)
        );
    }
}
