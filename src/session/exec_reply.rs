//! `EXEC`'s reply taken apart and put together again, where some of its places hold what narrows
//! answers itself. Only ever given a whole reply that a scanner has walked.

use crate::resp::{Limits, ReplyScanner};

/// One element of an array reply, and the pushes that stand before it and belong to no place.
struct ExecElement<'a> {
    pushes: &'a [u8],
    value: &'a [u8],
}

/// The elements of an array reply; `None` for a reply of another kind.
fn elements(reply: &[u8]) -> Option<Vec<ExecElement<'_>>> {
    let rest = reply.strip_prefix(b"*")?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let (head, mut rest) = rest.split_at_checked(end + 1)?;
    let count: usize = std::str::from_utf8(head).ok()?.trim_end().parse().ok()?;
    let mut elements = Vec::new();
    for _ in 0..count {
        let mut pushes = 0;
        while rest.get(pushes) == Some(&b'>') {
            pushes += value_bytes(rest.get(pushes..)?)?;
        }
        let (pushes, after) = rest.split_at_checked(pushes)?;
        let (value, after) = after.split_at_checked(value_bytes(after)?)?;
        elements.push(ExecElement { pushes, value });
        rest = after;
    }
    rest.is_empty().then_some(elements)
}

/// Length of the whole value at the head of `bytes`.
fn value_bytes(bytes: &[u8]) -> Option<usize> {
    let mut scanner = ReplyScanner::default();
    scanner.let_pushes_nest(true);
    let advance = scanner.advance(bytes, &Limits::default()).ok()?;
    advance.complete.then_some(advance.consumed)
}

/// The elements of an array reply alone; `None` for a reply of another kind.
pub(super) fn values(reply: &[u8]) -> Option<Vec<&[u8]>> {
    let elements = elements(reply)?.into_iter();
    Some(elements.map(|element| element.value).collect())
}

/// Shows each element to `see`. How many there are; `None` when the reply is no array: nothing was
/// run.
pub fn seen(reply: &[u8], mut see: impl FnMut(u32, &[u8])) -> Option<u32> {
    let elements = elements(reply)?;
    let count = u32::try_from(elements.len()).unwrap_or(u32::MAX);
    for (at, element) in (0..).zip(elements) {
        see(at, element.value);
    }
    Some(count)
}

/// The pushes that stand in the reply, however deep: what a client is pushed, and hears though
/// it has asked for silence. `None` where the bytes are no whole reply.
pub fn pushes(reply: &[u8]) -> Option<Vec<u8>> {
    let mut pushes = Vec::new();
    let mut rest = reply;
    while let Some(kind) = rest.first() {
        let bytes = match kind {
            // Its elements are looked at one by one.
            b'*' | b'~' | b'%' | b'|' => rest.iter().position(|byte| *byte == b'\n')? + 1,
            _ => value_bytes(rest)?,
        };
        let (value, after) = rest.split_at_checked(bytes)?;
        if *kind == b'>' {
            pushes.extend_from_slice(value);
        }
        rest = after;
    }
    Some(pushes)
}

/// The reply with those elements replaced for which `fill` has something else. `None` when it is
/// no array: nothing was run.
pub fn filled(reply: &[u8], mut fill: impl FnMut(u32) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let elements = elements(reply)?;
    let mut out = Vec::with_capacity(reply.len());
    out.extend_from_slice(format!("*{}\r\n", elements.len()).as_bytes());
    for (at, element) in elements.into_iter().enumerate() {
        out.extend_from_slice(element.pushes);
        match fill(u32::try_from(at).unwrap_or(u32::MAX)) {
            Some(other) => out.extend_from_slice(&other),
            None => out.extend_from_slice(element.value),
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
        let mut second = Vec::new();
        let count = seen(reply, |at, element| {
            if at == 1 {
                second.extend_from_slice(element);
            }
        });
        assert_eq!((count, &second[..]), (Some(3), &b"+PONG\r\n"[..]));
        let out = filled(reply, |at| (at == 1).then(|| b":77\r\n".to_vec()));
        assert_eq!(out.unwrap(), b"*3\r\n+OK\r\n:77\r\n*2\r\n:1\r\n$1\r\nx\r\n");
    }

    #[test]
    fn a_push_between_elements_takes_no_place() {
        let reply = b"*2\r\n>2\r\n+a\r\n+b\r\n>1\r\n+c\r\n+PONG\r\n*1\r\n>1\r\n+d\r\n:1\r\n";
        let mut first = Vec::new();
        let count = seen(reply, |at, element| {
            if at == 0 {
                first.extend_from_slice(element);
            }
        });
        assert_eq!((count, &first[..]), (Some(2), &b"+PONG\r\n"[..]));
        let out = filled(reply, |at| (at == 0).then(|| b":77\r\n".to_vec()));
        let out = out.unwrap();
        let expected = b"*2\r\n>2\r\n+a\r\n+b\r\n>1\r\n+c\r\n:77\r\n*1\r\n>1\r\n+d\r\n:1\r\n";
        assert_eq!(
            out.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }

    #[test]
    fn pushes_are_found_wherever_they_stand() {
        let reply = b"*3\r\n>2\r\n+a\r\n*1\r\n+b\r\n$9\r\n>1\r\n+xyz\r\r\n*1\r\n>1\r\n+c\r\n%1\r\n+k\r\n_\r\n:1\r\n";
        let found = pushes(reply).unwrap();
        let expected = b">2\r\n+a\r\n*1\r\n+b\r\n>1\r\n+c\r\n";
        assert_eq!(
            found.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
        assert_eq!(pushes(b"*-1\r\n"), Some(Vec::new()));
        assert_eq!(pushes(b">2\r\n+a\r\n"), None);
    }

    #[test]
    fn what_is_no_array_ran_nothing() {
        for reply in [
            &b"*-1\r\n"[..],
            b"_\r\n",
            b"-EXECABORT x\r\n",
            b"*2\r\n+OK\r\n",
        ] {
            assert_eq!(filled(reply, |_| None), None);
        }
    }
}
