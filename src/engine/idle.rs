//! Clients that say nothing for too long: those that are idle, and those that do not log in. A
//! client is looked at when its time may be over and not before, so ten thousand that are idle
//! cost nothing until then.

use crate::telemetry::Leave;

use super::Engine;
use super::clients::Over;
use super::key::ClientId;

impl Engine {
    /// Looks at the clients whose time may be over.
    pub(super) fn expire_clients(&mut self) {
        while let Some(id) = self.clients.next_to_look_at(&mut self.cx) {
            match self.clients.over(&self.cx, id) {
                Some(Over::Login) if self.need_not_log_in(id) => {
                    self.clients.look_later(&mut self.cx, id)
                }
                Some(over) => self.close_over(id, over),
                None => self.clients.look_later(&mut self.cx, id),
            }
        }
    }

    /// As in Redis without a word (`clientsCronHandleTimeout`, timeout.c).
    fn close_over(&mut self, id: ClientId, over: Over) {
        let Some(client) = self.clients.get(id) else {
            return;
        };
        let (client_id, addr) = (client.session.id, client.address.peer());
        let why = match over {
            Over::Login => {
                let key = "clients.handshake_timeout";
                tracing::debug!(client_id, addr, key, "client closed: it has not logged in");
                Leave::Login
            }
            Over::Idle => {
                let key = "clients.idle_timeout";
                tracing::debug!(client_id, addr, key, "client closed: idle");
                Leave::Idle
            }
            Over::HeldUp => {
                let key = "clients.output_bytes_max";
                tracing::warn!(
                    client_id,
                    addr,
                    key,
                    "client closed: it does not read its replies"
                );
                Leave::OutputLimit
            }
        };
        self.close_for(id, why);
    }
}
