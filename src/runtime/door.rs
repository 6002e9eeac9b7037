//! Who may come in: the bounds on clients, and whether unauthenticated clients may at all. Each that is turned
//! away is counted by its reason, and told to the log now and then. Knows nothing of sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::admission::{AddressQuotas, SourceAddress};
use crate::resp::Refusal;
use crate::telemetry::door::{DoorCounts, REASONS, TurnedAway};

use super::current::Current;
use super::inbox::{Inbox, InboxPermit};
use super::message::{ClientCount, ConnectionGuard};

/// A reason is told at most this often: a storm of connections is no storm of log lines.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// See the module.
pub struct Door {
    /// What holds now.
    pub current: Arc<Current>,
    /// Inbox and load of each worker.
    pub workers: Vec<(Arc<Inbox>, ClientCount)>,
    /// Told when an inbox has room again.
    pub room: Arc<Notify>,
    /// How many clients come from where.
    pub sources: Arc<AddressQuotas>,
    /// How many were turned away.
    pub counts: Arc<DoorCounts>,
    /// When each reason was last told.
    pub told: Mutex<[Option<Instant>; REASONS.len()]>,
}

/// A client that may come in.
#[derive(Debug)]
pub struct Admitted {
    /// The way to the worker that has the fewest of those that take clients.
    pub room: InboxPermit,
    /// Its place among all clients, and among those of its source.
    pub place: ConnectionGuard,
}

impl Door {
    /// Whether a client from `peer` may come in; `None` for one of a unix socket. Waits while no
    /// worker takes the clients that it has been given.
    ///
    /// # Errors
    /// Why not, which has been counted and told.
    pub async fn admit(&self, peer: Option<SocketAddr>) -> Result<Admitted, TurnedAway> {
        let rules = self.current.rules();
        let (max, per_address) = {
            let clients = &rules.settings.clients;
            (clients.max_clients, clients.max_per_address)
        };
        let (room, load) = self.room().await;
        let Some(mut place) = load.enter(max) else {
            let peer = shown(peer);
            return Err(self.turn_away(TurnedAway::MaxClients, |turned_away| {
                let key = "clients.max_clients";
                tracing::warn!(peer, key, max, turned_away, "max number of clients reached");
            }));
        };
        let Some(peer) = peer else {
            return Ok(Admitted { room, place });
        };
        if self.is_protected_from(peer) {
            return Err(self.turn_away(TurnedAway::Protected, |turned_away| {
                let key = "listen.allow_open";
                tracing::warn!(%peer, key, turned_away, "a client of another machine is turned away");
            }));
        }
        let source = SourceAddress::of(peer.ip());
        match self.sources.enter(source, per_address) {
            Ok(of_source) => {
                place.of_source = Some(of_source);
                Ok(Admitted { room, place })
            }
            Err(clients) => Err(self.turn_away(TurnedAway::MaxPerAddress, |turned_away| {
                let key = "clients.max_per_address";
                tracing::warn!(
                    address = %source, clients, key, max = per_address, turned_away,
                    "max number of clients of one address reached"
                );
            })),
        }
    }

    /// Room at the worker that has the fewest clients of those that have any.
    async fn room(&self) -> (InboxPermit, &ClientCount) {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            // From here on room is not missed, also some before the look at the inboxes.
            room.as_mut().enable();
            let workers = self.workers.iter();
            let least = workers
                .filter(|(inbox, _)| inbox.has_room())
                .min_by_key(|(_, load)| load.worker.load(Ordering::Relaxed));
            if let Some((inbox, load)) = least
                && let Some(found) = inbox.room()
            {
                return (found, load);
            }
            room.await;
        }
    }

    /// As Redis in protected mode (`clientAcceptHandler`, networking.c): whoever need not log in
    /// must come from this machine.
    fn is_protected_from(&self, peer: SocketAddr) -> bool {
        let local = peer.ip().to_canonical().is_loopback();
        !local
            && !self.current.settings().allow_open
            && !self.current.rules().access.asks_for_login()
    }

    /// Counts one that is turned away. `tell` logs it, given how many there have been, unless
    /// another of that reason was told a short while ago.
    pub fn turn_away(&self, reason: TurnedAway, tell: impl FnOnce(u64)) -> TurnedAway {
        self.counts.turned_away(reason);
        let counts = self.counts.counts();
        let mut told = self.told.lock();
        for (at, (known, count)) in told.iter_mut().zip(counts) {
            if known == reason && at.is_none_or(|at| at.elapsed() >= TOLD_EVERY) {
                *at = Some(Instant::now());
                return {
                    tell(count);
                    reason
                };
            }
        }
        reason
    }
}

/// The last words to one that is turned away, in Redis' own text; none where it would not be
/// understood.
pub fn last_words(reason: TurnedAway) -> Vec<u8> {
    let mut words = Vec::new();
    match reason {
        TurnedAway::MaxClients | TurnedAway::MaxPerAddress => Refusal::MaxClients.write(&mut words),
        TurnedAway::Protected => Refusal::Protected.write(&mut words),
        TurnedAway::ProxyHeader => {}
    }
    words
}

fn shown(peer: Option<SocketAddr>) -> String {
    peer.map_or_else(|| "unix socket".to_owned(), |peer| peer.to_string())
}

#[cfg(test)]
mod tests;
