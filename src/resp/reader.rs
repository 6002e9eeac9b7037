//! One whole reply element by element, off the hot path: what is read of it is decoded by
//! `redis-protocol`, what is passed over by our scanner. That decoder recurses without a bound and
//! reserves room for what is merely announced, so it is only given elements that the scanner has found
//! whole and that hold no others; heads of aggregates are read here. (It could not decode a whole reply
//! to `COMMAND` anyway: in RESP3 that has sets of maps, which its hash sets refuse.) Knows no commands.

use redis_protocol::{resp2, resp3};

use super::limits::Limits;
use super::number::integer;
use super::reply::ReplyScanner;

/// A cursor over a reply.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

/// One element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Element<'a> {
    /// An array, set or push of that many elements, or a map of half as many pairs; they follow.
    Aggregate(u64),
    /// A status, bulk or verbatim string.
    Text(&'a [u8]),
    /// An error.
    Error(&'a [u8]),
    /// An integer.
    Integer(i64),
    /// Null in any of its forms, or a scalar that nothing read here consists of.
    Other,
}

impl<'a> Reader<'a> {
    /// At the beginning of `reply`.
    pub(crate) fn new(reply: &'a [u8]) -> Self {
        Reader { rest: reply }
    }

    /// The next element; `None` when the input ends or is no RESP. An attribute in front is passed
    /// over: it is about the element behind it.
    pub(crate) fn next(&mut self) -> Option<Element<'a>> {
        loop {
            let (width, is_attribute) = match self.rest {
                // Null, and no array.
                [b'*', b'-', ..] => return self.scalar(),
                [b'*' | b'~' | b'>', ..] => (1, false),
                [b'%', ..] => (2, false),
                [b'|', ..] => (2, true),
                _ => return self.scalar(),
            };
            let members = self.head()?.checked_mul(width)?;
            if !is_attribute {
                return Some(Element::Aggregate(members));
            }
            self.skip(members)?;
        }
    }

    /// Passes over `count` elements with all that is in them. Each costs input, so that it ends with
    /// that, whatever the count.
    pub(crate) fn skip(&mut self, count: u64) -> Option<()> {
        (0..count).try_for_each(|_| self.whole().map(|_| ()))
    }

    /// How many members an aggregate announces, or pairs.
    fn head(&mut self) -> Option<u64> {
        let end = memchr::memchr(b'\r', self.rest)?;
        let (line, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.strip_prefix(b"\r\n")?;
        u64::try_from(integer(line.get(1..)?)?).ok()
    }

    fn scalar(&mut self) -> Option<Element<'a>> {
        let bytes = self.whole()?;
        // Of RESP2's nulls the one decoder knows nothing.
        if matches!(bytes, [b'$' | b'*', ..]) {
            use resp2::types::RangeFrame;
            return match resp2::decode::decode_range(bytes).ok()??.0 {
                RangeFrame::BulkString((start, end)) => bytes.get(start..end).map(Element::Text),
                _ => Some(Element::Other),
            };
        }
        use resp3::types::RangeFrame;
        match resp3::decode::complete::decode_range(bytes).ok()??.0 {
            RangeFrame::SimpleString { data, .. } | RangeFrame::VerbatimString { data, .. } => {
                bytes.get(data.0..data.1).map(Element::Text)
            }
            RangeFrame::SimpleError { data, .. } | RangeFrame::BlobError { data, .. } => {
                bytes.get(data.0..data.1).map(Element::Error)
            }
            RangeFrame::Number { data, .. } => Some(Element::Integer(data)),
            _ => Some(Element::Other),
        }
    }

    /// The bytes of the next element and of all that is in it.
    fn whole(&mut self) -> Option<&'a [u8]> {
        let advance = ReplyScanner::default().advance(self.rest, &Limits::default());
        let advance = advance.ok().filter(|advance| advance.complete)?;
        let (bytes, rest) = self.rest.split_at_checked(advance.consumed)?;
        self.rest = rest;
        Some(bytes)
    }
}

/// What a whole reply is, or what its head says.
pub(crate) fn element(reply: &[u8]) -> Option<Element<'_>> {
    Reader::new(reply).next()
}

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
