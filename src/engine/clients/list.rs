//! How a client looks to whoever lists clients.

use std::time::Duration;

use crate::engine::cx::Cx;
use crate::engine::key::ClientId;
use crate::session::ClientView;
use crate::telemetry::ClientCloseReason;

use super::hold::Hold;
use super::{Client, Clients};

impl Clients {
    /// The client's own line of `CLIENT LIST`, without a line end.
    pub fn client_line(&self, cx: &Cx, id: ClientId) -> Vec<u8> {
        let mut line = Vec::with_capacity(256);
        if let Some(client) = self.get(id) {
            view(client, cx.now).write(&mut line);
        }
        line
    }
}

/// Whether a client is in a command that waits, or is held up by a pause.
pub fn is_blocked(client: &Client) -> bool {
    client.head.hold == Some(Hold::Pause) || client.waits()
}

pub fn view(client: &Client, now: Duration) -> ClientView<'_> {
    let lease_state = client.lease.as_ref().map(|lease| &lease.state);
    let push_stream = lease_state.and_then(|lease_state| lease_state.push_stream.as_ref());
    let executing = lease_state.and_then(|lease_state| lease_state.executing);
    ClientView {
        session: &client.session,
        address: &client.address,
        age_seconds: now.saturating_sub(client.connected_at).as_secs(),
        idle_seconds: now.saturating_sub(client.active_at).as_secs(),
        last_command: match executing {
            // Whatever it has sent behind.
            Some(_) => "exec",
            None => client.last_command.as_str(),
        },
        query_bytes: client.input.len(),
        output_bytes: client.out.len(),
        blocked: is_blocked(client),
        subscriptions: push_stream
            .map(|push_stream| push_stream.subscriptions)
            .unwrap_or_default(),
        monitoring: push_stream.is_some_and(|push_stream| push_stream.monitoring),
        tracking: push_stream.is_some_and(|push_stream| push_stream.tracking),
        queued: lease_state.and_then(|lease_state| {
            let queued = lease_state.transaction.queued(client.sequence_next);
            lease_state.executing.or(queued)
        }),
        // One that sends no more is not, in Redis: it is served or gone. Nor is one whose end stands
        // behind what it is still to hear, unless that is its own end.
        closing: client.is_ending()
            && (client.in_flight == 0
                || (executing.is_some() && client.leaving == Some(ClientCloseReason::Killed))),
    }
}
