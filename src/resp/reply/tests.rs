//! Replies by example: every type, every way to be none, each also walked byte by byte.

use super::nesting::STREAMS_MAX;
use super::*;

mod against_redis_protocol;
mod inputs;
mod properties;

/// What came of a stream of replies.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ReplyScan {
    /// Where each reply ended in the input, and what it was.
    pub(super) replies: Vec<(usize, ReplyKind)>,
    pub(super) error: Option<ReplyError>,
    /// What the scanner says of the reply that it is left in.
    pub(super) kind: Option<ReplyKind>,
    pub(super) announced: u64,
}

/// Hands `input` to a scanner in pieces of the given lengths, the last one over and over.
pub(super) fn scan(input: &[u8], pieces: &[usize], limits: &Limits) -> ReplyScan {
    let mut scanner = ReplyScanner::default();
    let mut replies = Vec::new();
    let mut error = None;
    let mut at = 0;
    let mut pieces = pieces.iter().copied();
    let mut piece = input.len();
    'input: while at < input.len() {
        piece = pieces.next().unwrap_or(piece).max(1);
        let end = (at + piece).min(input.len());
        while at < end {
            match scanner.advance(&input[at..end], limits) {
                Ok(ReplyAdvance { consumed, complete }) => {
                    assert!(consumed > 0 && at + consumed <= end);
                    at += consumed;
                    assert_eq!(scanner.in_reply(), !complete);
                    if complete {
                        assert_eq!(scanner.announced(), 0);
                        replies.push((at, scanner.kind().unwrap()));
                    } else {
                        assert_eq!(at, end);
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
        ReplyScanner::default()
    } else {
        scanner
    };
    ReplyScan {
        replies,
        error,
        kind: left.kind(),
        announced: left.announced(),
    }
}

/// Scans whole and byte by byte, which must agree.
fn both(input: &[u8], limits: &Limits) -> ReplyScan {
    let whole = scan(input, &[], limits);
    assert_eq!(whole, scan(input, &[1], limits));
    whole
}

fn error_of(input: &str) -> Option<ReplyError> {
    both(input.as_bytes(), &Limits::default()).error
}

/// Asserts that `input` is exactly one reply.
fn one(input: &str, kind: ReplyKind) {
    let outcome = both(input.as_bytes(), &Limits::default());
    assert_eq!(outcome.replies, [(input.len(), kind)], "{input:?}");
    assert_eq!(outcome.error, None);
    for at in 1..input.len() {
        let outcome = both(&input.as_bytes()[..at], &Limits::default());
        assert_eq!(
            (outcome.replies.len(), outcome.error),
            (0, None),
            "{input:?} cut at {at}"
        );
        assert!(outcome.announced >= at as u64);
        assert!(
            outcome.announced <= input.len() as u64,
            "{input:?} cut at {at}"
        );
    }
}

#[test]
fn every_type_of_resp2_is_a_reply() {
    one("+OK\r\n", ReplyKind::Status);
    one("+\r\n", ReplyKind::Status);
    one("+a\nb\0\r\n", ReplyKind::Status);
    one("-ERR no\r\n", ReplyKind::Error);
    for integer in [
        "0",
        "-1",
        "10",
        "9223372036854775807",
        "-9223372036854775808",
    ] {
        one(&format!(":{integer}\r\n"), ReplyKind::Integer);
    }
    one("$0\r\n\r\n", ReplyKind::Bulk);
    one("$6\r\n\r\n$1\r\n\r\n", ReplyKind::Bulk);
    one("$-1\r\n", ReplyKind::Null);
    one("*-1\r\n", ReplyKind::Null);
    one("*0\r\n", ReplyKind::Array);
    one(
        "*5\r\n+a\r\n-b\r\n:-1\r\n$-1\r\n$1\r\nx\r\n",
        ReplyKind::Array,
    );
    one("*2\r\n*2\r\n*0\r\n*1\r\n:1\r\n*-1\r\n", ReplyKind::Array);
}

#[test]
fn every_type_of_resp3_is_a_reply() {
    one("_\r\n", ReplyKind::Null);
    one("#t\r\n", ReplyKind::Boolean);
    one("#f\r\n", ReplyKind::Boolean);
    for double in ["0", "-1.5", "1e100", "inf", "-inf", "nan"] {
        one(&format!(",{double}\r\n"), ReplyKind::Double);
    }
    one(
        "(-3492890328409238509324850943850943825024385\r\n",
        ReplyKind::BigNumber,
    );
    one("!5\r\nERR a\r\n", ReplyKind::BlobError);
    one("=7\r\ntxt:abc\r\n", ReplyKind::Verbatim);
    one("=4\r\ntxt:\r\n", ReplyKind::Verbatim);
    one("%2\r\n+a\r\n:1\r\n*1\r\n_\r\n%0\r\n", ReplyKind::Map);
    one("~3\r\n,1\r\n#t\r\n~0\r\n", ReplyKind::Set);
    one(">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n", ReplyKind::Push);
}

#[test]
fn streamed_values_end_with_their_mark() {
    one("$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n", ReplyKind::Bulk);
    one("$?\r\n;0\r\n", ReplyKind::Bulk);
    one("*?\r\n.\r\n", ReplyKind::Array);
    one(
        "*?\r\n:1\r\n*?\r\n$?\r\n;0\r\n.\r\n:2\r\n.\r\n",
        ReplyKind::Array,
    );
    one("~?\r\n+a\r\n.\r\n", ReplyKind::Set);
    one("%?\r\n+a\r\n%0\r\n+b\r\n*?\r\n.\r\n.\r\n", ReplyKind::Map);
    one("%?\r\n.\r\n", ReplyKind::Map);
}

#[test]
fn attributes_belong_to_what_they_precede() {
    one("|1\r\n+ttl\r\n:5\r\n$1\r\nx\r\n", ReplyKind::Bulk);
    one("|0\r\n+OK\r\n", ReplyKind::Status);
    one(
        "|1\r\n+a\r\n*1\r\n:1\r\n|1\r\n+b\r\n_\r\n>1\r\n+x\r\n",
        ReplyKind::Push,
    );
    one("*2\r\n|1\r\n+a\r\n+b\r\n:1\r\n:2\r\n", ReplyKind::Array);
    one(
        "%1\r\n+k\r\n|1\r\n|1\r\n+c\r\n+d\r\n+a\r\n+b\r\n:1\r\n",
        ReplyKind::Map,
    );
}

#[test]
fn the_kind_is_known_with_the_first_byte() {
    let limits = Limits::default();
    let mut scanner = ReplyScanner::default();
    assert_eq!(scanner.kind(), None);
    let mut kind_after = |bytes: &[u8]| {
        scanner.advance(bytes, &limits).unwrap();
        scanner.kind()
    };
    assert_eq!(kind_after(b"*"), Some(ReplyKind::Array));
    assert_eq!(kind_after(b"1\r\n+a\r"), Some(ReplyKind::Array));
    assert_eq!(kind_after(b"\n"), Some(ReplyKind::Array));
    assert_eq!(kind_after(b"|1\r\n+a\r\n"), None);
    assert_eq!(kind_after(b"+b\r\n"), None);
    assert_eq!(kind_after(b"$"), Some(ReplyKind::Bulk));
    assert_eq!(kind_after(b"-1\r\n"), Some(ReplyKind::Null));
}

#[test]
fn a_big_reply_announces_itself() {
    let announced = |input: &str| both(input.as_bytes(), &Limits::default()).announced;
    assert_eq!(announced("$1000000\r\nabc"), 1_000_012);
    assert_eq!(announced("*100000\r\n"), 9 + 300_000);
    assert_eq!(announced("%100000\r\n:1\r\n"), 9 + 4 + 3 * 199_999);
    assert_eq!(announced("*2\r\n*10\r\n$100\r\n"), 4 + 5 + 6 + 102 + 3 * 10);
}

#[test]
fn a_push_inside_another_reply_is_refused() {
    for input in [
        "*1\r\n>1\r\n+a\r\n",
        "*?\r\n>1\r\n",
        "|1\r\n>1\r\n",
        ">1\r\n>1\r\n",
        "%1\r\n:1\r\n>0\r\n",
    ] {
        assert_eq!(error_of(input), Some(ReplyError::NestedPush), "{input:?}");
    }
}

#[test]
fn where_a_push_may_stand_inside_a_reply_it_counts_as_none_of_its_values() {
    let limits = Limits::default();
    for input in [
        "*1\r\n>1\r\n+a\r\n:1\r\n",
        "*2\r\n:1\r\n>3\r\n$7\r\nmessage\r\n+c\r\n*1\r\n+m\r\n>0\r\n:2\r\n",
        "*1\r\n*2\r\n>1\r\n+a\r\n:1\r\n>1\r\n+b\r\n:2\r\n",
        "%1\r\n+k\r\n>1\r\n+a\r\n+v\r\n",
        "*?\r\n>1\r\n+a\r\n:1\r\n.\r\n",
        ">1\r\n>1\r\n+a\r\n+b\r\n",
    ] {
        for at in 0..input.len() {
            let mut scanner = ReplyScanner::default();
            scanner.let_pushes_nest(true);
            let (head, tail) = input.as_bytes().split_at(at);
            let first = scanner.advance(head, &limits).unwrap();
            assert!(
                !first.complete && first.consumed == at,
                "{input:?} cut at {at}"
            );
            let second = scanner.advance(tail, &limits).unwrap();
            assert!(second.complete, "{input:?} cut at {at}");
            assert_eq!(second.consumed, tail.len(), "{input:?} cut at {at}");
            assert!(!scanner.in_reply());
        }
    }
}

#[test]
fn what_no_reply_begins_with_is_refused() {
    for first in ["x", "\r", "\n", "\0", "@", ";", "2", " "] {
        let error = Some(ReplyError::UnknownType(first.as_bytes()[0]));
        assert_eq!(error_of(first), error);
        assert_eq!(error_of(&format!("*1\r\n{first}")), error);
    }
    for input in [".\r\n", "*1\r\n.\r\n", "%?\r\n+a\r\n.\r\n", "|1\r\n.\r\n"] {
        assert_eq!(
            error_of(input),
            Some(ReplyError::UnknownType(b'.')),
            "{input:?}"
        );
    }
    for input in ["$?\r\n+", "$?\r\n$"] {
        let error = ReplyError::UnknownType(*input.as_bytes().last().unwrap());
        assert_eq!(error_of(input), Some(error));
    }
}

#[test]
fn an_aggregate_that_no_client_would_take_is_no_reply() {
    for first in ["*", "%", "~", ">", "|"] {
        let error = error_of(&format!("{first}4294967296\r\n"));
        assert_eq!(error, Some(ReplyError::InvalidLength), "{first}");
        assert_eq!(error_of(&format!("{first}4294967295\r\n")), None, "{first}");
    }
}

#[test]
fn lengths_are_strict() {
    for length in ["", "x", "+1", "01", "-0", "-2", "1 ", "9223372036854775808"] {
        for first in ["$", "*", "!", "=", "%", "~", ">", "|"] {
            let error = error_of(&format!("{first}{length}\r\n"));
            assert_eq!(error, Some(ReplyError::InvalidLength), "{first}{length}");
        }
    }
    for input in [
        "%-1\r\n",
        "~-1\r\n",
        ">-1\r\n",
        "|-1\r\n",
        "!-1\r\n",
        "=-1\r\n",
        "=3\r\n",
        ">?\r\n",
        "|?\r\n",
        "!?\r\n",
        "=?\r\n",
        "$?\r\n;-1\r\n",
        "$?\r\n;?\r\n",
    ] {
        assert_eq!(
            error_of(input),
            Some(ReplyError::InvalidLength),
            "{input:?}"
        );
    }
}

#[test]
fn scalars_are_strict() {
    for (input, first) in [
        (":\r\n", b':'),
        (":x\r\n", b':'),
        (":+1\r\n", b':'),
        (":01\r\n", b':'),
        (":-0\r\n", b':'),
        (":9223372036854775808\r\n", b':'),
        ("#x", b'#'),
        ("#\r\n", b'#'),
        ("#tt\r\n", b'#'),
        ("_x\r\n", b'_'),
        (",\r\n", b','),
        (",1 ", b','),
        ("(1\n", b'('),
    ] {
        assert_eq!(
            error_of(input),
            Some(ReplyError::InvalidValue(first)),
            "{input:?}"
        );
    }
}

#[test]
fn everything_ends_with_cr_and_lf() {
    for input in [
        "+OK\rx",
        "-ERR\r\r",
        ":1\rx",
        "_\rx",
        "#t\rx",
        ",1\rx",
        "$1\rx",
        "*1\r ",
        "$1\r\nab",
        "$1\r\na\rb",
        "$0\r\nx",
        "!1\r\nab",
        "=4\r\ntxt:x",
        "*?x",
        "*?\rx",
        "*?\r\n.x",
        "*?\r\n.\rx",
        "$?\r\n;1\r\nab",
        "$?\r\n;0\rx",
    ] {
        assert_eq!(
            error_of(input),
            Some(ReplyError::MissingLineEnd),
            "{input:?}"
        );
    }
}

#[test]
fn what_is_longer_than_any_servers_is_refused_before_it_comes() {
    let limits = Limits::default();
    for head in ["$", "!", "=", "$?\r\n;"] {
        let input = format!("{head}{REPLY_BYTES_MAX}\r\n");
        assert_eq!(both(input.as_bytes(), &limits).error, None);
        let input = format!("{head}{}\r\n", REPLY_BYTES_MAX + 1);
        assert_eq!(
            both(input.as_bytes(), &limits).error,
            Some(ReplyError::TooLong)
        );
    }
    for head in ["$", "*", ":"] {
        let line = |len| format!("{head}{}", "1".repeat(len));
        assert_eq!(both(line(65_535).as_bytes(), &limits).error, None);
        let error = both(line(65_536).as_bytes(), &limits).error;
        assert_eq!(error, Some(ReplyError::TooLongLine));
    }
}

/// What a client has the server say is as long as it likes, whatever may be asked.
#[test]
fn replies_are_not_bound_by_what_a_request_may_be() {
    let limits = Limits {
        bulk_bytes_max: 1,
        header_bytes_max: 32,
        ..Limits::default()
    };
    let long = "1".repeat(100_000);
    for reply in [
        format!("+{long}\r\n"),
        format!("-{long}\r\n"),
        format!("({long}\r\n"),
        format!(",{long}\r\n"),
        format!("$100000\r\n{long}\r\n"),
        format!("=100000\r\n{long}\r\n"),
        format!("*1\r\n${}\r\n{long}\r\n", long.len()),
    ] {
        let outcome = both(reply.as_bytes(), &limits);
        assert_eq!((outcome.error, outcome.replies.len()), (None, 1));
    }
}

#[test]
fn depth_is_not_bounded() {
    for (head, tail) in [
        ("*1\r\n", "*0\r\n"),
        ("%1\r\n+k\r\n", "_\r\n"),
        ("~1\r\n", ":1\r\n"),
        ("*2\r\n*0\r\n", "+\r\n"),
        ("*1\r\n|1\r\n+a\r\n", ":1\r\n"),
    ] {
        let mut reply = head.repeat(20_000);
        reply.push_str(tail);
        if head.contains('|') {
            // The values behind each attribute, which are due last.
            reply.push_str(&":1\r\n".repeat(20_000));
        }
        let outcome = both(format!("{reply}+next\r\n").as_bytes(), &Limits::default());
        assert_eq!(outcome.error, None, "{head:?}");
        let ends: Vec<usize> = outcome.replies.iter().map(|(end, _)| *end).collect();
        assert_eq!(ends, [reply.len(), reply.len() + 7], "{head:?}");
    }
}

#[test]
fn streams_inside_streams_are_bounded() {
    for head in ["*?\r\n", "%?\r\n+k\r\n", "*1\r\n~?\r\n"] {
        assert_eq!(error_of(&head.repeat(STREAMS_MAX)), None);
        let error = error_of(&head.repeat(STREAMS_MAX + 1));
        assert_eq!(error, Some(ReplyError::TooDeep), "{head:?}");
    }
}

#[test]
fn a_big_number_is_whatever_a_script_says() {
    for number in ["", "12 34", "x", "-0", "\0"] {
        one(&format!("({number}\r\n"), ReplyKind::BigNumber);
    }
}

#[test]
fn a_step_ends_with_the_reply() {
    let input = b"+OK\r\n*1\r\n$1\r\nx\r\n>1\r\n:1\r\n_\r\n";
    let outcome = both(input, &Limits::default());
    let want = [
        (5, ReplyKind::Status),
        (16, ReplyKind::Array),
        (24, ReplyKind::Push),
        (27, ReplyKind::Null),
    ];
    assert_eq!(outcome.replies, want);
}
