//! A block of addresses, as operators write it: `10.0.0.0/8`, or one address.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// An address and how many of its leading bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// Whether `address` is in it. An IPv4 address written as an IPv6 one counts as what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

/// Part by part, since `IpNet` has one error for all of them, takes bits behind those that count, and
/// takes no address without a `/`.
impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| "is not a numeric address")?;
        if address != address.to_canonical() {
            return Err("is an IPv4 address in disguise: write it plainly");
        }
        let network = match bits {
            None => Some(IpNet::from(address)),
            Some(bits) => bits
                .parse()
                .ok()
                .and_then(|bits| IpNet::new(address, bits).ok()),
        };
        let network =
            network.ok_or("has no number of bits (0 to 32, or 128 for IPv6) behind its /")?;
        match network == network.trunc() {
            true => Ok(Self(network)),
            false => Err("has bits set behind those that count"),
        }
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.prefix_len() == self.0.max_prefix_len() {
            true => self.0.addr().fmt(f),
            false => self.0.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_its_network_and_in_no_other() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.168.4.0/22", "192.168.7.255", "192.168.8.0"),
            ("10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2"),
            ("0.0.0.0/0", "203.0.113.9", "::1"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
            ("2001:db8::/32", "2001:db8:ffff::", "2001:db9::"),
            ("::1", "::1", "::2"),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert!(
                parsed.contains(inside.parse().unwrap()),
                "{network} {inside}"
            );
            assert!(
                !parsed.contains(outside.parse().unwrap()),
                "{network} {outside}"
            );
            assert_eq!(parsed.to_string(), network);
        }
        assert_eq!(
            "10.0.0.1/32".parse::<Network>().unwrap().to_string(),
            "10.0.0.1"
        );
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "::1/64",
            "::/129",
            "host/8",
            "10.0.0.0/-1",
            "::ffff:10.0.0.1",
            "10.0.0.0/8/8",
            "10.0.0.0/ 8",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
