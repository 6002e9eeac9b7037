//! The little RESP that the demo's clients speak: requests written, and where a reply of the kinds
//! they ask for ends. Its own on purpose: the demo judges narrows' replies, so it shares no code
//! with what carries them.

use std::io::Write;

/// Appends a command as an array of bulk strings.
pub(super) fn push_command(out: &mut Vec<u8>, arguments: &[&[u8]]) {
    push_header(out, b'*', arguments.len());
    for argument in arguments {
        push_bulk(out, argument);
    }
}

/// Appends a bulk string.
pub(super) fn push_bulk(out: &mut Vec<u8>, data: &[u8]) {
    push_header(out, b'$', data.len());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// Appends the head of an array or a bulk string.
pub(super) fn push_header(out: &mut Vec<u8>, kind: u8, count: usize) {
    out.push(kind);
    push_number(out, count as u64);
    out.extend_from_slice(b"\r\n");
}

/// Appends a number in decimal.
pub(super) fn push_number(out: &mut Vec<u8>, number: u64) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{number}");
}

/// The text of the one-line or bulk reply at the start of `received`, when it is complete.
pub(super) fn reply_text(received: &[u8]) -> Option<&[u8]> {
    let line = line(received)?;
    let Some(length) = line.strip_prefix(b"$") else {
        return Some(line);
    };
    let length: usize = str::from_utf8(length).ok()?.parse().ok()?;
    let start = line.len() + 2;
    received
        .get(start..start + length + 2)?
        .strip_suffix(b"\r\n")
}

/// The first line without its end, when it is complete.
pub(super) fn line(received: &[u8]) -> Option<&[u8]> {
    let end = received.windows(2).position(|pair| pair == b"\r\n")?;
    received.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_an_array_of_bulk_strings() {
        let mut out = Vec::new();
        push_command(&mut out, &[b"SET", b"key", b""]);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$0\r\n\r\n");
    }

    #[test]
    fn a_reply_has_a_text_once_it_is_complete() {
        let whole = b"$6\r\na\r\nb\r\n\r\n";
        for cut in 0..whole.len() {
            assert_eq!(reply_text(&whole[..cut]), None, "cut at {cut}");
        }
        assert_eq!(reply_text(whole), Some(&b"a\r\nb\r\n"[..]));
        assert_eq!(reply_text(b"-ERR no\r\n+"), Some(&b"-ERR no"[..]));
        assert_eq!(reply_text(b"$-1\r\n"), None);
    }
}
