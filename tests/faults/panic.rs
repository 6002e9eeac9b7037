//! A worker panics under load, in the middle of a turn: what it held is closed, nobody gets what is
//! another's, and it starts afresh as good as before. Needs a build in which that can be asked for.

use std::time::Duration;

use crate::load::{Dataset, Load, expect_counters};
use crate::support::setup::{SHORT_DEADLINES, other_clients};
use crate::support::{Narrows, PATIENCE, RedisServer, wait_until};

/// Clients whose coming makes their worker panic, so far apart that no two come in one turn.
const PANIC_AT: [u64; 3] = [80, 200, 320];

/// Connections to Redis, of every kind.
const BACKENDS: usize = 6;

#[test]
fn load_a_worker_that_panics_closes_its_own_and_starts_afresh() {
    let server = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("narrows.toml");
    std::fs::write(&file, SHORT_DEADLINES).unwrap();
    let panicking = PANIC_AT.map(|id| id.to_string()).join(",");
    let bound = BACKENDS.to_string();
    let mut narrows = Narrows::start_in(
        &[("INJECTED_PANIC_AT_CLIENTS", &panicking)],
        &[
            "--config",
            file.to_str().unwrap(),
            "--listen",
            "127.0.0.1:0",
            "--backend",
            &server.url(),
            "--max-backend-connections",
            &bound,
            "--workers",
            "2",
        ],
    );
    let load = Load::start(narrows.address(), 24, Dataset::Kept);
    load.progress(500, PATIENCE);
    let panics = |narrows: &Narrows| narrows.log().matches("starts afresh").count();
    for panicking in 1..=PANIC_AT.len() {
        wait_until("the worker to panic", PATIENCE, || {
            // Each gets the next id, until the panicking one has come.
            drop(narrows.connect());
            panics(&narrows) >= panicking
        });
        load.progress(500, PATIENCE);
    }
    let tally = load.finish();
    println!("{tally:?}");
    assert_eq!(panics(&narrows), PANIC_AT.len());
    assert!(tally.cut_off > 0, "it had clients: {tally:?}");
    let mut admin = server.connect();
    expect_counters(&tally, &mut admin);
    // Both workers answer, and hold no more than they may.
    let mut client = narrows.connect();
    wait_until("those who have left to be forgotten", PATIENCE, || {
        client.call(&["CLIENT", "LIST"]).text().lines().count() == 1
    });
    assert!(other_clients(&mut admin).len() <= BACKENDS);
    drop(client);
    narrows.signal(rustix::process::Signal::TERM);
    let status = narrows.wait(Duration::from_secs(5));
    assert!(status.success(), "{status:?}\n{}", narrows.log());
}
