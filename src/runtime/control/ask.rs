//! What control asks the server, within a bounded time.

use std::time::Duration;

use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::admission::Paused;
use crate::resp::{HEADER_BYTES_MIN, write};
use crate::runtime::dial::{BackendSocket, REPLACED};
use crate::runtime::exchange::exchange;

use super::Control;

/// How soon control sees, while it waits for an answer, that another server has taken the place of the
/// one that it has asked, or that a pause has ended: what the old one holds up must not hold up the new.
const LOOK: Duration = Duration::from_millis(50);

impl Control {
    /// One request and its whole reply, within a bounded time.
    pub(in crate::runtime) async fn ask(
        &self,
        socket: &mut BackendSocket,
        args: &[&[u8]],
    ) -> Result<Vec<u8>, String> {
        let limit = self.current.settings().connect_timeout;
        let limit = limit.max(Duration::from_secs(1));
        // It may hold a password, of which what grows would leave copies behind.
        let room = args.iter().map(|arg| arg.len() + HEADER_BYTES_MIN).sum();
        let mut request = Zeroizing::new(Vec::with_capacity(room));
        write::request(&mut request, args);
        let (rules, begun) = (self.current.rules(), self.epoch.elapsed());
        let limits = &rules.settings.limits;
        let mut exchange = std::pin::pin!(exchange(&mut socket.transport, &request, limits));
        loop {
            if self.current.topology().endpoint() != self.endpoint {
                return Err(REPLACED.to_owned());
            }
            // A pause may begin while it waits, and may be ended early: also by another server that
            // takes the place of this one.
            let deadline = self.pause.counts_from(begun, Paused::All) + limit;
            let left = deadline.saturating_sub(self.epoch.elapsed());
            if left.is_zero() {
                return Err("no answer in time".to_owned());
            }
            if let Ok(outcome) = timeout(left.min(LOOK), &mut exchange).await {
                return outcome;
            }
        }
    }
}
