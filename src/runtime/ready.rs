//! Which sockets of a worker can be read or written now. One task owns all of them; each
//! socket has a waker of its own that puts its token here.

use std::sync::Arc;
use std::task::{Wake, Waker};

use parking_lot::Mutex;

use crate::engine::{BackendId, ClientId};

/// A socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// A client's.
    Client(ClientId),
    /// A backend's.
    Backend(BackendId),
}

/// Tokens of sockets that became ready since they were last taken.
#[derive(Debug, Default)]
pub struct ReadyQueue {
    state: Mutex<ReadyState>,
}

#[derive(Debug, Default)]
struct ReadyState {
    tokens: Vec<Token>,
    /// Woken by the first token that comes in.
    worker: Option<Waker>,
}

#[derive(Debug)]
struct SocketWaker {
    token: Token,
    queue: Arc<ReadyQueue>,
}

impl ReadyQueue {
    /// A waker that queues `token`.
    pub fn waker(self: &Arc<Self>, token: Token) -> Waker {
        Waker::from(Arc::new(SocketWaker {
            token,
            queue: Arc::clone(self),
        }))
    }

    /// Queues a token directly.
    pub fn push(&self, token: Token) {
        let mut state = self.state.lock();
        state.tokens.push(token);
        let worker = state.worker.take();
        drop(state);
        if let Some(worker) = worker {
            worker.wake();
        }
    }

    /// Moves what is ready to `into`; the next token that comes wakes `worker`.
    pub fn take(&self, into: &mut Vec<Token>, worker: &Waker) {
        let mut state = self.state.lock();
        into.append(&mut state.tokens);
        if !state.worker.as_ref().is_some_and(|w| w.will_wake(worker)) {
            state.worker = Some(worker.clone());
        }
    }
}

impl Wake for SocketWaker {
    fn wake(self: Arc<Self>) {
        self.queue.push(self.token);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.queue.push(self.token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[derive(Default)]
    struct WakeCounter(AtomicU32);

    impl Wake for WakeCounter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_worker_is_woken_once_for_any_number_of_sockets() {
        let queue = Arc::new(ReadyQueue::default());
        let count = Arc::new(WakeCounter::default());
        let worker = Waker::from(Arc::clone(&count));
        let mut tokens = Vec::new();
        queue.take(&mut tokens, &worker);
        let socket = queue.waker(Token::Client(ClientId::default()));
        socket.wake_by_ref();
        socket.wake();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        queue.take(&mut tokens, &worker);
        assert_eq!(tokens.len(), 2);
    }
}
