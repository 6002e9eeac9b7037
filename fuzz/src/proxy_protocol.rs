//! The first bytes of a connection of a load balancer. They are judged the same however many of
//! them are here; a header is as long as it announces, within the bound; and its client is found
//! as soon as it is whole, and not before.

use narrows::runtime::proxy_protocol::{FIXED_BYTES, ProxyHeaderError, REST_BYTES_MAX, head};

/// The target.
pub fn run(data: &[u8]) {
    let fixed = data.get(..FIXED_BYTES).unwrap_or(data);
    let whole = head(fixed);
    for end in 0..fixed.len() {
        match head(&fixed[..end]) {
            Ok(None) => {}
            early => assert_eq!(early, whole, "known after {end} bytes"),
        }
    }
    let begun = match whole {
        Ok(Some(begun)) => begun,
        Ok(None) => return assert!(fixed.len() < FIXED_BYTES),
        Err(_) => return,
    };
    assert!(begun.rest <= REST_BYTES_MAX);
    let announced = u16::from_be_bytes([fixed[14], fixed[15]]);
    assert_eq!(begun.rest, usize::from(announced));
    let rest = &data[FIXED_BYTES..];
    match (rest.get(..begun.rest), begun.client(rest)) {
        (Some(whole), found) => assert_eq!(begun.client(whole), found),
        // Enough for the addresses, or not.
        (None, Ok(_)) => {}
        (None, Err(wrong)) => assert_eq!(wrong, ProxyHeaderError::TooShort(rest.len())),
    }
}
