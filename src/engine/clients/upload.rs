//! Huge requests on their way through, as far as they are their clients' own matter.

use std::time::Duration;

use crate::command::Lookup;
use crate::engine::Rules;
use crate::engine::cx::Cx;
use crate::engine::key::ClientId;
use crate::resp::RequestScanner;
use crate::telemetry;

use super::{Client, Clients, UploadStream, UploadTarget};

/// How long a slow upload is watched before it is judged.
pub const WINDOW: Duration = Duration::from_secs(5);

impl Clients {
    /// From now on the client's last command is this one.
    pub fn has_begun(
        &mut self,
        cx: &Cx,
        id: ClientId,
        rules: &Rules,
        partial: &[u8],
        scanner: &RequestScanner,
    ) {
        let now = cx.now;
        let name = match lookup(rules, partial, scanner) {
            Some(Lookup::Known(spec)) => &*spec.name,
            _ => "NULL",
        };
        if let Some(client) = self.get_mut(id) {
            client.served(now, name);
        }
    }

    /// The rest of the request under way is read and dropped; `reply` is its answer.
    pub fn swallow_stream(
        &mut self,
        cx: &mut Cx,
        id: ClientId,
        scanner: RequestScanner,
        reply: Vec<u8>,
    ) {
        let now = cx.now;
        if let Some(client) = self.get_mut(id) {
            client.head.hold = None;
            client.stream = Some(Box::new(UploadStream {
                scanner,
                target: UploadTarget::Nowhere(reply.into()),
                window_began: now,
                window_bytes: 0,
                full: false,
            }));
            self.watch_stream(cx, id, now + WINDOW);
        }
    }

    /// Whether some of a huge request is here that can be passed on now.
    pub fn has_more_for_stream(&self, id: ClientId) -> bool {
        let more = |client: &Client| {
            let stream = client.stream.as_ref();
            stream.is_some_and(|stream| stream.may_read()) && !client.input.is_empty()
        };
        self.get(id).is_some_and(more)
    }

    /// A client goes on with a huge request: what it has sent ahead comes first.
    pub fn stream_goes_on(&mut self, cx: &mut Cx, id: ClientId) {
        match self.has_more_for_stream(id) {
            true => self.resume(id),
            false => self.allow_reading(cx, id),
        }
    }

    pub fn finish_swallowed(&mut self, id: ClientId, reply: &[u8]) {
        let Some(client) = self.get_mut(id) else {
            return;
        };
        client.head.swallowed();
        if !client.session.reply_mode.begin_command() {
            self.reply_with(id, |out| out.extend_from_slice(reply));
        }
    }

    pub fn watch_stream(&mut self, cx: &mut Cx, id: ClientId, at: Duration) {
        self.streams.insert((at, id));
        cx.wake_at(at);
    }

    /// The next huge request that is to be judged by its speed.
    pub fn next_stream_due(&mut self, cx: &mut Cx) -> Option<ClientId> {
        let (at, id) = self.streams.first().copied()?;
        if at > cx.now {
            cx.wake_at(at);
            return None;
        }
        cx.steps += 1;
        self.streams.remove(&(at, id));
        Some(id)
    }

    /// A huge request is refused for this reason, with this answer, and nothing of it is passed on.
    pub fn refuse_stream(
        &mut self,
        cx: &mut Cx,
        id: ClientId,
        scanner: &RequestScanner,
        reason: &'static str,
        reply: Vec<u8>,
    ) -> bool {
        cx.counters.refused(reason);
        cx.counters.went(telemetry::Way::Refused);
        self.swallow_stream(cx, id, scanner.clone(), reply);
        true
    }
}

/// What a huge request asks for, judged by what has come of it.
pub fn lookup<'r>(
    rules: &'r Rules,
    partial: &[u8],
    scanner: &RequestScanner,
) -> Option<Lookup<'r>> {
    let (at, len) = scanner.name()?;
    let name = partial.get(at as usize..at as usize + len as usize)?;
    let argc = scanner.argc().unwrap_or(1);
    Some(rules.commands.lookup(partial, name, argc))
}
