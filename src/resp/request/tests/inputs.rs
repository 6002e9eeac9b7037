//! Random streams of requests: valid ones, valid ones with a few bytes changed, and garbage.

use proptest::prelude::*;

use crate::resp::write;

fn argument() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..12),
        1 => prop::collection::vec(any::<u8>(), 90..120),
        1 => prop::sample::select(vec![&b"POST"[..], b"host:", b"GET", b"\r\n", b"$1\r\nx\r\n"])
            .prop_map(<[u8]>::to_vec),
    ]
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(argument(), 1..6).prop_map(|args| multibulk(&args)),
        1 => "[ -~]{0,12}\r?\n".prop_map(String::into_bytes),
        1 => prop::sample::select(vec![&b"*0\r\n"[..], b"*-1\r\n", b"\r\n", b" \n"])
            .prop_map(<[u8]>::to_vec),
    ]
}

pub(super) fn multibulk(args: &[Vec<u8>]) -> Vec<u8> {
    let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
    let mut frame = Vec::new();
    write::request(&mut frame, &args);
    frame
}

fn pipeline() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(request(), 0..5).prop_map(|requests| requests.concat())
}

/// Bytes that mean something to the scanner, in no order.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let bytes = b"*$\r\n-+01239aPOST: \"'\0\xff".to_vec();
    prop_oneof![
        prop::collection::vec(prop::sample::select(bytes), 0..60),
        prop::collection::vec(any::<u8>(), 0..60),
    ]
}

/// A pipeline with some of its bytes replaced, removed or repeated.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let change = (
        any::<prop::sample::Index>(),
        0..3_u8,
        prop::sample::select(b"*$\r\n-0195x\0".to_vec()),
    );
    (pipeline(), prop::collection::vec(change, 1..4)).prop_map(|(mut bytes, changes)| {
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

pub(crate) fn input() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![pipeline(), mutated(), garbage()]
}
