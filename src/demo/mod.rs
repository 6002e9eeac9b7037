//! `narrows demo`: a thousand clients that verify every reply, in turns straight to a private Redis
//! and through narrows, and what that costs either way. Bounded in clients and in time; ends
//! everything that it has started. It drives narrows from outside only, as any application would.

mod client;
mod gauge;
mod load;
mod options;
mod outcome;
mod processes;
mod report;
mod round;
mod script;
mod tally;
mod wire;

use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;

use gauge::Gauge;
use outcome::{RoundOutcome, RoundTarget};
use processes::Processes;
use report::grouped;
use round::ROUNDS;

pub use options::DemoOptions;

/// Runs the demo and prints what it sees on standard output.
///
/// # Errors
/// At the first wrong reply, with what was asked, what should have come and what came; when
/// something cannot be started; when interrupted; and at the end when there were error replies.
pub fn run(options: &DemoOptions) -> anyhow::Result<()> {
    raise_open_files_limit(u64::from(options.clients) + FILES_BESIDE_CLIENTS)?;
    let processes = Processes::set_up(options)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    let outcome = LocalSet::new().block_on(&runtime, async {
        tokio::select! {
            outcome = play(&processes, options) => outcome.map_err(|error| with_log(&error, &processes)),
            _ = interrupt.recv() => Err(anyhow::anyhow!("interrupted")),
            _ = terminate.recv() => Err(anyhow::anyhow!("asked to end")),
        }
    });
    if outcome.is_err() {
        report::end_live_line()?;
    }
    outcome
}

/// What narrows itself has to say to an error, for the reader of a report.
fn with_log(error: &anyhow::Error, processes: &Processes) -> anyhow::Error {
    match processes.narrows_log() {
        log if log.is_empty() => anyhow::anyhow!("{error:#}"),
        log => anyhow::anyhow!("{error:#}\n\nthe end of narrows' log:\n{log}"),
    }
}

/// All rounds and the table.
async fn play(processes: &Processes, options: &DemoOptions) -> anyhow::Result<()> {
    let mut gauge = Gauge::connect(processes.redis.socket()).await?;
    let version = gauge.info("server", "redis_version").await?;
    report::say(&format!(
        "{} {version} (pid {}) on {}, narrows (pid {}) on {} with at most {} connections to it",
        processes.redis.program().display(),
        processes.redis.pid(),
        processes.redis_address,
        processes.narrows_pid,
        processes.narrows_address,
        options.max_backend_connections,
    ))?;
    report::say(&format!(
        "{} clients do SET, GET, INCR and MGET for {} s each way and verify every reply\n",
        grouped(options.clients.into()),
        options.seconds,
    ))?;
    let mut direct = RoundOutcome::none(options, None)?;
    let mut through = RoundOutcome::none(options, Some(Duration::ZERO))?;
    for round in 0..ROUNDS {
        // In turns, so that what changes on the machine meanwhile weighs on both.
        for (way, sum) in [
            (RoundTarget::Direct, &mut direct),
            (RoundTarget::Through, &mut through),
        ] {
            let outcome = round::play(processes, &mut gauge, way, round.into(), options).await;
            report::end_live_line()?;
            sum.add(outcome.with_context(|| format!("{}, round {}", way.name(), round + 1))?);
        }
    }
    report::say(&format!("\n{}", report::table(&direct, &through)))?;
    for outcome in [&direct, &through] {
        if let Some(error) = outcome.tally.first_error() {
            bail!(
                "{} error replies, the first of them: {error}",
                outcome.tally.errors()
            );
        }
    }
    Ok(())
}

/// Raises the soft limit of open files to the hard one; what the demo starts inherits it.
fn raise_open_files_limit(needed: u64) -> anyhow::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )
    .context("could not raise the limit of open files to the hard limit")?;
    match maximum {
        Some(maximum) if maximum < needed => bail!(
            "{needed} open files are needed, the hard limit here is {maximum}: ask for fewer clients"
        ),
        _ => Ok(()),
    }
}

/// Descriptors of each process beside those of the clients: narrows' backends, logs, epoll.
const FILES_BESIDE_CLIENTS: u64 = 64;
