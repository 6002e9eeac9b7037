//! The proof of the simulation's oracle: bugs that other proxies and clients have had are planted
//! one by one, and the simulation finds each of them within a bounded number of seeds. The seed
//! that finds one passes when nothing is planted. `NARROWS_SIM_TRACE=1` shows how each looks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "sim/mod.rs"]
mod sim;

use narrows::engine::planted::{Bug, forget, plant};
use sim::{Plan, explain, outcome, replays};

/// Where three searches for each bug begin. All lie within what an ordinary run plays.
const STARTS: [u64; 3] = [0, 2000, 4000];

/// Plays one seed with this bug. Nothing is planted afterwards.
fn with(bug: Bug, plan: &Plan) -> Result<(), String> {
    forget();
    plant(Some(bug));
    let outcome = outcome(plan);
    plant(None);
    forget();
    outcome.map(|_| ()).map_err(|failure| failure.text)
}

/// Each search finds the bug within `seeds_max` seeds.
fn finds(bug: Bug, seeds_max: u64) {
    let mut needed = Vec::new();
    for start in STARTS {
        let seeds = start..start + seeds_max;
        let found = seeds
            .map(|seed| (seed, with(bug, &Plan::of(seed))))
            .find_map(|(seed, outcome)| Some((seed, outcome.err()?)));
        let Some((seed, text)) = found else {
            panic!("{bug:?} is not found in {seeds_max} seeds from {start} on");
        };
        println!("{bug:?}: seed {seed}: {text}");
        needed.push(seed - start + 1);
        let healthy = outcome(&Plan::of(seed));
        assert!(healthy.is_ok(), "seed {seed} without it: {healthy:?}");
    }
    println!("{bug:?}: found after {needed:?} seeds, at most {seeds_max} are allowed");
    if std::env::var_os("NARROWS_SIM_TRACE").is_some() {
        let plan = Plan::of(STARTS[0] + needed[0] - 1);
        plant(Some(bug));
        let failure = outcome(&plan).expect_err("it was found just now");
        println!("{}", explain(&plan, &failure));
        plant(None);
    }
}

macro_rules! planted {
    ($($name:ident: $bug:ident, $seeds_max:expr;)*) => {
        $(
            #[test]
            fn $name() {
                finds(Bug::$bug, $seeds_max);
            }
        )*
    };
}

planted! {
    an_orphaned_slot_that_is_dropped_is_found: OrphanDropped, 1000;
    a_timeout_that_gives_up_its_place_is_found: TimeoutForgotten, 1000;
    a_queue_kept_over_a_reconnect_is_found: QueueKept, 1000;
    a_slot_registered_after_the_write_is_found: SlotAfterWrite, 1000;
    a_write_that_is_retried_is_found: WriteRetried, 1000;
    a_read_replayed_past_a_write_is_found: ReadPastWrite, 1000;
    a_push_taken_for_a_reply_is_found: PushTaken, 1000;
    a_reply_to_nobody_that_is_skipped_is_found: ExtraSkipped, 1000;
    a_switch_that_is_not_awaited_is_found: SwitchNotAwaited, 1000;
    a_switch_that_is_left_out_is_found: SelectLeftOut, 1000;
    a_local_answer_given_too_early_is_found: LocalTooEarly, 1000;
    a_permit_that_is_returned_twice_is_found: PermitTwice, 1000;
    a_check_whose_answer_is_ignored_is_found: WordIgnored, 1000;
    a_reply_of_the_wrong_kind_that_is_ignored_is_found: KindIgnored, 1000;
    a_turn_that_is_not_given_is_found: TurnNotGiven, 1000;
    a_stall_that_is_missed_is_found: StallMissed, 1000;
}

#[test]
fn a_failure_is_told_with_what_replays_it() {
    let bug = Bug::OrphanDropped;
    let failing = (0..100).map(Plan::of).find(|plan| with(bug, plan).is_err());
    let plan = failing.expect("the bug is found");
    forget();
    plant(Some(bug));
    let failure = outcome(&plan).expect_err("it was found just now");
    let text = explain(&plan, &failure);
    plant(None);
    let small = replays(&text).expect("the text says what replays it");
    assert_eq!(small.seed, plan.seed, "{text}");
    let steps = small.steps.as_ref().map_or(0, |steps| steps.len());
    assert!(steps < 60, "{steps} steps are left: {text}");
    assert_eq!(with(bug, &small), with(bug, &small), "{text}");
    assert!(with(bug, &small).is_err(), "{text}");
    assert!(outcome(&small).is_ok(), "without the bug it passes: {text}");
    println!("{text}");
}
