//! Requests by example: every row of Redis' framing rules, each also walked byte by byte.

use super::*;
use crate::resp::write;

pub(crate) mod inputs;
mod properties;

/// What came of a stream of requests.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RequestScan {
    /// The events with the place in the input where each frame ended.
    pub(crate) events: Vec<(usize, RequestEvent)>,
    pub(super) error: Option<ProtocolError>,
    /// What the scanner says of the frame it is left in.
    pub(super) walked: u64,
    pub(super) announced: u64,
    pub(super) name: Option<(u32, u32)>,
    pub(super) argc: Option<u32>,
}

/// Hands `input` to a scanner in pieces of the given lengths, the last one over and over.
pub(crate) fn scan(input: &[u8], pieces: &[usize], limits: &Limits) -> RequestScan {
    let mut scanner = RequestScanner::default();
    let mut events = Vec::new();
    let mut error = None;
    let mut at = 0;
    let mut pieces = pieces.iter().copied();
    let mut piece = input.len();
    'input: while at < input.len() {
        piece = pieces.next().unwrap_or(piece).max(1);
        let end = (at + piece).min(input.len());
        while at < end {
            let walked = scanner.walked();
            match scanner.advance(&input[at..end], limits) {
                Ok(Advance { consumed, event }) => {
                    assert!(consumed > 0 && at + consumed <= end);
                    at += consumed;
                    if event == RequestEvent::NeedMore {
                        assert_eq!(at, end);
                        assert!(scanner.in_frame());
                        assert_eq!(scanner.walked(), walked + consumed as u64);
                        assert!(scanner.announced() >= scanner.walked());
                    } else {
                        assert!(!scanner.in_frame());
                        assert_eq!(scanner.walked(), 0);
                        events.push((at, event));
                    }
                }
                Err(failure) => {
                    error = Some(failure);
                    break 'input;
                }
            }
        }
    }
    let left = if error.is_some() {
        RequestScanner::default()
    } else {
        scanner
    };
    RequestScan {
        events,
        error,
        walked: left.walked(),
        announced: left.announced(),
        name: left.name(),
        argc: left.argc(),
    }
}

fn open_limits() -> Limits {
    Limits::default().authenticated()
}

/// Scans whole and byte by byte, which must agree.
fn both(input: &[u8], limits: &Limits) -> RequestScan {
    let whole = scan(input, &[], limits);
    assert_eq!(whole, scan(input, &[1], limits));
    whole
}

fn error_of(input: &[u8], limits: &Limits) -> Option<ProtocolError> {
    both(input, limits).error
}

#[test]
fn the_scanner_is_small() {
    assert!(
        size_of::<RequestScanner>() <= 56,
        "{}",
        size_of::<RequestScanner>()
    );
}

#[test]
fn a_multibulk_says_where_its_name_is() {
    let frame = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
    let outcome = both(frame, &open_limits());
    let want = Frame {
        bytes: frame.len() as u64,
        argc: 2,
        name_at: 8,
        name_len: 3,
    };
    assert_eq!(
        outcome.events,
        [(frame.len(), RequestEvent::Complete(want))]
    );
}

#[test]
fn a_step_ends_with_the_frame() {
    let mut pipeline = Vec::new();
    write::request(&mut pipeline, &[b"PING"]);
    let first = pipeline.len();
    write::request(&mut pipeline, &[b"SET", b"", b"\r\n"]);
    let second = pipeline.len();
    pipeline.extend_from_slice(b"PING\r\n");
    let ends: Vec<_> = both(&pipeline, &open_limits())
        .events
        .iter()
        .map(|event| event.0)
        .collect();
    assert_eq!(ends, [first, second, second + 6]);
}

#[test]
fn a_frame_under_way_tells_what_it_knows() {
    let limits = open_limits();
    let mut scanner = RequestScanner::default();
    assert_eq!(
        (scanner.argc(), scanner.name(), scanner.announced()),
        (None, None, 0)
    );
    let mut advance = |bytes: &[u8]| {
        let advance = scanner.advance(bytes, &limits).unwrap();
        assert_eq!(advance.consumed, bytes.len());
        (
            scanner.argc(),
            scanner.name(),
            scanner.walked(),
            scanner.announced(),
        )
    };
    assert_eq!(advance(b"*3\r"), (None, None, 3, 3));
    assert_eq!(advance(b"\n$3\r\nS"), (Some(3), None, 9, 13));
    assert_eq!(advance(b"ET"), (Some(3), Some((8, 3)), 11, 13));
    assert_eq!(advance(b"\r\n$1\r\nk\r"), (Some(3), Some((8, 3)), 19, 20));
    assert_eq!(advance(b"\n$1000\r\nab"), (Some(3), Some((8, 3)), 29, 1029));
}

#[test]
fn an_empty_name_is_a_name() {
    let outcome = both(b"*1\r\n$0\r\n\r\n", &open_limits());
    let [(10, RequestEvent::Complete(frame))] = outcome.events[..] else {
        panic!("{outcome:?}");
    };
    assert_eq!((frame.name_at, frame.name_len), (8, 0));
    assert_eq!(both(b"*1\r\n$0\r\n", &open_limits()).name, Some((8, 0)));
}

#[test]
fn counts_of_nothing_ask_for_nothing() {
    for count in ["*0", "*-1", "*-10", "*-9223372036854775808"] {
        let outcome = both(format!("{count}\r\n").as_bytes(), &open_limits());
        assert_eq!(
            outcome.events,
            [(count.len() + 2, RequestEvent::Empty)],
            "{count}"
        );
    }
}

#[test]
fn blank_lines_ask_for_nothing() {
    for line in [&b"\n"[..], b"\r\n", b"  \t\x0b\x0c \r\n"] {
        let outcome = both(line, &open_limits());
        assert_eq!(outcome.events, [(line.len(), RequestEvent::Empty)]);
    }
}

#[test]
fn inline_requests_end_with_their_newline() {
    for line in [
        &b"PING\r\n"[..],
        b"PING\n",
        b"set 'a b' \"c\"\r\n",
        b"\0\n",
        b"$3\r\n",
    ] {
        let outcome = both(line, &open_limits());
        let inline = RequestEvent::Inline { bytes: line.len() };
        assert_eq!(outcome.events, [(line.len(), inline)]);
    }
}

#[test]
fn multibulk_counts_are_strict() {
    let invalid = [
        "",
        "abc",
        "+1",
        "01",
        "00",
        "-0",
        " 1",
        "1 ",
        "3\0",
        "2147483648",
        "20000000",
        "9223372036854775808",
        "-9223372036854775809",
    ];
    for count in invalid {
        let error = error_of(format!("*{count}\r\n").as_bytes(), &open_limits());
        assert_eq!(
            error,
            Some(ProtocolError::InvalidMultibulkLength),
            "{count:?}"
        );
    }
    let error = error_of(b"*1\rX", &open_limits());
    assert_eq!(error, Some(ProtocolError::InvalidMultibulkLength));
}

#[test]
fn bulk_lengths_are_strict() {
    let invalid = [
        "",
        "abc",
        "+1",
        "01",
        "00",
        "-0",
        "-1",
        " 1",
        "1 ",
        "blabla",
        "536870913",
        "2000000000",
        "9223372036854775807",
        "9223372036854775808",
    ];
    for length in invalid {
        for head in ["*1\r\n", "*3\r\n$3\r\nSET\r\n$1\r\nx\r\n"] {
            let error = error_of(format!("{head}${length}\r\n").as_bytes(), &open_limits());
            assert_eq!(error, Some(ProtocolError::InvalidBulkLength), "{length:?}");
        }
    }
    let error = error_of(b"*1\r\n$1\rX", &open_limits());
    assert_eq!(error, Some(ProtocolError::InvalidBulkLength));
}

#[test]
fn the_bounds_of_redis_are_accepted_up_to_the_last() {
    let mut limits = open_limits();
    assert_eq!(error_of(b"*1\r\n$536870912\r\n", &limits), None);
    assert_eq!(error_of(b"*1048576\r\n", &limits), None);
    assert_eq!(
        error_of(b"*1048577\r\n", &limits),
        Some(ProtocolError::InvalidMultibulkLength)
    );
    limits.args_max = u32::MAX;
    assert_eq!(error_of(b"*2147483647\r\n", &limits), None);
}

#[test]
fn an_argument_begins_with_a_dollar() {
    for (input, got) in [
        (&b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n"[..], b'f'),
        (b"*1\r\nfoo\r\n", b'f'),
        (b"*1\r\n*1\r\n", b'*'),
        (b"*1\r\n\0", 0),
        (b"*1\r\n\n", b'\n'),
    ] {
        assert_eq!(
            error_of(input, &open_limits()),
            Some(ProtocolError::ExpectedDollar(got))
        );
    }
}

#[test]
fn an_argument_ends_with_a_line_end() {
    for input in [
        &b"*1\r\n$4\r\nPINGxx"[..],
        b"*1\r\n$4\r\nPING\rx",
        b"*1\r\n$4\r\nPING\n\r",
        b"*2\r\n$4\r\nPING\r\n$1\r\nabc",
        b"*1\r\n$0\r\nx",
    ] {
        assert_eq!(
            error_of(input, &open_limits()),
            Some(ProtocolError::InvalidBulkLength)
        );
    }
}

#[test]
fn lines_that_do_not_end_are_bounded() {
    let limits = open_limits();
    let endless = |head: &str, filler: char, len: usize| {
        let line = format!("{head}{}", filler.to_string().repeat(len));
        error_of(line.as_bytes(), &limits)
    };
    assert_eq!(endless("*", '1', 65_535), None);
    assert_eq!(
        endless("*", '1', 65_536),
        Some(ProtocolError::TooBigMultibulkHeader)
    );
    assert_eq!(endless("*1\r\n$", 'x', 65_535), None);
    assert_eq!(
        endless("*1\r\n$", 'x', 65_536),
        Some(ProtocolError::TooBigBulkHeader)
    );
    assert_eq!(endless("", 'x', 65_536), None);
    assert_eq!(endless("", 'x', 65_537), Some(ProtocolError::TooBigInline));
}

#[test]
fn an_inline_request_may_be_as_long_as_its_bound() {
    let limits = open_limits();
    let line = format!("{}\n", "x".repeat(65_536));
    let outcome = both(line.as_bytes(), &limits);
    assert_eq!(
        outcome.events,
        [(65_537, RequestEvent::Inline { bytes: 65_537 })]
    );
}

#[test]
fn before_login_requests_are_small() {
    let limits = Limits::default();
    assert_eq!(error_of(b"*10\r\n$16384\r\n", &limits), None);
    assert_eq!(
        error_of(b"*11\r\n", &limits),
        Some(ProtocolError::UnauthenticatedMultibulkLength)
    );
    assert_eq!(
        error_of(b"*1\r\n$16385\r\n", &limits),
        Some(ProtocolError::UnauthenticatedBulkLength)
    );
    assert_eq!(
        error_of(b"*1\r\n$536870913\r\n", &limits),
        Some(ProtocolError::InvalidBulkLength)
    );
    assert_eq!(
        error_of(b"*2147483648\r\n", &limits),
        Some(ProtocolError::InvalidMultibulkLength)
    );
}

#[test]
fn http_is_recognised_before_anything_else() {
    for input in [
        &b"POST / HTTP/1.1\r\n"[..],
        b"post ",
        b"Host: localhost\r\n",
        b" hOsT:\n",
        b"POST\n",
        b"POST 'unbalanced\n",
        b"*9\r\n$4\r\npOsT",
        b"*1\r\n$5\r\nHOST:\r\n",
        b"*2\r\n$4\r\nPOST\r\n$1\r\n/\r\n",
    ] {
        assert_eq!(
            error_of(input, &open_limits()),
            Some(ProtocolError::Http),
            "{input:?}"
        );
    }
}

#[test]
fn tls_is_recognised_by_its_first_two_bytes() {
    for input in [&b"\x16\x03"[..], b"\x16\x03\x01\x02\0", b"\x16\x03\n"] {
        let found = error_of(input, &open_limits());
        assert_eq!(found, Some(ProtocolError::Tls), "{input:?}");
    }
    for input in [&b"\x16"[..], b"\x16\n", b"\x16 \x03\n", b"\x03\x16\n"] {
        assert_eq!(error_of(input, &open_limits()), None, "{input:?}");
    }
}

#[test]
fn words_that_resemble_http_are_commands() {
    for input in [
        &b"POSTS x\n"[..],
        b"PO ST x\n",
        b"hos t: x\n",
        b"host x\n",
        b"get post host:\n",
        b"*1\r\n$3\r\nPOS\r\n",
        b"*2\r\n$3\r\nGET\r\n$4\r\nPOST\r\n",
        b"*1\r\n$6\r\nHOST: \r\n",
    ] {
        let outcome = both(input, &open_limits());
        assert_eq!(
            (outcome.events.len(), outcome.error),
            (1, None),
            "{input:?}"
        );
    }
}

/// `protocol.tcl`: "Protocol desync regression test": a NUL hides no line end here.
#[test]
fn a_nul_does_not_desynchronise() {
    let payload = "A".repeat(1024) + "\n";
    for (head, error) in [
        ("*\0", ProtocolError::TooBigMultibulkHeader),
        ("*1\r\n$\0", ProtocolError::TooBigBulkHeader),
    ] {
        let input = format!("{head}{}", payload.repeat(80));
        assert_eq!(error_of(input.as_bytes(), &open_limits()), Some(error));
    }
}
