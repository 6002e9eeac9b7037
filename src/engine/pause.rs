//! `CLIENT PAUSE` and `CLIENT UNPAUSE` through narrows: the server does what they say, and narrows
//! takes nothing for late or dead that is only held up.

use std::time::Duration;

use crate::admission::Paused;
use crate::resp::{Args, integer};

use super::Engine;
use super::backend::Backend;

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
