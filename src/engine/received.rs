//! What has been read from a connection: bytes that are the reader's again when they have been dealt with,
//! and, where they are many, a handle by which parts of them can stay where they are.

use bytes::Bytes;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    bytes: &'a [u8],
    /// What `bytes` are a part of.
    chunk: Option<&'a Bytes>,
    /// Length from which a part is left in its place.
    left_from: usize,
}

impl<'a> Received<'a> {
    /// A whole chunk, of which parts of `left_from` bytes and more are left in their place. It is wanted
    /// back: nobody has a handle any more when all that has been passed on was written, or
    /// [not taken](super::Engine::client_wrote).
    pub fn lent(chunk: &'a Bytes, left_from: usize) -> Self {
        Self {
            bytes: chunk,
            chunk: Some(chunk),
            left_from,
        }
    }

    /// The bytes.
    #[inline]
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// How many there are.
    #[inline]
    pub fn len(self) -> usize {
        self.bytes.len()
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.bytes.is_empty()
    }

    /// The first `n`, or all if there are fewer, and the rest.
    #[inline]
    pub fn split_at(self, n: usize) -> (Self, Self) {
        let (part, rest) = self.bytes.split_at(n.min(self.bytes.len()));
        let of = |bytes| Self { bytes, ..self };
        (of(part), of(rest))
    }

    /// A handle to them, where they are to stay where they are until they are written.
    #[inline]
    pub fn handle(self) -> Option<Bytes> {
        let chunk = self.chunk.filter(|_| self.bytes.len() >= self.left_from)?;
        Some(chunk.slice_ref(self.bytes))
    }
}

impl<'a, T: AsRef<[u8]> + ?Sized> From<&'a T> for Received<'a> {
    #[inline]
    fn from(bytes: &'a T) -> Self {
        Self {
            bytes: bytes.as_ref(),
            chunk: None,
            left_from: usize::MAX,
        }
    }
}
