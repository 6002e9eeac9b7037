//! How many connections were closed before they became clients, by reason. Written by those who
//! accept; read by whoever tells figures.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a connection was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectReason {
    /// There are `clients.max_clients`.
    MaxClients,
    /// There are `clients.max_per_address` of its address.
    MaxPerAddress,
    /// It comes from another machine, clients are asked for no password, and
    /// `listen.allow_open` does not say that this is meant.
    Protected,
    /// It comes from a peer of `listen.proxy_protocol_from` and does not begin with a valid
    /// PROXY protocol header.
    ProxyHeader,
    /// Its TLS handshake has failed, or it began with something else.
    TlsHandshake,
    /// Its TLS handshake was not over in time.
    TlsTimeout,
    /// It kept narrows waiting for its TLS handshake while others wanted its place.
    TlsOverload,
}

/// All reasons, in the order of their counts.
pub const REASONS: [RejectReason; 7] = [
    RejectReason::MaxClients,
    RejectReason::MaxPerAddress,
    RejectReason::Protected,
    RejectReason::ProxyHeader,
    RejectReason::TlsHandshake,
    RejectReason::TlsTimeout,
    RejectReason::TlsOverload,
];

impl RejectReason {
    /// The reason in metrics, `INFO` and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::MaxClients => "max_clients",
            Self::MaxPerAddress => "max_per_address",
            Self::Protected => "protected",
            Self::ProxyHeader => "proxy_header",
            Self::TlsHandshake => "tls_handshake",
            Self::TlsTimeout => "tls_timeout",
            Self::TlsOverload => "tls_overload",
        }
    }
}

/// How many connections have been rejected since the start.
#[derive(Debug, Default)]
pub struct RejectCounts {
    counts: [AtomicU64; REASONS.len()],
}

impl RejectCounts {
    /// One more is rejected.
    pub fn rejected(&self, reason: RejectReason) {
        for (known, count) in REASONS.iter().zip(&self.counts) {
            if *known == reason {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// The counts, by reason.
    pub fn counts(&self) -> [(RejectReason, u64); REASONS.len()] {
        let mut counts = REASONS.map(|reason| (reason, 0));
        for ((_, told), count) in counts.iter_mut().zip(&self.counts) {
            *told = count.load(Ordering::Relaxed);
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_count() {
        let rejects = RejectCounts::default();
        rejects.rejected(RejectReason::Protected);
        rejects.rejected(RejectReason::Protected);
        rejects.rejected(RejectReason::MaxClients);
        assert_eq!(
            rejects.counts().map(|(_, count)| count),
            [1, 0, 2, 0, 0, 0, 0]
        );
    }
}
