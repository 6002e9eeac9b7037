//! Clients that say nothing for too long: those that are idle, and those that do not log in. A
//! client is looked at when its time may be over and not before, so ten thousand that are idle
//! cost nothing until then.

use crate::engine::clients::Over;
use crate::engine::reach::Gate;

impl Gate<'_> {
    /// Looks at the clients whose time may be over.
    pub fn expire_clients(&mut self) {
        while let Some(id) = self.clients.next_to_look_at(self.cx) {
            match self.clients.over(self.cx, id) {
                Some(Over::Login) if self.need_not_log_in(id) => {
                    self.clients.set_idle_timer(self.cx, id)
                }
                Some(over) => self.clients.close_over(self.cx, id, over),
                None => self.clients.set_idle_timer(self.cx, id),
            }
        }
    }
}
