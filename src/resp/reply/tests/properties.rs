//! However a backend's bytes are cut, the same replies and the same errors come out, and no byte is
//! walked twice. The limits are small here, so that random input reaches them.

use proptest::prelude::*;

use super::scan;
use crate::resp::Limits;
use crate::resp::reply::ReplyKind;

fn limits() -> impl Strategy<Value = Limits> {
    let small = (0..40_u64, 1..5_usize, 1..50_usize).prop_map(
        |(bulk_bytes_max, reply_depth_max, header_bytes_max)| Limits {
            bulk_bytes_max,
            reply_depth_max,
            header_bytes_max,
            ..Limits::default()
        },
    );
    prop_oneof![Just(Limits::default()), small]
}

fn text() -> impl Strategy<Value = String> {
    "[ -~]{0,12}"
}

/// A value that is no aggregate.
fn leaf() -> impl Strategy<Value = Vec<u8>> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..12);
    let sized = |kind: &'static str, prefix: &'static str, data: Vec<u8>| {
        let head = format!("{kind}{}\r\n{prefix}", prefix.len() + data.len());
        [head.into_bytes(), data, b"\r\n".to_vec()].concat()
    };
    prop_oneof![
        text().prop_map(|text| format!("+{text}\r\n").into_bytes()),
        text().prop_map(|text| format!("-{text}\r\n").into_bytes()),
        any::<i64>().prop_map(|value| format!(":{value}\r\n").into_bytes()),
        (-20..20_i64).prop_map(|value| format!(":{value}\r\n").into_bytes()),
        any::<f64>().prop_map(|value| format!(",{value}\r\n").into_bytes()),
        any::<i128>().prop_map(|value| format!("({value}\r\n").into_bytes()),
        prop::sample::select(vec![
            "_\r\n", "#t\r\n", "#f\r\n", "$-1\r\n", "*-1\r\n", ",inf\r\n"
        ])
        .prop_map(|value| value.as_bytes().to_vec()),
        bytes().prop_map(move |data| sized("$", "", data)),
        bytes().prop_map(move |data| sized("!", "", data)),
        bytes().prop_map(move |data| sized("=", "txt:", data)),
        prop::collection::vec(prop::collection::vec(any::<u8>(), 1..8), 0..3).prop_map(
            move |pieces| {
                let mut out = b"$?\r\n".to_vec();
                for piece in pieces {
                    out.extend(sized(";", "", piece));
                }
                out.extend(b";0\r\n");
                out
            }
        ),
    ]
}

fn reply() -> impl Strategy<Value = Vec<u8>> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        let values = prop::collection::vec(inner.clone(), 0..4);
        let pairs = prop::collection::vec((inner.clone(), inner.clone()), 0..3).prop_map(|pairs| {
            pairs
                .into_iter()
                .map(|(key, value)| [key, value].concat())
                .collect()
        });
        let counted = |head: &'static str, values: Vec<Vec<u8>>| {
            let len = values.len();
            [format!("{head}{len}\r\n").into_bytes(), values.concat()].concat()
        };
        let streamed = |head: &'static str, values: Vec<Vec<u8>>| {
            [head.as_bytes(), &values.concat(), b".\r\n"].concat()
        };
        prop_oneof![
            values.clone().prop_map(move |values| counted("*", values)),
            values.clone().prop_map(move |values| counted("~", values)),
            pairs.clone().prop_map(move |pairs| counted("%", pairs)),
            values
                .clone()
                .prop_map(move |values| streamed("*?\r\n", values)),
            values.prop_map(move |values| streamed("~?\r\n", values)),
            pairs
                .clone()
                .prop_map(move |pairs| streamed("%?\r\n", pairs)),
            (pairs, inner).prop_map(move |(pairs, value)| [counted("|", pairs), value].concat()),
        ]
    })
}

fn replies() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(reply(), 0..4)
}

fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let bytes = b"+-:$*%~>|_#,(!=;.?\r\n01239tfx\xff".to_vec();
    prop_oneof![
        prop::collection::vec(prop::sample::select(bytes), 0..60),
        prop::collection::vec(any::<u8>(), 0..60),
    ]
}

fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop::sample::select(b"+-:$*%~>|_;.?\r\n019x".to_vec());
    let change = (any::<prop::sample::Index>(), 0..3_u8, byte);
    (replies(), prop::collection::vec(change, 1..4)).prop_map(|(replies, changes)| {
        let mut bytes = replies.concat();
        for (place, how, byte) in changes {
            if bytes.is_empty() {
                break;
            }
            let at = place.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => {
                    bytes.remove(at);
                }
                _ => bytes.insert(at, byte),
            }
        }
        bytes
    })
}

fn input() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        replies().prop_map(|replies| replies.concat()),
        mutated(),
        garbage()
    ]
}

/// A failure prints the smallest input that shows it; nothing is written beside the sources.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_way_to_cut_gives_the_same(
        input in input(),
        pieces in prop::collection::vec(1..9_usize, 1..40),
        limits in limits(),
    ) {
        let whole = scan(&input, &[], &limits);
        prop_assert_eq!(&whole, &scan(&input, &[1], &limits));
        prop_assert_eq!(&whole, &scan(&input, &pieces, &limits));
    }

    #[test]
    fn every_place_to_cut_gives_the_same(input in input(), limits in limits()) {
        let whole = scan(&input, &[], &limits);
        for at in 1..input.len() {
            let cut = scan(&input, &[at, input.len()], &limits);
            prop_assert_eq!(&whole, &cut, "cut at {}", at);
        }
    }

    #[test]
    fn what_was_written_is_found_again(replies in replies(), piece in 1..50_usize) {
        let outcome = scan(&replies.concat(), &[piece], &Limits::default());
        prop_assert_eq!(outcome.error, None);
        let mut end = 0;
        let want: Vec<_> = replies.iter().map(|reply| { end += reply.len(); end }).collect();
        let found: Vec<_> = outcome.replies.iter().map(|reply| reply.0).collect();
        prop_assert_eq!(found, want);
    }

    /// The first byte that is not an attribute's tells the kind of the reply.
    #[test]
    fn a_plain_reply_is_of_the_kind_of_its_first_byte(reply in reply()) {
        prop_assume!(reply[0] != b'|');
        let null = matches!(&reply[..], b"$-1\r\n" | b"*-1\r\n");
        let outcome = scan(&reply, &[], &Limits::default());
        let want = if null { Some(ReplyKind::Null) } else { ReplyKind::of(reply[0]) };
        prop_assert_eq!(outcome.replies.first().map(|reply| reply.1), want);
    }
}
