//! One round: the load over one way for its share of the time, watched from outside once a second,
//! and what it came to.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use super::gauge::{Gauge, processor_time};
use super::load::Load;
use super::options::DemoOptions;
use super::outcome::{RoundOutcome, RoundTarget};
use super::processes::Processes;
use super::report::{Moment, show};
use super::tally::Tally;

/// Plays the round numbered `round`.
///
/// # Errors
/// At the first wrong reply, and when Redis or narrows does not answer or is gone.
pub(super) async fn play(
    processes: &Processes,
    gauge: &mut Gauge,
    way: RoundTarget,
    round: u64,
    options: &DemoOptions,
) -> anyhow::Result<RoundOutcome> {
    let address = match way {
        RoundTarget::Direct => processes.redis_address,
        RoundTarget::Through => processes.narrows_address,
    };
    // narrows keeps a few connections while it is not asked: they are no clients of a direct round.
    let others = match way {
        RoundTarget::Direct => gauge.connected_clients().await?,
        RoundTarget::Through => 0,
    };
    let mut load = Load::start(address, round, options).await?;
    let started = Instant::now();
    let redis_before = processor_time(processes.redis.pid())?;
    let narrows_before = processor_time(processes.narrows_pid)?;

    let connections = watch(&mut load, gauge, way, others, options).await?;

    // Only now, when the last reply is in: so that all that was counted was also paid for.
    let tally = load.stop().await?;
    let elapsed = started.elapsed();
    let redis_time = processor_time(processes.redis.pid())?.saturating_sub(redis_before);
    let narrows_time = processor_time(processes.narrows_pid)?.saturating_sub(narrows_before);
    let narrows_time = (way == RoundTarget::Through).then_some(narrows_time);
    Ok(RoundOutcome {
        clients: options.clients,
        connections,
        tally,
        elapsed,
        redis_time,
        narrows_time,
    })
}

/// Shows a line a second until the round's time is over; the most connections that Redis counted.
async fn watch(
    load: &mut Load,
    gauge: &mut Gauge,
    way: RoundTarget,
    others: u64,
    options: &DemoOptions,
) -> anyhow::Result<u64> {
    let span = Duration::from_secs(options.seconds) / ROUNDS;
    let started = Instant::now();
    let mut ticks = interval_at(started + TICK, TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut window_from = started;
    let mut connections = 0;
    for second in 1.. {
        let over = tokio::select! {
            biased;
            error = load.failure() => return Err(error),
            _ = ticks.tick() => false,
            () = sleep_until(started + span) => true,
        };
        connections = connections.max(gauge.connected_clients().await?.saturating_sub(others));
        if over {
            break;
        }
        show(&Moment {
            way,
            second,
            seconds: span.as_secs_f64().ceil() as u64,
            clients: options.clients,
            connections,
            errors: load.with_tally(|tally| tally.errors()),
            span: window_from.elapsed(),
            window: load.with_tally(Tally::take_window),
        })?;
        window_from = Instant::now();
    }
    Ok(connections)
}

/// How often each way has its turn.
pub(super) const ROUNDS: u32 = 2;

/// Between two live lines.
const TICK: Duration = Duration::from_secs(1);
