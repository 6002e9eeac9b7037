//! Every frame is told apart from its first bytes, however it is cut.

use super::*;

const RESP2: PushContext = PushContext {
    protocol: Protocol::Resp2,
    subscribed: true,
    monitoring: true,
};
const RESP3: PushContext = PushContext {
    protocol: Protocol::Resp3,
    ..RESP2
};

fn verb(name: &str) -> SubscribeVerb {
    SubscribeVerb::named(name.as_bytes()).unwrap()
}

/// Frames, to whom they are sent, and what they are.
fn frames() -> Vec<(&'static str, PushContext, FrameKind)> {
    let confirms = |name| FrameKind::Confirmation(verb(name));
    vec![
        (
            "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nm\r\n",
            RESP2,
            FrameKind::Message,
        ),
        (
            "*4\r\n$8\r\npmessage\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nm\r\n",
            RESP2,
            FrameKind::Message,
        ),
        (
            "*3\r\n$8\r\nsmessage\r\n$1\r\na\r\n$1\r\nm\r\n",
            RESP2,
            FrameKind::Message,
        ),
        (
            "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n",
            RESP2,
            confirms("subscribe"),
        ),
        (
            "*3\r\n$12\r\npunsubscribe\r\n$-1\r\n:0\r\n",
            RESP2,
            confirms("punsubscribe"),
        ),
        ("*2\r\n$4\r\npong\r\n$0\r\n\r\n", RESP2, FrameKind::Reply),
        ("-ERR Can't execute 'get'\r\n", RESP2, FrameKind::Reply),
        ("+OK\r\n", RESP2, FrameKind::Reply),
        (
            "+1795270802.680126 [0 unix:/s] \"PING\"\r\n",
            RESP2,
            FrameKind::MonitorLine,
        ),
        ("+1795270802\r\n", RESP2, FrameKind::Reply),
        (
            ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nm\r\n",
            RESP3,
            FrameKind::Message,
        ),
        (">3\r\n+message\r\n+a\r\n+m\r\n", RESP3, FrameKind::Message),
        (
            ">2\r\n$10\r\ninvalidate\r\n_\r\n",
            RESP3,
            FrameKind::Invalidation,
        ),
        (
            ">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n",
            RESP3,
            confirms("unsubscribe"),
        ),
        (
            ">2\r\n$21\r\ntracking-redir-broken\r\n:1\r\n",
            RESP3,
            FrameKind::UnknownPush,
        ),
        (">0\r\n", RESP3, FrameKind::UnknownPush),
        (
            "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nm\r\n",
            RESP3,
            FrameKind::Reply,
        ),
        ("%1\r\n+a\r\n+b\r\n", RESP3, FrameKind::Reply),
    ]
}

#[test]
fn frames_are_told_apart_however_they_are_cut() {
    for (frame, listening, kind) in frames() {
        let bytes = frame.as_bytes();
        assert_eq!(
            frame_kind(bytes, listening).or(Some(FrameKind::UnknownPush)),
            Some(kind),
            "{frame:?}"
        );
        for cut in 1..bytes.len() {
            let told = frame_kind(&bytes[..cut], listening);
            assert!(
                told.is_none() || told == Some(kind),
                "{cut} of {frame:?}: {told:?}"
            );
        }
    }
}

#[test]
fn nothing_is_a_message_for_who_has_not_subscribed() {
    let plain = PushContext {
        subscribed: false,
        monitoring: false,
        ..RESP2
    };
    let lookalike = b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nm\r\n";
    assert_eq!(frame_kind(lookalike, plain), Some(FrameKind::Reply));
    let line = b"+1795270802.680126 [0 unix:/s] \"PING\"\r\n";
    assert_eq!(frame_kind(line, plain), Some(FrameKind::Reply));
}

#[test]
fn the_first_bytes_always_suffice() {
    for byte in 0..=255_u8 {
        for head in [
            &b"*3\r\n$"[..],
            b"*",
            b">",
            b"*3\r\n",
            b">3\r\n+",
            b"+17.",
            b"+",
        ] {
            let bytes = [head, &[byte; PREFIX_BYTES_MAX]].concat();
            assert!(
                frame_kind(&bytes, RESP2).is_some(),
                "{}",
                bytes.escape_ascii()
            );
        }
    }
}

#[test]
fn confirmations_count_and_one_that_was_missed_is_noticed() {
    let mut all = Subscriptions::default();
    assert!(all.confirmed(verb("subscribe"), 1));
    assert!(
        all.confirmed(verb("subscribe"), 1),
        "the same channel again"
    );
    assert!(all.confirmed(verb("psubscribe"), 2));
    assert!(all.confirmed(verb("ssubscribe"), 1));
    assert_eq!((all.channels, all.patterns, all.shards), (1, 1, 1));
    assert_eq!(all.confirmations(verb("unsubscribe"), 0), 1);
    assert_eq!(all.confirmations(verb("unsubscribe"), 7), 7);
    assert!(!all.confirmed(verb("subscribe"), 4));
    assert!(!all.confirmed(verb("unsubscribe"), 0));
    assert!(all.confirmed(verb("unsubscribe"), 1));
    assert!(!all.confirmed(verb("unsubscribe"), 0), "that is a pattern");
    assert!(all.confirmed(verb("punsubscribe"), 0));
    assert!(all.confirmed(verb("sunsubscribe"), 0) && !all.any());
}

#[test]
fn a_confirmation_ends_with_its_count() {
    let count = |frame: &str| confirmed_count(frame.as_bytes());
    assert_eq!(
        count("*3\r\n$9\r\nsubscribe\r\n$3\r\na:9\r\n:12\r\n"),
        Some(12)
    );
    assert_eq!(count("*3\r\n$9\r\nsubscribe\r\n$3\r\na:9\r\n"), Some(9));
    assert_eq!(count("+OK\r\n"), None);
}
