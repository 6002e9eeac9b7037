//! The accept policy: who may come in, by the bounds on clients, and whether unauthenticated clients may at
//! all. Each connection that is rejected is counted by its reason, and told to the log now and then. Knows
//! nothing of sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::admission::{AddressQuotas, SourceAddress};
use crate::resp::Refusal;
use crate::telemetry::reject_counts::{REASONS, RejectCounts, RejectReason};

use super::current::Current;
use super::inbox::{Inbox, InboxPermit};
use super::message::{ClientCount, ConnectionGuard};

/// A reason is told at most this often: a storm of connections is no storm of log lines.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// See the module.
pub struct AcceptPolicy {
    /// What holds now.
    pub current: Arc<Current>,
    /// Inbox of each worker, and how many clients it has.
    pub workers: Vec<(Arc<Inbox>, ClientCount)>,
    /// Those that have no worker yet.
    pub entering: ClientCount,
    /// Told when an inbox has room again.
    pub room: Arc<Notify>,
    /// How many clients come from where.
    pub address_quotas: Arc<AddressQuotas>,
    /// How many were rejected.
    pub counts: Arc<RejectCounts>,
    /// TLS handshakes that there have been.
    pub handshakes: Arc<AtomicU64>,
    /// When each reason was last told.
    pub told: Mutex<[Option<Instant>; REASONS.len()]>,
    /// When a certificate of nobody was last told of.
    pub told_unknown_user: Mutex<Option<Instant>>,
}

/// A client that may come in.
#[derive(Debug)]
pub struct Admitted {
    /// The way to the worker that has the fewest of those that take clients.
    pub permit: InboxPermit,
    /// Counts it among all clients, and among those of its address.
    pub guard: ConnectionGuard,
}

impl AcceptPolicy {
    /// Whether a connection from `peer` may become a client; `None` for one of a unix socket. What it gets
    /// counts it from now on. `is_proven`: it will have shown who it is before it does.
    ///
    /// # Errors
    /// Why not, which has been counted and told.
    pub fn enter(
        &self,
        peer: Option<SocketAddr>,
        is_proven: bool,
    ) -> Result<ConnectionGuard, RejectReason> {
        let rules = self.current.rules();
        let (max, per_address) = {
            let clients = &rules.settings.clients;
            (clients.max_clients, clients.max_per_address)
        };
        let Some(mut guard) = self.entering.enter(max) else {
            let peer = shown(peer);
            return Err(self.reject(RejectReason::MaxClients, |turned_away| {
                let key = "clients.max_clients";
                tracing::warn!(peer, key, max, turned_away, "max number of clients reached");
            }));
        };
        let Some(peer) = peer else {
            return Ok(guard);
        };
        if !is_proven && self.is_protected_from(peer) {
            return Err(self.reject(RejectReason::Protected, |turned_away| {
                let key = "listen.allow_open";
                tracing::warn!(%peer, key, turned_away, "a client of another machine is turned away");
            }));
        }
        let source = SourceAddress::of(peer.ip());
        match self.address_quotas.enter(source, per_address) {
            Ok(quota) => {
                guard.address_quota = Some(quota);
                Ok(guard)
            }
            Err(clients) => Err(self.reject(RejectReason::MaxPerAddress, |turned_away| {
                let key = "clients.max_per_address";
                tracing::warn!(
                    address = %source, clients, key, max = per_address, turned_away,
                    "max number of clients of one address reached"
                );
            })),
        }
    }

    /// The way in for one that may come in. Waits while no worker takes the clients that it has been given.
    pub async fn admit(&self, mut guard: ConnectionGuard) -> Admitted {
        let (permit, count) = self.permit().await;
        guard.moves_to(count);
        Admitted { permit, guard }
    }

    /// The permit of the worker that has the fewest clients of those that have any.
    async fn permit(&self) -> (InboxPermit, &ClientCount) {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            // From here on room is not missed, also some before the look at the inboxes.
            room.as_mut().enable();
            let workers = self.workers.iter();
            let least = workers
                .filter(|(inbox, _)| inbox.has_room())
                .min_by_key(|(_, count)| count.of_worker());
            if let Some((inbox, count)) = least
                && let Some(permit) = inbox.permit()
            {
                return (permit, count);
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

    /// Tells now and then that a certificate names somebody who is no user, who is not logged in by it.
    pub fn tell_unknown_user(&self, peer: SocketAddr, names: &[Vec<u8>]) {
        let mut told = self.told_unknown_user.lock();
        if told.is_none_or(|at| at.elapsed() >= TOLD_EVERY) {
            *told = Some(Instant::now());
            let names: Vec<_> = names
                .iter()
                .map(|name| name.escape_ascii().to_string())
                .collect();
            let (names, key) = (names.join(", "), "tls.client_user");
            tracing::info!(%peer, key, names, "a client's certificate names no user: it is not logged in by it");
        }
    }

    /// Counts one that is rejected. `tell` logs it, given how many there have been, unless
    /// another of that reason was told a short while ago.
    pub fn reject(&self, reason: RejectReason, tell: impl FnOnce(u64)) -> RejectReason {
        self.counts.rejected(reason);
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

/// The last words to one that is rejected, in Redis' own text; none where it would not be
/// understood.
pub fn last_words(reason: RejectReason) -> Vec<u8> {
    let mut words = Vec::new();
    match reason {
        RejectReason::MaxClients | RejectReason::MaxPerAddress => {
            Refusal::MaxClients.write(&mut words)
        }
        RejectReason::Protected => Refusal::Protected.write(&mut words),
        RejectReason::ProxyHeader
        | RejectReason::TlsHandshake
        | RejectReason::TlsTimeout
        | RejectReason::TlsOverload => {}
    }
    words
}

fn shown(peer: Option<SocketAddr>) -> String {
    peer.map_or_else(|| "unix socket".to_owned(), |peer| peer.to_string())
}

#[cfg(test)]
mod tests;
