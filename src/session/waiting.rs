//! What a command that waits says of its wait: for how long, and what it takes when it is served.
//! Read from the request alone, as the server reads it. Whatever cannot be read so is the server's
//! to judge: it refuses it in its own words.

use std::time::Duration;

use crate::resp::{Args, integer};

use super::waited_keys::{WaitTarget, block_at};

/// Which end of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListEnd {
    /// `LPUSH` and `BLPOP`.
    Head,
    /// `RPUSH` and `BRPOP`.
    Tail,
}

/// What a wait takes when it is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Elements off this end of the list that the reply names.
    Elements(ListEnd),
    /// Members of the sorted set that the reply names.
    Members,
    /// Nothing that could be anybody else's: it reads, or has moved or assigned what there was.
    Nothing,
}

/// For how long a command waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// As long as it takes.
    Never,
    /// This long.
    After(Duration),
    /// The server is going to refuse it, or reads it in a way of its own.
    Unreadable,
}

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// See [`Takes`].
    pub takes: Takes,
    /// See [`Timeout`].
    pub timeout: Timeout,
    /// See [`WaitTarget`].
    pub on: WaitTarget,
    timeout_at: usize,
    unit: TimeUnit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TimeUnit {
    Seconds,
    Milliseconds,
}

impl Waiting {
    /// The wait of a complete request for the command of this name, in lower case. `None` for one
    /// that is not known to wait.
    pub fn of(name: &str, request: &[u8]) -> Option<Self> {
        use Takes::{Elements, Members, Nothing};
        let last = Args::new(request).count().checked_sub(1)?;
        let (takes, timeout_at, unit) = match name {
            "blpop" => (Elements(ListEnd::Head), last, TimeUnit::Seconds),
            "brpop" => (Elements(ListEnd::Tail), last, TimeUnit::Seconds),
            "bzpopmin" | "bzpopmax" => (Members, last, TimeUnit::Seconds),
            "blmove" | "brpoplpush" => (Nothing, last, TimeUnit::Seconds),
            "blmovem" => (Nothing, BLMOVEM_TIMEOUT_AT, TimeUnit::Seconds),
            "blmpop" => (Elements(end_of_many(request)), 1, TimeUnit::Seconds),
            "bzmpop" => (Members, 1, TimeUnit::Seconds),
            "xread" | "xreadgroup" => (Nothing, block_at(request)? + 1, TimeUnit::Milliseconds),
            "wait" | "waitaof" => (Nothing, last, TimeUnit::Milliseconds),
            _ => return None,
        };
        let argument = Args::new(request).nth(timeout_at)?;
        Some(Self {
            takes,
            timeout: unit.read(argument),
            on: WaitTarget::of(name, request),
            timeout_at,
            unit,
        })
    }

    /// The same request, waiting for `limit` and no longer. `fractions`: the server reads fractions
    /// of seconds, as from Redis 6 on.
    pub fn limited(&self, request: &[u8], limit: Duration, fractions: bool) -> Vec<u8> {
        self.narrowed(request, limit, fractions, |_| true)
    }

    /// The same, on those of its keys alone, by their places, that `keeps` says yes to. What cannot do
    /// with fewer of them keeps all.
    pub fn narrowed(
        &self,
        request: &[u8],
        limit: Duration,
        fractions: bool,
        keeps: impl Fn(usize) -> bool,
    ) -> Vec<u8> {
        // Never shorter: nobody is to hear before its time that nothing has come.
        let ms = limit.as_nanos().div_ceil(1_000_000).max(1);
        let text = match self.unit {
            TimeUnit::Milliseconds => ms.to_string(),
            TimeUnit::Seconds if fractions => format!("{}.{:03}", ms / 1000, ms % 1000),
            TimeUnit::Seconds => ms.div_ceil(1000).to_string(),
        };
        // The server refuses what cannot be read, and says so itself.
        let read = self.timeout != Timeout::Unreadable;
        let timeout_at = self.timeout_at;
        let args: Vec<&[u8]> = Args::new(request)
            .enumerate()
            .map(|(at, arg)| match read && at == timeout_at {
                true => text.as_bytes(),
                false => arg,
            })
            .collect();
        let mut limited = Vec::with_capacity(request.len() + 8);
        self.on.write_narrowed(&args, keeps, &mut limited);
        limited
    }
}

/// What `WAIT` and `WAITAOF` ask for at least, without which they wait: the numbers in front of their
/// timeout. None for what waits for data.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Least(Vec<i64>);

impl Least {
    /// That of `request`, whose command has this name.
    pub fn of(name: &str, request: &[u8]) -> Self {
        if !matches!(name, "wait" | "waitaof") {
            return Self::default();
        }
        let count = Args::new(request).count().saturating_sub(2);
        let numbers = Args::new(request).skip(1).take(count);
        Self(numbers.filter_map(integer).collect())
    }

    /// Whether a command of this name asks for nothing that could be waited for.
    pub fn is_nothing(&self, name: &str) -> bool {
        matches!(name, "wait" | "waitaof") && self.0.iter().all(|least| *least <= 0)
    }

    /// Whether the server has said as much in `reply`, or says something else than numbers.
    pub fn is_reached(&self, reply: &[u8]) -> bool {
        let lines = reply.split(|byte| *byte == b'\n');
        let said = lines.filter_map(|line| integer(line.strip_prefix(b":")?.trim_ascii_end()));
        self.0.iter().zip(said).all(|(least, said)| said >= *least)
    }
}

impl TimeUnit {
    /// As `getTimeoutFromObjectOrReply` does (timeout.c).
    fn read(self, argument: &[u8]) -> Timeout {
        let length = match self {
            Self::Milliseconds => integer(argument).and_then(|ms| u64::try_from(ms).ok()),
            Self::Seconds => seconds(argument),
        };
        match length {
            Some(0) => Timeout::Never,
            Some(ms) => Timeout::After(Duration::from_millis(ms)),
            None => Timeout::Unreadable,
        }
    }
}

/// Milliseconds, rounded up.
fn seconds(argument: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(argument).ok()?;
    // What `strtold` reads and this does not, or otherwise: the words for no number.
    let digits = text
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    let seconds: f64 = text.parse().ok().filter(|_| digits)?;
    let ms = (seconds * 1000.0).ceil();
    // A century is as good as for ever, and far below where the server refuses.
    (0.0..=MILLISECONDS_MAX).contains(&ms).then_some(ms as u64)
}

/// `BLMOVEM source destination LEFT|RIGHT LEFT|RIGHT timeout …`
const BLMOVEM_TIMEOUT_AT: usize = 5;

/// The longest timeout that is read, in milliseconds.
const MILLISECONDS_MAX: f64 = 3.2e12;

/// The end that a `BLMPOP` takes from.
fn end_of_many(request: &[u8]) -> ListEnd {
    let mut args = Args::new(request).skip(2);
    let keys = args.next().and_then(integer).unwrap_or(0);
    let word = args.nth(usize::try_from(keys).unwrap_or(0));
    match word {
        Some(word) if word.eq_ignore_ascii_case(b"right") => ListEnd::Tail,
        _ => ListEnd::Head,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::write;

    fn request(text: &str) -> Vec<u8> {
        let args: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
        let mut request = Vec::new();
        write::request(&mut request, &args);
        request
    }

    fn waiting(text: &str) -> Waiting {
        let name = text.split(' ').next().unwrap().to_ascii_lowercase();
        Waiting::of(&name, &request(text)).unwrap()
    }

    #[test]
    fn what_is_taken_is_read_from_the_command() {
        let head = Takes::Elements(ListEnd::Head);
        let tail = Takes::Elements(ListEnd::Tail);
        for (text, takes) in [
            ("BLPOP a b 0", head),
            ("BRPOP a 0", tail),
            ("BLMPOP 0 2 a b LEFT", head),
            ("BLMPOP 0 1 left right COUNT 2", tail),
            ("BZPOPMIN z 0", Takes::Members),
            ("BZMPOP 0 1 z MAX", Takes::Members),
            ("BLMOVE a b LEFT LEFT 0", Takes::Nothing),
            ("BRPOPLPUSH a b 0", Takes::Nothing),
            ("BLMOVEM a b LEFT LEFT 0 EXACTLY 3 OBO", Takes::Nothing),
            ("XREAD BLOCK 0 STREAMS s $", Takes::Nothing),
        ] {
            assert_eq!(waiting(text).takes, takes, "{text}");
            assert_eq!(waiting(text).timeout, Timeout::Never, "{text}");
        }
        assert_eq!(Waiting::of("get", &request("GET a")), None);
    }

    #[test]
    fn a_timeout_is_read_in_its_unit_and_rounded_up() {
        let ms = |ms| Timeout::After(Duration::from_millis(ms));
        for (text, timeout) in [
            ("BLPOP a 1", ms(1000)),
            ("BLPOP a 0.0001", ms(1)),
            ("BLPOP a 1e1", ms(10_000)),
            ("BLPOP a .5", ms(500)),
            ("BLMPOP 0.25 1 a LEFT", ms(250)),
            ("WAIT 1 250", ms(250)),
            ("BLMOVEM a b LEFT RIGHT 2 COUNT 9 BULK", ms(2000)),
            ("XREADGROUP GROUP g c COUNT 2 BLOCK 7 STREAMS s >", ms(7)),
            ("BLPOP a -1", Timeout::Unreadable),
            ("BLPOP a nan", Timeout::Unreadable),
            ("BLPOP a inf", Timeout::Unreadable),
            ("BLPOP a x", Timeout::Unreadable),
            ("BLPOP a 1e30", Timeout::Unreadable),
            ("WAIT 1 0.5", Timeout::Unreadable),
            ("XREAD BLOCK -1 STREAMS s $", Timeout::Unreadable),
        ] {
            assert_eq!(waiting(text).timeout, timeout, "{text}");
        }
    }

    #[test]
    fn a_limited_request_differs_in_its_timeout_alone() {
        let slice = Duration::from_millis(1);
        for (text, fractions, limited) in [
            ("BLPOP a 0", true, "BLPOP a 0.001"),
            ("BLPOP a 0", false, "BLPOP a 1"),
            (
                "XREADGROUP GROUP block c BLOCK 0 STREAMS s >",
                true,
                "XREADGROUP GROUP block c BLOCK 1 STREAMS s >",
            ),
            ("BZMPOP 0 1 z MIN", true, "BZMPOP 0.001 1 z MIN"),
            (
                "XREAD BLOCK 0 STREAMS s $",
                true,
                "XREAD BLOCK 1 STREAMS s $",
            ),
            ("WAIT 1 0", true, "WAIT 1 1"),
        ] {
            let found = waiting(text).limited(&request(text), slice, fractions);
            assert_eq!(found, request(limited), "{text}");
        }
    }

    #[test]
    fn what_wait_asks_for_at_least_is_told_from_what_it_gets() {
        let one = Least::of("wait", &request("WAIT 1 100"));
        assert!(one.is_reached(b":1\r\n") && one.is_reached(b":3\r\n"));
        assert!(!one.is_reached(b":0\r\n"));
        assert!(one.is_reached(b"-ERR no\r\n"), "that is no wait");
        let none = Least::of("wait", &request("WAIT 0 100"));
        assert!(none.is_reached(b":0\r\n"));
        assert!(none.is_nothing("wait") && !one.is_nothing("wait"));
        assert!(!Least::default().is_nothing("blpop"));
        let both = Least::of("waitaof", &request("WAITAOF 1 2 0"));
        assert!(both.is_reached(b"*2\r\n:1\r\n:2\r\n"));
        assert!(!both.is_reached(b"*2\r\n:1\r\n:1\r\n"));
        assert!(!both.is_reached(b"*2\r\n:0\r\n:2\r\n"));
        let data = Least::of("blpop", &request("BLPOP 5 1"));
        assert!(data.is_reached(b":0\r\n"));
    }
}
