//! Bytes of one client that have been received and not dealt with: the unfinished tail of
//! a request, or requests that are held. An idle client owns no buffer.

use crate::resp::RequestScanner;

/// ```text
///   buffer: [ done | request under way, walked | not walked ]
///                  ^start
/// ```
#[derive(Debug, Default)]
pub struct Input {
    buffer: Vec<u8>,
    start: usize,
    /// Where in the request under way the scanner is.
    pub scanner: RequestScanner,
    /// Bytes of it that the scanner has walked.
    pub walked: usize,
}

/// Capacity past which a buffer is shrunk when its content is much smaller, in bytes.
const KEEP_BYTES: usize = 64 << 10;

impl Input {
    /// How many bytes are waiting.
    pub fn len(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Whether nothing is waiting.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends what has come in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes the buffer out, to be walked from `start`, and [put back](Input::put_back).
    pub fn take(&mut self) -> (Vec<u8>, usize) {
        let start = std::mem::take(&mut self.start);
        (std::mem::take(&mut self.buffer), start)
    }

    /// Puts the buffer back, of which everything before `start` is done with.
    pub fn put_back(&mut self, mut buffer: Vec<u8>, start: usize) {
        if start >= buffer.len() {
            buffer = Vec::new();
        } else if start > buffer.len() / 2 {
            buffer.drain(..start);
            if buffer.capacity() > KEEP_BYTES && buffer.len() < KEEP_BYTES / 4 {
                buffer.shrink_to(buffer.len());
            }
            self.start = 0;
            self.buffer = buffer;
            return;
        }
        self.start = if buffer.is_empty() { 0 } else { start };
        self.buffer = buffer;
    }

    /// Puts whole requests back in front of everything: they are dealt with again.
    pub fn rewind(&mut self, requests: &[u8]) {
        let mut buffer = Vec::with_capacity(requests.len() + self.len());
        buffer.extend_from_slice(requests);
        buffer.extend_from_slice(self.buffer.get(self.start..).unwrap_or_default());
        *self = Self {
            buffer,
            ..Self::default()
        };
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_with_leaves_and_the_rest_stays() {
        let mut input = Input::default();
        input.push(b"abcdef");
        let (buffer, start) = input.take();
        assert_eq!((&buffer[start..], input.len()), (&b"abcdef"[..], 0));
        input.put_back(buffer, 2);
        assert_eq!(input.len(), 4);
        let (buffer, start) = input.take();
        assert_eq!(&buffer[start..], b"cdef");
        input.put_back(buffer, start + 4);
        assert!(input.is_empty());
        assert_eq!(input.buffer.capacity(), 0);
    }

    #[test]
    fn rewound_requests_come_first() {
        let mut input = Input::default();
        input.push(b"xxtail");
        let (buffer, _) = input.take();
        input.put_back(buffer, 2);
        input.walked = 3;
        input.rewind(b"first ");
        let (buffer, start) = input.take();
        assert_eq!(&buffer[start..], b"first tail");
        assert_eq!(input.walked, 0);
    }
}
