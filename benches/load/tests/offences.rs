//! The oracle is proven: a relay commits the faults that a multiplexer could commit, one by one, and
//! the load finds each.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod support;

use narrows_load::{Offence, OffenceKind, Plan, Protocol};
use support::{Hand, RedisServer, Relay, Value, plan};

/// Runs `plan` through a relay with this hand; it must end in an offence.
#[track_caller]
fn offence(hand: Hand, change: impl FnOnce(&mut Plan)) -> Box<Offence> {
    let server = RedisServer::start();
    let relay = Relay::start(&server.address(), hand);
    let folder = tempfile::tempdir().unwrap();
    let mut plan = plan(&relay.address());
    plan.duration = std::time::Duration::from_secs(20);
    plan.dump_folder = Some(folder.path().to_owned());
    change(&mut plan);
    let offence = narrows_load::start(plan).wait().expect_err("an offence");
    let dump = std::fs::read_to_string(offence.dump.as_ref().unwrap()).unwrap();
    assert!(
        dump.contains("OFFENCE") && dump.contains("\"hearer\""),
        "{dump}"
    );
    assert!(dump.contains(&offence.received), "{dump}");
    assert!(!offence.hearer.history.is_empty());
    assert!(offence.hearer.source.starts_with("127.0.0.1:"));
    offence
}

/// A hand that leaves the first `calm` replies of the wanted kind alone, and all others.
fn after(
    calm: usize,
    wanted: fn(&[u8]) -> bool,
    mut fault: impl FnMut(usize, &[u8]) -> Option<Vec<(usize, Vec<u8>)>> + Send + 'static,
) -> Hand {
    let mut seen = 0;
    Box::new(move |connection, reply| {
        let untouched = vec![(connection, reply.to_vec())];
        if !wanted(reply) {
            return untouched;
        }
        seen += 1;
        if seen <= calm {
            return untouched;
        }
        fault(connection, reply).unwrap_or(untouched)
    })
}

fn is_value(reply: &[u8]) -> bool {
    reply.starts_with(b"$64\r\nnl")
}

fn is_number(reply: &[u8]) -> bool {
    reply.starts_with(b":")
}

/// Exchanges two replies of the wanted kind that two connections wait for, once.
fn exchanged(wanted: fn(&[u8]) -> bool) -> Hand {
    let mut held: Option<(usize, Vec<u8>)> = None;
    let mut is_done = false;
    after(300, wanted, move |connection, reply| {
        if is_done {
            return None;
        }
        match held.take() {
            None => {
                held = Some((connection, reply.to_vec()));
                Some(Vec::new())
            }
            Some((other, theirs)) => {
                is_done = true;
                Some(vec![(connection, theirs), (other, reply.to_vec())])
            }
        }
    })
}

#[test]
fn values_of_two_clients_exchanged_are_found_with_both_histories() {
    let found = offence(exchanged(is_value), |plan| {
        plan.mix = "get=4,set=1".parse().unwrap();
        plan.shared_keys = 0;
    });
    assert_eq!(found.kind, OffenceKind::Foreign);
    let other = found.other.expect("the client whose value it is");
    assert_eq!(found.tagged, Some(other.client));
    assert_ne!(other.client, found.hearer.client);
    assert!(!other.history.is_empty() && other.source.starts_with("127.0.0.1:"));
}

#[test]
fn counters_of_two_clients_exchanged_are_found_with_both_histories() {
    let found = offence(exchanged(is_number), |plan| {
        plan.mix = "incr=1".parse().unwrap();
        plan.protocols = vec![Protocol::Resp2];
    });
    assert_eq!(found.kind, OffenceKind::Foreign);
    assert!(found.other.is_some_and(|other| !other.history.is_empty()));
}

#[test]
fn replies_of_different_kinds_exchanged_are_found() {
    fn any(reply: &[u8]) -> bool {
        is_value(reply) || is_number(reply) || reply == b"+OK\r\n"
    }
    // Two of the same kind and content may be exchanged and nobody is the wiser: it goes on.
    let mut held: Option<(usize, Vec<u8>)> = None;
    let hand = after(300, any, move |connection, reply| match held.take() {
        None => {
            held = Some((connection, reply.to_vec()));
            Some(Vec::new())
        }
        Some((other, theirs)) => Some(vec![(connection, theirs), (other, reply.to_vec())]),
    });
    offence(hand, |plan| plan.pipeline = 4);
}

#[test]
fn a_reply_delivered_twice_is_found() {
    let mut is_done = false;
    let hand = after(300, is_value, move |connection, reply| {
        let twice = vec![(connection, reply.to_vec()), (connection, reply.to_vec())];
        (!std::mem::replace(&mut is_done, true)).then_some(twice)
    });
    offence(hand, |_| {});
}

#[test]
fn an_older_value_is_found() {
    // The same key's value of a while ago: each key's first value that was read comes again.
    let mut first = std::collections::HashMap::<Vec<u8>, Vec<u8>>::new();
    let hand = after(0, is_value, move |connection, reply| {
        // The head without sequence number, length and digest.
        let key = reply[5..5 + 26].to_vec();
        let old = first.entry(key).or_insert_with(|| reply.to_vec());
        Some(vec![(connection, old.clone())])
    });
    let found = offence(hand, |plan| plan.mix = "get=4,set=1".parse().unwrap());
    assert_eq!(found.kind, OffenceKind::Stale);
    assert_eq!(found.tagged, Some(found.hearer.client));
}

#[test]
fn a_torn_value_is_found() {
    let mut last: Option<Vec<u8>> = None;
    let hand = after(300, is_value, move |connection, reply| {
        let before = last.replace(reply.to_vec())?;
        let torn = [&reply[..60], &before[60..]].concat();
        Some(vec![(connection, torn)])
    });
    let found = offence(hand, |plan| plan.mix = "get=4,set=1".parse().unwrap());
    assert_eq!(found.kind, OffenceKind::Torn);
}

#[test]
fn a_pipeline_answered_out_of_order_is_found() {
    let mut held: Option<(usize, Vec<u8>)> = None;
    let hand = after(300, is_value, move |connection, reply| match held.take() {
        None => {
            held = Some((connection, reply.to_vec()));
            Some(Vec::new())
        }
        Some((other, earlier)) if other == connection => {
            Some(vec![(connection, reply.to_vec()), (connection, earlier)])
        }
        // It was the last of its pipeline: another one is tried.
        Some((other, earlier)) => {
            held = Some((connection, reply.to_vec()));
            Some(vec![(other, earlier)])
        }
    });
    offence(hand, |plan| {
        plan.pipeline = 8;
        plan.mix = "get=4,set=1".parse().unwrap();
    });
}

#[test]
fn a_counter_that_was_raised_twice_is_found() {
    let server = RedisServer::start();
    let mut plan = plan(&server.address());
    plan.duration = std::time::Duration::from_secs(20);
    plan.mix = "incr=1".parse().unwrap();
    let running = narrows_load::start(plan);
    let mut conn = server.connect();
    let key = support::wait_for("a counter", support::PATIENCE, || {
        let keys = conn.call(&["KEYS", "nl:*:2000:*"]).items();
        keys.into_iter().find_map(|key| match key {
            Value::Bulk(key) => Some(key),
            _ => None,
        })
    });
    conn.call(&[b"INCR", &key[..]]);
    let found = running.wait().expect_err("an offence");
    assert_eq!(found.kind, OffenceKind::Stale);
}

/// Runs a mix whose reads come only at the end, and changes one of their replies.
#[track_caller]
fn found_by_audit(mix: &str, wanted: fn(&[u8]) -> bool, change: fn(&[u8]) -> Vec<u8>) {
    let hand = after(3, wanted, move |connection, reply| {
        Some(vec![(connection, change(reply))])
    });
    let found = offence(hand, |plan| {
        plan.mix = mix.parse().unwrap();
        plan.duration = std::time::Duration::from_millis(500);
    });
    assert_eq!(found.kind, OffenceKind::Stale, "{mix}");
    assert!(found.at_s > 0.5, "{mix}: found after {} s", found.at_s);
}

#[test]
fn a_string_that_is_lost_after_its_last_read_is_found_by_the_audit() {
    let nothing = |_: &[u8]| b"*4\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n".to_vec();
    found_by_audit("set=1", |reply| reply.starts_with(b"*4\r\n"), nothing);
}

#[test]
fn a_raise_that_is_lost_after_its_reply_is_found_by_the_audit() {
    // The counter is a number of ten digits or more, and its last one is changed.
    let one_less = |reply: &[u8]| {
        let mut reply = reply.to_vec();
        let last = reply.len() - 3;
        reply[last] = if reply[last] == b'0' { b'1' } else { b'0' };
        reply
    };
    let is_counter = |reply: &[u8]| reply.starts_with(b"$1") && reply.len() < 24;
    found_by_audit("incr=1", is_counter, one_less);
}

#[test]
fn an_element_that_is_lost_is_found_by_the_audit() {
    let is_list = |reply: &[u8]| reply.starts_with(b"*") && reply.windows(2).any(|w| w == b"nl");
    found_by_audit("push=1", is_list, |_| b"*0\r\n".to_vec());
}

#[test]
fn a_reply_that_nobody_asked_for_is_found() {
    let mut is_done = false;
    let hand = after(300, is_value, move |connection, reply| {
        let more = vec![
            (connection, reply.to_vec()),
            (connection, b"+OK\r\n".to_vec()),
        ];
        (!std::mem::replace(&mut is_done, true)).then_some(more)
    });
    let found = offence(hand, |plan| {
        plan.think = std::time::Duration::from_millis(20);
        plan.mix = "get=1,set=1".parse().unwrap();
    });
    assert_eq!(found.kind, OffenceKind::Unsolicited);
}

#[test]
fn a_null_of_the_other_protocol_is_found() {
    let null_of_resp3 = after(
        50,
        |reply| reply == b"$-1\r\n",
        |connection, _| Some(vec![(connection, b"_\r\n".to_vec())]),
    );
    let found = offence(null_of_resp3, |plan| {
        plan.mix = "missing=1".parse().unwrap()
    });
    assert_eq!(found.kind, OffenceKind::Shape);
}

#[test]
fn a_client_in_the_wrong_db_is_found() {
    let server = RedisServer::start();
    let select = |db: u8| [b"SELECT\r\n$1\r\n", &[db][..]].concat();
    let relay = Relay::rewriting(&server.address(), select(b'1'), select(b'0'));
    let mut plan = plan(&relay.address());
    plan.databases = vec![0, 1];
    plan.shared_keys = 1;
    plan.mix = "shared-get=1,shared-set=1".parse().unwrap();
    let found = narrows_load::start(plan).wait().expect_err("an offence");
    assert!(found.expected.contains("in db"), "{found}");
}
