//! What the server says while a script keeps it busy. Control hears it at its health checks and
//! workers in replies; all of them go by it. A server that says so is alive, and has run nothing of
//! what it was asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// How long its word is believed without being heard again: two health checks, by default.
const BELIEVED: Duration = Duration::from_secs(2);

/// See the file's head.
#[derive(Debug, Default)]
pub struct ServerBusy {
    /// Its error reply, and when it was heard.
    said: Mutex<Option<(Arc<[u8]>, Duration)>>,
    heard: AtomicBool,
    /// When the last script was over.
    over_at: Mutex<Duration>,
    place: AtomicU8,
}

/// Whether control gives its own place to what ends the script, where the budget has no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum PlaceOffer {
    /// Nobody asks for it.
    Kept = 0,
    /// A worker has no other.
    AskedFor = 1,
    /// Control has closed its connection.
    Offered = 2,
}

impl ServerBusy {
    /// The server has answered so at `now` what it was asked at `asked`. What it was asked before the
    /// script was known to be over it may have said before that.
    pub fn heard(&self, reply: &[u8], asked: Duration, now: Duration) {
        if asked <= *self.over_at.lock() {
            return;
        }
        let mut said = self.said.lock();
        match &mut *said {
            Some((text, at)) if **text == *reply => *at = now,
            other => *other = Some((reply.into(), now)),
        }
        self.heard.store(true, Ordering::Relaxed);
    }

    /// The script is over.
    pub fn over(&self, now: Duration) {
        if !self.is_heard() {
            return;
        }
        *self.over_at.lock() = now;
        *self.said.lock() = None;
        self.heard.store(false, Ordering::Relaxed);
        self.place.store(PlaceOffer::Kept as u8, Ordering::Relaxed);
    }

    /// Whether it has said so and nobody has heard of an end yet: cheap to ask.
    #[inline]
    pub fn is_heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    /// What it says to everybody now, if it is busy.
    pub fn says(&self, now: Duration) -> Option<Arc<[u8]>> {
        if !self.is_heard() {
            return None;
        }
        let said = self.said.lock();
        let (text, at) = said.as_ref()?;
        (now.saturating_sub(*at) < BELIEVED).then(|| Arc::clone(text))
    }

    /// A worker has no place for what is to end the script.
    pub fn ask_for_place(&self) {
        let (kept, asked) = (PlaceOffer::Kept as u8, PlaceOffer::AskedFor as u8);
        let (to, from) = (Ordering::Relaxed, Ordering::Relaxed);
        let _ = self.place.compare_exchange(kept, asked, to, from);
    }

    /// Whether control is to give its place away for a moment.
    pub fn is_place_asked_for(&self) -> bool {
        self.place.load(Ordering::Relaxed) == PlaceOffer::AskedFor as u8
    }

    /// Control's place is free.
    pub fn offer_place(&self) {
        self.place
            .store(PlaceOffer::Offered as u8, Ordering::Relaxed);
    }

    /// Whether it is, and has not been taken or withdrawn.
    pub fn is_place_offered(&self) -> bool {
        self.place.load(Ordering::Relaxed) == PlaceOffer::Offered as u8
    }

    /// The offer has been taken, or is withdrawn.
    pub fn end_offer(&self) {
        self.place.store(PlaceOffer::Kept as u8, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_word_is_believed_until_it_is_old_or_taken_back() {
        let busy = ServerBusy::default();
        let s = Duration::from_secs;
        assert_eq!(busy.says(s(1)), None);
        busy.heard(b"-BUSY x\r\n", s(1), s(1));
        assert_eq!(busy.says(s(2)).as_deref(), Some(&b"-BUSY x\r\n"[..]));
        assert_eq!(busy.says(s(3)), None);
        busy.heard(b"-BUSY x\r\n", s(3), s(3));
        busy.over(s(4));
        busy.heard(b"-BUSY x\r\n", s(4), s(5));
        assert_eq!(busy.says(s(5)), None);
    }

    #[test]
    fn controls_place_is_given_only_where_it_was_asked_for() {
        let busy = ServerBusy::default();
        busy.ask_for_place();
        assert!(busy.is_place_asked_for() && !busy.is_place_offered());
        busy.offer_place();
        busy.ask_for_place();
        assert!(busy.is_place_offered());
        busy.end_offer();
        assert!(!busy.is_place_offered() && !busy.is_place_asked_for());
    }
}
