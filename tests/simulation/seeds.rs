//! The whole engine against fake servers, seed by seed: see `sim/mod.rs`.
//!
//! `NARROWS_SIM_SEEDS=100000` plays more seeds, `NARROWS_SIM_FIRST=5000` from there on.
//! `NARROWS_SIM_SEED=7` plays one alone, `NARROWS_SIM_STEPS=3,9,14-20` only these steps of it,
//! in the world that `NARROWS_SIM_WORLD=Watching` names, and `NARROWS_SIM_TRACE=1` tells what happens.
//! A world that is named without one seed is played with all of them, and no other is.

use crate::sim::{Focus, Plan, explain, from_environment, outcome, world_from_environment};

/// Seeds of an ordinary test run.
const SEEDS: u64 = 3000;

/// The seeds are played in as many tests, so that they use several processors.
const PARTS: u64 = 4;

/// Beside so many seeds one is played in each of the worlds that are focused on something.
const FOCUSED_EVERY: u64 = 25;

/// Failing seeds after which a test gives up.
const FAILURES_MAX: usize = 20;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn plays_part(part: u64) {
    let plans: Vec<Plan> = match from_environment() {
        Some(plan) if part == 0 => vec![plan],
        Some(_) => return,
        None => {
            let first = number("NARROWS_SIM_FIRST").unwrap_or(0);
            let seeds = number("NARROWS_SIM_SEEDS").unwrap_or(SEEDS);
            let seeds = first..first + seeds;
            if let Some(world) = world_from_environment() {
                let seeds = seeds.filter(|seed| seed % PARTS == part);
                return plays(seeds.map(|seed| Plan::focused(world, seed)).collect());
            }
            let focus = first..first + (seeds.end - first) / FOCUSED_EVERY;
            let focus = Focus::ALL.into_iter().flat_map(|world| {
                let plan = move |seed| Plan::focused(world, seed);
                focus.clone().map(plan)
            });
            seeds
                .map(Plan::of)
                .chain(focus)
                .filter(|plan| plan.seed % PARTS == part)
                .collect()
        }
    };
    plays(plans);
}

fn plays(plans: Vec<Plan>) {
    let (mut executions, mut requests, mut crossed) = (0, 0, 0);
    let mut failed = Vec::new();
    for plan in &plans {
        match outcome(plan) {
            Ok(report) => {
                executions += report.executions;
                requests += report.requests;
                crossed += report.crossed;
            }
            Err(failure) => failed.push((plan, failure)),
        }
        if failed.len() >= FAILURES_MAX {
            break;
        }
    }
    println!(
        "{} seeds, {requests} requests, {executions} executions, {crossed} replies crossed by \
         servers out of step",
        plans.len()
    );
    if let Some((plan, failure)) = failed.first() {
        let others = failed.iter().skip(1);
        let others: String = others
            .map(|(plan, failure)| format!("{}: {}\n", plan.name(), failure.text))
            .collect();
        panic!("{}{others}", explain(plan, failure));
    }
}

macro_rules! part {
    ($name:ident, $part:expr) => {
        #[test]
        fn $name() {
            plays_part($part);
        }
    };
}

part!(every_client_gets_its_own_replies_whatever_happens, 0);
part!(every_client_gets_its_own_replies_whatever_happens_1, 1);
part!(every_client_gets_its_own_replies_whatever_happens_2, 2);
part!(every_client_gets_its_own_replies_whatever_happens_3, 3);

/// Beyond what an ordinary run plays: a client that was not read when its end began, and that had not
/// read its last words; a read that was asked again for a client that was at its end; a silent request
/// that was answered before it was read; a client that writes before it reads, before it is known whether
/// it has to log in; a `HELLO` that fails behind its login; a wait of a client that sends no more when
/// narrows ends; the line for places when a reload changes the clients' user, and clients in it that wait
/// once more; a transaction that was refused a part, and lost before its end was answered.
#[test]
fn seeds_that_have_found_something_pass() {
    let found = [
        4_004_178, 13_386, 3_004_085, 5_007_940, 20_002_409, 20_037_484, 20_080_662, 20_500_442,
    ];
    let waiting =
        [20_205_379, 20_205_688, 20_605_610].map(|seed| Plan::focused(Focus::Waiting, seed));
    for plan in found.map(Plan::of).into_iter().chain(waiting) {
        if let Err(failure) = outcome(&plan) {
            panic!("{}", explain(&plan, &failure));
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..20 {
        let (first, second) = (outcome(&Plan::of(seed)), outcome(&Plan::of(seed)));
        assert_eq!(first, second, "seed {seed}");
        if let Ok(report) = first {
            println!("seed {seed}: trace {:016x}", report.trace);
        }
    }
}
