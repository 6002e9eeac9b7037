//! The fast way through a reply: whole values that are not aggregates, and whole lines of lengths,
//! when they lie in the chunk. Whatever is cut, odd or wrong is left to the byte-wise way, which
//! alone judges.

use super::{ReplyKind, is_number_byte};
use crate::resp::limits::Limits;
use crate::resp::number::length_line;

/// One whole value at the head of `bytes` that is no aggregate, and what follows it.
#[inline]
pub(super) fn whole<'a>(bytes: &'a [u8], limits: &Limits) -> Option<(ReplyKind, &'a [u8])> {
    let (&kind, after) = bytes.split_first()?;
    match kind {
        b'$' => bulk(after, limits),
        b'+' => Some((ReplyKind::Status, text(after, limits)?)),
        b':' => Some((ReplyKind::Integer, integer(after)?)),
        b'-' => Some((ReplyKind::Error, text(after, limits)?)),
        b'_' => match after {
            [b'\r', b'\n', rest @ ..] => Some((ReplyKind::Null, rest)),
            _ => None,
        },
        b'#' => match after {
            [b't' | b'f', b'\r', b'\n', rest @ ..] => Some((ReplyKind::Boolean, rest)),
            _ => None,
        },
        b',' => Some((ReplyKind::Double, number(after, limits)?)),
        _ => None,
    }
}

/// Leaps through up to `left` whole values that are no aggregates: what follows them, and how many
/// there were.
#[inline]
pub(super) fn run<'a>(mut bytes: &'a [u8], left: u64, limits: &Limits) -> (&'a [u8], u64) {
    let mut taken = 0;
    while taken < left {
        // Strings are what arrays are mostly of.
        let value = match bytes {
            [b'$', after @ ..] => bulk(after, limits),
            _ => whole(bytes, limits),
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
fn bulk<'a>(after: &'a [u8], limits: &Limits) -> Option<(ReplyKind, &'a [u8])> {
    let Some((len, after)) = length_line(after) else {
        return match after {
            [b'-', b'1', b'\r', b'\n', rest @ ..] => Some((ReplyKind::Null, rest)),
            _ => None,
        };
    };
    if len > limits.bulk_bytes_max {
        return None;
    }
    let end = after.get(usize::try_from(len).ok()?..)?;
    let (end, rest) = end.split_first_chunk()?;
    (end == b"\r\n").then_some((ReplyKind::Bulk, rest))
}

#[inline]
fn text<'a>(after: &'a [u8], limits: &Limits) -> Option<&'a [u8]> {
    // By far the commonest line; shorter than a search.
    if let Some((b"OK\r\n", rest)) = after.split_first_chunk()
        && limits.bulk_bytes_max >= 2
    {
        return Some(rest);
    }
    let end = memchr::memchr(b'\r', after)?;
    if end as u64 > limits.bulk_bytes_max {
        return None;
    }
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
fn number<'a>(after: &'a [u8], limits: &Limits) -> Option<&'a [u8]> {
    let end = after.iter().position(|&byte| !is_number_byte(byte))?;
    if end == 0 || end >= limits.header_allowed() {
        return None;
    }
    match after.get(end..)? {
        [b'\r', b'\n', rest @ ..] => Some(rest),
        _ => None,
    }
}
