//! The end of a request that narrows answers itself.

use crate::command::Spec;
use crate::engine::cx::Cx;
use crate::engine::key::ClientId;
use crate::resp::{Protocol, write};
use crate::telemetry::Way;

use super::Clients;
use super::hold::{Hold, RequestOutcome};

impl Clients {
    pub fn finish_local(
        &mut self,
        cx: &mut Cx,
        id: ClientId,
        spec: &Spec,
        reply: &[u8],
        silent: bool,
    ) -> RequestOutcome {
        let now = cx.now;
        if let Some(client) = self.get_mut(id) {
            client.served(now, &spec.name);
            cx.counters.went(Way::Local);
        }
        if !silent {
            self.reply_with(id, |out| out.extend_from_slice(reply));
        }
        RequestOutcome::Taken
    }

    /// Writes a local reply that depends on the client's protocol.
    pub fn finish_fan_out(
        &mut self,
        cx: &mut Cx,
        id: ClientId,
        spec: &Spec,
        write: impl FnOnce(Protocol, &mut Vec<u8>),
    ) -> RequestOutcome {
        let Some(client) = self.get_mut(id) else {
            return RequestOutcome::Ended;
        };
        let mut reply = Vec::new();
        write(client.session.protocol, &mut reply);
        let silent = client.session.reply_mode.begin_command();
        self.finish_local(cx, id, spec, &reply, silent)
    }

    /// The server's answer to `INFO` is no text: it is the client's as it is.
    pub fn no_figures(&mut self, id: ClientId, reply: &[u8]) {
        self.reply_with(id, |out| out.extend_from_slice(reply));
        self.end_hold(id, Hold::FanOut(0));
    }

    /// `CLIENT INFO`.
    pub fn own_line(&mut self, cx: &mut Cx, id: ClientId, spec: &Spec) -> RequestOutcome {
        let mut text = self.client_line(cx, id);
        text.push(b'\n');
        self.finish_fan_out(cx, id, spec, |protocol, out| {
            write::verbatim(out, &text, protocol);
        })
    }
}
