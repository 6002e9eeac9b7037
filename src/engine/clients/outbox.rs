//! Reply bytes that a client has not been sent yet. Small ones are copied behind each other; what is large
//! stands where it is, and the outbox holds a handle to it. An idle client owns no buffer: buffers come from
//! the worker's store and go back as soon as they are empty.
//!
//! A handle may lead to a whole value, in any number of outboxes, or to a part of what has just been read.
//! The latter is copied after all when the client's socket does not take it: the buffer that it stands in is
//! the reader's again when the turn is over, and what is held for a client is what is counted. A backend is
//! always read: a slow client's replies wait here, never in the server's way.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

/// What all buffers that the store keeps take, in bytes.
const STORE_BYTES_MAX: usize = 4 << 20;

/// What one buffer that is kept takes at most, in bytes: a few replies of 16 KiB, grown by doubling.
const BUFFER_BYTES_MAX: usize = 64 << 10;

/// Handles that an empty buffer has room for at most.
const SHARED_KEPT_MAX: usize = 8;

/// What a buffer takes that has never been copied into, at most, in bytes.
const SMALLEST_BYTES: usize = size_of::<OutboxQueue>() + SHARED_KEPT_MAX * size_of::<SharedBytes>();

/// Length from which bytes are not copied, in bytes. Of narrows' processor time with 50 clients, handles to
/// replies of 8 and 16 KiB take as much as copies, of 32 KiB 0.87 times as much, of 64 KiB 0.67, and with 20
/// clients of 256 KiB 0.51.
pub const SHARED_BYTES_MIN: usize = 32 << 10;

/// Unsent reply bytes of one client. Most clients, and idle ones always, have none.
#[derive(Debug, Default)]
pub struct Outbox {
    len: usize,
    /// Where they stand, if there are any.
    queue: Option<Box<OutboxQueue>>,
}

/// ```text
///   copied: [ sent | unsent | unsent | unsent ]
///                  ^sent    ^at      ^at
///   shared:                 [ one ]  [ another, ... ]
/// ```
#[derive(Debug, Default)]
struct OutboxQueue {
    copied: Vec<u8>,
    /// How much of `copied` has been sent.
    sent: usize,
    shared: VecDeque<SharedBytes>,
}

/// Bytes that are not copied.
#[derive(Debug)]
struct SharedBytes {
    /// Before which byte of `copied` they go.
    at: usize,
    bytes: Bytes,
    kept: Retention,
}

/// Whose memory shared bytes stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// Their own: they may stay in the outbox for as long as it takes.
    AsTheyAre,
    /// That of a read, which is wanted for the next one: what its client's socket does not take at once
    /// is copied.
    UntilWritten,
}

/// What is to be written.
#[derive(Debug)]
pub enum Output<'a> {
    /// In one piece, or nothing.
    One(&'a [u8]),
    /// In several.
    Many(Pieces<'a>),
}

/// Pieces of what is to be written, from the first on. None is empty.
#[derive(Debug, Clone)]
pub struct Pieces<'a> {
    queue: &'a OutboxQueue,
    /// How much of `copied` is sent or has been passed.
    at: usize,
    /// How many of `shared` have been passed.
    passed: usize,
}

impl<'a> Output<'a> {
    /// The first piece: empty if there is nothing to be written.
    pub fn first(&self) -> &'a [u8] {
        match self {
            Output::One(bytes) => bytes,
            Output::Many(pieces) => pieces.clone().next().unwrap_or_default(),
        }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let queue = self.queue;
        let next = queue.shared.get(self.passed);
        let until = next.map_or(queue.copied.len(), |shared| shared.at);
        if self.at < until {
            let copied = queue.copied.get(self.at..until);
            self.at = until;
            return copied;
        }
        self.passed += 1;
        next.map(|shared| &shared.bytes[..])
    }
}

impl OutboxQueue {
    /// Bytes that it takes while it is empty.
    #[inline]
    fn size(&self) -> usize {
        self.copied.capacity() + SMALLEST_BYTES
    }

    /// All of it has been sent.
    #[inline]
    fn clear(&mut self) {
        self.copied.clear();
        self.shared.clear();
        self.sent = 0;
        if self.shared.capacity() > SHARED_KEPT_MAX {
            self.shared.shrink_to(SHARED_KEPT_MAX);
        }
    }

    /// The first `n` unsent bytes have been sent, and not all.
    #[cold]
    fn wrote(&mut self, mut n: usize) {
        while let Some(shared) = self.shared.front_mut() {
            let copied = n.min(shared.at - self.sent);
            self.sent += copied;
            n -= copied;
            let written = n.min(shared.bytes.len());
            shared.bytes.advance(written);
            n -= written;
            if !shared.bytes.is_empty() {
                break;
            }
            self.shared.pop_front();
        }
        self.sent = (self.sent + n).min(self.copied.len());
        if self.sent > BUFFER_BYTES_MAX && self.sent > self.copied.len() / 2 {
            self.compact();
        }
    }

    /// Moves what has not been sent to the front.
    fn compact(&mut self) {
        self.copied.drain(..self.sent);
        for shared in &mut self.shared {
            shared.at -= self.sent;
        }
        self.sent = 0;
    }

    /// Copies what must not stay where it is.
    fn keep(&mut self) {
        let mut shared = self.shared.iter();
        let Some(first) = shared.position(|shared| shared.kept == Retention::UntilWritten) else {
            return;
        };
        let mut later = self.shared.split_off(first);
        let from = later.front().map_or(0, |shared| shared.at);
        let behind = self.copied.split_off(from);
        let mut passed = 0;
        for shared in later.drain(..) {
            let until = shared.at - from;
            let copied = behind.get(passed..until).unwrap_or_default();
            self.copied.extend_from_slice(copied);
            passed = until;
            match shared.kept {
                Retention::AsTheyAre => self.shared.push_back(SharedBytes {
                    at: self.copied.len(),
                    ..shared
                }),
                Retention::UntilWritten => {
                    self.copied.extend_from_slice(&shared.bytes);
                }
            }
        }
        let copied = behind.get(passed..).unwrap_or_default();
        self.copied.extend_from_slice(copied);
    }
}

/// Empty buffers for whoever needs one next.
#[derive(Debug, Default)]
pub struct BufferStore {
    #[expect(
        clippy::vec_box,
        reason = "each goes back and forth between here and an outbox, box and all"
    )]
    free: Vec<Box<OutboxQueue>>,
    bytes: usize,
}

impl BufferStore {
    #[inline]
    fn take(&mut self) -> Box<OutboxQueue> {
        let Some(queue) = self.free.pop() else {
            return Box::default();
        };
        self.bytes -= queue.size();
        queue
    }

    fn give(&mut self, mut queue: Box<OutboxQueue>) {
        let size = queue.size();
        if size <= BUFFER_BYTES_MAX && self.bytes + size <= STORE_BYTES_MAX {
            queue.clear();
            self.bytes += size;
            self.free.push(queue);
        }
    }
}

impl Outbox {
    #[inline]
    fn queue(&mut self, store: &mut BufferStore) -> &mut OutboxQueue {
        self.queue.get_or_insert_with(|| store.take())
    }

    /// Puts bytes behind all others.
    #[inline]
    pub fn copy(&mut self, bytes: &[u8], store: &mut BufferStore) {
        self.len += bytes.len();
        self.queue(store).copied.extend_from_slice(bytes);
    }

    /// Puts what `write` writes behind all others. How much that is.
    #[inline]
    pub fn write(&mut self, write: impl FnOnce(&mut Vec<u8>), store: &mut BufferStore) -> usize {
        let copied = &mut self.queue(store).copied;
        let before = copied.len();
        write(copied);
        let written = copied.len() - before;
        self.len += written;
        written
    }

    /// Puts a handle to bytes behind all others.
    pub fn share(&mut self, bytes: Bytes, kept: Retention, store: &mut BufferStore) {
        if bytes.is_empty() {
            return;
        }
        self.len += bytes.len();
        let queue = self.queue(store);
        let at = queue.copied.len();
        queue.shared.push_back(SharedBytes { at, bytes, kept });
    }

    /// What has not been sent yet.
    #[inline]
    pub fn unsent(&self) -> Output<'_> {
        let Some(queue) = self.queue.as_deref() else {
            return Output::One(&[]);
        };
        let copied = queue.copied.get(queue.sent..).unwrap_or_default();
        match queue.shared.front() {
            None => Output::One(copied),
            Some(only) if copied.is_empty() && queue.shared.len() == 1 => Output::One(&only.bytes),
            Some(_) => Output::Many(Pieces {
                queue,
                at: queue.sent,
                passed: 0,
            }),
        }
    }

    /// How many bytes have not been sent yet.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether everything has been sent.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first `n` unsent bytes have been sent.
    pub fn wrote(&mut self, n: usize, store: &mut BufferStore) {
        self.len = self.len.saturating_sub(n);
        if self.len == 0 {
            if let Some(queue) = self.queue.take() {
                store.give(queue);
            }
        } else if let Some(queue) = self.queue.as_deref_mut() {
            queue.wrote(n);
        }
    }

    /// The socket takes no more for now: what must not stay where it is is copied.
    pub fn keep(&mut self) {
        if let Some(queue) = self.queue.as_deref_mut()
            && !queue.shared.is_empty()
        {
            queue.keep();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that has not been sent, as the pieces say.
    fn unsent(out: &Outbox) -> Vec<u8> {
        let all = match out.unsent() {
            Output::One(bytes) => bytes.to_vec(),
            Output::Many(pieces) => pieces.collect::<Vec<_>>().concat(),
        };
        assert_eq!(all.len(), out.len());
        all
    }

    #[test]
    fn an_empty_outbox_owns_no_buffer_and_buffers_are_used_again() {
        let mut store = BufferStore::default();
        let mut out = Outbox::default();
        out.copy(b"+OK\r\n", &mut store);
        out.wrote(2, &mut store);
        assert_eq!(unsent(&out), b"K\r\n");
        out.wrote(3, &mut store);
        assert!(out.is_empty() && out.queue.is_none());
        assert_eq!(store.free.len(), 1);
        assert!(out.queue(&mut store).copied.capacity() > 0);
        assert!(store.free.is_empty());
        assert_eq!(store.bytes, 0);
    }

    #[test]
    fn large_buffers_are_not_kept() {
        let mut store = BufferStore::default();
        let mut out = Outbox::default();
        out.copy(&[0; 100_000], &mut store);
        out.wrote(70_000, &mut store);
        let sent = out.queue.as_ref().map(|queue| queue.sent);
        assert_eq!((out.len(), sent), (30_000, Some(0)));
        out.wrote(30_000, &mut store);
        assert!(store.free.is_empty());
    }

    #[test]
    fn the_store_is_bounded() {
        let mut store = BufferStore::default();
        for _ in 0..1000 {
            let mut queue = Box::<OutboxQueue>::default();
            queue.copied.reserve(BUFFER_BYTES_MAX / 2);
            store.give(queue);
        }
        assert!(store.bytes <= STORE_BYTES_MAX && !store.free.is_empty());
        while !store.free.is_empty() {
            store.take();
        }
        assert_eq!(store.bytes, 0);
    }

    #[test]
    fn one_message_stands_once_in_any_number_of_outboxes() {
        let mut store = BufferStore::default();
        let message = Bytes::from(vec![7; SHARED_BYTES_MIN]);
        let mut all: Vec<Outbox> = (0..10).map(|_| Outbox::default()).collect();
        for out in &mut all {
            out.share(message.clone(), Retention::AsTheyAre, &mut store);
            out.keep();
            let Output::One(bytes) = out.unsent() else {
                panic!("one piece");
            };
            assert_eq!(bytes.as_ptr(), message.as_ptr());
        }
        for out in &mut all {
            out.wrote(SHARED_BYTES_MIN, &mut store);
        }
        assert!(message.is_unique());
    }

    #[test]
    fn a_read_is_nobodys_once_what_the_socket_did_not_take_is_copied() {
        let mut store = BufferStore::default();
        let read = Bytes::from(vec![1; 2 * SHARED_BYTES_MIN]);
        let own = Bytes::from(vec![2; SHARED_BYTES_MIN]);
        let mut out = Outbox::default();
        let mut all = Vec::new();
        for part in [&b"a"[..], b"", b"bc"] {
            out.copy(part, &mut store);
            out.share(own.clone(), Retention::AsTheyAre, &mut store);
            out.share(
                read.slice(..SHARED_BYTES_MIN),
                Retention::UntilWritten,
                &mut store,
            );
            out.copy(b"|", &mut store);
            all.extend_from_slice(&[part, &own, &read[..SHARED_BYTES_MIN], b"|"].concat());
        }
        out.wrote(3, &mut store);
        out.keep();
        assert_eq!(unsent(&out), all[3..]);
        assert!(read.is_unique() && !own.is_unique());
        // What comes later stands behind, and what is left is copied only once.
        out.share(read.clone(), Retention::UntilWritten, &mut store);
        assert_eq!(unsent(&out), [&all[3..], &read].concat());
        out.wrote(out.len(), &mut store);
        assert!(out.is_empty() && read.is_unique() && own.is_unique());
    }

    #[test]
    fn what_is_copied_and_what_is_shared_leaves_in_order_however_much_is_taken_at_once() {
        let mut seed = fastrand::Rng::with_seed(9);
        for _ in 0..40 {
            let (mut store, mut out) = (BufferStore::default(), Outbox::default());
            let (mut put, mut got) = (Vec::new(), Vec::new());
            for _ in 0..60 {
                let byte = seed.u8(..);
                match seed.u8(0..5) {
                    0 => {
                        let part = vec![byte; seed.usize(..2 * BUFFER_BYTES_MAX)];
                        out.copy(&part, &mut store);
                        put.extend_from_slice(&part);
                    }
                    1 => {
                        let part = vec![byte; seed.usize(..3 * SHARED_BYTES_MIN)];
                        let kept = match seed.bool() {
                            true => Retention::AsTheyAre,
                            false => Retention::UntilWritten,
                        };
                        put.extend_from_slice(&part);
                        out.share(part.into(), kept, &mut store);
                    }
                    2 => out.keep(),
                    _ => {
                        let n = seed.usize(..=out.len());
                        got.extend_from_slice(&unsent(&out)[..n]);
                        out.wrote(n, &mut store);
                    }
                }
                assert_eq!(got.len() + out.len(), put.len());
            }
            got.extend_from_slice(&unsent(&out));
            assert!(got == put);
        }
    }
}
