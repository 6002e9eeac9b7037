//! Inline requests: a line typed by a person or a health check. The line is split exactly as
//! Redis' `sdssplitargs` does (quotes, escapes, blanks) and rewritten as the multibulk that is
//! forwarded, so a server never sees a line of a client's making. It does not look for the line's
//! end; the scanner has found it.

use super::violation::ProtocolError;
use super::write;

/// Appends the request that `line` means to `out`, and tells its number of arguments; 0 for a
/// blank line, which appends nothing. The newline may still be on the line.
///
/// Stricter than Redis in one thing: a NUL is refused. Redis stops looking for the newline there
/// and waits for more, so what it takes for the line depends on how the bytes were cut.
///
/// # Errors
/// [`ProtocolError::UnbalancedQuotes`] when a quote is not closed, when something other than a
/// blank follows a closing one, or at a NUL; [`ProtocolError::Http`] when the first word is one of
/// HTTP. `out` is then as it was.
pub fn encode(line: &[u8], out: &mut Vec<u8>) -> Result<u32, ProtocolError> {
    if memchr::memchr(0, line).is_some() {
        return Err(ProtocolError::UnbalancedQuotes);
    }
    let start = out.len();
    let mut words = Words { rest: line };
    let mut word = Vec::new();
    let mut args = Vec::new();
    let mut argc = 0_u32;
    while words.next_into(&mut word)? {
        if argc == 0 && is_http(&word) {
            return Err(ProtocolError::Http);
        }
        write::bulk(&mut args, &word);
        argc = argc.saturating_add(1);
    }
    if argc > 0 {
        write::array_head(out, argc as usize);
        out.extend_from_slice(&args);
    }
    debug_assert!(out.len() >= start);
    Ok(argc)
}

/// Whether a first argument is the mark of an HTTP request: a browser may have been led here to
/// post commands in somebody's name. Redis' own test, before it looks a command up.
#[inline]
pub(super) fn is_http(name: &[u8]) -> bool {
    let Some((head, tail)) = name.split_first_chunk() else {
        return false;
    };
    // Sets the bit that tells the cases of a letter apart; all that is compared are letters.
    let head = u32::from_le_bytes(*head) | 0x2020_2020;
    match tail {
        [] => head == u32::from_le_bytes(*b"post"),
        [b':'] => head == u32::from_le_bytes(*b"host"),
        _ => false,
    }
}

/// C's `isspace` in the C locale, which is what Redis skips between words.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

struct Words<'a> {
    rest: &'a [u8],
}

impl Words<'_> {
    /// Replaces `word` by the next one; false at the end of the line.
    fn next_into(&mut self, word: &mut Vec<u8>) -> Result<bool, ProtocolError> {
        word.clear();
        while let [first, rest @ ..] = self.rest
            && is_blank(*first)
        {
            self.rest = rest;
        }
        if self.rest.is_empty() {
            return Ok(false);
        }
        while let [first, rest @ ..] = self.rest {
            self.rest = rest;
            match first {
                // Narrower than `isspace`: a vertical tab inside a word belongs to it.
                b' ' | b'\n' | b'\r' | b'\t' => break,
                b'"' => {
                    self.double_quoted(word)?;
                    break;
                }
                b'\'' => {
                    self.single_quoted(word)?;
                    break;
                }
                other => word.push(*other),
            }
        }
        Ok(true)
    }

    fn double_quoted(&mut self, word: &mut Vec<u8>) -> Result<(), ProtocolError> {
        loop {
            match self.rest {
                [b'\\', b'x', high, low, rest @ ..]
                    if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
                {
                    word.push(hex(*high) * 16 + hex(*low));
                    self.rest = rest;
                }
                [b'\\', escaped, rest @ ..] => {
                    word.push(match escaped {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'b' => 0x08,
                        b'a' => 0x07,
                        other => *other,
                    });
                    self.rest = rest;
                }
                [b'"', rest @ ..] => return self.close(rest),
                [byte, rest @ ..] => {
                    word.push(*byte);
                    self.rest = rest;
                }
                [] => return Err(ProtocolError::UnbalancedQuotes),
            }
        }
    }

    fn single_quoted(&mut self, word: &mut Vec<u8>) -> Result<(), ProtocolError> {
        loop {
            match self.rest {
                [b'\\', b'\'', rest @ ..] => {
                    word.push(b'\'');
                    self.rest = rest;
                }
                [b'\'', rest @ ..] => return self.close(rest),
                [byte, rest @ ..] => {
                    word.push(*byte);
                    self.rest = rest;
                }
                [] => return Err(ProtocolError::UnbalancedQuotes),
            }
        }
    }
}

impl<'a> Words<'a> {
    /// A closing quote ends the word, so only a blank or the end may follow.
    fn close(&mut self, rest: &'a [u8]) -> Result<(), ProtocolError> {
        match rest {
            [next, ..] if !is_blank(*next) => Err(ProtocolError::UnbalancedQuotes),
            _ => {
                self.rest = rest;
                Ok(())
            }
        }
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::args::Args;

    fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, ProtocolError> {
        let mut out = b"+OK\r\n".to_vec();
        let argc = encode(line, &mut out)?;
        let frame = out.strip_prefix(b"+OK\r\n").unwrap();
        let args: Vec<_> = Args::new(frame).map(<[u8]>::to_vec).collect();
        assert_eq!(args.len(), argc as usize);
        Ok(args)
    }

    #[test]
    fn words_are_split_at_blanks() {
        assert_eq!(
            split(b"  set\tk \r v\r\n").unwrap(),
            [b"set", &b"k"[..], b"v"]
        );
        assert_eq!(
            split(b"a\x0bb \x0bc\x0c\n").unwrap(),
            [&b"a\x0bb"[..], b"c\x0c"]
        );
    }

    #[test]
    fn a_blank_line_appends_nothing() {
        for line in [&b""[..], b"\n", b"\r\n", b" \t\x0b\x0c\r\n"] {
            let mut out = Vec::new();
            assert_eq!(encode(line, &mut out), Ok(0));
            assert!(out.is_empty());
        }
    }

    #[test]
    fn quotes_and_escapes_are_those_of_redis() {
        let line = br#"set "a\x4A\x0g\n\r\t\b\a\q\"" 'x\'y\n"' pre"fix" ''"#;
        let want: [&[u8]; 5] = [
            b"set",
            b"aJx0g\n\r\t\x08\x07q\"",
            b"x'y\\n\"",
            b"prefix",
            b"",
        ];
        assert_eq!(split(line).unwrap(), want);
        assert_eq!(split(b"\"\\xff\\x00\"").unwrap(), [[0xff, 0x00]]);
    }

    #[test]
    fn unbalanced_quotes_are_refused_and_leave_the_buffer_alone() {
        let lines: [&[u8]; 9] = [
            b"set \"a",
            b"set 'a",
            b"set \"a\"b",
            b"set 'a'b",
            b"\"",
            b"'",
            b"\"\\",
            b"\"a\\\"",
            b"set a\0b",
        ];
        for line in lines {
            let mut out = b"+OK\r\n".to_vec();
            assert_eq!(
                encode(line, &mut out),
                Err(ProtocolError::UnbalancedQuotes),
                "{line:?}"
            );
            assert_eq!(out, b"+OK\r\n");
        }
    }

    #[test]
    fn a_word_of_http_closes_silently() {
        for line in [
            &b"POST / HTTP/1.1\r\n"[..],
            b"host: here\n",
            b" \"pOsT\" x\n",
        ] {
            assert_eq!(split(line), Err(ProtocolError::Http), "{line:?}");
        }
        assert_eq!(split(b"get post\n").unwrap(), [&b"get"[..], b"post"]);
    }
}
