//! The end: nothing new is taken, what is under way is finished, and who is still there when the
//! time is over is told to the log before it is cut off.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use crate::engine::{Engine, Question, Reply};
use crate::session::ClientFilter;
use crate::session::info::ClientFigures;

use super::inbox::Inbox;
use super::message::Straggling;

/// How often it is told how far a drain has come.
const PROGRESS: Duration = Duration::from_secs(1);

/// Longest wait for what the workers say of those who are cut off.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Clients that are named when they are cut off.
const NAMED_MAX: usize = 20;

/// Drains the workers behind `inboxes`, which run in `threads`, for at most `limit`. True when
/// all have ended. `clients` is how many there still are.
pub async fn drain(
    inboxes: &[Arc<Inbox>],
    threads: Vec<JoinHandle<()>>,
    clients: &Arc<AtomicUsize>,
    limit: Duration,
) -> bool {
    for inbox in inboxes {
        // A worker that has ended has nothing to drain.
        inbox.drain();
    }
    let Some(mut joined) = join(threads) else {
        return false;
    };
    let deadline = Instant::now() + limit;
    let mut look = Instant::now() + PROGRESS;
    while look < deadline {
        if let Ok(joined) = timeout_at(look, &mut joined).await {
            return joined.is_ok();
        }
        let clients = clients.load(Ordering::Relaxed);
        let seconds_left = (deadline - look).as_secs();
        tracing::info!(clients, seconds_left, "draining");
        look += PROGRESS;
    }
    if let Ok(joined) = timeout_at(deadline, &mut joined).await {
        return joined.is_ok();
    }
    tell_stragglers(inboxes).await;
    false
}

/// Resolves when all of `threads` have ended.
fn join(threads: Vec<JoinHandle<()>>) -> Option<oneshot::Receiver<()>> {
    let (all_joined, joined) = oneshot::channel();
    // A thread of its own and not a task: a runtime waits for its blocking tasks when it
    // ends, also for one that waits for a worker that will not finish.
    let joiner = std::thread::Builder::new().name("drain".to_owned());
    let spawned = joiner.spawn(move || {
        for thread in threads {
            let _ = thread.join();
        }
        // Nobody waits any more after the drain timeout.
        let _ = all_joined.send(());
    });
    spawned.is_ok().then_some(joined)
}

/// Logs who is cut off.
async fn tell_stragglers(inboxes: &[Arc<Inbox>]) {
    let (to, mut from) = unbounded_channel();
    let asked = inboxes.iter().filter(|inbox| !inbox.is_closed());
    let asked = asked.map(|inbox| inbox.stragglers(to.clone())).count();
    drop(to);
    let mut all = Straggling {
        figures: ClientFigures::default(),
        clients: Vec::new(),
    };
    // What has not been said by then is counted as missing.
    let heard = timeout(LAST_WORDS, gather(&mut from, &mut all)).await;
    let figures = &all.figures;
    tracing::warn!(
        clients = figures.connected,
        requests_in_flight = figures.in_flight,
        waiting_for_backend = figures.waiting,
        watching = figures.watching,
        workers = asked,
        all_told = heard.is_ok(),
        "drain timeout: clients are cut off"
    );
    for client in all.clients.iter().take(NAMED_MAX) {
        tracing::info!(client, "cut off");
    }
}

async fn gather(from: &mut UnboundedReceiver<Straggling>, all: &mut Straggling) {
    while let Some(more) = from.recv().await {
        all.figures.add(&more.figures);
        all.clients.extend(more.clients);
    }
}

/// What the worker of `engine` says of those it still has.
pub fn straggling(engine: &mut Engine, now: Duration) -> Straggling {
    let figures = match engine.answer(&Question::Figures, now) {
        Reply::Figures(figures) => *figures,
        Reply::List(_) | Reply::Killed(_) | Reply::Each(_) => ClientFigures::default(),
    };
    let lines = match engine.answer(&Question::List(ClientFilter::default()), now) {
        Reply::List(lines) => lines,
        Reply::Figures(_) | Reply::Killed(_) | Reply::Each(_) => Vec::new(),
    };
    let text = |(_, line): &(u64, Vec<u8>)| String::from_utf8_lossy(line).trim_end().to_owned();
    Straggling {
        figures,
        clients: lines.iter().take(NAMED_MAX).map(text).collect(),
    }
}
