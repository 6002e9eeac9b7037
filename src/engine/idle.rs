//! Clients that say nothing for too long: those that are idle, and those that do not log in. A
//! client is looked at when its time may be over and not before, so ten thousand that are idle
//! cost nothing until then.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::telemetry::Leave;

use super::Engine;
use super::client::Client;
use super::hold::Hold;
use super::key::ClientId;
use super::settings::ClientSettings;

/// When clients are to be looked at. Each is in it at most once, at its `look_at`.
#[derive(Debug, Default)]
pub struct Looks(BTreeSet<(Duration, ClientId)>);

impl Looks {
    /// How many clients are to be looked at.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// Why a client's time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    /// It has not logged in.
    Login,
    /// It has not said anything.
    Idle,
    /// It has sent as much ahead as it may, and reads nothing.
    HeldUp,
}

/// How long a client that is not read any more, until it reads, may read nothing.
const HELD_UP_MAX: Duration = Duration::from_secs(60);

impl Engine {
    /// A client has come, or may be told apart by other limits now: it is looked at in time.
    pub(super) fn look_later(&mut self, id: ClientId) {
        let settings = &self.rules.settings.clients;
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        if let Some(at) = client.look_at.take() {
            self.looks.0.remove(&(at, id));
        }
        let Some((at, over)) = client.time_is_over(settings) else {
            return;
        };
        // One that is at work is looked at again when it may have been idle for as long.
        let at = match over {
            Over::Idle if at <= self.now && !client.may_be_idle() => {
                self.now + settings.idle_timeout
            }
            _ => at.max(self.now),
        };
        let at = rounded(at, settings);
        client.look_at = Some(at);
        self.looks.0.insert((at, id));
        self.wake_at(at);
    }

    /// A client that is gone is not looked at.
    pub(super) fn look_no_more(&mut self, id: ClientId, client: &Client) {
        if let Some(at) = client.look_at {
            self.looks.0.remove(&(at, id));
        }
    }

    /// Other limits hold: everybody is looked at by those.
    pub(super) fn look_anew(&mut self) {
        let ids: Vec<ClientId> = self.clients.keys().collect();
        for id in ids {
            self.look_later(id);
        }
    }

    /// Looks at the clients whose time may be over.
    pub(super) fn expire_clients(&mut self) {
        while let Some(&(at, id)) = self.looks.0.first() {
            if at > self.now {
                return self.wake_at(at);
            }
            match self.over(id) {
                Some(Over::Login) if self.need_not_log_in(id) => self.look_later(id),
                Some(over) => self.close_over(id, over),
                None => self.look_later(id),
            }
            // It has left the line or stands in it at a later place.
            self.looks.0.remove(&(at, id));
        }
    }

    fn over(&self, id: ClientId) -> Option<Over> {
        let client = self.clients.get(id)?;
        let (at, over) = client.time_is_over(&self.rules.settings.clients)?;
        let closes = match over {
            Over::Login | Over::HeldUp => true,
            Over::Idle => client.may_be_idle(),
        };
        (at <= self.now && closes).then_some(over)
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

impl Client {
    /// When its time is over if nothing happens, and why.
    fn time_is_over(&self, settings: &ClientSettings) -> Option<(Duration, Over)> {
        let (login, idle) = (settings.handshake_timeout, settings.idle_timeout);
        let login =
            (!login.is_zero() && !self.is_in()).then(|| (self.asked_since + login, Over::Login));
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
        let waits = self.hold.is_some_and(|hold| hold != Hold::Output);
        let feed = self
            .lease
            .as_ref()
            .and_then(|lease| lease.lent.feed.as_ref());
        let listens = feed.is_some_and(|feed| feed.subscriptions.any() || feed.monitoring);
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
