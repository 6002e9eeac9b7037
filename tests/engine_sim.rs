//! The engine, driven by a seeded scheduler against fake servers that misbehave, without a
//! socket, a thread or a clock: requests cut anywhere, replies split, connections lost at any
//! byte, clients that leave, stop reading or break the protocol, a clock that jumps.
//!
//! Always checked: each client hears exactly what the server answered to that very request, in
//! its order, from its own db and protocol; no write runs twice; requests run in order; permits
//! stay within the budget; everybody is answered once the faults stop; nothing is left once all
//! have gone; an idle engine sleeps; and the same seed gives the same trace.
//!
//! `NARROWS_SIM_SEEDS=100000` plays more, `NARROWS_SIM_SEED=7` one alone, and
//! `NARROWS_SIM_TRACE=1` tells what happens.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "engine_sim/actor.rs"]
mod actor;
#[path = "engine_sim/chance.rs"]
mod chance;
#[path = "engine_sim/events.rs"]
mod events;
#[path = "engine_sim/ledger.rs"]
mod ledger;
#[path = "engine_sim/play.rs"]
mod play;
#[path = "engine_sim/requests.rs"]
mod requests;
#[path = "engine_sim/rules.rs"]
mod rules;
#[path = "engine_sim/server.rs"]
mod server;
#[path = "engine_sim/world.rs"]
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use play::{Report, play};

/// Seeds of an ordinary test run.
const SEEDS: u64 = 2000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Plays one seed; a panic in the engine is a failure like any other.
fn outcome(seed: u64) -> Result<Report, String> {
    catch_unwind(AssertUnwindSafe(|| play(seed))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

#[test]
fn every_client_gets_its_own_replies_whatever_happens() {
    let seeds = match number("NARROWS_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => {
            let first = number("NARROWS_SIM_FIRST").unwrap_or(0);
            first..first + number("NARROWS_SIM_SEEDS").unwrap_or(SEEDS)
        }
    };
    let mut executions = 0;
    let mut failed = Vec::new();
    for seed in seeds.clone() {
        match outcome(seed) {
            Ok(report) => executions += report.executions,
            Err(error) => failed.push((seed, error)),
        }
        if failed.len() >= 20 {
            break;
        }
    }
    println!("{} seeds, {executions} requests executed", seeds.count());
    assert!(
        failed.is_empty(),
        "replay one with NARROWS_SIM_SEED=<seed>:\n{}",
        failed
            .iter()
            .map(|(seed, error)| format!("seed {seed}: {error}\n"))
            .collect::<String>()
    );
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..20 {
        assert_eq!(outcome(seed), outcome(seed), "seed {seed}");
    }
}
