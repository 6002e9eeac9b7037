//! How many clients come from one place: a host that opens connections without end must not take
//! them all. Counts are kept whether there is a limit or not, so that one can be set at any time.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

/// Where a client comes from, as far as a limit tells clients apart: an IPv4 address, or the /64
/// that an IPv6 address is in, since one host has all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceAddress(IpAddr);

impl SourceAddress {
    /// The source of a client with this address.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = address.to_bits() & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
            address => address,
        })
    }
}

impl std::fmt::Display for SourceAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(address) => write!(f, "{address}/64"),
        }
    }
}

/// The clients of each source.
#[derive(Debug, Default)]
pub struct AddressQuotas {
    sources: Mutex<BTreeMap<SourceAddress, Arc<OfSource>>>,
}

/// One client's place among those of its source, given up when it is dropped.
#[derive(Debug)]
pub struct AddressQuota(Arc<OfSource>);

#[derive(Debug)]
struct OfSource {
    quotas: Arc<AddressQuotas>,
    source: SourceAddress,
    /// Changed only where the sources are locked.
    clients: AtomicUsize,
}

impl AddressQuotas {
    /// Counts one more client of `source`, unless there are `max` already; zero is no limit.
    ///
    /// # Errors
    /// How many there are.
    pub fn enter(
        self: &Arc<Self>,
        source: SourceAddress,
        max: usize,
    ) -> Result<AddressQuota, usize> {
        let mut sources = self.sources.lock();
        let clients = sources
            .get(&source)
            .map_or(0, |of| of.clients.load(Ordering::Relaxed));
        if max != 0 && clients >= max {
            return Err(clients);
        }
        let of_source = sources.entry(source).or_insert_with(|| {
            Arc::new(OfSource {
                quotas: Arc::clone(self),
                source,
                clients: AtomicUsize::new(0),
            })
        });
        of_source.clients.store(clients + 1, Ordering::Relaxed);
        Ok(AddressQuota(Arc::clone(of_source)))
    }
}

impl Drop for AddressQuota {
    fn drop(&mut self) {
        let OfSource {
            quotas,
            source,
            clients,
        } = &*self.0;
        let mut sources = quotas.sources.lock();
        if clients.fetch_sub(1, Ordering::Relaxed) == 1 {
            sources.remove(source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> SourceAddress {
        SourceAddress::of(text.parse().unwrap())
    }

    #[test]
    fn a_source_is_an_address_or_the_64_of_one() {
        assert_eq!(source("::ffff:10.0.0.1"), source("10.0.0.1"));
        assert_ne!(source("10.0.0.1"), source("10.0.0.2"));
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:0:0:9"));
        assert_ne!(source("2001:db8:0:1::1"), source("2001:db8:0:2::1"));
        assert_eq!(source("2001:db8:0:1::1").to_string(), "2001:db8:0:1::/64");
        assert_eq!(source("::ffff:10.0.0.1").to_string(), "10.0.0.1");
    }

    #[test]
    fn each_source_has_as_many_places_as_the_limit_and_nothing_is_kept_of_those_who_left() {
        let quotas = Arc::new(AddressQuotas::default());
        let (one, other) = (source("10.0.0.1"), source("10.0.0.2"));
        let mut places: Vec<_> = (0..2).map(|_| quotas.enter(one, 2).unwrap()).collect();
        assert_eq!(quotas.enter(one, 2).err(), Some(2));
        places.push(quotas.enter(other, 2).unwrap());
        places.remove(0);
        places.push(quotas.enter(one, 2).unwrap());
        assert_eq!(quotas.enter(one, 2).err(), Some(2));
        places.clear();
        assert!(quotas.sources.lock().is_empty());
    }

    #[test]
    fn without_a_limit_clients_are_counted_for_one_that_is_set_later() {
        let quotas = Arc::new(AddressQuotas::default());
        let one = source("::1");
        let places: Vec<_> = (0..3).map(|_| quotas.enter(one, 0).unwrap()).collect();
        assert_eq!(quotas.enter(one, 2).err(), Some(3));
        drop(places);
        assert!(quotas.enter(one, 2).is_ok());
    }
}
