//! The header that a load balancer puts in front of a connection to say whose it is: version 2 of
//! the PROXY protocol (haproxy's `doc/proxy-protocol.txt`, section 2.2). Judges bytes and reads
//! none: whoever reads takes exactly the header, so what follows it is the client's from its first
//! byte. Knows nothing of who may send one.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// The part of a header whose length is known.
pub const FIXED_BYTES: usize = 16;

/// The most that may follow it: the largest addresses, and 4 KiB of further fields, which nothing
/// here looks at.
pub const REST_BYTES_MAX: usize = 536 + 4096;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// How a header of version 1 begins.
const VERSION_1: &[u8] = b"PROXY ";

/// The fixed part of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxyHeader {
    content: Content,
    /// Bytes that follow it.
    pub rest: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// The balancer's own connection, a health check for instance.
    Local,
    /// Addresses of TCP over IPv4.
    Tcp4,
    /// Addresses of TCP over IPv6.
    Tcp6,
}

/// Why bytes are no header that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyHeaderError {
    /// Something else: most often a Redis client that is no balancer.
    #[error("the connection does not begin with a PROXY protocol header")]
    NoHeader,
    /// Text.
    #[error("PROXY protocol version 1 is not supported: let the balancer send version 2")]
    Version1,
    /// A version to come.
    #[error("PROXY protocol version {0} is not known")]
    Version(u8),
    /// Neither LOCAL nor PROXY.
    #[error("PROXY protocol command {0} is not known")]
    Command(u8),
    /// Addresses that no TCP client has.
    #[error("PROXY protocol addresses of type 0x{0:02x} are not TCP over IPv4 or IPv6")]
    Family(u8),
    /// It announces more than [`REST_BYTES_MAX`].
    #[error("the PROXY protocol header announces {0} bytes, more than {REST_BYTES_MAX}")]
    TooLong(usize),
    /// Its addresses do not fit into what it announces.
    #[error("the PROXY protocol header announces {0} bytes, too few for its addresses")]
    TooShort(usize),
}

/// Judges the first bytes of a connection: `None` as long as fewer than [`FIXED_BYTES`] are here
/// and they may become a header.
///
/// # Errors
/// They will not, whatever follows.
pub fn head(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyHeaderError> {
    let differs = bytes.iter().zip(SIGNATURE).any(|(byte, own)| byte != own);
    if differs {
        return match bytes.starts_with(VERSION_1) {
            true => Err(ProxyHeaderError::Version1),
            // `PROX` may become either.
            false if VERSION_1.starts_with(bytes) => Ok(None),
            false => Err(ProxyHeaderError::NoHeader),
        };
    }
    let Some(&[version_and_command, family, high, low]) = bytes.get(SIGNATURE.len()..FIXED_BYTES)
    else {
        return Ok(None);
    };
    let rest = usize::from(u16::from_be_bytes([high, low]));
    let (version, command) = (version_and_command >> 4, version_and_command & 0x0f);
    if version != 2 {
        return Err(ProxyHeaderError::Version(version));
    }
    let (content, addresses) = match (command, family) {
        (0, _) => (Content::Local, 0),
        (1, 0x11) => (Content::Tcp4, 2 * 4 + 2 * 2),
        (1, 0x21) => (Content::Tcp6, 2 * 16 + 2 * 2),
        (1, family) => return Err(ProxyHeaderError::Family(family)),
        (command, _) => return Err(ProxyHeaderError::Command(command)),
    };
    match rest {
        rest if rest > REST_BYTES_MAX => Err(ProxyHeaderError::TooLong(rest)),
        rest if rest < addresses => Err(ProxyHeaderError::TooShort(rest)),
        rest => Ok(Some(ProxyHeader { content, rest })),
    }
}

impl ProxyHeader {
    /// The client's address, read from the `rest` that follows the fixed part; `None` if the
    /// connection is the balancer's own.
    ///
    /// # Errors
    /// `rest` is shorter than announced.
    pub fn client(&self, rest: &[u8]) -> Result<Option<SocketAddr>, ProxyHeaderError> {
        let short = ProxyHeaderError::TooShort(rest.len());
        Ok(match self.content {
            Content::Local => None,
            // Source and destination, then their ports.
            Content::Tcp4 => {
                let (address, rest) = rest.split_first_chunk::<4>().ok_or(short)?;
                let port = rest
                    .get(4..)
                    .and_then(<[u8]>::first_chunk::<2>)
                    .ok_or(short)?;
                let address = Ipv4Addr::from_octets(*address);
                Some(SocketAddr::from((address, u16::from_be_bytes(*port))))
            }
            Content::Tcp6 => {
                let (address, rest) = rest.split_first_chunk::<16>().ok_or(short)?;
                let port = rest
                    .get(16..)
                    .and_then(<[u8]>::first_chunk::<2>)
                    .ok_or(short)?;
                let address = Ipv6Addr::from_octets(*address);
                Some(SocketAddr::from((address, u16::from_be_bytes(*port))))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A header of version 2 with these addresses and further fields.
    fn header(source: SocketAddr, further: &[u8]) -> Vec<u8> {
        let (family, mut rest) = match source {
            SocketAddr::V4(source) => (0x11, [&source.ip().octets()[..], &[9; 4]].concat()),
            SocketAddr::V6(source) => (0x21, [&source.ip().octets()[..], &[9; 16]].concat()),
        };
        rest.extend(source.port().to_be_bytes());
        rest.extend(6380_u16.to_be_bytes());
        rest.extend(further);
        raw(0x21, family, &rest)
    }

    fn raw(version_and_command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [
            &SIGNATURE[..],
            &[version_and_command, family],
            &length,
            rest,
        ]
        .concat()
    }

    fn read(bytes: &[u8]) -> Result<Option<SocketAddr>, ProxyHeaderError> {
        let head = head(&bytes[..FIXED_BYTES])?.unwrap();
        head.client(&bytes[FIXED_BYTES..FIXED_BYTES + head.rest])
    }

    #[test]
    fn the_clients_address_is_the_source() {
        for source in ["203.0.113.9:50412", "[2001:db8::7]:1"] {
            let source: SocketAddr = source.parse().unwrap();
            assert_eq!(read(&header(source, b"")), Ok(Some(source)));
            assert_eq!(read(&header(source, &[3; 4096])), Ok(Some(source)));
        }
    }

    #[test]
    fn a_balancers_own_connection_has_no_other_address() {
        assert_eq!(read(&raw(0x20, 0x00, b"")), Ok(None));
        assert_eq!(read(&raw(0x20, 0x11, &[7; 12])), Ok(None));
    }

    #[test]
    fn everything_else_is_named() {
        let short = [0; 11];
        for (bytes, wrong) in [
            (raw(0x21, 0x00, b""), ProxyHeaderError::Family(0)),
            (raw(0x21, 0x12, &[0; 12]), ProxyHeaderError::Family(0x12)),
            (raw(0x21, 0x31, &[0; 216]), ProxyHeaderError::Family(0x31)),
            (raw(0x22, 0x11, &[0; 12]), ProxyHeaderError::Command(2)),
            (raw(0x11, 0x11, &[0; 12]), ProxyHeaderError::Version(1)),
            (raw(0x21, 0x11, &short), ProxyHeaderError::TooShort(11)),
            (raw(0x21, 0x21, &[0; 35]), ProxyHeaderError::TooShort(35)),
            (raw(0x20, 0x00, &[0; 4633]), ProxyHeaderError::TooLong(4633)),
            (
                b"PROXY TCP4 203.0.113.9 ".to_vec(),
                ProxyHeaderError::Version1,
            ),
            (
                b"*1\r\n$4\r\nPING\r\n  ".to_vec(),
                ProxyHeaderError::NoHeader,
            ),
        ] {
            assert_eq!(head(&bytes[..FIXED_BYTES]), Err(wrong));
        }
    }

    #[test]
    fn what_will_be_no_header_is_known_at_its_first_wrong_byte() {
        assert_eq!(head(b""), Ok(None));
        assert_eq!(head(b"*"), Err(ProxyHeaderError::NoHeader));
        assert_eq!(head(b"PROX"), Ok(None));
        assert_eq!(head(b"PROXZ"), Err(ProxyHeaderError::NoHeader));
        assert_eq!(head(b"PROXY "), Err(ProxyHeaderError::Version1));
        assert_eq!(
            head(b"\r\n\r\n\0\r\nQUIT\r"),
            Err(ProxyHeaderError::NoHeader)
        );
    }

    proptest! {
        #[test]
        fn a_header_is_judged_the_same_however_it_is_cut(
            mut bytes in proptest::collection::vec(any::<u8>(), FIXED_BYTES..64),
            signed in any::<bool>(),
        ) {
            if signed {
                bytes[..12].copy_from_slice(SIGNATURE);
            }
            let whole = head(&bytes[..FIXED_BYTES]);
            for end in 0..FIXED_BYTES {
                match head(&bytes[..end]) {
                    Ok(None) => {}
                    other => prop_assert_eq!(other, whole),
                }
            }
            if let Ok(Some(head)) = whole {
                prop_assert!(head.rest <= REST_BYTES_MAX);
                prop_assert!(head.client(&vec![0; head.rest]).is_ok());
            }
        }

        #[test]
        fn any_source_is_read_as_it_was_written(ip in any::<std::net::IpAddr>(), port in any::<u16>()) {
            let source = SocketAddr::new(ip, port);
            prop_assert_eq!(read(&header(source, b"tail")), Ok(Some(source)));
        }
    }
}
