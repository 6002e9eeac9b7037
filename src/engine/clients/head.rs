//! The request at the head of a client's input: why it is held, since when it waits, how much of what
//! stands there has waited as long as it may, and what has been decided of it.

use std::time::Duration;

use crate::engine::verdict::ServerVerdict;

use super::hold::Hold;

/// See the module. The default: nothing is held, and nothing known of it.
#[derive(Debug, Default)]
pub struct InputHead {
    /// Why nothing is dealt with.
    pub hold: Option<Hold>,
    since: Option<Duration>,
    timed_out_bytes: usize,
    replays: u32,
    verdict: Option<Box<ServerVerdict>>,
}

impl InputHead {
    /// Whether nothing is known of it but what it says itself.
    #[inline]
    pub fn is_fresh(&self) -> bool {
        self.hold.is_none()
            && self.since.is_none()
            && self.timed_out_bytes == 0
            && self.replays == 0
            && self.verdict.is_none()
    }

    /// Since when it has waited, if it has.
    pub fn since(&self) -> Option<Duration> {
        self.since
    }

    /// It waits. Since when it has, which is now if it had not before.
    pub fn waits(&mut self, now: Duration) -> Duration {
        *self.since.get_or_insert(now)
    }

    /// It waits from now on, whatever it waited for before.
    pub fn waits_anew(&mut self, now: Duration) {
        self.since = Some(now);
    }

    /// It waits no more. Since when it had.
    #[inline]
    pub fn waits_no_more(&mut self) -> Option<Duration> {
        self.since.take()
    }

    /// Whether it has waited as long as it may.
    pub fn has_queue_timed_out(&self) -> bool {
        self.timed_out_bytes > 0
    }

    /// It has waited as long as it may, and so has all that stands behind it: `bytes` in all.
    pub fn queue_times_out(&mut self, bytes: usize) {
        self.timed_out_bytes = bytes.max(1);
    }

    /// The request, `bytes` long, is done with. Since when it had waited.
    #[inline]
    pub fn passed(&mut self, bytes: usize) -> Option<Duration> {
        self.verdict = None;
        self.timed_out_bytes = self.timed_out_bytes.saturating_sub(bytes);
        self.waits_no_more()
    }

    /// The request was answered where it stood, for what it asked to wait for.
    pub fn answered(&mut self) {
        (self.hold, self.verdict, self.since) = (None, None, None);
    }

    /// A huge request was, as it came.
    pub fn swallowed(&mut self) {
        (self.timed_out_bytes, self.since) = (0, None);
    }

    /// So many requests stand before all others, and are dealt with again.
    pub fn rewound(&mut self, count: u32) {
        *self = Self {
            // What is judged of a request is of the one that stands first.
            replays: self.replays.saturating_add(count),
            ..Self::default()
        };
    }

    /// The request goes on its way. Whether it is dealt with again, and is not to be once more.
    #[inline]
    pub fn takes_replay(&mut self) -> bool {
        let replayed = self.replays > 0;
        self.replays = self.replays.saturating_sub(1);
        replayed
    }

    /// What has been decided of it.
    pub fn verdict(&self) -> Option<&ServerVerdict> {
        self.verdict.as_deref()
    }

    /// This is decided of it, or is being.
    pub fn is_judged(&mut self, verdict: ServerVerdict) {
        self.verdict = Some(Box::new(verdict));
    }

    /// What has been decided of it, which is forgotten.
    pub fn take_verdict(&mut self) -> Option<ServerVerdict> {
        self.verdict.take().map(|verdict| *verdict)
    }
}
