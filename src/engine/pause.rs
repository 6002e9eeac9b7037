//! A pause that a client has asked for.

use std::time::Duration;

use crate::admission::Paused;
use crate::resp::{Args, integer};

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
