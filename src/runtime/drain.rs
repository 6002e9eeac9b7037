//! The end: nothing new is taken, what is under way is finished, and who is still there when the
//! time is over is told to the log before it is cut off.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::TaskTracker;

use crate::engine::{Engine, Reply, WorkerQuery};
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

/// Drains the workers behind `inboxes`, each of which `working` counts as long as its thread works,
/// for at most `limit`. True when all have ended. `clients` is how many there still are.
pub async fn drain(
    inboxes: &[Arc<Inbox>],
    working: &TaskTracker,
    clients: &Arc<AtomicUsize>,
    limit: Duration,
) -> bool {
    for inbox in inboxes {
        // A worker that has ended has nothing to drain.
        inbox.drain();
    }
    working.close();
    let deadline = Instant::now() + limit;
    let mut look = Instant::now() + PROGRESS;
    while look < deadline {
        if timeout_at(look, working.wait()).await.is_ok() {
            return true;
        }
        let clients = clients.load(Ordering::Relaxed);
        let seconds_left = (deadline - look).as_secs();
        tracing::info!(clients, seconds_left, "draining");
        look += PROGRESS;
    }
    if timeout_at(deadline, working.wait()).await.is_ok() {
        return true;
    }
    tell_stragglers(inboxes).await;
    false
}

/// Logs who is cut off.
async fn tell_stragglers(inboxes: &[Arc<Inbox>]) {
    // Each answers once.
    let (to, mut from) = channel(inboxes.len().max(1));
    let asked = inboxes.iter().filter(|inbox| !inbox.is_closed());
    let asked = asked.map(|inbox| inbox.stragglers(to.clone())).count();
    drop(to);
    let mut all = Straggling {
        figures: ClientFigures::default(),
        clients: Vec::new(),
    };
    // What has not been said by then is counted as missing.
    let heard = timeout(LAST_WORDS, collect(&mut from, &mut all)).await;
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

async fn collect(from: &mut Receiver<Straggling>, all: &mut Straggling) {
    while let Some(more) = from.recv().await {
        all.figures.add(&more.figures);
        all.clients.extend(more.clients);
    }
}

/// What the worker of `engine` says of those it still has.
pub fn straggling(engine: &mut Engine, now: Duration) -> Straggling {
    let figures = match engine.answer(&WorkerQuery::Figures, now) {
        Reply::Figures(figures) => *figures,
        Reply::List(_) | Reply::Killed(_) | Reply::Each(_) => ClientFigures::default(),
    };
    let lines = match engine.answer(&WorkerQuery::List(ClientFilter::default()), now) {
        Reply::List(lines) => lines,
        Reply::Figures(_) | Reply::Killed(_) | Reply::Each(_) => Vec::new(),
    };
    let text = |(_, line): &(u64, Vec<u8>)| String::from_utf8_lossy(line).trim_end().to_owned();
    Straggling {
        figures,
        clients: lines.iter().take(NAMED_MAX).map(text).collect(),
    }
}
