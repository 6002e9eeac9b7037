//! Requests of clients. However they are cut, the same frames and the same error come out; what is
//! accepted is canonical; its arguments are those that the `redis-protocol` crate finds; and an
//! inline request becomes a canonical one.

use narrows::resp::{Advance, Args, Frame, Limits, ProtocolError, RequestEvent, RequestScanner};
use narrows::resp::{inline, write};
use redis_protocol::resp2;
use redis_protocol::resp2::types::OwnedFrame;

use super::cut::Cut;

/// What came of a stream of requests.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// Where each frame ended.
    events: Vec<(usize, RequestEvent)>,
    error: Option<ProtocolError>,
    /// What the scanner says of the frame that it is left in.
    left: Option<Left>,
}

/// What a scanner says of a frame under way.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    walked: u64,
    announced: u64,
    name: Option<(u32, u32)>,
    argc: Option<u32>,
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
    for (end, event) in whole.events {
        let bytes = &cut.bytes[start..end];
        match event {
            RequestEvent::Complete(frame) => check_frame(&frame, bytes),
            RequestEvent::Inline { bytes: len } => {
                assert_eq!(len, bytes.len());
                check_inline(bytes);
            }
            RequestEvent::Empty | RequestEvent::NeedMore => {}
        }
        start = end;
    }
}

/// Hands `input` to a scanner in pieces of the given lengths, the last one over and over.
fn scan(input: &[u8], pieces: &[usize], limits: &Limits) -> Outcome {
    let mut scanner = RequestScanner::default();
    let mut events = Vec::new();
    let mut at = 0;
    let mut pieces = pieces.iter().copied();
    let mut piece = input.len();
    while at < input.len() {
        piece = pieces.next().unwrap_or(piece).max(1);
        let end = (at + piece).min(input.len());
        while at < end {
            let walked = scanner.walked();
            let Advance { consumed, event } = match scanner.advance(&input[at..end], limits) {
                Ok(advance) => advance,
                Err(error) => {
                    return Outcome {
                        events,
                        error: Some(error),
                        left: None,
                    };
                }
            };
            assert!(consumed > 0 && at + consumed <= end);
            at += consumed;
            if event == RequestEvent::NeedMore {
                assert!(at == end && scanner.in_frame());
                assert_eq!(scanner.walked(), walked + consumed as u64);
                assert!(scanner.announced() >= scanner.walked());
            } else {
                assert!(!scanner.in_frame() && scanner.walked() == 0);
                events.push((at, event));
            }
        }
    }
    Outcome {
        events,
        error: None,
        left: Some(Left {
            walked: scanner.walked(),
            announced: scanner.announced(),
            name: scanner.name(),
            argc: scanner.argc(),
        }),
    }
}

/// A frame that was accepted is spelled as narrows would spell it, and another decoder finds the
/// same arguments.
fn check_frame(frame: &Frame, bytes: &[u8]) {
    let args: Vec<&[u8]> = Args::new(bytes).collect();
    assert_eq!(frame.bytes, bytes.len() as u64);
    assert_eq!(args.len(), frame.argc as usize);
    let at = frame.name_at as usize;
    assert_eq!(&bytes[at..at + frame.name_len as usize], args[0]);
    let mut spelled = Vec::new();
    write::request(&mut spelled, &args);
    assert_eq!(spelled, bytes, "not canonical");
    match resp2::decode::decode(bytes) {
        Ok(Some((OwnedFrame::Array(found), len))) => {
            assert_eq!(len, bytes.len());
            let wanted = args.iter().map(|arg| OwnedFrame::BulkString(arg.to_vec()));
            assert!(found.into_iter().eq(wanted), "other arguments");
        }
        other => panic!("another decoder says {other:?}"),
    }
}

/// What an inline request becomes is one canonical request and nothing else.
fn check_inline(line: &[u8]) {
    let mut out = b"before".to_vec();
    let argc = match inline::encode(line, &mut out) {
        Ok(argc) => argc,
        Err(_) => return assert_eq!(out, b"before"),
    };
    let bytes = &out[b"before".len()..];
    if argc == 0 {
        return assert!(bytes.is_empty());
    }
    let outcome = scan(bytes, &[], &Limits::default().authenticated());
    let [(end, RequestEvent::Complete(frame))] = outcome.events[..] else {
        panic!("an inline request became {outcome:?}");
    };
    assert!(end == bytes.len() && frame.argc == argc);
    check_frame(&frame, bytes);
}
