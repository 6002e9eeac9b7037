//! The arguments of a request that a scanner has already found to be complete and canonical.
//! Nothing is judged here; on bytes that were never scanned the walk just ends early.

use super::number::length_line;

/// Walks the arguments of one complete multibulk request, its name first.
#[derive(Clone, Debug)]
pub struct Args<'a> {
    rest: &'a [u8],
    remaining: u32,
}

impl<'a> Args<'a> {
    /// The arguments of `frame`, which a scanner has accepted.
    #[inline]
    pub fn new(frame: &'a [u8]) -> Self {
        let head = match frame {
            [b'*', rest @ ..] => length_line(rest),
            _ => None,
        };
        let (argc, rest) = head.unwrap_or((0, &[]));
        Self {
            rest,
            remaining: u32::try_from(argc).unwrap_or(0),
        }
    }

    /// How many arguments are still to come.
    pub fn remaining(&self) -> u32 {
        self.remaining
    }

    /// The same, and behind the last that has come whole what is here of the next.
    pub fn beginnings(mut self) -> impl Iterator<Item = &'a [u8]> {
        let mut whole = true;
        std::iter::from_fn(move || match self.next() {
            Some(arg) => Some(arg),
            None if std::mem::take(&mut whole) && self.remaining > 0 => {
                let (_, begun) = length_line(self.rest.strip_prefix(b"$")?)?;
                Some(begun)
            }
            None => None,
        })
    }
}

impl<'a> Iterator for Args<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let [b'$', after @ ..] = self.rest else {
            return None;
        };
        let (len, after) = length_line(after)?;
        let (arg, after) = after.split_at_checked(usize::try_from(len).ok()?)?;
        let [b'\r', b'\n', rest @ ..] = after else {
            return None;
        };
        self.remaining = self.remaining.checked_sub(1)?;
        self.rest = rest;
        Some(arg)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, usize::try_from(self.remaining).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::Args;
    use crate::resp::write;

    #[test]
    fn arguments_come_back_in_order() {
        let args: [&[u8]; 4] = [b"SET", b"", b"a\r\n$1\r\n", &[0xff; 300]];
        let mut frame = Vec::new();
        write::request(&mut frame, &args);
        let mut walk = Args::new(&frame);
        assert_eq!(walk.remaining(), 4);
        assert_eq!(walk.next(), Some(args[0]));
        assert_eq!(walk.remaining(), 3);
        assert!(walk.eq(args[1..].iter().copied()));
    }

    #[test]
    fn bytes_behind_the_frame_are_not_its_arguments() {
        let bytes = b"*1\r\n$4\r\nPING\r\n$3\r\nfoo\r\n";
        assert_eq!(Args::new(bytes).collect::<Vec<_>>(), [b"PING"]);
    }

    #[test]
    fn of_the_last_argument_the_beginning_is_here() {
        let bytes = b"*4\r\n$1\r\na\r\n$2\r\nbc\r\n$9\r\ndef";
        let found: Vec<&[u8]> = Args::new(bytes).beginnings().collect();
        assert_eq!(found, [&b"a"[..], b"bc", b"def"]);
        let whole = b"*1\r\n$1\r\na\r\n$1\r\nb";
        assert_eq!(Args::new(whole).beginnings().count(), 1);
    }

    #[test]
    fn what_is_no_frame_has_no_arguments() {
        for bytes in [
            &b""[..],
            b"PING\r\n",
            b"*",
            b"*1",
            b"*1\r\n",
            b"*1\r\n$9\r\nPING\r\n",
        ] {
            assert_eq!(Args::new(bytes).count(), 0, "{bytes:?}");
        }
    }
}
