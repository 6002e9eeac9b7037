//! The little RESP that a client of the load speaks: requests written, and where a reply ends. Its
//! own on purpose: the load judges what narrows carries, so it shares no code with it.

/// Appends the head of an array (`*`) or a bulk string (`$`).
pub(crate) fn push_header(out: &mut Vec<u8>, kind: u8, count: usize) {
    out.push(kind);
    out.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends a bulk string.
pub(crate) fn push_bulk(out: &mut Vec<u8>, data: &[u8]) {
    push_header(out, b'$', data.len());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// Appends a command as an array of bulk strings.
pub(crate) fn push_command(out: &mut Vec<u8>, arguments: &[&[u8]]) {
    push_header(out, b'*', arguments.len());
    for argument in arguments {
        push_bulk(out, argument);
    }
}

/// What stands at the beginning of received bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Scan {
    /// A whole reply of so many bytes.
    Whole(usize),
    /// The reply goes on: it has at least this many bytes in all.
    Partial(usize),
    /// No RESP.
    Broken,
}

/// Finds the end of the first reply. Without recursion: `open` counts the replies still to come.
pub(crate) fn scan(bytes: &[u8]) -> Scan {
    let (mut at, mut open) = (0usize, 1u64);
    while open > 0 {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(line) = line(rest) else {
            return if rest.len() > LINE_BYTES_MAX {
                Scan::Broken
            } else {
                Scan::Partial(at + rest.len() + 1)
            };
        };
        let Some((&kind, text)) = line.split_first() else {
            return Scan::Broken;
        };
        at += line.len() + 2;
        open -= 1;
        match kind {
            b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => {}
            b'$' | b'=' | b'!' => match number(text) {
                Some(-1) => {}
                Some(length @ 0..=BULK_BYTES_MAX) => {
                    at += length as usize + 2;
                    if at > bytes.len() {
                        return Scan::Partial(at);
                    }
                    if bytes.get(at - 2..at) != Some(b"\r\n") {
                        return Scan::Broken;
                    }
                }
                _ => return Scan::Broken,
            },
            b'*' | b'~' | b'>' | b'%' => match number(text) {
                Some(-1) => {}
                Some(count @ 0..=ELEMENTS_MAX) => {
                    open += count as u64 * if kind == b'%' { 2 } else { 1 };
                }
                _ => return Scan::Broken,
            },
            _ => return Scan::Broken,
        }
    }
    Scan::Whole(at)
}

/// One reply of those that the load asks for, as a view of its bytes.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) enum Reply<'a> {
    /// `+…`
    Simple(&'a [u8]),
    /// `-…`
    Error(&'a [u8]),
    /// `:…`
    Integer(i64),
    /// `$…`
    Bulk(&'a [u8]),
    /// `$-1`
    NullBulk,
    /// `_`
    Null,
    /// `*n`: what follows are the elements.
    Array(usize, &'a [u8]),
    /// `%n`: what follows are the keys and values.
    Map(usize, &'a [u8]),
    /// Any other kind.
    Other,
}

/// Reads the first reply of `bytes`, which `scan` has found whole, and what follows it. The
/// elements of an array are what follows its head.
pub(crate) fn read(bytes: &[u8]) -> (Reply<'_>, &[u8]) {
    let line = line(bytes).unwrap_or_default();
    let rest = bytes.get(line.len() + 2..).unwrap_or_default();
    let Some((&kind, text)) = line.split_first() else {
        return (Reply::Other, rest);
    };
    match kind {
        b'+' => (Reply::Simple(text), rest),
        b'-' => (Reply::Error(text), rest),
        b'_' => (Reply::Null, rest),
        b':' => (number(text).map_or(Reply::Other, Reply::Integer), rest),
        b'$' => match number(text).and_then(|length| usize::try_from(length).ok()) {
            None => (Reply::NullBulk, rest),
            Some(length) => (
                Reply::Bulk(rest.get(..length).unwrap_or_default()),
                rest.get(length + 2..).unwrap_or_default(),
            ),
        },
        b'*' | b'%' => match number(text).and_then(|count| usize::try_from(count).ok()) {
            None => (Reply::Other, rest),
            Some(count) if kind == b'*' => (Reply::Array(count, rest), rest),
            Some(count) => (Reply::Map(count, rest), rest),
        },
        _ => (Reply::Other, rest),
    }
}

/// A decimal number as Redis writes it.
fn number(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first()? {
        (b'-', digits) => (true, digits),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    let mut value = 0i64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value
            .checked_mul(10)?
            .checked_add(i64::from(digit - b'0'))?;
    }
    Some(if negative { -value } else { value })
}

/// The first line without its end, when it is complete.
fn line(bytes: &[u8]) -> Option<&[u8]> {
    let head = bytes.get(..bytes.len().min(LINE_BYTES_MAX + 2))?;
    let end = head.iter().position(|&byte| byte == b'\r')?;
    (head.get(end + 1) == Some(&b'\n')).then(|| head.get(..end))?
}

/// Far above any line that the load asks for; Redis' own bound on what a client sends.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Redis' default `proto-max-bulk-len`.
const BULK_BYTES_MAX: i64 = 512 * 1024 * 1024;
/// Far above what any request of the load asks for.
const ELEMENTS_MAX: i64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_whole_at_its_last_byte_and_not_before() {
        for reply in [
            &b"+OK\r\n"[..],
            b"-ERR no\r\n",
            b":-12\r\n",
            b"$0\r\n\r\n",
            b"$5\r\na\r\nbc\r\n",
            b"$-1\r\n",
            b"_\r\n",
            b"*0\r\n",
            b"*-1\r\n",
            b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n",
            b"%1\r\n+a\r\n*2\r\n:1\r\n_\r\n",
        ] {
            for cut in 0..reply.len() {
                let part = scan(&reply[..cut]);
                assert!(
                    matches!(part, Scan::Partial(least) if least > cut && least <= reply.len()),
                    "{part:?} of {} cut at {cut}",
                    reply.escape_ascii()
                );
            }
            assert_eq!(scan(reply), Scan::Whole(reply.len()));
            let followed = [reply, b"+next\r\n"].concat();
            assert_eq!(scan(&followed), Scan::Whole(reply.len()));
        }
    }

    #[test]
    fn what_is_no_resp_is_told() {
        for bytes in [
            &b"x\r\n"[..],
            b"\r\n",
            b"$1x\r\n",
            b"$2\r\nabc\r\n",
            b"*-2\r\n",
            b":1\r\n"[1..].as_ref(),
        ] {
            assert_eq!(scan(bytes), Scan::Broken, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn elements_are_read_one_after_the_other() {
        let (head, rest) = read(b"*3\r\n$1\r\na\r\n:7\r\n$-1\r\n");
        assert!(matches!(head, Reply::Array(3, _)));
        let (first, rest) = read(rest);
        let (second, rest) = read(rest);
        let (third, rest) = read(rest);
        assert_eq!(first, Reply::Bulk(b"a"));
        assert_eq!((second, third), (Reply::Integer(7), Reply::NullBulk));
        assert!(rest.is_empty());
    }
}
