//! The keys that a command waits on, read from the request alone: in whose lines its client stands, and
//! the same request on some of them, or from another place of a stream on.

use crate::resp::{Args, integer, write};

/// What a command waits on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitTarget {
    /// So many keys, of a family, from this argument on; it can do with fewer of them.
    Keys(Family, KeySpan),
    /// The same, with their number before them.
    Counted(Family, KeySpan),
    /// One list, from which it moves on what comes.
    Source(KeySpan),
    /// So many streams, and as many ids behind them, of which each entry goes to one reader.
    Assigned(KeySpan),
    /// The same, of which each entry goes to all who read.
    Read(KeySpan),
    /// Acknowledgements of what its own connection has written.
    Writes,
    /// What is not known here, because the server is going to refuse it; or what an element alone does
    /// not serve (`BLMOVEM … EXACTLY 3`), so that whoever waits behind it goes first, as directly.
    Unknown,
}

/// What a key has to hold to serve a wait. One that waits for another family does not stand in its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// A list.
    List,
    /// A sorted set.
    SortedSet,
    /// A group of a stream.
    Group,
}

/// Where the keys of a request are, its name being argument 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySpan {
    first: usize,
    count: usize,
}

impl WaitTarget {
    /// Of a complete request for the command of this name, in lower case, that may wait.
    pub fn of(name: &str, request: &[u8]) -> Self {
        let argc = Args::new(request).count();
        let to_timeout = KeySpan {
            first: 1,
            count: argc.saturating_sub(2),
        };
        let source = KeySpan { first: 1, count: 1 };
        match name {
            "blpop" | "brpop" => Self::Keys(Family::List, to_timeout),
            "bzpopmin" | "bzpopmax" => Self::Keys(Family::SortedSet, to_timeout),
            "blmove" | "brpoplpush" => Self::Source(source),
            "blmovem" if !waits_for_several(request) => Self::Source(source),
            "blmpop" => Self::counted(Family::List, request, argc),
            "bzmpop" => Self::counted(Family::SortedSet, request, argc),
            "xread" => streams(request).map_or(Self::Unknown, Self::Read),
            "xreadgroup" => streams(request).map_or(Self::Unknown, Self::Assigned),
            "wait" | "waitaof" => Self::Writes,
            _ => Self::Unknown,
        }
    }

    /// `timeout numkeys key …`
    fn counted(family: Family, request: &[u8], argc: usize) -> Self {
        let count = Args::new(request).nth(2).and_then(integer);
        match count.and_then(|count| usize::try_from(count).ok()) {
            // The server refuses the request when it has fewer arguments than it announces keys.
            Some(count) if count > 0 && count <= argc.saturating_sub(3) => {
                Self::Counted(family, KeySpan { first: 3, count })
            }
            _ => Self::Unknown,
        }
    }

    /// Whether the server says without any waiting, inside `MULTI`, what it comes to now.
    pub fn may_be_tried(self) -> bool {
        self != Self::Writes
    }

    /// The keys on which one is served after the other, in the order of the request.
    pub fn contended(self, request: &[u8]) -> impl Iterator<Item = (Family, &[u8])> {
        let (family, place) = match self {
            Self::Keys(family, place) | Self::Counted(family, place) => (family, place),
            Self::Source(place) => (Family::List, place),
            Self::Assigned(place) => (Family::Group, place),
            Self::Read(_) | Self::Writes | Self::Unknown => {
                (Family::List, KeySpan { first: 0, count: 0 })
            }
        };
        let args = Args::new(request).skip(place.first).take(place.count);
        args.map(move |key| (family, key))
    }

    /// The streams that it reads from where they end when it arrives, with the place of each among
    /// its streams.
    pub fn from_their_ends<'r>(&self, request: &'r [u8]) -> Vec<(usize, &'r [u8])> {
        let Self::Read(KeySpan { first, count }) = *self else {
            return Vec::new();
        };
        let ids = Args::new(request).skip(first + count);
        let keys = Args::new(request).skip(first).take(count);
        let both = keys.zip(ids).enumerate();
        both.filter(|(_, (_, id))| *id == b"$")
            .map(|(place, (key, _))| (place, key))
            .collect()
    }

    /// The same request, with other ids for the streams at these places.
    pub fn with_ids(&self, request: &[u8], ids: &[(usize, Vec<u8>)]) -> Vec<u8> {
        let (first, count) = match *self {
            Self::Read(place) | Self::Assigned(place) => (place.first, place.count),
            _ => (usize::MAX, 0),
        };
        let args = Args::new(request).enumerate().map(|(at, arg)| {
            let place = at.checked_sub(first.saturating_add(count));
            let id = ids.iter().find(|(of, _)| Some(*of) == place);
            id.map_or(arg, |(_, id)| id.as_slice())
        });
        let args: Vec<&[u8]> = args.collect();
        let mut out = Vec::with_capacity(request.len() + 32);
        write::request(&mut out, &args);
        out
    }

    /// Writes a request of these arguments that waits on those of its keys alone that `keeps` says yes
    /// to, by their places.
    pub(super) fn write_narrowed(
        &self,
        args: &[&[u8]],
        keeps: impl Fn(usize) -> bool,
        out: &mut Vec<u8>,
    ) {
        let (place, counted, ids) = match *self {
            Self::Keys(_, place) => (place, false, false),
            Self::Counted(_, place) => (place, true, false),
            Self::Assigned(place) => (place, false, true),
            Self::Source(_) | Self::Read(_) | Self::Writes | Self::Unknown => {
                return write::request(out, args);
            }
        };
        let kept = (0..place.count).filter(|key| keeps(*key)).count();
        if kept == 0 || kept == place.count {
            return write::request(out, args);
        }
        let number = kept.to_string();
        let narrowed = args.iter().enumerate().filter_map(|(at, arg)| {
            let key = at.checked_sub(place.first);
            match key {
                None if counted && at + 1 == place.first => Some(number.as_bytes()),
                Some(key) if key < place.count => keeps(key).then_some(*arg),
                Some(key) if ids && key < 2 * place.count => {
                    keeps(key - place.count).then_some(*arg)
                }
                _ => Some(*arg),
            }
        });
        let narrowed: Vec<&[u8]> = narrowed.collect();
        write::request(out, &narrowed);
    }
}

/// Whether this `BLMOVEM` waits for more than there being something (`blmovemGenericCommand`, t_list.c).
fn waits_for_several(request: &[u8]) -> bool {
    let mut options = Args::new(request).skip(6);
    options.any(|option| option.eq_ignore_ascii_case(b"exactly"))
}

/// Where the option `BLOCK` of an `XREAD` or `XREADGROUP` stands. From an option on that is not known
/// here any such word counts.
pub(super) fn block_at(request: &[u8]) -> Option<usize> {
    match walk(request) {
        Walked::Known { block, .. } => block,
        Walked::Unknown => Args::new(request).position(|arg| arg.eq_ignore_ascii_case(b"block")),
    }
}

/// What follows `STREAMS`: as many ids as keys.
fn streams(request: &[u8]) -> Option<KeySpan> {
    let Walked::Known { first, .. } = walk(request) else {
        return None;
    };
    let behind = Args::new(request).count().checked_sub(first)?;
    let count = behind / 2;
    (count > 0 && behind.is_multiple_of(2)).then_some(KeySpan { first, count })
}

enum Walked {
    Known { block: Option<usize>, first: usize },
    Unknown,
}

/// Walks the options as the server does (`xreadCommand`, t_stream.c).
fn walk(request: &[u8]) -> Walked {
    let known: &[(&[u8], usize)] = &[
        (b"count", 1),
        (b"block", 1),
        (b"group", 2),
        (b"noack", 0),
        (b"claim", 1),
        (b"maxcount", 1),
        (b"maxsize", 1),
    ];
    let (mut block, mut at) = (None, 1);
    let mut args = Args::new(request).skip(1);
    while let Some(option) = args.next() {
        if option.eq_ignore_ascii_case(b"streams") {
            let first = at + 1;
            return Walked::Known { block, first };
        }
        let found = known
            .iter()
            .find(|(name, _)| option.eq_ignore_ascii_case(name));
        let Some((name, values)) = found else {
            return Walked::Unknown;
        };
        if *name == b"block" {
            block = Some(at);
        }
        at += 1 + values;
        for _ in 0..*values {
            args.next();
        }
    }
    Walked::Unknown
}

/// The id of the last entry that a stream has had, by the reply to `XINFO STREAM`, of which the
/// beginning is enough. `None` when the reply is another one.
pub fn last_generated_id(reply: &[u8]) -> Option<Vec<u8>> {
    // Integers alone stand before it.
    const NAME: &[u8] = b"last-generated-id\r\n$";
    let at = reply.windows(NAME.len()).position(|part| part == NAME)?;
    let rest = reply.get(at + NAME.len()..)?;
    let mut lines = rest.split_inclusive(|byte| *byte == b'\n');
    let (length, id) = (lines.next()?, lines.next()?);
    let length = integer(length.strip_suffix(b"\r\n")?)?;
    let id = id.strip_suffix(b"\r\n")?;
    (usize::try_from(length) == Ok(id.len())).then(|| id.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Vec<u8> {
        let args: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
        let mut request = Vec::new();
        write::request(&mut request, &args);
        request
    }

    fn on(text: &str) -> WaitTarget {
        let name = text.split(' ').next().unwrap().to_ascii_lowercase();
        WaitTarget::of(&name, &request(text))
    }

    fn contended(text: &str) -> String {
        let request = request(text);
        let keys = on(text).contended(&request);
        let keys: Vec<String> = keys
            .map(|(_, key)| String::from_utf8_lossy(key).into_owned())
            .collect();
        keys.join(" ")
    }

    #[test]
    fn the_keys_of_a_wait_are_those_that_it_takes_from() {
        for (text, keys) in [
            ("BLPOP a b 0", "a b"),
            ("BZPOPMAX z 1.5", "z"),
            ("BLMOVE a b LEFT RIGHT 0", "a"),
            ("BLMOVEM a b LEFT RIGHT 0", "a"),
            ("BLMOVEM a b LEFT RIGHT 0 COUNT 3 OBO", "a"),
            ("BLMOVEM a b LEFT RIGHT 0 exactly 3 OBO", ""),
            ("BRPOPLPUSH a b 0", "a"),
            ("BLMPOP 0 2 a b LEFT COUNT 3", "a b"),
            ("BZMPOP 0 1 z MIN", "z"),
            (
                "XREADGROUP GROUP g c COUNT 2 BLOCK 0 NOACK STREAMS s t > >",
                "s t",
            ),
            // Whoever reads takes nothing from others.
            ("XREAD BLOCK 0 STREAMS s $", ""),
            ("WAIT 1 0", ""),
            // The server refuses these.
            ("BLMPOP 0 9 a b LEFT", ""),
            ("BLMPOP 0 x a LEFT", ""),
            ("XREADGROUP GROUP g c BLOCK 0 STREAMS s t >", ""),
        ] {
            assert_eq!(contended(text), keys, "{text}");
        }
    }

    #[test]
    fn a_wait_on_some_of_its_keys_is_the_same_on_those() {
        for (text, narrowed) in [
            ("BLPOP a b c 0", "BLPOP b 0"),
            ("BZPOPMIN a b c 0", "BZPOPMIN b 0"),
            ("BLMPOP 0 3 a b c LEFT COUNT 2", "BLMPOP 0 1 b LEFT COUNT 2"),
            (
                "XREADGROUP GROUP g x BLOCK 0 STREAMS a b c > 0 >",
                "XREADGROUP GROUP g x BLOCK 0 STREAMS b 0",
            ),
            // These wait on one key, or take nothing from anybody.
            ("BLMOVE a b LEFT LEFT 0", "BLMOVE a b LEFT LEFT 0"),
            (
                "XREAD BLOCK 0 STREAMS a b $ 1",
                "XREAD BLOCK 0 STREAMS a b $ 1",
            ),
        ] {
            let args: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
            let mut out = Vec::new();
            on(text).write_narrowed(&args, |key| key == 1, &mut out);
            assert_eq!(out, request(narrowed), "{text}");
        }
    }

    #[test]
    fn where_a_stream_ends_is_written_in_the_place_of_what_asks_for_it() {
        let text = "XREAD COUNT 1 BLOCK 0 STREAMS $ b c $ 5 $";
        let asked = request(text);
        let ends = on(text).from_their_ends(&asked);
        assert_eq!(ends, [(0, &b"$"[..]), (2, b"c")]);
        let ids = [(0, b"0-0".to_vec()), (2, b"7-1".to_vec())];
        let resolved = request("XREAD COUNT 1 BLOCK 0 STREAMS $ b c 0-0 5 7-1");
        assert_eq!(on(text).with_ids(&asked, &ids), resolved);
        assert!(
            on("XREADGROUP GROUP g c BLOCK 0 STREAMS s $")
                .from_their_ends(&asked)
                .is_empty()
        );
    }

    #[test]
    fn where_a_stream_ends_is_read_from_the_beginning_of_what_is_said_of_it() {
        let flat = b"*20\r\n$6\r\nlength\r\n:2\r\n$17\r\nlast-generated-id\r\n$15\r\n1638125141232-0\r\n$6\r\ngro";
        assert_eq!(
            last_generated_id(flat).as_deref(),
            Some(&b"1638125141232-0"[..])
        );
        assert_eq!(last_generated_id(b"-ERR no such key\r\n"), None);
        assert_eq!(last_generated_id(&flat[..60]), None);
    }
}
