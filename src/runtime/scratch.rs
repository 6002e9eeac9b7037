//! Where a worker reads into: one buffer for all of its sockets. What is read is dealt with before the next
//! read; where it is much, parts of it may be left in their place until they are written, and another buffer
//! serves meanwhile.

use bytes::{Bytes, BytesMut};

/// One read takes at most this many bytes.
const READ_BYTES_MAX: usize = 256 << 10;

/// Buffers that wait for their return, or are kept for the next reads: those of one turn of a socket.
const BUFFERS_MAX: usize = 4;

/// See the module.
#[derive(Debug)]
pub struct Scratch {
    /// The one that is read into.
    buffer: BytesMut,
    /// Those of which parts were in use still when they were last looked at, the last one last.
    lent: Vec<Bytes>,
}

impl Scratch {
    /// One buffer.
    pub fn new() -> Self {
        Self {
            buffer: BytesMut::zeroed(READ_BYTES_MAX),
            lent: Vec::new(),
        }
    }

    /// Where to read into.
    #[inline]
    pub fn room(&mut self) -> &mut [u8] {
        if self.buffer.is_empty() {
            self.take_back();
        }
        &mut self.buffer
    }

    /// The first `n` bytes of what has been read, to take handles to. The buffer they stand in is read into
    /// again when none of those is left, this one included.
    #[inline(never)]
    pub fn lend(&mut self, n: usize) -> Bytes {
        let buffer = std::mem::take(&mut self.buffer).freeze();
        let read = buffer.slice(..n.min(buffer.len()));
        self.lent.push(buffer);
        read
    }

    #[inline(never)]
    fn take_back(&mut self) {
        // That which was in use last, if it has come back: the processor has it at hand.
        let free = self.lent.iter().rposition(Bytes::is_unique);
        let free = free.map(|at| self.lent.remove(at).try_into_mut());
        self.buffer = match free {
            Some(Ok(buffer)) => buffer,
            Some(Err(_)) | None => BytesMut::zeroed(READ_BYTES_MAX),
        };
        if self.lent.len() > BUFFERS_MAX {
            // Whoever has a part of the oldest one is its last owner.
            self.lent.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `n` bytes and takes a handle to them.
    fn read(scratch: &mut Scratch, n: usize) -> Bytes {
        assert!(scratch.room().len() >= n);
        scratch.lend(n)
    }

    #[test]
    fn a_buffer_serves_again_as_soon_as_nobody_has_a_part_of_it() {
        let mut scratch = Scratch::new();
        let first = scratch.room().as_ptr();
        scratch.room()[..3].copy_from_slice(b"abc");
        assert_eq!(scratch.lend(3), b"abc"[..]);
        assert_eq!(scratch.room().as_ptr(), first);
        scratch.room()[..3].copy_from_slice(b"def");
        let part = scratch.lend(3).slice(1..);
        assert_ne!(scratch.room().as_ptr(), first);
        scratch.room().fill(7);
        assert_eq!(part, b"ef"[..]);
        drop(part);
        let other = read(&mut scratch, 1);
        assert_eq!(scratch.room().as_ptr(), first);
        assert_eq!(scratch.room().len(), READ_BYTES_MAX);
        drop(other);
    }

    #[test]
    fn no_more_buffers_are_kept_than_may_be() {
        let mut scratch = Scratch::new();
        let parts: Vec<Bytes> = (0..20).map(|_| read(&mut scratch, 9)).collect();
        assert!(!scratch.room().is_empty());
        assert!(scratch.lent.len() <= BUFFERS_MAX);
        assert!(parts[0].is_unique() && !parts[19].is_unique());
    }
}
