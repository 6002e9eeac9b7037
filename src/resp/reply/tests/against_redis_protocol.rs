//! Another decoder's opinion: what this scanner accepts, the `redis-protocol` crate accepts with
//! the same length. That one is laxer about numbers and recurses without a bound, so it is only
//! asked about what was accepted here, at small depth. Of RESP3 it does not know everything;
//! [`is_known_to_it`] says what it is not asked about.

use proptest::prelude::*;
use redis_protocol::{resp2, resp3};

use super::inputs::{mutated, replies, resp2_garbage};
use super::scan;
use crate::resp::{Limits, request};

fn limits() -> Limits {
    Limits::default().authenticated()
}

/// The replies that are accepted at the head of `input`.
fn accepted(input: &[u8]) -> Vec<&[u8]> {
    let mut start = 0;
    let ends = scan(input, &[], &limits()).replies;
    ends.into_iter()
        .map(|(end, _)| &input[std::mem::replace(&mut start, end)..end])
        .filter(|reply| is_shallow(reply))
        .collect()
}

/// Whether the other decoder's recursion over it ends: no more heads of aggregates than this.
fn is_shallow(reply: &[u8]) -> bool {
    reply.iter().filter(|byte| b"*%~>|".contains(byte)).count() <= 32
}

/// Not: streamed values, attributes, doubles and verbatim strings of any spelling, aggregates as
/// keys of maps and members of sets, and the nulls of RESP2 on a RESP3 connection. Bytes of data
/// may resemble them; then a case is lost.
fn is_known_to_it(reply: &[u8]) -> bool {
    let odd = reply.iter().any(|byte| b"?|,=%~".contains(byte));
    !odd && !reply.windows(4).any(|bytes| bytes == b"-1\r\n")
}

fn check_resp2(reply: &[u8], behind: &[u8]) -> Result<(), TestCaseError> {
    let bytes = [reply, behind].concat();
    match resp2::decode::decode_range(&bytes) {
        Ok(Some((_, len))) => prop_assert_eq!(len, reply.len()),
        other => prop_assert!(false, "{:?}: {:?}", reply, other),
    }
    Ok(())
}

fn check_resp3(reply: &[u8], behind: &[u8]) -> Result<(), TestCaseError> {
    let bytes = [reply, behind].concat();
    match resp3::decode::complete::decode_range(&bytes) {
        Ok(Some((_, len))) => prop_assert_eq!(len, reply.len()),
        other => prop_assert!(false, "{:?}: {:?}", reply, other),
    }
    Ok(())
}

fn is_resp2(reply: &[u8]) -> bool {
    !reply.iter().any(|byte| b"_#,(!=%~>|;.?".contains(byte))
}

#[test]
fn replies_that_redis_sends_have_the_length_that_it_finds() {
    let cases: [&[u8]; 9] = [
        b"+OK\r\n",
        b"*2\r\n:1\r\n*2\r\n$1\r\nx\r\n+\r\n",
        b"%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n_\r\n",
        b"~2\r\n$1\r\na\r\n$1\r\nb\r\n",
        b"|1\r\n+ttl\r\n:3600\r\n$1\r\nx\r\n",
        b"=7\r\ntxt:abc\r\n",
        b">2\r\n+message\r\n$0\r\n\r\n",
        b"*3\r\n,1.5\r\n,inf\r\n(123\r\n",
        b"!5\r\nERR a\r\n",
    ];
    for case in cases {
        assert_eq!(accepted(case), [case]);
        check_resp3(case, b"+next\r\n").unwrap();
    }
}

proptest! {
    #![proptest_config(super::properties::config())]

    #[test]
    fn what_is_accepted_as_resp2_it_accepts(
        input in prop_oneof![resp2_garbage(), mutated(), replies().prop_map(|r| r.concat())],
        behind in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        for reply in accepted(&input).into_iter().filter(|reply| is_resp2(reply)) {
            check_resp2(reply, &behind)?;
        }
    }

    #[test]
    fn what_is_accepted_as_resp3_it_accepts(
        input in prop_oneof![mutated(), replies().prop_map(|replies| replies.concat())],
        behind in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        for reply in accepted(&input).into_iter().filter(|reply| is_known_to_it(reply)) {
            check_resp3(reply, &behind)?;
        }
    }

    /// A request is an array of strings to it.
    #[test]
    fn what_is_accepted_as_a_request_it_accepts(input in request::tests::inputs::input()) {
        let mut start = 0;
        for (end, event) in request::tests::scan(&input, &[], &limits()).events {
            if matches!(event, request::RequestEvent::Complete(_)) {
                check_resp2(&input[start..end], b"")?;
            }
            start = end;
        }
    }
}
