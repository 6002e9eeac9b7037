//! The few replies that narrows writes itself, and requests of its own, appended to a buffer.
//! Nothing here can fail and nothing is formatted through `core::fmt`: some of it runs per request.

use super::protocol::Protocol;

/// `+OK` and its like. CR and LF become spaces, since they would end the line early.
pub fn status(out: &mut Vec<u8>, text: &str) {
    line(out, b'+', text.as_bytes());
}

/// An error reply; `text` carries its code (`ERR …`). CR and LF become spaces, as in Redis.
pub fn error(out: &mut Vec<u8>, text: &str) {
    line(out, b'-', text.as_bytes());
}

/// An integer reply.
pub fn integer(out: &mut Vec<u8>, value: i64) {
    out.push(b':');
    if value < 0 {
        out.push(b'-');
    }
    decimal(out, value.unsigned_abs());
    out.extend_from_slice(b"\r\n");
}

/// A string reply of any bytes.
pub fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    sized(out, b'$', bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// The missing string: `$-1` in RESP2, `_` in RESP3.
pub fn null_bulk(out: &mut Vec<u8>, protocol: Protocol) {
    out.extend_from_slice(match protocol {
        Protocol::Resp2 => b"$-1\r\n",
        Protocol::Resp3 => b"_\r\n",
    });
}

/// The missing array: `*-1` in RESP2, `_` in RESP3.
pub fn null_array(out: &mut Vec<u8>, protocol: Protocol) {
    out.extend_from_slice(match protocol {
        Protocol::Resp2 => b"*-1\r\n",
        Protocol::Resp3 => b"_\r\n",
    });
}

/// The head of an array; `len` replies are to follow.
pub fn array_head(out: &mut Vec<u8>, len: usize) {
    sized(out, b'*', len);
}

/// The head of a map of `pairs`; twice as many replies are to follow. An array in RESP2.
pub fn map_head(out: &mut Vec<u8>, pairs: usize, protocol: Protocol) {
    match protocol {
        Protocol::Resp2 => sized(out, b'*', pairs * 2),
        Protocol::Resp3 => sized(out, b'%', pairs),
    }
}

/// The head of a set; `len` replies are to follow. An array in RESP2.
pub fn set_head(out: &mut Vec<u8>, len: usize, protocol: Protocol) {
    match protocol {
        Protocol::Resp2 => sized(out, b'*', len),
        Protocol::Resp3 => sized(out, b'~', len),
    }
}

/// Text for people (`INFO`, `CLIENT LIST`): `=` with the format `txt` in RESP3, a bulk in RESP2.
pub fn verbatim(out: &mut Vec<u8>, text: &[u8], protocol: Protocol) {
    match protocol {
        Protocol::Resp2 => bulk(out, text),
        Protocol::Resp3 => {
            sized(out, b'=', text.len() + 4);
            out.extend_from_slice(b"txt:");
            out.extend_from_slice(text);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// A request in the one form that is forwarded: a multibulk of bulks.
pub fn request(out: &mut Vec<u8>, args: &[&[u8]]) {
    array_head(out, args.len());
    for arg in args {
        bulk(out, arg);
    }
}

/// An error reply from bytes of a client's making.
pub(super) fn error_bytes(out: &mut Vec<u8>, text: &[u8]) {
    line(out, b'-', text);
}

fn line(out: &mut Vec<u8>, kind: u8, text: &[u8]) {
    out.reserve(text.len() + 3);
    out.push(kind);
    out.extend(text.iter().map(|&byte| match byte {
        b'\r' | b'\n' => b' ',
        _ => byte,
    }));
    out.extend_from_slice(b"\r\n");
}

fn sized(out: &mut Vec<u8>, kind: u8, len: usize) {
    out.push(kind);
    decimal(out, len as u64);
    out.extend_from_slice(b"\r\n");
}

/// Appends `value` in decimal digits.
pub fn decimal(out: &mut Vec<u8>, mut value: u64) {
    let start = out.len();
    loop {
        // A remainder of ten fits a byte.
        out.push(b'0' + (value % 10) as u8);
        value /= 10;
        if value == 0 {
            break;
        }
    }
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = b"before:".to_vec();
        write(&mut out);
        let text = String::from_utf8(out).unwrap();
        text.strip_prefix("before:").unwrap().to_owned()
    }

    #[test]
    fn lines_are_terminated_once_whatever_their_text() {
        assert_eq!(written(|out| status(out, "OK")), "+OK\r\n");
        assert_eq!(written(|out| error(out, "ERR a\r\nb")), "-ERR a  b\r\n");
        assert_eq!(written(|out| status(out, "\n+OK\r")), "+ +OK \r\n");
    }

    #[test]
    fn integers_are_written_over_their_whole_range() {
        for value in [0, 7, 10, -1, 123_456, i64::MAX, i64::MIN] {
            assert_eq!(written(|out| integer(out, value)), format!(":{value}\r\n"));
        }
    }

    #[test]
    fn strings_carry_their_length() {
        assert_eq!(written(|out| bulk(out, b"")), "$0\r\n\r\n");
        assert_eq!(written(|out| bulk(out, b"a\r\nb")), "$4\r\na\r\nb\r\n");
    }

    #[test]
    fn resp3_has_its_own_shapes() {
        use Protocol::{Resp2, Resp3};
        assert_eq!(written(|out| null_bulk(out, Resp2)), "$-1\r\n");
        assert_eq!(written(|out| null_bulk(out, Resp3)), "_\r\n");
        assert_eq!(written(|out| null_array(out, Resp2)), "*-1\r\n");
        assert_eq!(written(|out| null_array(out, Resp3)), "_\r\n");
        assert_eq!(written(|out| map_head(out, 7, Resp2)), "*14\r\n");
        assert_eq!(written(|out| map_head(out, 7, Resp3)), "%7\r\n");
        assert_eq!(written(|out| set_head(out, 2, Resp2)), "*2\r\n");
        assert_eq!(written(|out| set_head(out, 2, Resp3)), "~2\r\n");
        assert_eq!(written(|out| verbatim(out, b"hi", Resp2)), "$2\r\nhi\r\n");
        assert_eq!(
            written(|out| verbatim(out, b"hi", Resp3)),
            "=6\r\ntxt:hi\r\n"
        );
    }

    #[test]
    fn requests_are_multibulks() {
        let request = written(|out| request(out, &[b"GET", b""]));
        assert_eq!(request, "*2\r\n$3\r\nGET\r\n$0\r\n\r\n");
    }
}
