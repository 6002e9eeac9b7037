//! Decimal numbers as the wire writes them. Redis reads lengths with `string2ll`, which takes an
//! optional minus and no plus, no leading zero, no space and no `-0`. What passes here has exactly
//! one spelling, so a number that was accepted can be forwarded as it came.

use std::num::NonZeroUsize;

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
/// The fast way in for lengths that are whole, canonical and of at most 18 digits; `None` says
/// only that the byte-wise way has to judge.
#[inline(always)]
pub(super) fn length_line(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (value, line_bytes) = length_line_bytes(bytes)?;
    Some((value, bytes.get(line_bytes.get()..)?))
}

/// The value of such a line and its length, which is never 0, so that both fit two registers.
#[inline(always)]
fn length_line_bytes(bytes: &[u8]) -> Option<(u64, NonZeroUsize)> {
    // Most lengths are of one digit (argument counts, names) or two.
    match bytes {
        [first, b'\r', b'\n', ..] => Some((digit(*first)?, LINE_BYTES_1)),
        [first, second, b'\r', b'\n', ..] => {
            let tens = digit(*first).filter(|tens| *tens > 0)?;
            Some((tens * 10 + digit(*second)?, LINE_BYTES_2))
        }
        [a, b, c, d, e, f, g, h, ..] => short_line([*a, *b, *c, *d, *e, *f, *g, *h], bytes),
        _ => long_line(bytes),
    }
}

/// A line that ends within eight bytes, so of three to six digits, all of them at once and without a
/// branch per digit: lengths of real traffic are of mixed size.
#[inline(always)]
fn short_line(word: [u8; 8], bytes: &[u8]) -> Option<(u64, NonZeroUsize)> {
    let word = u64::from_le_bytes(word);
    // The lowest byte of 0x80 marks the first CR.
    let unlike_cr = word ^ (EACH * u64::from(b'\r'));
    let mark = unlike_cr.wrapping_sub(EACH) & !unlike_cr & (EACH << 7);
    let digits_bits = mark.trailing_zeros() & !7;
    if !(8..=48).contains(&digits_bits) {
        return long_line(bytes);
    }
    let line_feed = (word >> digits_bits) >> 8 & 0xff;
    let leading_zero = word & 0xff == u64::from(b'0');
    // The digits move to the top; what is shifted in below are zeros in front of them.
    let digits = (word ^ (EACH * u64::from(b'0'))) << (64 - digits_bits);
    let above_nine = (digits.wrapping_add(EACH * 0x76) | digits) & (EACH << 7);
    if line_feed != u64::from(b'\n') || leading_zero || above_nine != 0 {
        return None;
    }
    let line_bytes = NonZeroUsize::new((digits_bits / 8) as usize + 2)?;
    Some((joined(digits), line_bytes))
}

/// The number that eight decimal digits make, the most significant one in the lowest byte.
#[inline(always)]
fn joined(digits: u64) -> u64 {
    const PAIRS: u64 = 0x0000_00ff_0000_00ff;
    // Neighbours, then neighbours of those, then the halves: each step is one multiplication.
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let outer = (pairs & PAIRS).wrapping_mul(100 + (1_000_000 << 32));
    let inner = (pairs >> 16 & PAIRS).wrapping_mul(1 + (10_000 << 32));
    outer.wrapping_add(inner) >> 32
}

const LINE_BYTES_1: NonZeroUsize = NonZeroUsize::new(3).unwrap();
const LINE_BYTES_2: NonZeroUsize = NonZeroUsize::new(4).unwrap();

/// A one in each byte.
const EACH: u64 = 0x0101_0101_0101_0101;

/// Any other line: near the end of what is here, or of many digits.
#[cold]
fn long_line(bytes: &[u8]) -> Option<(u64, NonZeroUsize)> {
    let (&first, mut rest) = bytes.split_first()?;
    let mut value = digit(first)?;
    if value == 0 {
        return None;
    }
    for _ in 0..LENGTH_LINE_DIGITS_MAX {
        let (&next, tail) = rest.split_first()?;
        value = value * 10 + digit(next)?;
        rest = tail;
        if let [b'\r', b'\n', tail @ ..] = rest {
            return Some((value, NonZeroUsize::new(bytes.len() - tail.len())?));
        }
    }
    None
}

/// Digits after the first that a length line may have here: all that fit 64 bits for certain.
const LENGTH_LINE_DIGITS_MAX: usize = 17;

#[inline(always)]
fn digit(byte: u8) -> Option<u64> {
    let value = byte.wrapping_sub(b'0');
    (value <= 9).then_some(u64::from(value))
}

/// What may stand in a double. Servers write these as they please, so they are held only to what cannot
/// be mistaken for the end of a line. A big number may be anything: it is what a script says it is.
#[inline]
pub(super) fn is_double_byte(byte: u8) -> bool {
    byte.is_ascii_graphic()
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

    /// Whatever the number of digits, and however little follows, the line is read alike.
    #[test]
    fn length_lines_of_every_size_are_read() {
        let mut numbers = vec![0];
        for digits in 0..18 {
            let power = 10_u64.pow(digits);
            numbers.extend([power, power * 10 - 1, power * 9, power + power / 3]);
        }
        numbers.extend(0..20_000);
        for number in numbers {
            for behind in ["", "x", "\r\n", "12345678"] {
                let line = format!("{number}\r\n{behind}");
                let want = Some((number, behind.as_bytes()));
                assert_eq!(length_line(line.as_bytes()), want, "{line:?}");
            }
        }
    }

    /// One wrong byte anywhere is never overlooked.
    #[test]
    fn length_lines_with_a_wrong_byte_are_left_to_the_slow_way() {
        for digits in 1..18_usize {
            let line = format!("{}\r\n01234567", "1".repeat(digits));
            for at in 0..digits + 2 {
                for wrong in 0..=u8::MAX {
                    let mut bytes = line.clone().into_bytes();
                    let right = std::mem::replace(&mut bytes[at], wrong);
                    let fine = wrong == right
                        || at < digits
                            && wrong.is_ascii_digit()
                            && !(at == 0 && digits > 1 && wrong == b'0');
                    let found = length_line(&bytes).is_some_and(|(_, rest)| rest == b"01234567");
                    assert_eq!(found, fine, "{bytes:?}");
                }
            }
        }
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
