//! The judge of framing is a real server: the same bytes go to `redis-server` and through narrows'
//! scanner, and what a client would see (replies, error texts, an open or closed connection) must
//! be the same, except for the stricter cases that are listed here with both outcomes.

mod catalogue;
mod server;

use narrows::resp::{
    Args, Limits, ProtocolError, Refusal, RequestEvent, RequestScanner, inline, write,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use self::catalogue::{before_login, same_as_redis, stricter_than_redis};
use self::server::Server;
use crate::differences::without_arguments;
use crate::support::Flavor;

#[test]
fn a_catalogue_of_odd_requests_is_answered_as_by_redis() {
    for flavor in Flavor::matrix() {
        let server = Server::start(flavor);
        let limits = Limits::default().authenticated();
        let inputs = same_as_redis().into_iter();
        for input in inputs.filter(|input| !is_read_otherwise(flavor, input)) {
            let ours = answer(&input, &limits, Login::Done);
            assert_eq!(
                ours,
                server.answer(&input),
                "{flavor:?} to {}",
                shown(&input)
            );
        }
    }
}

#[test]
fn stricter_cases_are_those_that_are_listed() {
    for flavor in of_redis() {
        let server = Server::start(flavor);
        let limits = Limits::default().authenticated();
        for case in stricter_than_redis() {
            let theirs = server.answer(&case.input);
            // Redis 8.10 has become as strict in some of them.
            if flavor != Flavor::Redis810 || !theirs.closed {
                assert_eq!(theirs, case.theirs, "{flavor:?} to {}", shown(&case.input));
            }
            let ours = answer(&case.input, &limits, Login::Done);
            assert_eq!(ours, case.ours, "narrows to {}", shown(&case.input));
            assert!(ours.closed, "stricter means closed");
        }
    }
}

#[test]
fn before_login_requests_are_bounded_as_by_redis() {
    for flavor in of_redis() {
        let server = Server::start(flavor);
        server.answer(b"CONFIG SET requirepass secret\r\n");
        for input in before_login() {
            let ours = answer(&input, &Limits::default(), Login::Missing);
            assert_eq!(
                ours,
                server.answer(&input),
                "{flavor:?} to {}",
                shown(&input)
            );
        }
    }
}

/// Valkey asks for a login before it looks at the command, and closes for ends of lines that Redis passes
/// over, as narrows does.
fn of_redis() -> impl Iterator<Item = Flavor> {
    Flavor::matrix()
        .into_iter()
        .filter(|flavor| !flavor.is_valkey())
}

/// Valkey takes what follows a line of blanks for inline requests, since 8.1 loses the byte 0xff of a word, and
/// since 9.1 takes what follows a quote for a part of its word. All are inline requests, which narrows
/// passes on as arrays.
fn is_read_otherwise(flavor: Flavor, input: &[u8]) -> bool {
    let mut lines = input.split(|byte| *byte == b'\n');
    let is_blank = |line: &[u8]| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        !line.is_empty()
            && line
                .iter()
                .all(|byte| byte.is_ascii_whitespace() || *byte == 0x0b)
    };
    let odd = |byte: &u8| matches!(byte, b'"' | b'\'' | 0xff);
    // Redis since 8.10 reads further before it says that a head has no end.
    let is_long = flavor == Flavor::Redis810 && input.len() > 64 * 1024;
    is_long || flavor.is_valkey() && (input.iter().any(odd) || lines.any(is_blank))
}

/// Whatever is accepted here means the same to Redis, and what is refused here is refused behind the
/// same replies.
#[test]
fn random_streams_are_answered_as_by_redis_or_refused() {
    for flavor in Flavor::matrix() {
        let server = Server::start(flavor);
        let limits = Limits::default().authenticated();
        let config = ProptestConfig {
            cases: 3000,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        let outcome = TestRunner::new(config).run(&stream(), |input| {
            let ours = answer(&input, &limits, Login::Done);
            if is_read_otherwise(flavor, &input) {
                return Ok(());
            }
            let theirs = server.answer(&input);
            let replies = &ours.bytes[..ours.replies_end];
            match ours.error {
                None => prop_assert_eq!(ours, theirs),
                // Redis drops replies that it has not written yet when an HTTP client speaks.
                Some(_) => prop_assert!(
                    told(&theirs.bytes).starts_with(&told(replies))
                        || theirs.closed && told(replies).starts_with(&told(&theirs.bytes)),
                    "{:?}\n{:?}",
                    ours,
                    theirs
                ),
            }
            Ok(())
        });
        if let Err(error) = outcome {
            panic!("{flavor:?}: {error}");
        }
    }
}

/// Replies without what may differ in them.
fn told(replies: &[u8]) -> Vec<u8> {
    let lines = replies.split_inclusive(|byte| *byte == b'\n');
    lines.flat_map(without_arguments).copied().collect()
}

/// What a client sees.
#[derive(Debug, Default, Clone)]
struct Answer {
    bytes: Vec<u8>,
    closed: bool,
    /// Ours only: what was wrong, and where the replies to what came before it end.
    error: Option<ProtocolError>,
    replies_end: usize,
}

impl PartialEq for Answer {
    fn eq(&self, other: &Self) -> bool {
        (told(&self.bytes), self.closed) == (told(&other.bytes), other.closed)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Login {
    Done,
    Missing,
}

/// What narrows would answer, with a server behind it that knows `PING` and `ECHO` only.
fn answer(input: &[u8], limits: &Limits, login: Login) -> Answer {
    let mut scanner = RequestScanner::default();
    let mut out = Vec::new();
    let mut rest = input;
    while !rest.is_empty() {
        let step = scanner.advance(rest, limits).and_then(|advance| {
            let (walked, behind) = rest.split_at(advance.consumed);
            rest = behind;
            let mut frame = walked.to_vec();
            let argc = match advance.event {
                RequestEvent::Complete(frame) => frame.argc,
                RequestEvent::Inline { .. } => {
                    frame.clear();
                    inline::encode(walked, &mut frame)?
                }
                RequestEvent::NeedMore | RequestEvent::Empty => 0,
            };
            Ok((argc > 0).then_some(frame))
        });
        match step {
            Ok(frame) => frame
                .iter()
                .for_each(|frame| execute(frame, login, &mut out)),
            Err(error) => {
                let replies_end = out.len();
                Refusal::Protocol(error).write(&mut out);
                return Answer {
                    bytes: out,
                    closed: true,
                    error: Some(error),
                    replies_end,
                };
            }
        }
    }
    Answer {
        bytes: out,
        ..Answer::default()
    }
}

fn execute(frame: &[u8], login: Login, out: &mut Vec<u8>) {
    let args: Vec<&[u8]> = Args::new(frame).collect();
    let name = args[0].to_ascii_lowercase();
    let refusal = match (&name[..], &args[1..]) {
        // Redis lets any number of arguments of PING pass to the command itself.
        (b"ping", _) if login == Login::Missing => Refusal::NoAuth,
        (b"ping", []) => return write::status(out, "PONG"),
        (b"ping" | b"echo", [text]) if login == Login::Done => return write::bulk(out, text),
        (b"echo", [_]) => Refusal::NoAuth,
        (b"ping", _) => Refusal::Arity { command: "ping" },
        (b"echo", _) => Refusal::Arity { command: "echo" },
        _ => Refusal::UnknownCommand { frame },
    };
    refusal.write(out);
}

const PING: &str = "*1\r\n$4\r\nPING\r\n";

/// Pipelines of harmless requests with a few of their bytes changed.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let data = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..12),
        prop::sample::select(vec![
            &b"PING"[..],
            b"echo",
            b"Echo",
            b"POST",
            b"\r\n",
            b"*1\r\n"
        ])
        .prop_map(<[u8]>::to_vec),
    ];
    let multibulk = prop::collection::vec(data, 1..4).prop_map(|args| {
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        let mut out = Vec::new();
        write::request(&mut out, &args);
        out
    });
    let word = prop::sample::select(vec![
        "PING",
        "ECHO",
        "\"a b\"",
        "'x'",
        "\"\\x0d\\n\"",
        "'",
        "\"",
        "a",
        " ",
        "\t",
        "\x0b",
        "\\",
        "\u{e9}",
    ]);
    let inline = prop::collection::vec(word, 0..5)
        .prop_map(|words| [words.join(" ").as_bytes(), b"\r\n"].concat());
    let request = prop_oneof![3 => multibulk, 1 => inline, 1 => Just(PING.as_bytes().to_vec())];
    let byte = prop::sample::select(b"*$\r\n-0159x \"'".to_vec());
    let change = (any::<prop::sample::Index>(), 0..3_u8, byte);
    let requests = prop::collection::vec(request, 1..4);
    (requests, prop::collection::vec(change, 0..3)).prop_map(|(requests, changes)| {
        let mut bytes = requests.concat();
        for (place, how, byte) in changes {
            let at = place.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, byte),
            }
        }
        bytes
    })
}

fn shown(input: &[u8]) -> String {
    let end = input.len().min(80);
    format!("{} ({} bytes)", input[..end].escape_ascii(), input.len())
}
