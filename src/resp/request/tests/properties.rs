//! However the input is cut, the same frames and the same errors come out, and no byte is walked
//! twice. The limits are small here, so that random input reaches them.

use proptest::prelude::*;

use super::inputs::{input, multibulk};
use super::{RequestScan, open_limits, scan};
use crate::resp::request::{Frame, RequestEvent};
use crate::resp::{Args, Limits, RequestScanner};

fn small_limits() -> impl Strategy<Value = Limits> {
    (1..40_usize, 1..50_usize, 1..6_u32, 0..40_u64, any::<bool>()).prop_map(
        |(inline_bytes_max, header_bytes_max, args_max, bulk_bytes_max, authenticated)| Limits {
            inline_bytes_max,
            header_bytes_max,
            args_max,
            bulk_bytes_max,
            authenticated,
        },
    )
}

fn limits() -> impl Strategy<Value = Limits> {
    prop_oneof![Just(open_limits()), Just(Limits::default()), small_limits(),]
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
    fn what_was_written_is_found_again(
        requests in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..8),
            1..5,
        ),
        piece in 1..50_usize,
    ) {
        let frames: Vec<Vec<u8>> = requests.iter().map(|args| multibulk(args)).collect();
        let input = frames.concat();
        let outcome = scan(&input, &[piece], &open_limits());
        prop_assume!(outcome.error.is_none());
        let mut start = 0;
        let mut found = Vec::new();
        for (end, event) in &outcome.events {
            let RequestEvent::Complete(frame) = event else {
                return Err(TestCaseError::fail(format!("{event:?}")));
            };
            let bytes = &input[start..*end];
            check_frame(frame, bytes)?;
            found.push(Args::new(bytes).map(<[u8]>::to_vec).collect::<Vec<_>>());
            start = *end;
        }
        prop_assert_eq!(found, requests);
    }

    /// Whatever is accepted as a multibulk is spelled as narrows itself would spell it.
    #[test]
    fn what_begins_as_another_request_is_told_as_by_a_look_of_its_own(
        input in input(),
        other in input(),
        at in 0_usize..64,
        limits in limits(),
    ) {
        let Some(first) = RequestScanner::whole(&input, &limits) else {
            return Ok(());
        };
        let name_end = (first.name_at + first.name_len) as usize;
        let head = &input[..name_end + 2];
        // The same again, whole or cut, with another's end, or another altogether.
        let end = &other[at.min(other.len())..];
        let cut = &input[..input.len().saturating_sub(at)];
        for chunk in [&input[..], cut, &other, &[head, end].concat()] {
            let own = RequestScanner::whole(chunk, &limits).filter(|_| chunk.starts_with(head));
            let like = RequestScanner::whole_like(head, first.argc, chunk, &limits);
            prop_assert_eq!(like, own.map(|frame| frame.bytes as usize));
            if let Some(frame) = own {
                prop_assert_eq!((frame.argc, frame.name_at), (first.argc, first.name_at));
            }
        }
    }

    #[test]
    fn what_is_accepted_is_canonical(input in input(), limits in limits()) {
        let RequestScan { events, .. } = scan(&input, &[], &limits);
        let mut start = 0;
        for (end, event) in events {
            let bytes = &input[start..end];
            if let RequestEvent::Complete(frame) = event {
                check_frame(&frame, bytes)?;
                let args: Vec<Vec<u8>> = Args::new(bytes).map(<[u8]>::to_vec).collect();
                prop_assert_eq!(multibulk(&args), bytes);
            }
            start = end;
        }
    }
}

fn check_frame(frame: &Frame, bytes: &[u8]) -> Result<(), TestCaseError> {
    prop_assert_eq!(frame.bytes, bytes.len() as u64);
    let name = Args::new(bytes).next().unwrap();
    let at = frame.name_at as usize;
    prop_assert_eq!(&bytes[at..at + frame.name_len as usize], name);
    prop_assert_eq!(Args::new(bytes).count(), frame.argc as usize);
    Ok(())
}
