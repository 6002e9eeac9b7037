//! The fast way through a request: arguments that lie in the chunk as a whole. Whatever is cut, odd
//! or wrong is left to the byte-wise way, which alone judges.

use crate::resp::number::length_line;

/// One argument that is here as a whole and canonical, and what follows it.
#[inline(always)]
pub(super) fn bulk(bytes: &[u8], bulk_bytes_max: u64) -> Option<(&[u8], &[u8])> {
    let [b'$', after @ ..] = bytes else {
        return None;
    };
    let (len, after) = length_line(after)?;
    if len > bulk_bytes_max {
        return None;
    }
    let (data, after) = after.split_at_checked(usize::try_from(len).ok()?)?;
    let (end, rest) = after.split_first_chunk()?;
    (end == b"\r\n").then_some((data, rest))
}

/// Leaps through up to `left` arguments that are here as a whole: what follows them, and how many
/// remain.
#[inline]
pub(super) fn bulks(mut bytes: &[u8], mut left: u32, bulk_bytes_max: u64) -> (&[u8], u32) {
    while left > 0 {
        let Some((_, rest)) = bulk(bytes, bulk_bytes_max) else {
            break;
        };
        bytes = rest;
        left -= 1;
    }
    (bytes, left)
}
