//! Decimal numbers as the wire writes them. Redis reads lengths with `string2ll`, which takes an
//! optional minus and no plus, no leading zero, no space and no `-0`. What passes here has exactly
//! one spelling, so a number that was accepted can be forwarded as it came.

/// A number under way, one byte at a time, by the grammar of `string2ll`.
///
/// An offence is remembered instead of reported: Redis too judges a length only when its line has
/// ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Decimal {
    magnitude: u64,
    bytes: u32,
    digits: u8,
    negative: bool,
    broken: bool,
}

impl Decimal {
    /// Takes the next byte of the number.
    pub(super) fn push(&mut self, byte: u8) {
        self.bytes = self.bytes.saturating_add(1);
        match byte {
            b'-' if self.digits == 0 && !self.negative => self.negative = true,
            b'0' if self.digits == 0 && self.negative => self.broken = true,
            b'0'..=b'9' if self.digits == 1 && self.magnitude == 0 => self.broken = true,
            b'0'..=b'9' if self.digits < DIGITS_MAX => {
                self.magnitude = self.magnitude * 10 + u64::from(byte - b'0');
                self.digits += 1;
            }
            _ => self.broken = true,
        }
    }

    /// Bytes taken so far, for the bound on lines.
    pub(super) fn bytes(self) -> usize {
        self.bytes as usize
    }

    /// The number, now that it has ended; `None` when it was none or beyond 64 bits.
    pub(super) fn value(self) -> Option<i64> {
        if self.broken || self.digits == 0 {
            return None;
        }
        if self.negative {
            0_i64.checked_sub_unsigned(self.magnitude)
        } else {
            i64::try_from(self.magnitude).ok()
        }
    }
}

/// Digits of `i64::MAX`; one more cannot be a 64-bit number, and this many fit `u64` safely.
const DIGITS_MAX: u8 = 19;

/// Reads `<digits>\r\n` at the head of `bytes`: the value and what follows the line.
///
/// The fast way in for lengths that are whole, canonical and of at most 18 digits; `None` says only
/// that the byte-wise way has to judge.
#[inline]
pub(super) fn length_line(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (&first, mut rest) = bytes.split_first()?;
    let mut value = digit(first)?;
    // One digit is by far the commonest: argument counts and short arguments.
    if let [b'\r', b'\n', tail @ ..] = rest {
        return Some((value, tail));
    }
    if value == 0 {
        return None;
    }
    for _ in 0..LENGTH_LINE_DIGITS_MAX {
        let (&next, tail) = rest.split_first()?;
        value = value * 10 + digit(next)?;
        rest = tail;
        if let [b'\r', b'\n', tail @ ..] = rest {
            return Some((value, tail));
        }
    }
    None
}

/// Digits after the first that [`length_line`] reads: all that fit 64 bits for certain.
const LENGTH_LINE_DIGITS_MAX: usize = 17;

#[inline]
fn digit(byte: u8) -> Option<u64> {
    let value = byte.wrapping_sub(b'0');
    (value <= 9).then_some(u64::from(value))
}

/// Reads a whole argument as `string2ll` does.
pub fn integer(bytes: &[u8]) -> Option<i64> {
    // 20 characters are the longest spelling of 64 bits; Redis looks at no more either.
    if bytes.len() > 20 {
        return None;
    }
    let mut decimal = Decimal::default();
    for &byte in bytes {
        decimal.push(byte);
    }
    decimal.value()
}

#[cfg(test)]
mod tests {
    use super::{integer, length_line};

    #[test]
    fn every_canonical_number_is_read() {
        for number in [
            0,
            1,
            9,
            10,
            16_384,
            2_147_483_647,
            i64::MAX,
            -1,
            -10,
            i64::MIN,
        ] {
            assert_eq!(integer(number.to_string().as_bytes()), Some(number));
        }
    }

    #[test]
    fn other_spellings_are_no_numbers() {
        let spellings = [
            "",
            "-",
            "+5",
            "05",
            "00",
            "-0",
            "-05",
            " 5",
            "5 ",
            "5a",
            "0x5",
            "--5",
            "5-",
            "1.0",
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999999",
        ];
        for spelling in spellings {
            assert_eq!(integer(spelling.as_bytes()), None, "{spelling:?}");
        }
    }

    #[test]
    fn length_lines_are_read_with_what_follows() {
        assert_eq!(length_line(b"0\r\n"), Some((0, &b""[..])));
        assert_eq!(length_line(b"16\r\nrest"), Some((16, &b"rest"[..])));
        assert_eq!(length_line(b"536870912\r\n"), Some((536_870_912, &b""[..])));
        assert_eq!(
            length_line(b"9999999999\r\n"),
            Some((9_999_999_999, &b""[..]))
        );
    }

    #[test]
    fn a_length_line_that_is_not_plain_is_left_to_the_slow_way() {
        let lines: [&[u8]; 12] = [
            b"",
            b"1",
            b"1\r",
            b"\r\n",
            b"-1\r\n",
            b"+1\r\n",
            b"01\r\n",
            b"00\r\n",
            b"1\n",
            b"1\r\r\n",
            b"1a\r\n",
            b"9999999999999999999\r\n",
        ];
        for line in lines {
            assert_eq!(length_line(line), None, "{line:?}");
        }
    }
}
