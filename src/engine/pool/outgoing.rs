//! What goes to one backend: bytes not yet written, and those written whose replies have
//! not come. The latter are kept so that, when the backend is lost, it is known which
//! commands cannot have run and reads can be asked again.

/// Length past which the answered part is worth moving the rest to the front for, in bytes.
const COMPACT_BYTES: usize = 64 << 10;

/// Capacity an empty buffer may keep, in bytes.
const KEEP_BYTES: usize = 256 << 10;

/// ```text
///   bytes: [ answered | sent, unanswered | unsent ]
///                     ^answered          ^sent
/// ```
#[derive(Debug, Default)]
pub struct Outgoing {
    bytes: Vec<u8>,
    answered: usize,
    sent: usize,
    /// Set while requests stream through that are too large to be kept.
    streaming: bool,
    /// A request was answered before all of it was written.
    overtaken: bool,
}

impl Outgoing {
    /// Appends a request, or a part of one.
    pub fn push(&mut self, request: &[u8]) {
        self.bytes.extend_from_slice(request);
    }

    /// What has not been written yet.
    pub fn unsent(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }

    /// How many bytes have not been written yet.
    pub fn unsent_len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Bytes of requests whose replies have not come, written or not.
    pub fn unanswered_len(&self) -> usize {
        self.bytes.len() - self.answered
    }

    /// The first `n` unsent bytes have been written.
    pub fn wrote(&mut self, n: usize) {
        self.sent = (self.sent + n).min(self.bytes.len());
        if self.streaming {
            self.answered = self.sent;
            self.trim();
        }
    }

    /// The reply to the oldest request, `n` bytes long here, has come. A server may
    /// answer before it has the whole request (and then close): see
    /// [`was_overtaken`](Outgoing::was_overtaken).
    #[inline]
    pub fn reply_came(&mut self, n: usize) {
        self.answered = (self.answered + n).min(self.bytes.len());
        self.overtaken |= self.answered > self.sent;
        // Most replies leave nothing to trim.
        if self.answered == self.bytes.len() || self.answered >= COMPACT_BYTES {
            self.trim();
        }
    }

    /// Whether some request was answered before all of it was written. The server then waits
    /// for the rest of it, so nothing else may be written on this connection.
    pub fn was_overtaken(&self) -> bool {
        self.overtaken
    }

    /// From now on written bytes are not kept (`true`), or are again (`false`).
    pub fn stream(&mut self, streaming: bool) {
        self.streaming = streaming;
    }

    /// Whether written bytes are not kept now.
    pub fn is_streaming(&self) -> bool {
        self.streaming
    }

    /// Whether the request that begins `offset` bytes after the answered part and is `len`
    /// bytes long has been written in full, so that it may have run.
    pub fn was_sent_whole(&self, offset: usize, len: usize) -> bool {
        self.answered + offset + len <= self.sent
    }

    /// The bytes of such a request.
    pub fn request(&self, offset: usize, len: usize) -> &[u8] {
        let from = self.answered + offset;
        self.bytes.get(from..from + len).unwrap_or_default()
    }

    /// Whether nothing is unsent and nothing unanswered.
    pub fn is_empty(&self) -> bool {
        self.answered == self.bytes.len()
    }

    #[inline(never)]
    fn trim(&mut self) {
        if self.answered == self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(KEEP_BYTES);
            (self.answered, self.sent) = (0, 0);
        } else if self.answered >= COMPACT_BYTES && self.answered > self.bytes.len() / 2 {
            let gone = self.answered.min(self.sent);
            self.bytes.drain(..gone);
            self.answered -= gone;
            self.sent -= gone;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_as_sent_only_when_its_last_byte_is() {
        let mut out = Outgoing::default();
        out.push(b"first");
        out.push(b"second");
        out.wrote(8);
        assert!(out.was_sent_whole(0, 5));
        assert!(!out.was_sent_whole(5, 6));
        out.reply_came(5);
        assert_eq!(out.request(0, 6), b"second");
        out.wrote(3);
        assert!(out.was_sent_whole(0, 6));
        out.reply_came(6);
        assert!(out.is_empty() && out.unsent().is_empty());
    }

    #[test]
    fn compaction_keeps_what_is_unanswered() {
        let mut out = Outgoing::default();
        let request = vec![7u8; 1000];
        for n in 0..500usize {
            out.push(&request);
            out.wrote(1000);
            if n >= 3 {
                out.reply_came(1000);
            }
            assert!(out.unanswered_len() <= 4000);
            assert!(out.bytes.len() <= 3 * COMPACT_BYTES);
            assert_eq!(out.request(0, 1000), &request[..]);
        }
    }

    #[test]
    fn streamed_bytes_are_not_kept() {
        let mut out = Outgoing::default();
        out.stream(true);
        out.push(&[1; 100]);
        out.wrote(60);
        assert_eq!((out.unsent_len(), out.unanswered_len()), (40, 40));
        out.wrote(40);
        assert!(out.is_empty());
    }

    #[test]
    fn a_reply_before_the_whole_request_was_written_does_not_confuse_it() {
        let mut out = Outgoing::default();
        out.push(b"long request");
        out.wrote(4);
        assert!(!out.was_overtaken());
        out.reply_came(12);
        assert!(out.is_empty() && out.was_overtaken());
    }
}
