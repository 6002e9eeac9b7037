//! `CLIENT PAUSE` and `CLIENT UNPAUSE` through narrows: the server does what they say, and narrows
//! takes nothing for late or dead that is only held up. What the server would hold up is held here,
//! so that no pipe has such a request in front of those that pass.

use std::time::Duration;

use crate::admission::Paused;
use crate::command::{Bracket as Verb, Route, Spec};
use crate::resp::{Args, integer};

use super::Engine;
use super::backend::{Access, Backend};
use super::hold::{Hold, Outcome};
use super::key::ClientId;
use super::request::access_of;

/// How often those who are held up look whether somebody has ended the pause.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What one asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseOrder {
    /// `CLIENT PAUSE`.
    Begin(Duration, Paused),
    /// `CLIENT UNPAUSE`.
    End,
}

impl PauseOrder {
    /// That of a request, if it is one of these. What the server would refuse is none.
    pub fn of(request: &[u8]) -> Option<Self> {
        let mut args = Args::new(request).skip(1);
        let verb = args.next()?;
        if verb.eq_ignore_ascii_case(b"unpause") {
            return Some(Self::End);
        }
        if !verb.eq_ignore_ascii_case(b"pause") {
            return None;
        }
        let ms = u64::try_from(integer(args.next()?)?).ok()?;
        let writes = args
            .next()
            .is_some_and(|word| word.eq_ignore_ascii_case(b"write"));
        let what = match writes {
            true => Paused::Writes,
            false => Paused::All,
        };
        Some(Self::Begin(Duration::from_millis(ms), what))
    }
}

impl Engine {
    /// The server has answered such an order.
    pub(super) fn pause_answered(&mut self, order: PauseOrder, reply: &[u8]) {
        if reply != b"+OK\r\n" {
            return;
        }
        let pause = &self.shared.pause;
        match order {
            PauseOrder::Begin(length, what) => {
                tracing::info!(?length, ?what, "the server is paused by a client");
                pause.begin(self.now, length, what);
            }
            PauseOrder::End => {
                tracing::info!("the server is paused no more, by a client");
                pause.end(self.now);
            }
        }
        self.wake_at(self.now);
    }

    /// Looks at the pause, for the requests that are judged next.
    #[inline]
    pub(super) fn look_at_pause(&mut self) {
        self.paused = self.shared.pause.holds_up(self.now);
    }

    /// Whether the server would hold up a request that needs this access.
    pub(super) fn pause_holds_up(&self, access: Access) -> bool {
        match self.paused {
            Some(Paused::All) => true,
            Some(Paused::Writes) => access == Access::Write,
            None => false,
        }
    }

    /// Holds a request if the server would. Rights and arguments are looked at before, as there
    /// (`processCommand`, server.c).
    pub(super) fn held_up(&mut self, id: ClientId, spec: &Spec, argc: u32) -> Option<Outcome> {
        self.paused?;
        let refused = spec.on_server == Some(false) || !spec.accepts(argc);
        // What ends a pause must not wait for its end; the server itself decides.
        if refused || spec.route == Route::OwnConnection {
            return None;
        }
        let access = match spec.route {
            // By what it runs.
            Route::Bracket(Verb::Exec) => self.lent(id).map_or(Access::Read, |lent| lent.queues),
            _ => access_of(spec),
        };
        self.pause_holds_up(access).then(|| self.hold_for_pause(id))
    }

    /// What a pause will hold up of a transaction: this is sent on its client's own backend.
    pub(super) fn queues(&mut self, id: ClientId, spec: &Spec) {
        if let Some(lent) = self.lent(id) {
            lent.queues = match spec.route {
                Route::Bracket(Verb::Multi) => Access::Read,
                _ => lent.queues.max(access_of(spec)),
            };
        }
    }

    /// The client's next request waits for the end of the pause.
    pub(super) fn hold_for_pause(&mut self, id: ClientId) -> Outcome {
        if self.held_up.is_empty() {
            self.held_up_in = self.paused;
        }
        self.held_up.push(id);
        self.wake_at(self.now + LOOK_AGAIN);
        self.hold(id, Hold::Pause)
    }

    /// Lets those go on who were held up, if that is over, or others are held up now.
    pub(super) fn expire_pause(&mut self) {
        if self.held_up.is_empty() {
            return;
        }
        self.look_at_pause();
        if self.paused.is_some() && self.paused == self.held_up_in {
            return self.wake_at(self.now + LOOK_AGAIN);
        }
        for id in std::mem::take(&mut self.held_up) {
            self.end_hold(id, Hold::Pause);
        }
    }

    /// From when on the clock runs of what began to wait at `since`, and waits for anything that
    /// the server does.
    pub(super) fn counts_from(&self, since: Duration) -> Duration {
        self.shared.pause.counts_from(since, Paused::All)
    }

    /// Since when nothing has come from a backend that could have come.
    pub(super) fn silent_since(&self, backend: &Backend) -> Duration {
        let held_by = match backend.owes_despite_a_pause() {
            true => Paused::All,
            false => Paused::Writes,
        };
        self.shared.pause.counts_from(backend.heard_at, held_by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::write;

    fn order(words: &[&[u8]]) -> Option<PauseOrder> {
        let mut request = Vec::new();
        write::request(&mut request, words);
        PauseOrder::of(&request)
    }

    #[test]
    fn an_order_is_read_as_the_server_reads_it() {
        let second = Duration::from_secs(1);
        let all = Some(PauseOrder::Begin(second, Paused::All));
        assert_eq!(order(&[b"client", b"pause", b"1000"]), all);
        assert_eq!(order(&[b"CLIENT", b"PAUSE", b"1000", b"all"]), all);
        let writes = Some(PauseOrder::Begin(second, Paused::Writes));
        assert_eq!(order(&[b"CLIENT", b"Pause", b"1000", b"Write"]), writes);
        assert_eq!(order(&[b"CLIENT", b"UNPAUSE"]), Some(PauseOrder::End));
        for none in [
            &[b"CLIENT" as &[u8], b"PAUSE", b"x"][..],
            &[b"CLIENT", b"PAUSE", b"-1"],
        ] {
            assert_eq!(order(none), None);
        }
        assert_eq!(order(&[b"SCRIPT", b"KILL"]), None);
    }
}
