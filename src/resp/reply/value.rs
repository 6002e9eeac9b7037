//! The fast way through a reply: whole values that are not aggregates, and whole lines of lengths,
//! when they lie in the chunk. Whatever is cut, odd or wrong is left to the byte-wise way, which
//! alone judges.

use super::kind::ReplyKind;
use crate::resp::number::{is_double_byte, length_line};

/// One whole value at the head of `bytes` that is no aggregate, and what follows it.
#[inline]
pub(super) fn whole(bytes: &[u8]) -> Option<(ReplyKind, &[u8])> {
    let (&kind, after) = bytes.split_first()?;
    match kind {
        b'$' => bulk(after),
        b'+' => Some((ReplyKind::Status, text(after)?)),
        b':' => Some((ReplyKind::Integer, integer(after)?)),
        b'-' => Some((ReplyKind::Error, text(after)?)),
        b'_' => match after {
            [b'\r', b'\n', rest @ ..] => Some((ReplyKind::Null, rest)),
            _ => None,
        },
        b'#' => match after {
            [b't' | b'f', b'\r', b'\n', rest @ ..] => Some((ReplyKind::Boolean, rest)),
            _ => None,
        },
        b',' => Some((ReplyKind::Double, number(after)?)),
        _ => None,
    }
}

/// Leaps through up to `left` whole values that are no aggregates: what follows them, and how many
/// there were.
#[inline]
pub(super) fn run(mut bytes: &[u8], left: u64) -> (&[u8], u64) {
    let mut taken = 0;
    while taken < left {
        // Strings are what arrays are mostly of.
        let value = match bytes {
            [b'$', after @ ..] => bulk(after),
            _ => whole(bytes),
        };
        let Some((_, rest)) = value else {
            break;
        };
        bytes = rest;
        taken += 1;
    }
    (bytes, taken)
}

/// The number of values that a whole aggregate head announces, and what follows it.
#[inline]
pub(super) fn head(bytes: &[u8]) -> Option<(u8, u64, &[u8])> {
    match bytes {
        [kind @ (b'*' | b'%' | b'~' | b'>'), after @ ..] => {
            let (count, rest) = length_line(after)?;
            Some((*kind, count, rest))
        }
        _ => None,
    }
}

#[inline(always)]
fn bulk(after: &[u8]) -> Option<(ReplyKind, &[u8])> {
    let Some((len, after)) = length_line(after) else {
        return match after {
            [b'-', b'1', b'\r', b'\n', rest @ ..] => Some((ReplyKind::Null, rest)),
            _ => None,
        };
    };
    let end = after.get(usize::try_from(len).ok()?..)?;
    let (end, rest) = end.split_first_chunk()?;
    (end == b"\r\n").then_some((ReplyKind::Bulk, rest))
}

#[inline]
fn text(after: &[u8]) -> Option<&[u8]> {
    // By far the commonest line; shorter than a search.
    if let Some((b"OK\r\n", rest)) = after.split_first_chunk() {
        return Some(rest);
    }
    let end = memchr::memchr(b'\r', after)?;
    match after.get(end..)? {
        [b'\r', b'\n', rest @ ..] => Some(rest),
        _ => None,
    }
}

#[inline]
fn integer(after: &[u8]) -> Option<&[u8]> {
    if let [b'-', digits @ ..] = after {
        let (magnitude, rest) = length_line(digits)?;
        return (magnitude > 0).then_some(rest);
    }
    length_line(after).map(|(_, rest)| rest)
}

#[inline]
fn number(after: &[u8]) -> Option<&[u8]> {
    let end = after.iter().position(|&byte| !is_double_byte(byte))?;
    if end == 0 {
        return None;
    }
    match after.get(end..)? {
        [b'\r', b'\n', rest @ ..] => Some(rest),
        _ => None,
    }
}
