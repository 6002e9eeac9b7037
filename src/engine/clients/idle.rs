//! Clients that say nothing for too long: those that are idle, and those that do not log in. A
//! client is looked at when its time may be over and not before, so ten thousand that are idle
//! cost nothing until then.

use crate::telemetry::ClientCloseReason;

use std::time::Duration;

use crate::engine::cx::Cx;
use crate::engine::key::ClientId;
use crate::engine::settings::ClientSettings;

use super::hold::Hold;
use super::{Client, Clients};

/// Why a client's time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// It has not logged in.
    Login,
    /// It has not said anything.
    Idle,
    /// It has sent as much ahead as it may, and reads nothing.
    HeldUp,
}

/// How long a client that is not read any more, until it reads, may read nothing.
const HELD_UP_MAX: Duration = Duration::from_secs(60);

impl Clients {
    /// A client has come, or may be told apart by other limits now: it is looked at in time.
    pub fn set_idle_timer(&mut self, cx: &mut Cx, id: ClientId) {
        let settings = &cx.rules.settings.clients;
        let Some(client) = self.all.get_mut(id) else {
            return;
        };
        if let Some(at) = client.idle_timer.take() {
            self.idle_timers.remove(&(at, id));
        }
        let Some((at, over)) = client.time_is_over(settings) else {
            return;
        };
        // One that is at work is looked at again when it may have been idle for as long.
        let at = match over {
            Over::Idle if at <= cx.now && !client.may_be_idle() => cx.now + settings.idle_timeout,
            _ => at.max(cx.now),
        };
        let at = rounded(at, settings);
        client.idle_timer = Some(at);
        self.idle_timers.insert((at, id));
        cx.wake_at(at);
    }

    /// A client that is gone is not looked at.
    pub fn drop_idle_timer(&mut self, id: ClientId, client: &Client) {
        if let Some(at) = client.idle_timer {
            self.idle_timers.remove(&(at, id));
        }
    }

    /// Other limits hold: everybody is looked at by those.
    pub fn reset_idle_timers(&mut self, cx: &mut Cx) {
        let ids: Vec<ClientId> = self.keys().collect();
        for id in ids {
            self.set_idle_timer(cx, id);
        }
    }

    pub fn over(&self, cx: &Cx, id: ClientId) -> Option<Over> {
        let client = self.get(id)?;
        let (at, over) = client.time_is_over(&cx.rules.settings.clients)?;
        let closes = match over {
            Over::Login | Over::HeldUp => true,
            Over::Idle => client.may_be_idle(),
        };
        (at <= cx.now && closes).then_some(over)
    }

    /// The next client whose time may be over.
    pub fn next_to_look_at(&mut self, cx: &mut Cx) -> Option<ClientId> {
        let (at, id) = self.idle_timers.first().copied()?;
        if at > cx.now {
            cx.wake_at(at);
            return None;
        }
        self.idle_timers.remove(&(at, id));
        if let Some(client) = self.all.get_mut(id) {
            client.idle_timer = None;
        }
        Some(id)
    }

    /// How many clients are to be looked at.
    pub fn idle_timers_len(&self) -> usize {
        self.idle_timers.len()
    }

    /// As in Redis without a word (`clientsCronHandleTimeout`, timeout.c).
    pub fn close_over(&mut self, cx: &mut Cx, id: ClientId, over: Over) {
        let Some(client) = self.get(id) else {
            return;
        };
        let (client_id, addr) = (client.session.id, client.address.peer());
        let why = match over {
            Over::Login => {
                let key = "clients.handshake_timeout";
                tracing::debug!(client_id, addr, key, "client closed: it has not logged in");
                ClientCloseReason::Login
            }
            Over::Idle => {
                let key = "clients.idle_timeout";
                tracing::debug!(client_id, addr, key, "client closed: idle");
                ClientCloseReason::Idle
            }
            Over::HeldUp => {
                let key = "clients.output_bytes_max";
                tracing::warn!(
                    client_id,
                    addr,
                    key,
                    "client closed: it does not read its replies"
                );
                ClientCloseReason::OutputLimit
            }
        };
        self.close_for(cx, id, why);
    }
}

impl Client {
    /// When its time is over if nothing happens, and why.
    fn time_is_over(&self, settings: &ClientSettings) -> Option<(Duration, Over)> {
        let (login, idle) = (settings.handshake_timeout, settings.idle_timeout);
        let login = (!login.is_zero() && !self.is_authenticated())
            .then(|| (self.asked_since + login, Over::Login));
        let idle = (!idle.is_zero()).then(|| (self.active_at + idle, Over::Idle));
        let held_up = self
            .is_held_up(settings)
            .then(|| (self.active_at + HELD_UP_MAX, Over::HeldUp));
        let all = login.into_iter().chain(idle).chain(held_up);
        all.min_by_key(|(at, _)| *at)
    }

    /// Whether silence is a fault of this client's: not while it waits for an answer, which may
    /// be an element that somebody else will push, nor while it listens to what others say.
    fn may_be_idle(&self) -> bool {
        let waits = self.head.hold.is_some_and(|hold| hold != Hold::Output);
        let push_stream = self
            .lease
            .as_ref()
            .and_then(|lease| lease.state.push_stream.as_ref());
        let listens = push_stream
            .is_some_and(|push_stream| push_stream.subscriptions.any() || push_stream.monitoring);
        self.in_flight == 0 && self.stream.is_none() && !waits && !listens
    }
}

/// Clients are looked at in batches, as Redis does about once a second.
fn rounded(at: Duration, settings: &ClientSettings) -> Duration {
    let limits = [settings.handshake_timeout, settings.idle_timeout];
    let shortest = limits.into_iter().filter(|limit| !limit.is_zero()).min();
    let grain = shortest.unwrap_or_default() / 64;
    let grain = grain.clamp(Duration::from_millis(1), Duration::from_secs(1));
    let grains = at.as_nanos().div_ceil(grain.as_nanos());
    u64::try_from(grains * grain.as_nanos()).map_or(at, Duration::from_nanos)
}
