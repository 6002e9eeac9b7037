//! However a backend's bytes are cut, the same replies and the same errors come out, and no byte is
//! walked twice. The limits are small here, so that random input reaches them.

use proptest::prelude::*;

use super::inputs::{input, replies, reply};
use super::scan;
use crate::resp::Limits;
use crate::resp::reply::ReplyKind;

fn limits() -> impl Strategy<Value = Limits> {
    let small = (1..50_usize).prop_map(|header_bytes_max| Limits {
        header_bytes_max,
        ..Limits::default()
    });
    prop_oneof![Just(Limits::default()), small]
}

/// A failure prints the smallest input that shows it; nothing is written beside the sources.
pub(super) fn config() -> ProptestConfig {
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
        if reply[0] == b'|' {
            return Ok(());
        }
        let null = matches!(&reply[..], b"$-1\r\n" | b"*-1\r\n");
        let outcome = scan(&reply, &[], &Limits::default());
        let want = if null { Some(ReplyKind::Null) } else { ReplyKind::of(reply[0]) };
        prop_assert_eq!(outcome.replies.first().map(|reply| reply.1), want);
    }
}
