//! Which clients are read, and what is said of requests as such.
//!
//! Most libraries write a whole pipeline before they read a byte, so a client is read on, held or not,
//! up to `clients.output_bytes_max` of unread replies and requests not dealt with together. Past that TCP
//! does the rest, and who then reads nothing for a minute is closed. Only who waits for something that has
//! nothing to do with its reading is read no further than `AHEAD_BYTES`.

use std::time::Duration;

use crate::engine::cx::Cx;
use crate::engine::key::ClientId;
use crate::engine::lease::state::LeaseFor;
use crate::engine::settings::ClientSettings;
use crate::engine::{Rules, fault_injection};
use crate::resp::{Limits, ProtocolError, Refusal};
use crate::telemetry::ClientCloseReason;

use super::hold::{Ending, Hold, RequestOutcome};
use super::{Client, Clients};

/// What a client may send ahead that has not logged in, or whose next request is a huge one and
/// waits for its turn, in bytes.
const AHEAD_BYTES: usize = 64 << 10;

/// Clients that speak another protocol are told of at most this often.
const TOLD_EVERY: Duration = Duration::from_secs(10);

impl Clients {
    /// Whether the runtime may read this client now. When not, it watches for the client's
    /// end (`client_hung_up`), and an
    /// [`Effect::ReadClient`](super::super::Effect::ReadClient) follows.
    ///
    /// Libraries write a whole pipeline before they read a byte: whatever a client has not read
    /// yet, it is read on, up to its bound. Were it not, both sides would wait for ever.
    pub fn may_read(&mut self, cx: &mut Cx, id: ClientId) -> bool {
        let settings = &cx.rules.settings.clients;
        let Some(client) = self.get_mut(id) else {
            return false;
        };
        let may = match client.ending {
            Ending::No => match &client.stream {
                None => client.may_send_more(settings),
                Some(stream) => stream.may_read() && client.may_send_more(settings),
            },
            // What it still sends is dropped: one that writes all before it reads is to get there.
            Ending::AfterReplies(_) | Ending::AfterOutput => true,
            Ending::HalfClosed => false,
        };
        client.unread = !may;
        if !may && client.is_held_up(settings) {
            self.set_idle_timer(cx, id);
        }
        may
    }

    /// Tells the runtime when a client that it does not read may be read again.
    pub fn allow_reading(&mut self, cx: &mut Cx, id: ClientId) {
        if self.get(id).is_some_and(|client| client.unread) && self.may_read(cx, id) {
            cx.effects.push(super::super::Effect::ReadClient(id));
        }
    }

    /// The request at the head of the input, `bytes` long, is done with. Whether its client may use
    /// commands behind it.
    pub fn passed(&mut self, cx: &mut Cx, id: ClientId, bytes: usize) -> bool {
        let Some(client) = self.get_mut(id) else {
            return true;
        };
        if let Some(since) = client.head.passed(bytes) {
            cx.counters.waited(cx.now.saturating_sub(since));
        }
        client.is_authenticated()
    }

    /// Nothing to execute. In Redis it uses up a `CLIENT REPLY SKIP` all the same.
    pub fn empty(&mut self, id: ClientId) -> RequestOutcome {
        if let Some(client) = self.get_mut(id) {
            client.session.reply_mode.begin_command();
        }
        RequestOutcome::Taken
    }

    /// Answers a request that is none, after all earlier replies, and closes.
    pub fn protocol_error(
        &mut self,
        cx: &mut Cx,
        id: ClientId,
        error: ProtocolError,
    ) -> RequestOutcome {
        let Some(client) = self.get_mut(id) else {
            return RequestOutcome::Ended;
        };
        cx.counters.refused(error.label());
        tracing::debug!(
            client = client.session.id,
            error = error.label(),
            "protocol error"
        );
        if error == ProtocolError::Tls
            && cx
                .told_of_tls
                .is_none_or(|at| cx.now.saturating_sub(at) >= TOLD_EVERY)
        {
            cx.told_of_tls = Some(cx.now);
            let addr = client.address.peer();
            tracing::warn!(
                addr,
                key = "listen.addresses",
                "client closed: it speaks TLS, which is not spoken at this address; is \"tls:\" in front of \
                 the address meant, or redis:// in place of rediss:// at the client?"
            );
        }
        let mut last_words = Vec::new();
        if !client.session.reply_mode.begin_command() {
            Refusal::Protocol(error).write(&mut last_words);
        }
        client.ending = Ending::AfterReplies(last_words.into());
        client
            .leaving
            .get_or_insert(ClientCloseReason::ProtocolError);
        client.head.hold = None;
        self.close_if_done(cx, id);
        RequestOutcome::Ended
    }

    /// What of a client may be said of its requests: less before it has logged in
    /// (`authRequired`, networking.c).
    pub fn limits_of(&self, id: ClientId, rules: &Rules) -> Option<Limits> {
        let is_authenticated = self.get(id).is_none_or(Client::is_authenticated);
        (!is_authenticated).then(|| Limits {
            authenticated: false,
            ..rules.settings.limits.clone()
        })
    }
}

impl Client {
    /// The next request waits for this.
    pub fn hold(&mut self, hold: Hold) -> RequestOutcome {
        self.head.hold = Some(hold);
        RequestOutcome::Held
    }

    /// How much may wait for it, unread replies and requests not dealt with, before it is not read.
    pub fn ahead_max(&self, settings: &ClientSettings) -> usize {
        let ends_without_it = |hold| match hold {
            // Nothing but its reading ends it, and it may read only when it has written all.
            Hold::Output => false,
            Hold::Lease(LeaseFor::Upload) => true,
            _ => !self.is_authenticated() || self.input.announced() > settings.big_request_bytes,
        };
        match self.head.hold.is_some_and(ends_without_it) {
            true => AHEAD_BYTES,
            false => settings.output_bytes_max.max(AHEAD_BYTES),
        }
    }

    /// Whether what waits for it leaves room for more.
    pub fn may_send_more(&self, settings: &ClientSettings) -> bool {
        let held = self.input.len() + self.out.len();
        let may = held < AHEAD_BYTES || held < self.ahead_max(settings);
        may && !fault_injection::stops_reading(self.out.len(), settings)
    }

    /// Whether nothing moves any more unless it reads: it has sent as much ahead as it may.
    pub fn is_held_up(&self, settings: &ClientSettings) -> bool {
        self.head.hold == Some(Hold::Output)
            && self.ending == Ending::No
            && self.input.len() + self.out.len() >= self.ahead_max(settings)
    }

    /// Whether its end has begun in a way that leaves its further requests aside.
    pub fn is_ending(&self) -> bool {
        matches!(self.ending, Ending::AfterReplies(_) | Ending::AfterOutput)
    }

    /// Whether nobody has looked at what it has sent, and nothing keeps that from being done.
    pub fn has_more_input(&self) -> bool {
        self.head.hold.is_none() && self.stream.is_none() && !self.input.is_empty()
    }

    /// A request has been dealt with or sent.
    pub fn served(&mut self, now: Duration, command: &str) {
        self.active_at = now;
        self.last_command.set(command);
    }
}
