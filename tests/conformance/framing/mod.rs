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

#[test]
fn a_catalogue_of_odd_requests_is_answered_as_by_redis() {
    let server = Server::start();
    let limits = Limits::default().authenticated();
    for input in same_as_redis() {
        let ours = answer(&input, &limits, Login::Done);
        assert_eq!(ours, server.answer(&input), "to {}", shown(&input));
    }
}

#[test]
fn stricter_cases_are_those_that_are_listed() {
    let server = Server::start();
    let limits = Limits::default().authenticated();
    for case in stricter_than_redis() {
        let theirs = server.answer(&case.input);
        assert_eq!(theirs, case.theirs, "Redis to {}", shown(&case.input));
        let ours = answer(&case.input, &limits, Login::Done);
        assert_eq!(ours, case.ours, "narrows to {}", shown(&case.input));
        assert!(ours.closed, "stricter means closed");
    }
}

#[test]
fn before_login_requests_are_bounded_as_by_redis() {
    let server = Server::start();
    server.answer(b"CONFIG SET requirepass secret\r\n");
    for input in before_login() {
        let ours = answer(&input, &Limits::default(), Login::Missing);
        assert_eq!(ours, server.answer(&input), "to {}", shown(&input));
    }
}

/// Whatever is accepted here means the same to Redis, and what is refused here is refused behind the
/// same replies.
#[test]
fn random_streams_are_answered_as_by_redis_or_refused() {
    let server = Server::start();
    let limits = Limits::default().authenticated();
    let config = ProptestConfig {
        cases: 3000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let outcome = TestRunner::new(config).run(&stream(), |input| {
        let ours = answer(&input, &limits, Login::Done);
        let theirs = server.answer(&input);
        let replies = &ours.bytes[..ours.replies_end];
        match ours.error {
            None => prop_assert_eq!(ours, theirs),
            // Redis drops replies that it has not written yet when an HTTP client speaks.
            Some(_) => prop_assert!(
                theirs.bytes.starts_with(replies)
                    || theirs.closed && replies.starts_with(&theirs.bytes),
                "{:?}\n{:?}",
                ours,
                theirs
            ),
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
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
        (&self.bytes, self.closed) == (&other.bytes, other.closed)
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
