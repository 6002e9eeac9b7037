//! Bytes of one client that have been received and not dealt with: the unfinished tail of
//! a request, or requests that are held. An idle client owns no buffer.

use crate::resp::{Limits, RequestEvent, RequestScanner, inline};

/// Most clients, and idle ones always, have nothing here, so it costs them a pointer.
#[derive(Debug, Default)]
pub struct Input(Option<Box<Pending>>);

/// ```text
///   buffer: [ done | request under way, walked | not walked ]
///                  ^start
/// ```
#[derive(Debug, Default)]
struct Pending {
    buffer: Vec<u8>,
    start: usize,
    /// Where in the request under way the scanner is.
    scanner: RequestScanner,
    /// Bytes of it that the scanner has walked.
    walked: usize,
}

/// Capacity past which a buffer is shrunk when its content is much smaller, in bytes.
const KEEP_BYTES: usize = 64 << 10;

/// Bytes that were taken out of an [`Input`] to be walked. What is done with is said when they are
/// put back.
#[derive(Debug, Default)]
#[must_use]
pub struct Taken {
    buffer: Vec<u8>,
    start: usize,
}

impl Taken {
    /// The bytes.
    #[inline]
    pub fn rest(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }
}

impl Input {
    /// How many bytes are waiting.
    #[inline]
    pub fn len(&self) -> usize {
        let pending = self.0.as_deref();
        pending.map_or(0, |pending| pending.buffer.len() - pending.start)
    }

    /// Whether nothing is waiting.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends what has come in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.0
            .get_or_insert_default()
            .buffer
            .extend_from_slice(bytes);
    }

    /// How many bytes of the request under way have been walked.
    pub fn walked(&self) -> usize {
        self.0.as_deref().map_or(0, |pending| pending.walked)
    }

    /// Bytes that the request under way is known to need at least.
    pub fn announced(&self) -> u64 {
        let pending = self.0.as_deref();
        pending.map_or(0, |pending| pending.scanner.announced())
    }

    /// Takes the scanner, to walk on with: the place where it was is forgotten here.
    #[inline]
    pub fn take_scanner(&mut self) -> RequestScanner {
        self.0.as_deref_mut().map_or_else(Default::default, |it| {
            it.walked = 0;
            std::mem::take(&mut it.scanner)
        })
    }

    /// The scanner stopped inside a request of which `walked` bytes have come.
    pub fn stopped(&mut self, scanner: RequestScanner, walked: usize) {
        if scanner.in_frame() {
            let pending = self.0.get_or_insert_default();
            (pending.scanner, pending.walked) = (scanner, walked);
        }
    }

    /// Takes the bytes out, to be walked, and [put back](Input::put_back).
    pub fn take(&mut self) -> Taken {
        self.0
            .as_deref_mut()
            .map_or_else(Default::default, |it| Taken {
                buffer: std::mem::take(&mut it.buffer),
                start: std::mem::take(&mut it.start),
            })
    }

    /// Puts the bytes back, of which the first `done` are done with.
    pub fn put_back(&mut self, taken: Taken, done: usize) {
        let mut buffer = taken.buffer;
        let mut start = taken.start + done;
        if start >= buffer.len() {
            return self.clear();
        }
        if start > buffer.len() / 2 {
            buffer.drain(..start);
            if buffer.capacity() > KEEP_BYTES && buffer.len() < KEEP_BYTES / 4 {
                buffer.shrink_to(buffer.len());
            }
            start = 0;
        }
        let pending = self.0.get_or_insert_default();
        (pending.buffer, pending.start) = (buffer, start);
    }

    /// Puts whole requests back in front of everything: they are dealt with again.
    pub fn rewind(&mut self, requests: &[u8]) {
        let taken = self.take();
        let mut buffer = Vec::with_capacity(requests.len() + taken.rest().len());
        buffer.extend_from_slice(requests);
        buffer.extend_from_slice(taken.rest());
        self.clear();
        self.put_back(Taken { buffer, start: 0 }, 0);
    }

    /// The whole request that stands first, in canonical form, and how many bytes of the input it is.
    /// `None` when there is none.
    pub fn first(&self, limits: &Limits) -> Option<(Vec<u8>, usize)> {
        let pending = self.0.as_deref()?;
        let bytes = pending.buffer.get(pending.start..)?;
        let advance = RequestScanner::default().advance(bytes, limits).ok()?;
        let whole = bytes.get(..advance.consumed)?;
        let request = match advance.event {
            RequestEvent::Complete(_) => whole.to_vec(),
            RequestEvent::Inline { .. } => {
                let mut frame = Vec::new();
                inline::encode(whole, &mut frame).ok()?;
                frame
            }
            RequestEvent::NeedMore | RequestEvent::Empty => return None,
        };
        Some((request, advance.consumed))
    }

    /// What the first `length` bytes hold is done with, or stands there as `other` from now on.
    pub fn replace_first(&mut self, length: usize, other: &[u8]) {
        let taken = self.take();
        self.clear();
        self.put_back(taken, length);
        if !other.is_empty() {
            self.rewind(other);
        }
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::Limits;

    #[test]
    fn what_is_done_with_leaves_and_the_rest_stays() {
        let mut input = Input::default();
        input.push(b"abcdef");
        let taken = input.take();
        assert_eq!((taken.rest(), input.len()), (&b"abcdef"[..], 0));
        input.put_back(taken, 2);
        assert_eq!(input.len(), 4);
        let taken = input.take();
        assert_eq!(taken.rest(), b"cdef");
        input.put_back(taken, 4);
        assert!(input.is_empty());
        assert!(input.0.is_none());
    }

    #[test]
    fn rewound_requests_come_first() {
        let mut input = Input::default();
        input.push(b"xxtail");
        let taken = input.take();
        input.put_back(taken, 2);
        let mut scanner = RequestScanner::default();
        let _ = scanner.advance(b"*2\r", &Limits::default());
        input.stopped(scanner, 3);
        assert_eq!(input.walked(), 3);
        input.rewind(b"first ");
        assert_eq!(input.take().rest(), b"first tail");
        assert_eq!(input.walked(), 0);
        assert!(!input.take_scanner().in_frame());
    }
}
