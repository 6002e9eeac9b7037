//! Failed logins by address: who has failed too often is not checked again for a while, so that
//! guessing passwords through narrows is slow and costs the server nothing. One count for the whole
//! process: however many workers a guesser's connections are spread over, it has as many guesses.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use parking_lot::Mutex;

/// After this time without a failure an address has none.
const FORGIVEN_AFTER: Duration = Duration::from_secs(10);

/// Addresses remembered at once. With more, the oldest failure is forgotten first.
const ADDRESSES_MAX: usize = 10_000;

/// Failures of each address within the last while.
#[derive(Debug, Default)]
pub struct Failures {
    by_address: Mutex<BTreeMap<IpAddr, Record>>,
}

#[derive(Debug)]
struct Record {
    count: u32,
    since: Duration,
}

impl Failures {
    /// A login from `address` has failed.
    pub fn count(&self, address: IpAddr, now: Duration) {
        let address = network_of(address);
        let mut by_address = self.by_address.lock();
        if by_address.len() >= ADDRESSES_MAX && !by_address.contains_key(&address) {
            forget_oldest(&mut by_address, now);
        }
        let record = by_address.entry(address).or_insert(Record {
            count: 0,
            since: now,
        });
        if now.saturating_sub(record.since) >= FORGIVEN_AFTER {
            (record.count, record.since) = (0, now);
        }
        record.count = record.count.saturating_add(1);
    }

    /// Whether `address` has failed `max` times (0: no bound) within the last 10 seconds.
    pub fn is_blocked(&self, address: IpAddr, max: u32, now: Duration) -> bool {
        let by_address = self.by_address.lock();
        let record = by_address.get(&network_of(address));
        max > 0
            && record.is_some_and(|record| {
                record.count >= max && now.saturating_sub(record.since) < FORGIVEN_AFTER
            })
    }
}

fn forget_oldest(by_address: &mut BTreeMap<IpAddr, Record>, now: Duration) {
    by_address.retain(|_, record| now.saturating_sub(record.since) < FORGIVEN_AFTER);
    if by_address.len() >= ADDRESSES_MAX {
        let oldest = by_address.iter().min_by_key(|(_, r)| r.since);
        if let Some(address) = oldest.map(|(address, _)| *address) {
            by_address.remove(&address);
        }
    }
}

/// One host has as many addresses of IPv6 as it likes, all in one /64.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => match six.to_ipv4_mapped() {
            Some(four) => IpAddr::V4(four),
            None => {
                let [a, b, c, d, ..] = six.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_address_that_fails_too_often_waits_and_others_do_not() {
        let failures = Failures::default();
        let (bad, good) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        for _ in 0..3 {
            assert!(!failures.is_blocked(bad, 3, SECOND));
            failures.count(bad, SECOND);
        }
        assert!(failures.is_blocked(bad, 3, SECOND));
        assert!(!failures.is_blocked(bad, 0, SECOND) && !failures.is_blocked(good, 3, SECOND));
        assert!(!failures.is_blocked(bad, 3, SECOND * 11));
        failures.count(bad, SECOND * 12);
        assert!(!failures.is_blocked(bad, 3, SECOND * 12));
    }

    #[test]
    fn all_addresses_of_one_ipv6_host_are_one() {
        let failures = Failures::default();
        for last in 0..5u16 {
            failures.count(IpAddr::from([1, 2, 3, 4, 0, 0, 0, last]), SECOND);
        }
        assert!(failures.is_blocked(IpAddr::from([1, 2, 3, 4, 9, 9, 9, 9]), 5, SECOND));
        assert!(!failures.is_blocked(IpAddr::from([1, 2, 3, 5, 0, 0, 0, 0]), 5, SECOND));
    }

    #[test]
    fn the_memory_of_failures_is_bounded() {
        let failures = Failures::default();
        for n in 0..(ADDRESSES_MAX as u32 + 100) {
            failures.count(
                IpAddr::from(n.to_be_bytes()),
                SECOND + Duration::from_micros(n.into()),
            );
        }
        assert_eq!(failures.by_address.lock().len(), ADDRESSES_MAX);
    }
}
