//! The load: N clients on one thread, each with one request under way, for a given time. The same
//! for every round, whether it goes to Redis or to narrows.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::client::{DemoClient, ReplyOutcome};
use super::options::DemoOptions;
use super::script::Script;
use super::tally::Tally;

/// All clients of a round, running. Must live inside a `LocalSet`. Dropping it ends them at once.
#[derive(Debug)]
pub(super) struct Load {
    shared: Rc<LoadState>,
    clients: JoinSet<anyhow::Result<()>>,
}

#[derive(Debug)]
struct LoadState {
    tally: RefCell<Tally>,
    stopping: Cell<bool>,
    /// From one request of a client to its next; zero for as fast as replies come.
    interval: Duration,
}

impl Load {
    /// Connects all clients, a bounded number at a time, and lets them go when all are there.
    ///
    /// # Errors
    /// When one of them cannot connect or write its first values.
    pub(super) async fn start(
        address: SocketAddr,
        round: u64,
        options: &DemoOptions,
    ) -> anyhow::Result<Self> {
        let clients = connect_all(address, round, options).await?;
        let interval = options.interval();
        let tally = RefCell::new(Tally::new()?);
        let shared = Rc::new(LoadState {
            tally,
            stopping: Cell::new(false),
            interval,
        });
        let mut running = JoinSet::new();
        let mut first_at = Instant::now();
        for client in clients {
            running.spawn_local(converse(client, first_at, Rc::clone(&shared)));
            first_at += interval / options.clients;
        }
        Ok(Self {
            shared,
            clients: running,
        })
    }

    /// Reads or ends the window of the counts.
    pub(super) fn with_tally<T>(&self, look: impl FnOnce(&mut Tally) -> T) -> T {
        look(&mut self.shared.tally.borrow_mut())
    }

    /// Waits until a client has failed: with a wrong reply, that is. Never returns otherwise.
    pub(super) async fn failure(&mut self) -> anyhow::Error {
        loop {
            match self.clients.join_next().await {
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => return error,
                Some(Err(error)) => return error.into(),
                None => std::future::pending().await,
            }
        }
    }

    /// Lets every client finish the request that it has under way, and gives the counts.
    ///
    /// # Errors
    /// When a reply is wrong, or does not come within [`LAST_REPLY_PATIENCE`].
    pub(super) async fn stop(mut self) -> anyhow::Result<Tally> {
        self.shared.stopping.set(true);
        let finish = async {
            while let Some(outcome) = self.clients.join_next().await {
                outcome??;
            }
            anyhow::Ok(())
        };
        match timeout(LAST_REPLY_PATIENCE, finish).await {
            Ok(outcome) => outcome?,
            Err(_) => bail!(
                "{} clients had no reply within {} s",
                self.clients.len(),
                LAST_REPLY_PATIENCE.as_secs()
            ),
        }
        drop(self.clients);
        let shared = Rc::into_inner(self.shared).context("a client is still running")?;
        let mut tally = shared.tally.into_inner();
        tally.take_window();
        Ok(tally)
    }
}

async fn connect_all(
    address: SocketAddr,
    round: u64,
    options: &DemoOptions,
) -> anyhow::Result<Vec<DemoClient>> {
    let turns = Arc::new(Semaphore::new(CONNECTING_MAX));
    let mut connecting = JoinSet::new();
    for number in 0..options.clients {
        let script = Script::new(round, number.into(), options.value_bytes.into());
        let turns = Arc::clone(&turns);
        connecting.spawn_local(async move {
            let _turn = turns.acquire().await?;
            DemoClient::connect(address, script)
                .await
                .with_context(|| format!("client {number} at {address}"))
        });
    }
    let mut clients = Vec::new();
    while let Some(client) = connecting.join_next().await {
        clients.push(client??);
    }
    Ok(clients)
}

/// One client's life from the start of the load to its end.
async fn converse(
    mut client: DemoClient,
    first_at: Instant,
    shared: Rc<LoadState>,
) -> anyhow::Result<()> {
    let mut next_at = first_at;
    while !shared.stopping.get() {
        if !shared.interval.is_zero() {
            sleep_until(next_at).await;
            next_at += shared.interval;
        }
        let sent_at = Instant::now();
        match client.step().await? {
            ReplyOutcome::Right => shared.tally.borrow_mut().record(sent_at.elapsed()),
            ReplyOutcome::Error(text) => {
                shared.tally.borrow_mut().record_error(text);
                recover(&mut client, &shared).await?;
            }
        }
    }
    Ok(())
}

/// Until the client's keys are in a known state again, or the load ends.
async fn recover(client: &mut DemoClient, shared: &LoadState) -> anyhow::Result<()> {
    while !shared.stopping.get() {
        match client.recover().await? {
            ReplyOutcome::Right => break,
            ReplyOutcome::Error(text) => shared.tally.borrow_mut().record_error(text),
        }
        sleep(RECOVERY_PAUSE).await;
    }
    Ok(())
}

/// Connections being made at the same time: a server's backlog is short.
const CONNECTING_MAX: usize = 64;

/// Between the attempts of a client that has lost its connection.
const RECOVERY_PAUSE: Duration = Duration::from_millis(50);

/// From the end of a round to the last reply.
const LAST_REPLY_PATIENCE: Duration = Duration::from_secs(5);
