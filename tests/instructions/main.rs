//! A gate for the hot path: how many instructions of user space a request takes in the release build,
//! counted by valgrind, against the limits in `limits.txt`. Unlike time they are the same on a busy
//! machine; what the kernel does is not in them. A program of its own, for `make instructions`: it needs
//! that build and valgrind, and minutes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

#[path = "../support/mod.rs"]
mod support;

mod callgrind;
mod limits;

use callgrind::Row;
use limits::Limit;
use support::RedisServer;

/// How requests fall into turns differs from run to run, at rows without pipelines by 3 percent: the
/// least of so many tries counts, and the first that is within the limit is enough.
const TRIES_MAX: usize = 3;

/// The rows of docs/performance.md that differ in what they ask of user space.
const ROWS: [Row; 4] = [
    Row {
        letter: 'a',
        clients: 50,
        pipeline: 1,
        keys_per_request: 1,
        requests: [4_000, 16_000],
    },
    Row {
        letter: 'd',
        clients: 50,
        pipeline: 16,
        keys_per_request: 1,
        requests: [32_000, 160_000],
    },
    Row {
        letter: 'e',
        clients: 1_000,
        pipeline: 16,
        keys_per_request: 1,
        requests: [64_000, 256_000],
    },
    Row {
        letter: 'g',
        clients: 50,
        pipeline: 1,
        keys_per_request: 10,
        requests: [2_000, 8_000],
    },
];

#[test]
fn no_request_takes_more_instructions_than_its_limit() {
    let limits = limits::read();
    let letters: Vec<char> = limits.iter().map(|limit| limit.letter).collect();
    assert_eq!(
        letters,
        ROWS.map(|row| row.letter),
        "the rows of limits.txt"
    );
    let server = RedisServer::start();
    callgrind::fill(&server);
    let mut beyond = Vec::new();
    for (row, limit) in ROWS.iter().zip(&limits) {
        let found = least(&server, row, limit);
        if found > limit.most {
            beyond.push(format!("{}: {found}, {limit}", row.letter));
        }
    }
    assert!(
        beyond.is_empty(),
        "more instructions than tests/instructions/limits.txt allows:\n{}",
        beyond.join("\n")
    );
}

/// The least of the tries, up to the first that is within the limit.
fn least(server: &RedisServer, row: &Row, limit: &Limit) -> u64 {
    let mut least = u64::MAX;
    for _ in 0..TRIES_MAX {
        let found = row.instructions_per_request(server);
        println!("{}: {found} instructions a request, {limit}", row.letter);
        least = least.min(found);
        if least <= limit.most {
            break;
        }
    }
    least
}
