//! For how long clients have paused the server through narrows (`CLIENT PAUSE`): what it holds up is
//! not late, and a server that is paused is not dead. All workers and control look at it. Moments
//! are on the process' own clock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a pause holds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paused {
    /// Every command of every connection.
    All,
    /// Commands that may write.
    Writes,
}

/// See the file's head. What it says of a moment gone by stays true: a clock that stood still until
/// then has run since.
#[derive(Debug, Default)]
pub struct ServerPause {
    all_until_ms: AtomicU64,
    writes_until_ms: AtomicU64,
    begun_ms: AtomicU64,
}

/// A pause that is longer is taken for one of this length: a year.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long a pause is believed in where nobody may ask the server whether it holds.
const UNCONFIRMED: Duration = Duration::from_secs(60);

impl ServerPause {
    /// The server has been paused at `now`. As in Redis (`pauseActions`, networking.c) the longer
    /// one of two pauses holds, and the stricter one.
    pub fn begin(&self, now: Duration, length: Duration, what: Paused) {
        let until = millis(now.saturating_add(length.min(LONGEST)));
        self.begun_ms.store(millis(now), Ordering::Relaxed);
        let paused = self.writes_until_ms.fetch_max(until, Ordering::Relaxed);
        if what == Paused::All || self.until(Paused::All) > now {
            let longest = until.max(paused);
            self.all_until_ms.fetch_max(longest, Ordering::Relaxed);
        }
    }

    /// The server goes on, or is another one: nothing is believed of it any more.
    pub fn end(&self, now: Duration) {
        for until in [&self.all_until_ms, &self.writes_until_ms] {
            until.fetch_min(millis(now), Ordering::Relaxed);
        }
    }

    /// At `now` the server has answered what it was asked at `asked` and would not have answered in
    /// a pause of this kind: whoever began one, somebody has ended it.
    pub fn answered(&self, asked: Duration, now: Duration, what: Paused) {
        if self.begun_ms.load(Ordering::Relaxed) >= millis(asked) {
            return;
        }
        self.all_until_ms.fetch_min(millis(now), Ordering::Relaxed);
        if what == Paused::Writes {
            self.writes_until_ms
                .fetch_min(millis(now), Ordering::Relaxed);
        }
    }

    /// The server does not let narrows find out whether it still holds writes up.
    pub fn cannot_be_asked(&self) {
        let begun = Duration::from_millis(self.begun_ms.load(Ordering::Relaxed));
        self.end(begun.saturating_add(UNCONFIRMED));
    }

    /// What is held up now.
    #[inline]
    pub fn holds_up(&self, now: Duration) -> Option<Paused> {
        if self.until(Paused::Writes) <= now {
            return None;
        }
        Some(match self.until(Paused::All) > now {
            true => Paused::All,
            false => Paused::Writes,
        })
    }

    /// When the last pause began.
    pub fn began_at(&self) -> Duration {
        Duration::from_millis(self.begun_ms.load(Ordering::Relaxed))
    }

    /// Whether something is held up.
    pub fn is_on(&self, now: Duration) -> bool {
        self.until(Paused::Writes) > now
    }

    /// From when on the clock runs of what began to wait at `since` and was held up by pauses of
    /// this kind.
    pub fn counts_from(&self, since: Duration, held_by: Paused) -> Duration {
        since.max(self.until(held_by))
    }

    fn until(&self, what: Paused) -> Duration {
        let until = match what {
            Paused::All => &self.all_until_ms,
            Paused::Writes => &self.writes_until_ms,
        };
        Duration::from_millis(until.load(Ordering::Relaxed))
    }
}

fn millis(moment: Duration) -> u64 {
    u64::try_from(moment.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn clocks_stand_still_in_a_pause_and_run_on_behind_it() {
        let pause = ServerPause::default();
        assert_eq!(pause.counts_from(s(1), Paused::All), s(1));
        pause.begin(s(10), s(60), Paused::All);
        for what in [Paused::All, Paused::Writes] {
            assert_eq!(pause.counts_from(s(9), what), s(70));
            assert_eq!(pause.counts_from(s(71), what), s(71));
        }
        assert!(pause.is_on(s(69)) && !pause.is_on(s(70)));
    }

    #[test]
    fn a_pause_of_writes_holds_up_nothing_else() {
        let pause = ServerPause::default();
        pause.begin(s(10), s(60), Paused::Writes);
        assert_eq!(pause.counts_from(s(9), Paused::All), s(9));
        assert_eq!(pause.counts_from(s(9), Paused::Writes), s(70));
    }

    #[test]
    fn of_two_pauses_the_longer_and_the_stricter_one_holds() {
        let pause = ServerPause::default();
        pause.begin(s(10), s(60), Paused::Writes);
        pause.begin(s(11), s(1), Paused::All);
        assert_eq!(pause.counts_from(s(0), Paused::All), s(70));
        pause.begin(s(12), s(90), Paused::Writes);
        assert_eq!(pause.counts_from(s(0), Paused::All), s(102));
    }

    #[test]
    fn an_answer_ends_what_would_have_held_it_up_if_it_was_asked_for_behind_the_beginning() {
        let pause = ServerPause::default();
        pause.begin(s(10), s(60), Paused::All);
        pause.answered(s(9), s(12), Paused::All);
        pause.answered(s(10), s(12), Paused::All);
        assert_eq!(pause.holds_up(s(12)), Some(Paused::All));
        pause.answered(s(11), s(12), Paused::All);
        assert_eq!(pause.holds_up(s(12)), Some(Paused::Writes));
        pause.answered(s(13), s(14), Paused::Writes);
        assert_eq!(pause.holds_up(s(14)), None);
    }

    #[test]
    fn a_pause_that_nobody_can_ask_about_is_not_believed_in_for_ever() {
        let pause = ServerPause::default();
        pause.begin(s(10), s(86_400), Paused::Writes);
        pause.cannot_be_asked();
        assert_eq!(pause.holds_up(s(69)), Some(Paused::Writes));
        assert_eq!(pause.holds_up(s(71)), None);
    }

    #[test]
    fn a_pause_can_be_ended_and_its_length_has_a_bound() {
        let pause = ServerPause::default();
        pause.begin(s(10), Duration::MAX, Paused::All);
        assert_eq!(pause.counts_from(s(0), Paused::All), s(10) + LONGEST);
        pause.end(s(20));
        assert!(!pause.is_on(s(20)));
        assert_eq!(pause.counts_from(s(0), Paused::All), s(20));
        pause.begin(s(30), s(1), Paused::Writes);
        assert_eq!(pause.counts_from(s(0), Paused::All), s(20));
    }
}
