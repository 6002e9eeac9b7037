//! Replies of servers. However they are cut, the same replies, kinds and error come out, and what
//! is announced is never less than what has come; a reply that is accepted has the length that the
//! `redis-protocol` crate finds, where that one knows the type.

use narrows::resp::{Limits, ReplyAdvance, ReplyError, ReplyKind, ReplyScanner};
use redis_protocol::{resp2, resp3};

use super::cut::Cut;

/// What came of a stream of replies.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// Where each reply ended, and what it was.
    replies: Vec<(usize, ReplyKind)>,
    error: Option<ReplyError>,
    /// What the scanner says of the reply that it is left in.
    left: Option<(Option<ReplyKind>, u64)>,
}

/// The target.
pub fn run(data: &[u8]) {
    let Some(cut) = Cut::of(data) else {
        return;
    };
    let whole = scan(cut.bytes, &[], &cut.limits);
    for way in cut.ways() {
        assert_eq!(whole, scan(cut.bytes, &way, &cut.limits), "cut by {way:?}");
    }
    let mut start = 0;
    for (end, kind) in whole.replies {
        let reply = &cut.bytes[start..end];
        check_kind(reply, kind);
        start = end;
        if reply.iter().filter(|byte| b"*%~>|".contains(byte)).count() > DEPTH_MAX {
            continue;
        }
        if is_resp2(reply) {
            let found = resp2::decode::decode_range(reply).map(|found| found.map(|f| f.1));
            assert!(
                matches!(found, Ok(Some(len)) if len == reply.len()),
                "RESP2: {found:?}"
            );
        }
        if is_known_resp3(reply) {
            let found = resp3::decode::complete::decode_range(reply).map(|f| f.map(|f| f.1));
            assert!(
                matches!(found, Ok(Some(len)) if len == reply.len()),
                "RESP3: {found:?}"
            );
        }
    }
}

/// The other decoder recurses without a bound, so it is asked about nothing deeper.
const DEPTH_MAX: usize = 32;

/// Hands `input` to a scanner in pieces of the given lengths, the last one over and over.
fn scan(input: &[u8], pieces: &[usize], limits: &Limits) -> Outcome {
    let mut scanner = ReplyScanner::default();
    let mut replies = Vec::new();
    let (mut at, mut start) = (0, 0);
    let mut pieces = pieces.iter().copied();
    let mut piece = input.len();
    while at < input.len() {
        piece = pieces.next().unwrap_or(piece).max(1);
        let end = (at + piece).min(input.len());
        while at < end {
            let ReplyAdvance { consumed, complete } = match scanner.advance(&input[at..end], limits)
            {
                Ok(advance) => advance,
                Err(error) => {
                    return Outcome {
                        replies,
                        error: Some(error),
                        left: None,
                    };
                }
            };
            assert!(consumed > 0 && at + consumed <= end);
            at += consumed;
            assert_eq!(scanner.in_reply(), !complete);
            if complete {
                assert_eq!(scanner.announced(), 0);
                replies.push((at, scanner.kind().expect("a reply is of a kind")));
                start = at;
            } else {
                assert_eq!(at, end);
                assert!(scanner.announced() >= (at - start) as u64);
            }
        }
    }
    Outcome {
        replies,
        error: None,
        left: Some((scanner.kind(), scanner.announced())),
    }
}

/// The first byte of a reply tells its kind, unless attributes precede it.
fn check_kind(reply: &[u8], kind: ReplyKind) {
    let wanted = match reply[0] {
        b'$' | b'*' if reply.get(1) == Some(&b'-') => ReplyKind::Null,
        b'+' => ReplyKind::Status,
        b'-' => ReplyKind::Error,
        b':' => ReplyKind::Integer,
        b'$' => ReplyKind::Bulk,
        b'*' => ReplyKind::Array,
        b'_' => ReplyKind::Null,
        b',' => ReplyKind::Double,
        b'#' => ReplyKind::Boolean,
        b'!' => ReplyKind::BlobError,
        b'=' => ReplyKind::Verbatim,
        b'(' => ReplyKind::BigNumber,
        b'%' => ReplyKind::Map,
        b'~' => ReplyKind::Set,
        b'>' => ReplyKind::Push,
        b'|' => return,
        other => panic!("a reply began with {other:#04x}"),
    };
    assert_eq!(kind, wanted);
}

fn is_resp2(reply: &[u8]) -> bool {
    !reply.iter().any(|byte| b"_#,(!=%~>|;.?".contains(byte))
}

/// Not: streamed values, attributes, doubles and verbatim strings of any spelling, aggregates as
/// keys of maps and members of sets, and the nulls of RESP2. Bytes of data may resemble them; then
/// a case is lost.
fn is_known_resp3(reply: &[u8]) -> bool {
    let odd = reply.iter().any(|byte| b"?|,=%~".contains(byte));
    !odd && !reply.windows(4).any(|bytes| bytes == b"-1\r\n")
}
