//! Channels that narrows publishes to itself, always nothing: a publication stores nothing, a pause of
//! writes holds it up, and it moves the server's offset of replication. Whoever listens to all channels
//! through narrows is not to hear of them, since nobody published there directly.

/// In front of `CLIENT UNBLOCK`.
pub const CANCEL: &[u8] = b"__narrows:cancel";

/// In front of `WAIT`.
pub const OFFSET: &[u8] = b"__narrows:offset";

/// To see whether writes are still held up.
pub const PAUSE: &[u8] = b"__narrows:pause";

/// Whether a whole message, of either protocol, is one of narrows' own.
pub fn is_own(message: &[u8]) -> bool {
    let Some(channel_last) = message.strip_suffix(b"\r\n$0\r\n\r\n") else {
        return false;
    };
    let ends_with = |channel: &&[u8]| {
        let head = channel_last.strip_suffix(*channel);
        head.is_some_and(|head| head.ends_with(b"\r\n"))
    };
    [CANCEL, OFFSET, PAUSE].iter().any(ends_with)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_nothing_on_an_own_channel_is_own() {
        for own in [
            "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$16\r\n__narrows:cancel\r\n$0\r\n\r\n",
            ">3\r\n$7\r\nmessage\r\n$15\r\n__narrows:pause\r\n$0\r\n\r\n",
        ] {
            assert!(is_own(own.as_bytes()), "{own}");
        }
        for other in [
            "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$16\r\n__narrows:cancel\r\n$1\r\nx\r\n",
            "*3\r\n$7\r\nmessage\r\n$17\r\nx__narrows:cancel\r\n$0\r\n\r\n",
            "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$0\r\n\r\n",
        ] {
            assert!(!is_own(other.as_bytes()), "{other}");
        }
    }
}
