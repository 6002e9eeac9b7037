//! Proof that a backend lives and is in step: a `PING` with a token that no other reply holds.
//!
//! Everything else here rests on one reply for each request. Should a server ever send one too
//! many or one too few, every later reply would go to the wrong client and nothing in its bytes
//! would tell. A backend that does not give the token back, in its turn, is closed.

use std::time::Duration;

use crate::resp::write;

/// Errors with which a server in step may answer a `PING` (`processCommand`, server.c): all but
/// those that only commands on data get. One that does not know the command by this name, or
/// with a token, cannot be checked.
const ERRORS: [&[u8]; 8] = [
    b"-ERR unknown command",
    b"-ERR wrong number of arguments for 'ping'",
    b"-LOADING ",
    b"-BUSY ",
    b"-NOPERM ",
    b"-NOAUTH ",
    b"-MASTERDOWN ",
    b"-MISCONF ",
];

/// Length of the right answer: `$24`, `narrows:` and 16 digits.
const ANSWER_BYTES: usize = 31;

/// The check of one backend.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// When the last one was sent.
    pub at: Duration,
    /// The token that is awaited.
    pub token: Option<u64>,
}

impl Check {
    /// None yet.
    pub fn new(now: Duration) -> Self {
        Self {
            at: now,
            token: None,
        }
    }

    /// Whether a reply that came in one piece gives the awaited token. In any place but its own
    /// that is the server being out of step, and nobody's data.
    #[inline]
    pub fn is_answered_by(&self, reply: &[u8]) -> bool {
        reply.len() == ANSWER_BYTES
            && self
                .token
                .is_some_and(|token| reply.get(5..29) == Some(text(token).as_bytes()))
    }
}

pub fn text(token: u64) -> String {
    format!("narrows:{token:016x}")
}

/// Whether `reply` is one to a `PING` with `token`. A server that is busy, loads or denies it says
/// so, which is a sign of life too.
pub fn is_answer(reply: &[u8], token: u64) -> bool {
    let mut right = Vec::with_capacity(32);
    write::bulk(&mut right, text(token).as_bytes());
    reply == right || ERRORS.iter().any(|error| reply.starts_with(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_word_itself_or_an_error_of_the_server_as_a_whole_answers() {
        assert!(is_answer(b"$24\r\nnarrows:000000000000002a\r\n", 42));
        assert!(is_answer(
            b"-LOADING Redis is loading the dataset in memory\r\n",
            42
        ));
        for other in [
            &b"$24\r\nnarrows:000000000000002b\r\n"[..],
            b"+PONG\r\n",
            b"+OK\r\n",
            b"$-1\r\n",
            b"-ERR value is not an integer or out of range\r\n",
            b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
        ] {
            assert!(!is_answer(other, 42), "{}", other.escape_ascii());
        }
    }
}
