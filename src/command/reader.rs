//! Walks one complete RESP2 or RESP3 reply element by element, off the hot path, with the simplest
//! code that cannot go wrong: no recursion, no allocation, and every element costs input bytes, so
//! that neither a deep nor a "huge" reply can cost more than its length. It knows no commands. (The
//! `redis-protocol` crate cannot read what is read here: in RESP3 `COMMAND` answers sets of maps,
//! which its hash sets refuse.)

use crate::resp::integer;

/// A cursor over a reply.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

/// One element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Element<'a> {
    /// An array, set or push of that many elements, or a map of half as many pairs; they follow.
    Aggregate(u64),
    /// A status, bulk or verbatim string.
    Text(&'a [u8]),
    /// An error.
    Error(&'a [u8]),
    /// An integer.
    Integer(i64),
    /// Null in any of its forms, or a scalar that `COMMAND` does not use.
    Other,
}

impl<'a> Reader<'a> {
    pub(super) fn new(reply: &'a [u8]) -> Self {
        Reader { rest: reply }
    }

    /// The next element; `None` when the input ends or is no RESP.
    pub(super) fn next(&mut self) -> Option<Element<'a>> {
        loop {
            let (kind, head) = self.line()?.split_first()?;
            return Some(match kind {
                b'*' | b'~' | b'>' => self.aggregate(head, 1)?,
                b'%' => self.aggregate(head, 2)?,
                b'$' => self.bulk(head)?.map_or(Element::Other, Element::Text),
                b'=' => Element::Text(self.bulk(head)??.get(VERBATIM_FORMAT_BYTES..)?),
                b'!' => Element::Error(self.bulk(head)??),
                b'+' => Element::Text(head),
                b'-' => Element::Error(head),
                b':' => Element::Integer(integer(head)?),
                b'_' | b'#' | b',' | b'(' => Element::Other,
                // An attribute is about the element behind it.
                b'|' => {
                    let pairs = u64::try_from(integer(head)?).ok()?;
                    self.skip(pairs.checked_mul(2)?)?;
                    continue;
                }
                _ => return None,
            });
        }
    }

    /// Passes over `count` elements with all that is in them.
    pub(super) fn skip(&mut self, count: u64) -> Option<()> {
        let mut due = count;
        while due > 0 {
            due -= 1;
            // Attributes among the skipped are elements of their own here: reading one would
            // recurse.
            due = due.checked_add(self.members()?)?;
        }
        Some(())
    }

    /// Passes over one head and its text; how many elements follow as its members (or as what an
    /// attribute is about).
    fn members(&mut self) -> Option<u64> {
        let (kind, head) = self.line()?.split_first()?;
        let count = || Some(u64::try_from(integer(head)?.max(0)).unwrap_or(0));
        match kind {
            b'*' | b'~' | b'>' => count(),
            b'%' => count()?.checked_mul(2),
            b'|' => count()?.checked_mul(2)?.checked_add(1),
            b'$' | b'=' | b'!' => self.bulk(head).map(|_| 0),
            b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => Some(0),
            _ => None,
        }
    }

    fn aggregate(&self, head: &[u8], width: u64) -> Option<Element<'a>> {
        match integer(head)? {
            -1 => Some(Element::Other),
            count => Some(Element::Aggregate(
                u64::try_from(count).ok()?.checked_mul(width)?,
            )),
        }
    }

    /// The text behind the head of a bulk string; `Some(None)` for RESP2's null.
    fn bulk(&mut self, head: &[u8]) -> Option<Option<&'a [u8]>> {
        let len = integer(head)?;
        if len == -1 {
            return Some(None);
        }
        let (text, rest) = self.rest.split_at_checked(usize::try_from(len).ok()?)?;
        self.rest = rest.strip_prefix(b"\r\n")?;
        Some(Some(text))
    }

    fn line(&mut self) -> Option<&'a [u8]> {
        let end = memchr::memchr(b'\r', self.rest)?;
        let (line, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.strip_prefix(b"\r\n")?;
        Some(line)
    }
}

/// The `txt:` before the text of a verbatim string.
const VERBATIM_FORMAT_BYTES: usize = 4;

#[cfg(test)]
mod tests {
    use super::{Element, Reader};

    #[test]
    fn elements_of_both_protocols_are_read() {
        let mut reader = Reader::new(
            b"~2\r\n%1\r\n+a\r\n$2\r\nbc\r\n=5\r\ntxt:d\r\n:-7\r\n$-1\r\n_\r\n-E f\r\n",
        );
        assert_eq!(reader.next(), Some(Element::Aggregate(2)));
        assert_eq!(reader.next(), Some(Element::Aggregate(2)));
        assert_eq!(reader.next(), Some(Element::Text(b"a")));
        assert_eq!(reader.next(), Some(Element::Text(b"bc")));
        assert_eq!(reader.next(), Some(Element::Text(b"d")));
        assert_eq!(reader.next(), Some(Element::Integer(-7)));
        assert_eq!(reader.next(), Some(Element::Other));
        assert_eq!(reader.next(), Some(Element::Other));
        assert_eq!(reader.next(), Some(Element::Error(b"E f")));
        assert_eq!(reader.next(), None);
    }

    #[test]
    fn skipping_passes_over_whole_elements() {
        let mut reader =
            Reader::new(b"*2\r\n~1\r\n%1\r\n+k\r\n|1\r\n+x\r\n+y\r\n*0\r\n:3\r\n+next\r\n");
        assert_eq!(reader.skip(1), Some(()));
        assert_eq!(reader.next(), Some(Element::Text(b"next")));
    }

    #[test]
    fn attributes_are_passed_over() {
        let mut reader =
            Reader::new(b"|1\r\n+ttl\r\n:5\r\n|1\r\n+a\r\n|1\r\n+b\r\n+c\r\n+d\r\n:6\r\n");
        assert_eq!(reader.next(), Some(Element::Integer(6)));
    }

    #[test]
    fn broken_input_ends_the_walk() {
        for broken in [
            &b"*"[..],
            b"*2",
            b"*x\r\n",
            b"$3\r\nab\r\n",
            b"$3\r\nabcd\r\n",
            b"?\r\n",
            b"\r\n",
            b"+a\rb\r\n",
            b"*-2\r\n",
        ] {
            assert_eq!(Reader::new(broken).next(), None, "{broken:?}");
        }
        assert_eq!(Reader::new(b"*9223372036854775807\r\n:1\r\n").skip(1), None);
        assert_eq!(Reader::new(b"%9223372036854775807\r\n").skip(1), None);
    }

    #[test]
    fn depth_costs_nothing() {
        let deep = b"*1\r\n".repeat(100_000);
        assert_eq!(Reader::new(&deep).skip(1), None);
        let mut flat = deep.clone();
        flat.extend_from_slice(b":1\r\n+end\r\n");
        let mut reader = Reader::new(&flat);
        assert_eq!(reader.skip(1), Some(()));
        assert_eq!(reader.next(), Some(Element::Text(b"end")));
    }
}
