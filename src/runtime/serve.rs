//! Putting it together: worker threads, the control thread, listeners, and the end of all
//! of them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::admission::{Budget, DialRate};
use crate::engine::{Engine, Identity, Rules, Shared};

use super::acceptor::{self, Acceptor};
use super::control::{Control, Order};
use super::inbox::{Load, Message};
use super::settings::{Listen, Settings};
use super::worker::{Links, Worker};

/// Why narrows could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address as configured.
        address: Listen,
        /// The system's words.
        error: std::io::Error,
    },
    /// A thread or an event loop cannot be made.
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
}

/// A running narrows: everything but the listeners, which live in the caller's runtime.
pub struct Narrows {
    listeners: Vec<tokio::task::JoinHandle<()>>,
    control: tokio::task::JoinHandle<()>,
    inboxes: Vec<UnboundedSender<Message>>,
    threads: Vec<JoinHandle<()>>,
    drain_timeout: Duration,
    /// Addresses that clients can connect to, in the order configured.
    pub addresses: Vec<String>,
    /// Worker threads.
    pub workers: usize,
}

/// Worker threads for this many: one up to four cores, else two. One worker does about
/// what one Redis can serve.
fn workers_for(settings: &Settings) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let wanted = match settings.workers {
        0 if cores <= 4 => 1,
        0 => 2,
        n => n,
    };
    let max = Budget::workers_max(settings.backend_connections_max).max(1);
    if wanted > max {
        tracing::warn!(
            wanted,
            workers = max,
            "fewer workers: each needs a backend connection of its own, and one is for health checks"
        );
    }
    wanted.min(max)
}

/// Starts workers, control and listeners. Must be called inside a tokio runtime, which is
/// the control thread's.
pub fn start(settings: Settings, rules: Rules) -> Result<Narrows, RunError> {
    let workers = workers_for(&settings);
    let settings = Arc::new(settings);
    let rules = Arc::new(rules);
    let mut listeners = Vec::new();
    for address in &settings.listen {
        let listener = acceptor::open(address, &settings).map_err(|error| RunError::Listen {
            address: address.clone(),
            error,
        })?;
        listeners.push(listener);
    }
    let shared = Shared {
        budget: Budget::new(settings.backend_connections_max, workers),
        dials: Arc::new(DialRate::new(settings.dials_per_second_max)),
        seats: Arc::default(),
    };
    // One connection each, until control has read what the server itself allows.
    shared.budget.stop_growth(true);
    let (orders_to, orders) = unbounded_channel();
    let (inboxes, receivers): (Vec<_>, Vec<_>) = (0..workers).map(|_| unbounded_channel()).unzip();
    let epoch = Instant::now();
    let mut threads = Vec::new();
    for (worker, inbox) in receivers.into_iter().enumerate() {
        let plan = WorkerPlan {
            worker,
            settings: Arc::clone(&settings),
            rules: Arc::clone(&rules),
            shared: shared.clone(),
            inboxes: inboxes.clone(),
            orders: orders_to.clone(),
            epoch,
        };
        let thread = std::thread::Builder::new().name(format!("worker-{worker}"));
        threads.push(thread.spawn(move || plan.run(inbox))?);
    }
    let control = Control {
        settings: Arc::clone(&settings),
        budget: Arc::clone(&shared.budget),
        rules: Arc::clone(&rules),
        inboxes: inboxes.clone(),
        name: connection_name(&settings, "control"),
        orders,
        command_refused: false,
    };
    let control = tokio::spawn(control.run());
    let acceptor = acceptor_for(&settings, &rules, &inboxes);
    let addresses: Vec<String> = listeners.iter().map(|l| l.name()).collect();
    let listeners = listeners
        .into_iter()
        .map(|listener| tokio::spawn(acceptor.clone().run(listener)))
        .collect();
    Ok(Narrows {
        listeners,
        control,
        inboxes,
        threads,
        drain_timeout: settings.drain_timeout,
        addresses,
        workers,
    })
}

/// Hands clients to the workers behind `inboxes`.
fn acceptor_for(
    settings: &Arc<Settings>,
    rules: &Rules,
    inboxes: &[UnboundedSender<Message>],
) -> Acceptor {
    let total = Arc::new(AtomicUsize::new(0));
    let worker = |inbox: &UnboundedSender<Message>| {
        let load = Load {
            total: Arc::clone(&total),
            worker: Arc::default(),
        };
        (inbox.clone(), load)
    };
    Acceptor {
        settings: Arc::clone(settings),
        max_clients: rules.settings.clients.max_clients,
        workers: inboxes.iter().map(worker).collect(),
        next_id: Arc::new(AtomicU64::new(1)),
        refused: Arc::default(),
    }
}

impl Narrows {
    /// Stops accepting, lets requests in flight finish within the drain timeout, and ends.
    /// True when everything had finished.
    pub async fn drain(self) -> bool {
        for listener in self.listeners {
            listener.abort();
            // Its socket is closed when the task has ended: nobody connects after that.
            let _ = listener.await;
        }
        for inbox in &self.inboxes {
            // A worker that has ended has nothing to drain.
            let _ = inbox.send(Message::Drain);
        }
        let threads = self.threads;
        let (all_joined, joined) = tokio::sync::oneshot::channel();
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
        let drained = tokio::time::timeout(self.drain_timeout, joined).await;
        let finished = spawned.is_ok() && matches!(drained, Ok(Ok(())));
        self.control.abort();
        finished
    }
}

/// `narrows:<instance>:<role>`, as the server's `CLIENT LIST` is to show it.
fn connection_name(settings: &Settings, role: &str) -> String {
    let instance = match settings.instance.as_str() {
        "" => {
            let host = rustix::system::uname();
            let host = host.nodename().to_string_lossy().into_owned();
            format!("{host}-{}", std::process::id())
        }
        instance => instance.to_owned(),
    };
    format!("narrows:{instance}:{role}")
        .chars()
        .map(|c| if c.is_ascii_graphic() { c } else { '-' })
        .collect()
}

/// Everything a worker thread needs to build its engine, more than once if need be.
struct WorkerPlan {
    worker: usize,
    settings: Arc<Settings>,
    rules: Arc<Rules>,
    shared: Shared,
    inboxes: Vec<UnboundedSender<Message>>,
    orders: UnboundedSender<Order>,
    epoch: Instant,
}

impl WorkerPlan {
    /// Runs the worker until it is drained. A panic closes all its sockets, its clients'
    /// and its backends', and it starts afresh.
    fn run(self, mut inbox: UnboundedReceiver<Message>) {
        loop {
            let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| self.once(&mut inbox)));
            match outcome {
                Ok(Ok(())) => return,
                Ok(Err(error)) => {
                    tracing::error!(%error, worker = self.worker, "worker cannot run");
                    std::thread::sleep(Duration::from_secs(1));
                }
                Err(_) => {
                    tracing::error!(worker = self.worker, "worker panicked; it starts afresh");
                }
            }
            // The rules may have changed since the start.
            let _ = self.orders.send(Order::LearnCommands);
        }
    }

    fn once(&self, inbox: &mut UnboundedReceiver<Message>) -> std::io::Result<()> {
        // One task owns all sockets, so the event loop is polled after each of its turns.
        let runtime = Builder::new_current_thread()
            .enable_all()
            .event_interval(1)
            .build()?;
        let identity = Identity {
            name: connection_name(&self.settings, &self.worker.to_string()),
        };
        let engine = Engine::new(
            (self.worker, self.inboxes.len()),
            Arc::clone(&self.rules),
            Arc::new(identity),
            self.shared.clone(),
            self.settings.database,
            self.epoch.elapsed().as_nanos() as u64 ^ u64::from(std::process::id()),
        );
        let links = Links {
            worker: self.worker,
            settings: Arc::clone(&self.settings),
            inboxes: self.inboxes.clone(),
            control: self.orders.clone(),
            epoch: self.epoch,
        };
        runtime.block_on(async {
            let worker = Worker::new(engine, links, inbox);
            tokio::task::coop::unconstrained(worker).await;
        });
        Ok(())
    }
}
