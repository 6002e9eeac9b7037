//! What is known of a client when its next request is decided: see [`crate::session::step`].

use crate::admission::Paused;
use crate::engine::cx::Cx;
use crate::engine::key::ClientId;
use crate::session::step::{PausedFor, View};

use super::Clients;

impl Clients {
    /// See the module. `None`: it is gone.
    pub fn view_of(&self, cx: &Cx, id: ClientId) -> Option<View> {
        let client = self.get(id)?;
        let lost = client.session.lost;
        let held = client.has_session_lease();
        let lease = client.lease.as_ref().filter(|_| held);
        Some(View {
            auth_state: client.session.auth_state,
            protocol: client.session.protocol,
            replies_due: client.in_flight > 0,
            lost,
            paused: match cx.paused {
                None => PausedFor::Nothing,
                Some(Paused::Writes) => PausedFor::Writes,
                Some(Paused::All) => PausedFor::Everything,
            },
            lease: lease.map(|lease| lease.state.view(lost)),
        })
    }
}
