//! Random streams of replies: valid ones, valid ones with a few bytes changed, and garbage.

use proptest::prelude::*;

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

pub(super) fn reply() -> impl Strategy<Value = Vec<u8>> {
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

pub(super) fn replies() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(reply(), 0..4)
}

/// Bytes that mean something in RESP2, in no order.
pub(super) fn resp2_garbage() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "+", "-", ":", "$", "*", "0", "1", "2", "-1", "x", "\r\n", "\r", "\n",
    ];
    let pieces = prop::sample::select(pieces.to_vec());
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat().into_bytes())
}

fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let bytes = b"+-:$*%~>|_#,(!=;.?\r\n01239tfx\xff".to_vec();
    prop_oneof![
        prop::collection::vec(prop::sample::select(bytes), 0..60),
        prop::collection::vec(any::<u8>(), 0..60),
    ]
}

pub(super) fn mutated() -> impl Strategy<Value = Vec<u8>> {
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

pub(super) fn input() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        replies().prop_map(|replies| replies.concat()),
        mutated(),
        garbage()
    ]
}
