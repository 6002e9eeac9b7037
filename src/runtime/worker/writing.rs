//! What a worker writes when a turn is over: to each backend and to each client that has anything to be
//! written, until that is all or its socket takes no more.

use std::io;
use std::task::Poll;

use crate::engine::{BackendId, ClientId, Output};
use crate::runtime::event_loop::Token;
use crate::runtime::socket::Socket;

use super::Worker;

impl Worker {
    pub(super) fn write_backends(&mut self) {
        let mut ids = std::mem::take(&mut self.dirty_backends);
        self.engine.writing().take_dirty_backends(&mut ids);
        for id in ids.drain(..) {
            self.write_backend(id);
        }
        ids.append(&mut self.dirty_backends);
        self.dirty_backends = ids;
    }

    fn write_backend(&mut self, id: BackendId) {
        let Some(backend) = self.backends.get_mut(id) else {
            return;
        };
        let mut left = true;
        loop {
            // When all is written, the transport sees that it gets away.
            let bytes = match left {
                true => self.engine.writing().of_backend(id),
                false => &[],
            };
            match send(&mut backend.transport, bytes) {
                Poll::Pending => {
                    self.engine.backend_wrote(id, 0, self.now);
                    return;
                }
                Poll::Ready(Ok(0)) => return,
                Poll::Ready(Ok(n)) => left = self.engine.backend_wrote(id, n, self.now),
                Poll::Ready(Err(_)) => {
                    // What the server said before it closed is still to be read.
                    return self.tokens.push(Token::Backend(id));
                }
            }
        }
    }

    pub(super) fn write_clients(&mut self) {
        let mut ids = std::mem::take(&mut self.dirty_clients);
        self.engine.writing().take_dirty_clients(&mut ids);
        for id in ids.drain(..) {
            self.write_client(id);
        }
        ids.append(&mut self.dirty_clients);
        self.dirty_clients = ids;
    }

    fn write_client(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let mut left = true;
        loop {
            // When all is written, the transport sees that it gets away.
            let output = match left {
                true => self.engine.writing().of_client(id),
                false => Output::One(&[]),
            };
            let sent = match output {
                Output::One(bytes) => send(&mut client.socket, bytes),
                Output::Many(pieces) => client.socket.write_pieces(pieces),
            };
            match sent {
                Poll::Pending => {
                    self.engine.client_wrote(id, 0, self.now);
                    return;
                }
                Poll::Ready(Ok(0)) => return,
                Poll::Ready(Ok(n)) => left = self.engine.client_wrote(id, n, self.now),
                Poll::Ready(Err(_)) => {
                    self.clients.remove(id);
                    return self.engine.client_gone(id, self.now);
                }
            }
        }
    }
}

/// Writes once what is to be written, or sees, when that is nothing, that all of it gets away:
/// `Ok(0)`, it has.
#[inline]
fn send(socket: &mut Socket, bytes: &[u8]) -> Poll<io::Result<usize>> {
    if bytes.is_empty() {
        return socket.flush().map_ok(|()| 0);
    }
    socket.write(bytes)
}
