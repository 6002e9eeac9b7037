//! `EXEC`'s reply taken apart and put together again, where some of its places hold what narrows
//! answers itself. Only ever given a whole reply that a scanner has walked.

use crate::resp::{Limits, ReplyScanner};

/// The elements of an array reply; `None` for a reply of another kind.
fn elements(reply: &[u8]) -> Option<Vec<&[u8]>> {
    let rest = reply.strip_prefix(b"*")?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let (head, mut rest) = rest.split_at_checked(end + 1)?;
    let count: usize = std::str::from_utf8(head).ok()?.trim_end().parse().ok()?;
    let limits = Limits::default();
    let mut elements = Vec::new();
    for _ in 0..count {
        let advance = ReplyScanner::default().advance(rest, &limits).ok()?;
        if !advance.complete {
            return None;
        }
        let (element, after) = rest.split_at_checked(advance.consumed)?;
        elements.push(element);
        rest = after;
    }
    rest.is_empty().then_some(elements)
}

/// The reply with those elements replaced for which `fill` has something else. `None` when it is
/// no array: nothing was run.
pub fn filled(
    reply: &[u8],
    mut fill: impl FnMut(u32, &[u8]) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let elements = elements(reply)?;
    let mut out = Vec::with_capacity(reply.len());
    out.extend_from_slice(format!("*{}\r\n", elements.len()).as_bytes());
    for (at, element) in elements.into_iter().enumerate() {
        match fill(u32::try_from(at).unwrap_or(u32::MAX), element) {
            Some(other) => out.extend_from_slice(&other),
            None => out.extend_from_slice(element),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_replaced_and_the_rest_stays() {
        let reply = b"*3\r\n+OK\r\n+PONG\r\n*2\r\n:1\r\n$1\r\nx\r\n";
        let out = filled(reply, |at, element| {
            (at == 1).then(|| {
                assert_eq!(element, b"+PONG\r\n");
                b":77\r\n".to_vec()
            })
        });
        assert_eq!(out.unwrap(), b"*3\r\n+OK\r\n:77\r\n*2\r\n:1\r\n$1\r\nx\r\n");
    }

    #[test]
    fn what_is_no_array_ran_nothing() {
        for reply in [
            &b"*-1\r\n"[..],
            b"_\r\n",
            b"-EXECABORT x\r\n",
            b"*2\r\n+OK\r\n",
        ] {
            assert_eq!(filled(reply, |_, _| None), None);
        }
    }
}
