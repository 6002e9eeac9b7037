//! Where the keys of a request are: a rule per command, and the walk that applies it. It reads
//! arguments and nothing else; a request that the server would refuse for its shape has no keys
//! here either.

use crate::resp::{Args, integer};

/// Where the keys of a command are. Positions count the command's name as 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyRule {
    /// It has none.
    None,
    /// From `first` to `last`, every `step`-th argument.
    Range {
        /// Position of the first key; at least 1.
        first: u32,
        /// Position of the last key; negative counts from the end, -1 being the last argument.
        last: i32,
        /// Distance from one key to the next; at least 1.
        step: u32,
    },
    /// The argument at `count_at` is the number of keys; they follow it.
    Counted {
        /// Position of the number.
        count_at: u32,
        /// Distance from one key to the next: 2 where each key is followed by its value.
        step: u32,
        /// Whether the first argument is a key as well: the destination.
        destination: bool,
    },
    /// The first half of what follows `STREAMS` (`XREAD`, `XREADGROUP`).
    Streams,
    /// The first argument, and the one behind the last `STORE` (`SORT`).
    SortStore,
    /// The first argument, and the one behind the last `STORE` or `STOREDIST` (`GEORADIUS`).
    GeoStore,
    /// Somewhere, by a rule of its own that is not known here.
    Unknown,
}

impl KeyRule {
    /// The keys of `frame`, a complete canonical request of a command of this rule; none for
    /// [`KeyRule::Unknown`].
    pub fn keys_of(self, frame: &[u8]) -> Keys<'_> {
        let args = Args::new(frame);
        let found = match self {
            Self::None | Self::Unknown => None,
            Self::Range { first, last, step } => ranged(args, first, last, step),
            Self::Counted {
                count_at,
                step,
                destination,
            } => counted(args, count_at, step, destination),
            Self::Streams => streams(args),
            Self::SortStore => stored(args, SORT_OPTIONS_AT, &[b"store"]),
            Self::GeoStore => stored(args, GEORADIUS_OPTIONS_AT, &[b"store", b"storedist"]),
        };
        found.unwrap_or_else(|| Keys::every(Args::new(&[]), 0, 1))
    }
}

/// The keys of one request, in the order in which they stand there.
#[derive(Clone, Debug)]
pub struct Keys<'a> {
    lead: Option<&'a [u8]>,
    walk: Args<'a>,
    left: u32,
    step: u32,
    tail: Option<&'a [u8]>,
}

impl<'a> Keys<'a> {
    /// `left` keys, the first of which is the next argument of `walk`.
    fn every(walk: Args<'a>, left: u32, step: u32) -> Self {
        Keys {
            lead: None,
            walk,
            left,
            step,
            tail: None,
        }
    }
}

impl<'a> Iterator for Keys<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if let Some(lead) = self.lead.take() {
            return Some(lead);
        }
        if self.left == 0 {
            return self.tail.take();
        }
        let key = self.walk.next();
        self.left -= 1;
        skip(&mut self.walk, self.step.saturating_sub(1));
        key
    }
}

/// Whether this `XREAD` or `XREADGROUP` has the option `BLOCK`. Options are walked as the server
/// walks them; from an option on that is not known here any `BLOCK` counts, since a wait on a
/// shared connection would hold up everybody, and a needless place among the waits costs little.
pub(super) fn waits_for_streams(frame: &[u8]) -> bool {
    let mut args = Args::new(frame);
    args.next();
    while let Some(option) = args.next() {
        match stream_option(option) {
            StreamOption::Block => return true,
            StreamOption::Streams => return false,
            StreamOption::Other {
                values: Some(values),
            } => skip(&mut args, values),
            StreamOption::Other { values: None } => {
                return args.any(|arg| arg.eq_ignore_ascii_case(b"block"));
            }
        }
    }
    false
}

fn ranged(mut args: Args<'_>, first: u32, last: i32, step: u32) -> Option<Keys<'_>> {
    let argc = args.remaining();
    let last = match u32::try_from(last) {
        Ok(last) => last,
        Err(_) => argc.checked_sub(last.unsigned_abs())?,
    };
    let span = last.min(argc.checked_sub(1)?).checked_sub(first)?;
    skip(&mut args, first);
    Some(Keys::every(args, span.checked_div(step)? + 1, step))
}

fn counted(mut args: Args<'_>, count_at: u32, step: u32, destination: bool) -> Option<Keys<'_>> {
    let mut ahead = args.clone();
    let lead = if destination { ahead.nth(1) } else { None };
    skip(&mut args, count_at);
    let count = positive(args.next()?)?;
    // The server refuses the request when it has fewer arguments than it announces keys.
    if count > args.remaining().checked_div(step)? {
        return None;
    }
    Some(Keys {
        lead,
        ..Keys::every(args, count, step)
    })
}

fn streams(mut args: Args<'_>) -> Option<Keys<'_>> {
    args.next();
    loop {
        match stream_option(args.next()?) {
            StreamOption::Streams => break,
            StreamOption::Block => skip(&mut args, 1),
            StreamOption::Other { values } => skip(&mut args, values?),
        }
    }
    let behind = args.remaining();
    // As many ids as keys.
    (behind.is_multiple_of(2)).then(|| Keys::every(args, behind / 2, 1))
}

/// The first argument, and the one behind the last of `words` from position `from` on.
fn stored<'a>(mut args: Args<'a>, from: u32, words: &[&[u8]]) -> Option<Keys<'a>> {
    args.next();
    let walk = args.clone();
    args.next()?;
    skip(&mut args, from.saturating_sub(2));
    let mut tail = None;
    while let Some(arg) = args.next() {
        let values = if words.iter().any(|word| arg.eq_ignore_ascii_case(word)) {
            tail = args.next().or(tail);
            0
        } else {
            sort_option_values(arg)
        };
        skip(&mut args, values);
    }
    Some(Keys {
        tail,
        ..Keys::every(walk, 1, 1)
    })
}

fn skip(args: &mut Args<'_>, count: u32) {
    for _ in 0..count {
        if args.next().is_none() {
            return;
        }
    }
}

enum StreamOption {
    Block,
    Streams,
    Other { values: Option<u32> },
}

/// The options of `XREAD` and `XREADGROUP` (`CLAIM` since Redis 8.4, `MAXCOUNT` and `MAXSIZE` since
/// 8.10) and how many values each takes.
fn stream_option(arg: &[u8]) -> StreamOption {
    let known: &[(&[u8], u32)] = &[
        (b"count", 1),
        (b"group", 2),
        (b"noack", 0),
        (b"claim", 1),
        (b"maxcount", 1),
        (b"maxsize", 1),
    ];
    if arg.eq_ignore_ascii_case(b"block") {
        StreamOption::Block
    } else if arg.eq_ignore_ascii_case(b"streams") {
        StreamOption::Streams
    } else {
        let option = known
            .iter()
            .find(|(name, _)| arg.eq_ignore_ascii_case(name));
        StreamOption::Other {
            values: option.map(|(_, values)| *values),
        }
    }
}

/// How many values the option of `SORT` takes: a value may itself read `STORE`.
fn sort_option_values(arg: &[u8]) -> u32 {
    let known: &[(&[u8], u32)] = &[(b"limit", 2), (b"get", 1), (b"by", 1)];
    let option = known
        .iter()
        .find(|(name, _)| arg.eq_ignore_ascii_case(name));
    option.map_or(0, |(_, values)| *values)
}

/// A number of keys; zero keys are none.
fn positive(arg: &[u8]) -> Option<u32> {
    u32::try_from(integer(arg)?).ok().filter(|count| *count > 0)
}

/// Options of `SORT key …` begin behind the key.
const SORT_OPTIONS_AT: u32 = 2;
/// Options of `GEORADIUS key longitude latitude radius unit …` are looked for here
/// (`georadiusGetKeys`).
const GEORADIUS_OPTIONS_AT: u32 = 5;

#[cfg(test)]
mod tests {
    use crate::command::{CommandTable, KeyRule};
    use crate::resp::write;

    fn keys_by(rule: Option<KeyRule>, request: &str) -> Vec<String> {
        let args: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
        let mut frame = Vec::new();
        write::request(&mut frame, &args);
        let table = CommandTable::builtin();
        let spec = table.named(args[0]).unwrap();
        rule.unwrap_or(spec.keys)
            .keys_of(&frame)
            .map(|key| String::from_utf8_lossy(key).into_owned())
            .collect()
    }

    fn of(request: &str) -> Vec<String> {
        keys_by(None, request)
    }

    #[test]
    fn ranges_count_from_both_ends() {
        assert_eq!(of("GET a"), ["a"]);
        assert_eq!(of("MSET a 1 b 2"), ["a", "b"]);
        assert_eq!(of("BLPOP a b 0"), ["a", "b"]);
        assert_eq!(of("BITOP AND d a b"), ["d", "a", "b"]);
        assert_eq!(of("PING hello"), [""; 0]);
    }

    #[test]
    fn counted_keys_stop_at_their_number() {
        assert_eq!(of("EVAL return 2 a b c"), ["a", "b"]);
        assert_eq!(of("EVAL return 0 c"), [""; 0]);
        assert_eq!(of("ZUNIONSTORE d 2 a b WEIGHTS 1 2"), ["d", "a", "b"]);
        assert_eq!(of("BLMPOP 0 2 a b LEFT"), ["a", "b"]);
        assert_eq!(of("MSETEX 2 a 1 b 2 EX 10"), ["a", "b"]);
    }

    #[test]
    fn a_number_that_cannot_be_gives_no_keys() {
        for count in ["3", "-1", "0", "+1", "01", "x", "", "99999999999999999999"] {
            assert_eq!(
                of(&format!("ZUNIONSTORE d {count} a b")),
                [""; 0],
                "{count}"
            );
        }
    }

    #[test]
    fn streams_are_the_first_half() {
        assert_eq!(of("XREAD COUNT 1 BLOCK 0 STREAMS a b 0 0"), ["a", "b"]);
        assert_eq!(of("XREADGROUP GROUP STREAMS c STREAMS a >"), ["a"]);
        assert_eq!(
            of("XREADGROUP GROUP g c CLAIM 5 MAXCOUNT STREAMS MAXSIZE 9 STREAMS a b > >"),
            ["a", "b"]
        );
        assert_eq!(of("XREAD STREAMS a b 0"), [""; 0]);
        assert_eq!(of("XREAD COUNT 1 a b 0"), [""; 0]);
    }

    #[test]
    fn a_stored_result_is_a_key_too() {
        assert_eq!(of("SORT a LIMIT 0 5 GET STORE STORE b STORE d"), ["a", "d"]);
        assert_eq!(of("SORT a STORE"), ["a"]);
        assert_eq!(of("GEORADIUS a 1 2 3 m STORE b STOREDIST d"), ["a", "d"]);
        assert_eq!(of("GEORADIUSBYMEMBER a m 3 m store b"), ["a", "b"]);
    }

    #[test]
    fn impossible_rules_find_nothing_and_end() {
        let range = |first, last, step| Some(KeyRule::Range { first, last, step });
        assert_eq!(keys_by(range(1, -1, 0), "GET a"), [""; 0]);
        assert_eq!(keys_by(range(1, -9, 1), "GET a"), [""; 0]);
        assert_eq!(keys_by(range(5, 3, 1), "GET a"), [""; 0]);
        assert_eq!(keys_by(range(1, i32::MAX, u32::MAX), "GET a b"), ["a"]);
        assert_eq!(keys_by(range(1, i32::MIN, 1), "GET a b"), [""; 0]);
    }
}
