//! The proof of the simulation's oracle: bugs that other proxies and clients have had are injected
//! one by one, and the simulation finds each of them within a bounded number of seeds. The seed
//! that finds one passes when nothing is injected. `NARROWS_SIM_TRACE=1` shows how each looks, and
//! `NARROWS_SIM_FIRST=5000` begins the searches there.

use narrows::engine::fault_injection::{Bug, forget, inject};

use crate::sim::{Focus, Plan, Worlds, explain, is_of, outcome, replays};

/// Where three searches for each bug begin: if nothing is said, within what an ordinary run plays. That
/// must not matter: what few worlds show is looked for in worlds that are focused on it.
fn starts() -> [u64; 3] {
    let first = std::env::var("NARROWS_SIM_FIRST").ok();
    let first = first.and_then(|first| first.parse().ok()).unwrap_or(0);
    [first, first + 2000, first + 4000]
}

/// Plays one seed with this bug. Nothing is injected afterwards.
fn with(bug: Bug, plan: &Plan) -> Result<(), String> {
    forget();
    inject(Some(bug));
    let outcome = outcome(plan);
    inject(None);
    forget();
    outcome.map(|_| ()).map_err(|failure| failure.text)
}

fn plan_of(worlds: Worlds, seed: u64) -> Plan {
    match worlds {
        Worlds::Focused(focus) => Plan::focused(focus, seed),
        _ => Plan::of(seed),
    }
}

/// Each search finds the bug within `seeds_max` seeds of such worlds.
fn finds(bug: Bug, seeds_max: usize, worlds: Worlds) {
    let mut needed = Vec::new();
    let mut first_seed = None;
    for start in starts() {
        let found = (start..)
            .filter(|seed| is_of(worlds, *seed))
            .take(seeds_max)
            .enumerate()
            .map(|(played, seed)| (played, seed, with(bug, &plan_of(worlds, seed))))
            .find_map(|(played, seed, outcome)| Some((played, seed, outcome.err()?)));
        let Some((played, seed, text)) = found else {
            panic!("{bug:?} is not found in {seeds_max} seeds from {start} on");
        };
        println!("{bug:?}: seed {seed}: {text}");
        needed.push(played + 1);
        first_seed.get_or_insert(seed);
        let healthy = outcome(&plan_of(worlds, seed));
        assert!(healthy.is_ok(), "seed {seed} without it: {healthy:?}");
    }
    println!("{bug:?}: found after {needed:?} seeds, at most {seeds_max} are allowed");
    if std::env::var_os("NARROWS_SIM_TRACE").is_some() {
        let plan = plan_of(worlds, first_seed.expect("it was found just now"));
        inject(Some(bug));
        let failure = outcome(&plan).expect_err("it was found just now");
        println!("{}", explain(&plan, &failure));
        inject(None);
    }
}

macro_rules! fault_injection {
    ($($name:ident: $bug:ident, $seeds_max:expr, $worlds:expr;)*) => {
        $(
            #[test]
            fn $name() {
                finds(Bug::$bug, $seeds_max, $worlds);
            }
        )*
    };
}

fault_injection! {
    an_orphaned_slot_that_is_dropped_is_found: OrphanDropped, 300, Worlds::All;
    a_timeout_that_gives_up_its_place_is_found: TimeoutForgotten, 300, Worlds::Focused(Focus::Late);
    a_queue_kept_over_a_reconnect_is_found: QueueKept, 100, Worlds::All;
    a_slot_registered_after_the_write_is_found: SlotAfterWrite, 50, Worlds::All;
    a_write_that_is_retried_is_found: WriteRetried, 400, Worlds::All;
    a_read_replayed_past_a_write_is_found: ReadPastWrite, 400, Worlds::All;
    a_push_taken_for_a_reply_is_found: PushTaken, 400, Worlds::All;
    a_reply_to_nobody_that_is_skipped_is_found: ExtraSkipped, 400, Worlds::All;
    a_switch_that_is_not_awaited_is_found: SwitchNotAwaited, 50, Worlds::All;
    a_switch_that_is_left_out_is_found: SelectLeftOut, 50, Worlds::All;
    a_local_answer_given_too_early_is_found: LocalTooEarly, 50, Worlds::All;
    a_permit_that_is_returned_twice_is_found: PermitTwice, 50, Worlds::All;
    a_check_whose_answer_is_ignored_is_found: TokenIgnored, 400, Worlds::OutOfStep;
    a_reply_of_the_wrong_kind_that_is_ignored_is_found: KindIgnored, 400, Worlds::OutOfStep;
    a_turn_that_is_not_given_is_found: SliceNotEnded, 100, Worlds::All;
    a_stall_that_is_missed_is_found: StallMissed, 400, Worlds::All;
    a_command_run_as_another_user_is_found: UserChanged, 50, Worlds::WithUsers;
    a_login_that_is_not_checked_is_found: LoginUnchecked, 50, Worlds::WithUsers;
    a_login_by_certificate_that_is_not_asked_about_is_found: CertificateIgnored, 50, Worlds::WithUsers;
    a_lease_that_comes_back_dirty_is_found: LeaseDirty, 100, Worlds::Transacting;
    a_lease_that_is_taken_too_early_is_found: LeaseTooEarly, 100, Worlds::Transacting;
    a_watch_that_is_forgotten_is_found: WatchForgotten, 100, Worlds::Focused(Focus::Watching);
    an_exec_that_is_judged_too_early_is_found: JudgedTooEarly, 100, Worlds::Transacting;
    a_message_that_takes_a_slot_is_found: MessageTakesSlot, 100, Worlds::Subscribing;
    confirmations_that_are_counted_once_are_found: ConfirmedOnce, 100, Worlds::Subscribing;
    a_lease_given_back_while_subscribed_is_found: LeaseWhileSubscribed, 100, Worlds::Subscribing;
    subscriptions_left_on_what_others_use_are_found: LeftUncleaned, 100, Worlds::Subscribing;
    a_reset_whose_end_is_not_awaited_is_found: LeftTooEarly, 400, Worlds::Subscribing;
    a_connection_of_an_own_connection_that_is_shared_is_found: OwnConnectionShared, 400, Worlds::All;
    a_block_with_a_select_on_a_pipe_is_found: TransactionWithSelect, 400, Worlds::Transacting;
    a_refused_multi_that_goes_on_is_found: MultiRefusedGoesOn, 100, Worlds::Transacting;
    a_context_that_is_forgotten_while_somebody_is_in_it_is_found: ContextForgotten, 100, Worlds::All;
    a_wait_without_a_place_that_ends_when_others_do_is_found: DeadlineOfOthers, 100, Worlds::Transacting;
    a_whole_transaction_that_is_torn_is_found: TransactionTorn, 100, Worlds::Focused(Focus::WholeTransactions);
    a_lost_watch_that_is_taken_along_is_found: LostWatchTaken, 300, Worlds::Focused(Focus::Watching);
    watches_left_on_what_others_use_are_found: LeftUncleaned, 100, Worlds::Focused(Focus::Watching);
    a_lent_connection_that_is_taken_for_another_users_is_found:
        LeaseMovedAsClient, 100, Worlds::Focused(Focus::Reloading);
    a_wait_that_is_ended_by_closing_its_connection_is_found:
        WaitBroken, 100, Worlds::Focused(Focus::Waiting);
    a_line_that_is_overtaken_is_found: LineOvertaken, 100, Worlds::Focused(Focus::Waiting);
    an_end_that_goes_unnoticed_is_found: HangUpMissed, 100, Worlds::Focused(Focus::Waiting);
    a_client_that_is_not_read_until_it_reads_is_found:
        ReadingStops, 100, Worlds::Focused(Focus::WritingFirst);
}

#[test]
fn a_failure_is_told_with_what_replays_it() {
    let bug = Bug::OrphanDropped;
    let failing = (0..100).map(Plan::of).find(|plan| with(bug, plan).is_err());
    let plan = failing.expect("the bug is found");
    forget();
    inject(Some(bug));
    let failure = outcome(&plan).expect_err("it was found just now");
    let text = explain(&plan, &failure);
    inject(None);
    let small = replays(&text).expect("the text says what replays it");
    assert_eq!(small.seed, plan.seed, "{text}");
    let steps = small.steps.as_ref().map_or(0, |steps| steps.len());
    assert!(steps < 60, "{steps} steps are left: {text}");
    assert_eq!(with(bug, &small), with(bug, &small), "{text}");
    assert!(with(bug, &small).is_err(), "{text}");
    assert!(outcome(&small).is_ok(), "without the bug it passes: {text}");
    println!("{text}");
}
