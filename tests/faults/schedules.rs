//! The short schedules: every nemesis once, in groups, each against another server, with one worker
//! and with two; and all that checkers count against every server. `NARROWS_CHAOS_SEED` runs another
//! order, `make test-servers` all of it against every server.

use std::time::Duration;

use narrows_load::Data;

use crate::chaos::at_rest::AtRest;
use crate::chaos::checkers::Checkers;
use crate::chaos::monitor::Monitor;
use crate::chaos::nemesis::Nemesis;
use crate::chaos::runner::{NoObserver, Runner};
use crate::chaos::schedule::each_once;
use crate::chaos::system::System;
use crate::chaos::traffic::{Traffic, Volume};
use crate::support::{Flavor, tls};

/// Moderate: an unoptimised narrows carries it on a busy machine, and every fault meets requests
/// under way.
const VOLUME: Volume = Volume {
    connections: 200,
    threads: 1,
    rate: 4000.0,
};

/// Between two nemeses.
const QUIET: Duration = Duration::from_millis(300);

#[track_caller]
fn run(mut system: System, data: Data, seed: u64, nemeses: &[&str]) {
    let seed = match std::env::var("NARROWS_CHAOS_SEED") {
        Ok(text) => text.parse().expect("NARROWS_CHAOS_SEED is a number"),
        Err(_) => seed,
    };
    println!("NARROWS_CHAOS_SEED={seed}");
    let monitor = Monitor::start(&system);
    let at_rest = AtRest::before(&system, &monitor);
    let traffic = Traffic::start(system.address(), VOLUME, data, seed);
    let steps = each_once(&Nemesis::named(nemeses), QUIET, seed);
    let count = steps.len();
    let mut nobody = NoObserver;
    let account = Runner::new(&mut system, &monitor, &traffic, &mut nobody).run(steps);
    let hangs = traffic.hangs();
    let report = traffic
        .finish()
        .unwrap_or_else(|offence| panic!("{offence}"));
    println!(
        "{} replies verified, {} unknown, {} not run, at most {} connections listed ({} while the \
         server was blind), {} held",
        report.counts.verified,
        report.counts.unknown,
        report.counts.not_run,
        monitor.listed_max(),
        monitor.listed_blind_max(),
        monitor.held_max()
    );
    let mut offences = account.offences;
    if hangs > 0 {
        offences.push(format!("{hangs} requests were not answered in time"));
    }
    offences.extend(at_rest.compare(&system, &monitor));
    assert!(offences.is_empty(), "{offences:#?}\n{report:#?}");
    assert_eq!(account.windows.len(), count, "all were run");
    assert!(monitor.lists() > 10, "the server was asked all the time");
    assert!(report.counts.verified > 1000, "{report:#?}");
    assert!(report.is_good(), "{report}");
}

#[test]
fn load_the_server_dies_stops_or_is_busy() {
    for flavor in Flavor::chosen_or(&[Flavor::Redis]) {
        let system = System::new(flavor, 1, 1);
        run(
            system,
            Data::Kept,
            1,
            &[
                "redis-kill-9",
                "redis-stopped-briefly",
                "redis-stopped-past-the-stall",
                "debug-sleep",
                "script-that-does-not-end",
            ],
        );
    }
}

#[test]
fn load_the_server_closes_pauses_refuses_or_is_full() {
    for flavor in Flavor::chosen_or(&[Flavor::Valkey91]) {
        let system = System::new(flavor, 2, 2);
        run(
            system,
            Data::Kept,
            2,
            &[
                "client-kill-one",
                "client-kill-type-normal",
                "client-pause-all",
                "client-pause-write",
                "maxclients-lowered",
                "maxclients-lowered-and-all-closed",
                "maxmemory-reached",
                "idle-connections-closed",
            ],
        );
    }
}

#[test]
fn load_the_wire_swallows_all_or_is_half_open() {
    for flavor in Flavor::chosen_or(&[Flavor::Redis82]) {
        let system = System::new(flavor, 2, 3);
        run(
            system,
            Data::Kept,
            3,
            &[
                "hole-briefly",
                "hole-past-the-stall",
                "hole-for-requests",
                "hole-for-replies",
                "half-open-server-gone",
                "half-open-client-gone",
            ],
        );
    }
}

#[test]
fn load_the_wire_resets_cuts_trickles_or_refuses() {
    for flavor in Flavor::chosen_or(&[Flavor::Valkey81]) {
        let system = System::new(flavor, 1, 4);
        run(
            system,
            Data::Kept,
            4,
            &[
                "resets",
                "closes",
                "replies-cut-at-a-byte",
                "requests-cut-at-a-byte",
                "delay",
                "trickle",
                "connections-refused",
                "connections-closed-at-once",
            ],
        );
    }
}

#[test]
fn load_narrows_is_drained_or_killed_and_started_again() {
    let flavors = Flavor::chosen_or(&[Flavor::Redis, Flavor::Valkey91]);
    for (flavor, workers) in flavors.into_iter().zip([1, 2].into_iter().cycle()) {
        let system = System::new(flavor, workers, 5);
        run(
            system,
            Data::Kept,
            5,
            &["narrows-drained", "narrows-kill-9"],
        );
    }
}

#[test]
fn load_the_server_comes_back_empty() {
    for flavor in Flavor::chosen_or(&[Flavor::Redis82]) {
        let system = System::forgetful(flavor, 2, 6);
        let names = ["redis-kill-9", "redis-stopped-briefly", "client-kill-one"];
        run(system, Data::MayVanish, 6, &names);
    }
}

/// Records are cut at any byte and connections reset in handshakes too, and all come back.
#[test]
fn load_over_tls_on_both_sides_the_wire_breaks_and_processes_end() {
    let names = [
        "replies-cut-at-a-byte",
        "requests-cut-at-a-byte",
        "trickle",
        "redis-kill-9",
        "narrows-kill-9",
    ];
    tls::on_both_sides(|| {
        let system = System::new(Flavor::Redis, 2, 9);
        run(system, Data::Kept, 9, &names);
    });
}

/// Transactions, waits, subscriptions and users: their accounts come out exactly.
#[test]
fn load_what_checkers_count_comes_out_exactly() {
    for (flavor, workers) in Flavor::matrix().into_iter().zip([1, 2].into_iter().cycle()) {
        let mut system = System::with_users(flavor, workers, 8);
        let monitor = Monitor::start(&system);
        let traffic = Traffic::start(system.address(), VOLUME, Data::Kept, 8);
        let checkers = Checkers::start(system.address());
        let nemeses = Nemesis::named(&[
            "client-kill-one",
            "redis-kill-9",
            "resets",
            "replies-cut-at-a-byte",
            "narrows-kill-9",
        ]);
        let steps = each_once(&nemeses, QUIET, 8);
        let mut nobody = NoObserver;
        let account = Runner::new(&mut system, &monitor, &traffic, &mut nobody).run(steps);
        let mut offences = checkers.finish(&system);
        offences.extend(account.offences);
        traffic
            .finish()
            .unwrap_or_else(|offence| panic!("{offence}"));
        assert!(offences.is_empty(), "{offences:#?}");
    }
}

/// The proof that the rest proves something: the same fault, with a server that loses what it has
/// acknowledged while the load believes that it keeps it.
#[test]
fn load_what_is_lost_is_found() {
    let mut system = System::forgetful(Flavor::Redis, 1, 7);
    let monitor = Monitor::start(&system);
    let traffic = Traffic::start(system.address(), VOLUME, Data::Kept, 7);
    let steps = each_once(&Nemesis::named(&["redis-kill-9"]), QUIET, 7);
    let mut nobody = NoObserver;
    Runner::new(&mut system, &monitor, &traffic, &mut nobody).run(steps);
    let offence = traffic.finish().expect_err("acknowledged writes are gone");
    assert!(offence.contains("OFFENCE (Stale)"), "{offence}");
}
