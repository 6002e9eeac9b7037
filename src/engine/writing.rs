//! What is to be written, fetched by the runtime at the end of a turn.

use super::clients::Output;
use super::key::{BackendId, ClientId};
use super::reach::Writing;

/// Bytes of requests that are worth a write of their own in the middle of a turn. Measured
/// with 1,000 pipelining clients: 4 and 16 KiB are alike, a write for every 64 small requests
/// costs a tenth more processor time.
const FLUSH_BYTES: usize = 16 << 10;

impl<'a> Writing<'a> {
    /// Backends with bytes to be written, each once.
    pub fn take_dirty_backends(self, into: &mut Vec<BackendId>) {
        if self.pool.take_dirty(into) {
            // Each of them owes replies from now on.
            self.cx.watch_replies();
        }
    }

    /// Whether so much waits for a write that the server should have them now,
    /// so that it works while this worker reads on.
    pub fn wants_flush(self) -> bool {
        self.pool.unflushed_bytes() >= FLUSH_BYTES
    }

    /// Clients with bytes to be written, each once.
    pub fn take_dirty_clients(self, into: &mut Vec<ClientId>) {
        self.clients.take_dirty(into);
    }

    /// Bytes for a backend. They have to be written from the front and
    /// [accounted for](super::Engine::backend_wrote).
    pub fn of_backend(self, id: BackendId) -> &'a [u8] {
        match self.pool.backend_mut(id) {
            Some(backend) => {
                backend.dirty = false;
                backend.watch(self.cx.now);
                backend.out.unsent()
            }
            None => &[],
        }
    }

    /// Bytes for a client. They have to be written from the front and
    /// [accounted for](super::Engine::client_wrote).
    #[inline]
    pub fn of_client(self, id: ClientId) -> Output<'a> {
        self.clients.output(id)
    }
}
