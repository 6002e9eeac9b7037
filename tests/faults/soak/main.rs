//! The long chaos: an optimised narrows under a verifying load, all nemeses in the order of a seed,
//! quiet phases between them, for as many minutes as are asked for.
//!
//! Beside the load, checkers keep accounts of transactions, queues, channels and users, which must
//! come out exactly: see `chaos/checkers.rs`.
//!
//! It is a program of its own, not part of `make test`:
//!
//! ```text
//! make soak MINUTES=20            # a fresh seed, which is printed
//! make soak MINUTES=20 SEED=7     # the schedule of that seed again
//! cargo test --release --test soak -- --minutes 20 --seed 7
//! ```
//!
//! Every ten seconds it prints a line, at the end a report, which is also left in `target/soak/` as
//! text and as JSON. It fails on any offence (a wrong reply, a lost write, a hang, a bound that did
//! not hold, slow recovery, memory or descriptors that grow), and when it has verified fewer
//! replies than `--replies-per-minute` asks for; then it names what limited it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

#[path = "../chaos/mod.rs"]
mod chaos;
#[path = "../../support/mod.rs"]
mod support;

mod limit;
mod record;
mod timeline;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use narrows_load::Data;

use crate::chaos::at_rest::AtRest;
use crate::chaos::checkers::Checkers;
use crate::chaos::monitor::Monitor;
use crate::chaos::nemesis::Nemesis;
use crate::chaos::runner::Runner;
use crate::chaos::schedule;
use crate::chaos::storm::StormReport;
use crate::chaos::system::System;
use crate::chaos::traffic::{Traffic, Volume};
use crate::record::Record;
use crate::support::Flavor;
use crate::timeline::Timeline;

/// Quiet phases, in milliseconds.
const QUIET_MS: std::ops::Range<u64> = 4_000..16_000;

/// narrows under load and faults for a long time.
#[derive(Parser, Debug)]
#[command(name = "soak")]
struct Arguments {
    /// How long the schedule is.
    #[arg(long, default_value_t = 20.0)]
    minutes: f64,
    /// The schedule of this seed; a fresh one is drawn otherwise.
    #[arg(long)]
    seed: Option<u64>,
    /// Clients at once.
    #[arg(long, default_value_t = 400)]
    connections: usize,
    /// Requests a second.
    #[arg(long, default_value_t = 44_000.0)]
    rate: f64,
    /// Workers of narrows.
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// The server: redis, redis-8.2, valkey-9.1 or another that tests/support/flavor.rs names.
    #[arg(long, default_value = "redis")]
    server: String,
    /// Fewer verified replies than this are a failure.
    #[arg(long, default_value_t = 2_000_000.0)]
    replies_per_minute: f64,
    /// Where the report goes.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target/soak"))]
    out: PathBuf,
    /// Only nemeses whose names contain this.
    #[arg(long, default_value = "")]
    only: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(fresh_seed);
    println!(
        "soak: {} min, SEED={seed}, {} connections, {} requests a second",
        arguments.minutes, arguments.connections, arguments.rate
    );
    let record = soak(&arguments, seed);
    print!("{}", record.text());
    record.write(&arguments.out);
    match record.passed() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn soak(arguments: &Arguments, seed: u64) -> Record {
    let flavor = Flavor::named(&arguments.server);
    let nemeses: Vec<Nemesis> = Nemesis::all()
        .into_iter()
        .filter(|nemesis| nemesis.name.contains(&arguments.only))
        .collect();
    let total = Duration::from_secs_f64(arguments.minutes * 60.0);
    let steps = schedule::fill(&nemeses, total, QUIET_MS, seed);
    let mut system = System::with_users(flavor, arguments.workers, seed);
    let monitor = Monitor::start(&system);
    let at_rest = AtRest::before(&system, &monitor);
    let volume = Volume {
        connections: arguments.connections,
        threads: 1,
        rate: arguments.rate,
    };
    let traffic = Traffic::start(system.address(), volume, Data::Kept, seed);
    let checkers = Checkers::start(system.address());
    let mut timeline = Timeline::begin(&system);
    let account = Runner::new(&mut system, &monitor, &traffic, &mut timeline).run(steps);
    let timeline = timeline.end(&system, &traffic);
    let testimony = checkers.finish(&system);
    let hangs = traffic.hangs();
    let outcome = traffic.finish();
    let mut record = Record::new(seed, arguments.minutes, account, timeline, outcome, hangs);
    record.watched(&monitor, system.narrows().pid());
    record.offences.extend(testimony);
    let storms = system.storms.iter();
    record
        .offences
        .extend(storms.filter_map(StormReport::offence));
    record.offences.extend(at_rest.compare(&system, &monitor));
    record.judge_volume(arguments.replies_per_minute, arguments.rate);
    record
}

/// From the clock: it need not be good, only another one each time.
fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::from(now.subsec_nanos()) ^ now.as_secs()
}
