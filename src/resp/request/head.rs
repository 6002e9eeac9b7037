//! The first bytes of a request's name, kept across chunks for one question: does an HTTP client
//! speak here? Nothing else looks at them.

use crate::resp::inline::{is_blank, is_http};

/// The first bytes of a name: one more than the longest word of HTTP that is looked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Head {
    bytes: [u8; HEAD_BYTES],
    len: u8,
}

impl Head {
    pub(super) fn is_empty(self) -> bool {
        self.len == 0
    }

    pub(super) fn is_http(&self) -> bool {
        self.bytes.get(..usize::from(self.len)).is_some_and(is_http)
    }

    /// Whether it begins as a TLS connection does: a record with a handshake (RFC 8446, 5.1).
    pub(super) fn is_tls(&self) -> bool {
        self.len >= 2 && self.bytes.starts_with(&[0x16, 0x03])
    }

    pub(super) fn extend(&mut self, data: &[u8]) {
        for &byte in data {
            let Some(place) = self.bytes.get_mut(usize::from(self.len)) else {
                return;
            };
            *place = byte;
            self.len += 1;
        }
    }

    /// Takes what belongs to the first word of a line; true when that word ends here and is one
    /// of HTTP.
    pub(super) fn extend_word(&mut self, line: &[u8]) -> bool {
        for &byte in line {
            if self.is_full() {
                return false;
            }
            if !is_blank(byte) {
                self.extend(&[byte]);
            } else if self.is_http() {
                return true;
            } else if !self.is_empty() {
                // The word has ended; too long is as good as any other that is not looked for.
                self.len = HEAD_BYTES as u8;
            }
        }
        false
    }

    fn is_full(self) -> bool {
        usize::from(self.len) == HEAD_BYTES
    }
}

const HEAD_BYTES: usize = 6;
