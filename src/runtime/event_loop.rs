//! The event loop of a worker: it tells which sockets have news, and other threads wake it. It tells of a socket
//! once for each change (edge-triggered); what is known of one since is [`Socket`](super::socket::Socket)'s.

use std::io;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

use mio::{Events, Poll, Registry};
use slotmap::{Key, KeyData};

use crate::engine::{BackendId, ClientId};

/// News taken in one call to the kernel. What is beyond it comes with the next one.
const EVENTS_MAX: usize = 1024;

/// Whose news it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// A client's.
    Client(ClientId),
    /// A backend's.
    Backend(BackendId),
}

/// Set in the index of a backend's key. No worker has two thousand million sockets.
const BACKEND: u64 = 1 << 31;

/// Of the [waker](EventLoop::waker). No key: of the highest index, and an index with this bit is a backend's.
const WAKE: mio::Token = mio::Token(usize::MAX);

// A key has 64 bits, and what comes late for an old one must not reach its successor.
const _: () = assert!(usize::BITS >= u64::BITS);

impl Token {
    /// As the kernel keeps it.
    pub fn number(self) -> mio::Token {
        mio::Token(match self {
            Self::Client(id) => id.data().as_ffi() as usize,
            Self::Backend(id) => (id.data().as_ffi() | BACKEND) as usize,
        })
    }

    /// `None`: no socket's.
    fn of(number: mio::Token) -> Option<Self> {
        let bits = number.0 as u64;
        match number {
            WAKE => None,
            _ if bits & BACKEND == 0 => Some(Self::Client(KeyData::from_ffi(bits).into())),
            _ => Some(Self::Backend(KeyData::from_ffi(bits & !BACKEND).into())),
        }
    }
}

/// What has changed of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Readiness {
    /// There is something to read, its end included.
    pub readable: bool,
    /// There is room to write.
    pub writable: bool,
    /// The other end sends no more.
    pub ended: bool,
    /// The connection is broken.
    pub broken: bool,
}

impl Readiness {
    /// Whether a read has something to tell.
    pub fn is_of_reading(self) -> bool {
        self.readable || self.ended || self.broken
    }
}

/// See the module.
#[derive(Debug)]
pub struct EventLoop {
    poll: Poll,
    events: Events,
    waker: Waker,
}

/// Wakes the event loop from any thread.
struct LoopWaker(mio::Waker);

impl Wake for LoopWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // It fails when the loop has been told so often that its counter is full: it wakes anyway.
        let _ = self.0.wake();
    }
}

impl EventLoop {
    /// One without sockets.
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), WAKE)?;
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            waker: Waker::from(Arc::new(LoopWaker(waker))),
        })
    }

    /// Ends a [`wait`](Self::wait), the next one if there is none.
    pub fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Where sockets are registered.
    pub fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// Sleeps until there is news, or for `limit`, which is rounded up to a millisecond.
    pub fn wait(&mut self, limit: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, limit) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.events.clear();
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Whether the last [`wait`](Self::wait) has brought anything, be it that another thread has woken it.
    #[cfg(test)]
    pub fn has_ended_early(&self) -> bool {
        !self.events.is_empty()
    }

    /// What the last [`wait`](Self::wait) has brought of sockets.
    pub fn news(&self) -> impl Iterator<Item = (Token, Readiness)> {
        self.events.iter().filter_map(|event| {
            let readiness = Readiness {
                readable: event.is_readable(),
                writable: event.is_writable(),
                ended: event.is_read_closed(),
                broken: event.is_error(),
            };
            Some((Token::of(event.token())?, readiness))
        })
    }
}

#[cfg(test)]
mod tests {
    use slotmap::SlotMap;

    use super::*;

    #[test]
    fn what_comes_late_for_a_socket_finds_no_other_one() {
        let mut clients: SlotMap<ClientId, ()> = SlotMap::with_key();
        let mut backends: SlotMap<BackendId, ()> = SlotMap::with_key();
        let (client, backend) = (clients.insert(()), backends.insert(()));
        clients.remove(client);
        let successor = clients.insert(());
        let all = [
            Token::Client(client),
            Token::Client(successor),
            Token::Backend(backend),
        ];
        for (at, token) in all.into_iter().enumerate() {
            assert_eq!(Token::of(token.number()), Some(token));
            assert_ne!(token.number(), WAKE);
            assert!(
                all.iter()
                    .skip(at + 1)
                    .all(|other| other.number() != token.number())
            );
        }
    }

    #[test]
    fn a_loop_that_was_woken_before_it_sleeps_does_not_sleep() {
        let mut events = EventLoop::new().unwrap();
        events.waker().wake_by_ref();
        events.waker().wake_by_ref();
        events.wait(None).unwrap();
        assert!(events.has_ended_early());
        assert_eq!(events.news().count(), 0, "that is no socket's");
        events.wait(Some(Duration::ZERO)).unwrap();
        assert!(!events.has_ended_early(), "it was told of that");
    }
}
