//! Reply bytes that a client has not been sent yet. An idle client owns no buffer:
//! buffers come from the worker's store and go back as soon as they are empty.

/// Capacity of all buffers that the store keeps, in bytes.
const STORE_BYTES_MAX: usize = 4 << 20;

/// Largest capacity of one buffer that is kept, in bytes: a few replies of 16 KiB, grown
/// by doubling.
const BUFFER_BYTES_MAX: usize = 64 << 10;

/// Unsent reply bytes of one client.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
}

/// Empty buffers for whoever needs one next.
#[derive(Debug, Default)]
pub struct BufferStore {
    free: Vec<Vec<u8>>,
    bytes: usize,
}

impl BufferStore {
    fn take(&mut self) -> Vec<u8> {
        let buffer = self.free.pop().unwrap_or_default();
        self.bytes -= buffer.capacity();
        buffer
    }

    fn give(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if capacity > 0 && capacity <= BUFFER_BYTES_MAX && self.bytes + capacity <= STORE_BYTES_MAX
        {
            buffer.clear();
            self.bytes += capacity;
            self.free.push(buffer);
        }
    }
}

impl Outbox {
    /// The buffer to append a reply to.
    pub fn tail(&mut self, store: &mut BufferStore) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = store.take();
        }
        &mut self.bytes
    }

    /// What has not been sent yet.
    pub fn unsent(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }

    /// How many bytes have not been sent yet.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Whether everything has been sent.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first `n` unsent bytes have been sent.
    pub fn wrote(&mut self, n: usize, store: &mut BufferStore) {
        self.sent = (self.sent + n).min(self.bytes.len());
        if self.sent == self.bytes.len() {
            self.sent = 0;
            store.give(std::mem::take(&mut self.bytes));
        } else if self.sent > BUFFER_BYTES_MAX && self.sent > self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_outbox_owns_no_buffer_and_buffers_are_used_again() {
        let mut store = BufferStore::default();
        let mut out = Outbox::default();
        out.tail(&mut store).extend_from_slice(b"+OK\r\n");
        out.wrote(2, &mut store);
        assert_eq!(out.unsent(), b"K\r\n");
        out.wrote(3, &mut store);
        assert!(out.is_empty() && out.bytes.capacity() == 0);
        assert_eq!(store.free.len(), 1);
        assert!(out.tail(&mut store).capacity() > 0);
        assert!(store.free.is_empty());
    }

    #[test]
    fn large_buffers_are_not_kept() {
        let mut store = BufferStore::default();
        let mut out = Outbox::default();
        out.tail(&mut store).extend_from_slice(&[0; 100_000]);
        out.wrote(70_000, &mut store);
        assert_eq!((out.len(), out.sent), (30_000, 0));
        out.wrote(30_000, &mut store);
        assert!(store.free.is_empty());
    }

    #[test]
    fn the_store_is_bounded() {
        let mut store = BufferStore::default();
        for _ in 0..1000 {
            store.give(Vec::with_capacity(BUFFER_BYTES_MAX));
        }
        assert!(store.bytes <= STORE_BYTES_MAX);
        while !store.free.is_empty() {
            store.take();
        }
        assert_eq!(store.bytes, 0);
    }
}
