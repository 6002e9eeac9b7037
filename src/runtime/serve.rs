//! Putting it together: worker threads, the control thread, listeners, and the end of all
//! of them. The control thread is the caller's; listeners run on it. A panic in a worker is caught here:
//! all of its sockets are closed, and it starts afresh.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::mpsc::{Sender, channel};
use tokio::sync::{Notify, Semaphore};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::admission::{Budget, DialRate};
use crate::engine::{Engine, Identity, Rules, Setup, WorkerShared};
use crate::telemetry::Cell;

use super::accept_policy::AcceptPolicy;
use super::acceptor::{self, Acceptor, HEADERS_PENDING_MAX, Listener};
use super::asking::Asking;
use super::control::{Control, ControlOrder, ORDERS_MAX};
use super::current::{Current, connection_name};
use super::drain;
use super::handshakes::Handshakes;
use super::inbox::Inbox;
use super::message::ClientCount;
use super::observer::Observer;
use super::settings::{Listen, RuntimeSettings};
use super::systemd::Systemd;
use super::tasks::ControlTasks;
use super::tls_in_use::TlsInUse;
use super::watchdog::Watchdog;
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
    /// Who accepts clients.
    accepting: TaskTracker,
    control: tokio::task::JoinHandle<()>,
    inboxes: Vec<Arc<Inbox>>,
    /// The threads of workers.
    working: TaskTracker,
    observer: Arc<Observer>,
    current: Arc<Current>,
    shared: WorkerShared,
    orders: Sender<ControlOrder>,
    /// Clients connected.
    clients: Arc<AtomicUsize>,
    /// Addresses that clients can connect to, in the order configured.
    pub addresses: Vec<String>,
    /// Worker threads.
    pub workers: usize,
}

/// Worker threads for this many: one up to four cores, else two. One worker does about
/// what one Redis can serve.
fn workers_for(settings: &RuntimeSettings) -> usize {
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
pub fn start(settings: RuntimeSettings, rules: Rules) -> Result<Narrows, RunError> {
    let workers = workers_for(&settings);
    let current = Arc::new(Current::new(settings, rules));
    let settings = current.settings();
    let listeners = open_all(&settings)?;
    let shared = WorkerShared::new(
        Budget::new(settings.backend_connections_max, workers),
        DialRate::new(settings.dials_per_second_max),
    );
    // One connection each, until control has read what the server itself allows.
    shared.budget.await_limit();
    let (orders_to, orders) = channel(ORDERS_MAX);
    let room = Arc::default();
    let inboxes: Vec<_> = (0..workers).map(|_| Inbox::new(&room)).collect();
    let epoch = Instant::now();
    let observer = Arc::new(Observer::new(&inboxes, &current, &shared, epoch));
    let (working, tasks) = (TaskTracker::new(), ControlTasks::here());
    for (worker, inbox) in inboxes.iter().enumerate() {
        let plan = WorkerPlan {
            worker,
            current: Arc::clone(&current),
            shared: shared.clone(),
            inboxes: inboxes.clone(),
            inbox: Arc::clone(inbox),
            orders: orders_to.clone(),
            tasks: tasks.clone(),
            epoch,
            cell: observer.cell(worker),
            _working: working.token(),
        };
        let thread = std::thread::Builder::new().name(format!("worker-{worker}"));
        thread.spawn(move || plan.run())?;
    }
    let control = Control {
        current: Arc::clone(&current),
        endpoint: current.topology().endpoint(),
        budget: Arc::clone(&shared.budget),
        inboxes: inboxes.clone(),
        name: connection_name(&settings, "control"),
        orders,
        command_refused: false,
        asking: Asking::new(Arc::clone(&shared.stand_ins)),
        server: observer.server(),
        pause: Arc::clone(&shared.pause),
        busy: Arc::clone(&shared.busy),
        role: Arc::clone(&shared.role),
        epoch,
    };
    let control = tokio::spawn(control.run());
    let clients = Arc::new(AtomicUsize::new(0));
    let acceptor = acceptor_for(&observer, &inboxes, room, &clients, &current, &shared);
    let addresses = listeners.iter().map(Listener::name).collect();
    accept(&acceptor, listeners)?;
    Ok(Narrows {
        accepting: acceptor.tasks,
        control,
        inboxes,
        working,
        observer,
        current,
        shared,
        orders: orders_to,
        clients,
        addresses,
        workers,
    })
}

fn open_all(settings: &RuntimeSettings) -> Result<Vec<Listener>, RunError> {
    let open = |address: &Listen| {
        acceptor::open(address, settings).map_err(|error| RunError::Listen {
            address: address.clone(),
            error,
        })
    };
    settings.listen.iter().map(open).collect()
}

/// Accepts clients: here those that do not speak TLS.
fn accept(acceptor: &Acceptor, listeners: Vec<Listener>) -> std::io::Result<()> {
    let speaks_tls = |listener: &Listener| matches!(listener, Listener::Tls(_));
    let (with_tls, without): (Vec<_>, Vec<_>) = listeners.into_iter().partition(speaks_tls);
    for listener in without {
        acceptor.begin(listener)?;
    }
    match with_tls.is_empty() {
        true => Ok(()),
        false => accept_tls(acceptor.clone(), with_tls),
    }
}

/// Accepts clients that speak TLS, on a thread of its own: whatever their handshakes cost, nobody else waits.
fn accept_tls(acceptor: Acceptor, listeners: Vec<Listener>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let thread = std::thread::Builder::new().name("handshakes".to_owned());
    thread.spawn(move || {
        let acceptor = Acceptor {
            handshakes: Some(Arc::new(Handshakes::new())),
            ..acceptor
        };
        runtime.block_on(async {
            for listener in listeners {
                if let Err(error) = acceptor.begin(listener) {
                    tracing::error!(%error, "cannot accept clients that speak TLS");
                }
            }
            acceptor.tasks.wait().await;
        });
    })?;
    Ok(())
}

/// Hands clients to the workers behind `inboxes`, as far as they may come in.
fn acceptor_for(
    observer: &Observer,
    inboxes: &[Arc<Inbox>],
    room: Arc<Notify>,
    clients: &Arc<AtomicUsize>,
    current: &Arc<Current>,
    shared: &WorkerShared,
) -> Acceptor {
    let worker = |inbox: &Arc<Inbox>| {
        let load = ClientCount::new(clients);
        (Arc::clone(inbox), load)
    };
    let policy = AcceptPolicy {
        current: Arc::clone(current),
        workers: inboxes.iter().map(worker).collect(),
        entering: ClientCount::new(clients),
        room,
        address_quotas: Arc::default(),
        counts: Arc::clone(&shared.reject_counts),
        handshakes: observer.handshakes(),
        told: Mutex::default(),
        told_unknown_user: Mutex::default(),
    };
    Acceptor {
        current: Arc::clone(current),
        policy: Arc::new(policy),
        next_id: Arc::new(AtomicU64::new(1)),
        local: Arc::default(),
        handshakes: None,
        headers: Arc::new(Semaphore::new(HEADERS_PENDING_MAX)),
        tasks: TaskTracker::new(),
        ending: observer.ending.clone(),
    }
}

impl Narrows {
    /// Who can be asked how things stand, as long as the process runs.
    pub fn observer(&self) -> Arc<Observer> {
        Arc::clone(&self.observer)
    }

    /// Puts other settings in force, and the rules that `change` makes of those that hold now, for
    /// all that may change while narrows runs. The bound on connections that holds now, which may
    /// be above what was asked for.
    pub fn reload(&self, settings: RuntimeSettings, change: impl FnOnce(&Rules) -> Rules) -> u32 {
        let bound = self.shared.budget.resize(settings.backend_connections_max);
        self.shared.dials.set(settings.dials_per_second_max);
        let topology = self.current.set_settings(settings);
        let rules = self.current.change_rules(change);
        for inbox in &self.inboxes {
            // A worker that starts afresh takes what holds then.
            inbox.rules(&rules);
            if let Some(topology) = &topology {
                inbox.topology(topology);
            }
        }
        let _ = self.orders.try_send(ControlOrder::Reloaded);
        bound
    }

    /// Connections that are made from now on use `tls`.
    pub fn use_tls(&self, tls: &TlsInUse) {
        let mut settings = RuntimeSettings::clone(&self.current.settings());
        tls.put_into(&mut settings);
        self.current.set_settings(settings);
        // Perhaps it is what the server was waiting for.
        let _ = self.orders.try_send(ControlOrder::Reloaded);
    }

    /// Counts files of certificates and keys that cannot be used as they are.
    pub fn count_refused_tls(&self) {
        self.observer.tls_is_refused();
    }

    /// Gives signs of life as long as all threads do, if the service manager wants them.
    pub fn watch(&self, systemd: &Arc<Systemd>) {
        if let Some(interval) = systemd.watchdog() {
            let watchdog = Watchdog {
                inboxes: self.inboxes.clone(),
                systemd: Arc::clone(systemd),
                interval,
                control: self.control.abort_handle(),
            };
            tokio::spawn(watchdog.run());
        }
    }

    /// Stops accepting, lets requests in flight finish within the drain timeout, and ends.
    /// True when everything had finished.
    pub async fn drain(self) -> bool {
        self.observer.ending.cancel();
        self.accepting.close();
        // A listener is closed when its task has ended: nobody connects after that.
        self.accepting.wait().await;
        let limit = self.current.settings().drain_timeout;
        let finished = drain::drain(&self.inboxes, &self.working, &self.clients, limit).await;
        self.control.abort();
        finished
    }
}

/// Everything a worker thread needs to build its engine, more than once if need be.
struct WorkerPlan {
    worker: usize,
    current: Arc<Current>,
    shared: WorkerShared,
    inboxes: Vec<Arc<Inbox>>,
    inbox: Arc<Inbox>,
    orders: Sender<ControlOrder>,
    tasks: ControlTasks,
    epoch: Instant,
    cell: Arc<Cell>,
    /// For whoever waits for the end of all workers.
    _working: TaskTrackerToken,
}

impl WorkerPlan {
    /// Runs the worker until it is drained. A panic closes all its sockets, its clients'
    /// and its backends', and it starts afresh.
    fn run(self) {
        let _closing = Closing(Arc::clone(&self.inbox));
        loop {
            let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| self.once()));
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
            // What was asked of this worker is lost with it; those who wait for `COMMAND` too.
            let _ = self.orders.try_send(ControlOrder::LearnCommands);
        }
    }

    fn once(&self) -> std::io::Result<()> {
        let life = self.inbox.begin();
        let settings = self.current.settings();
        let identity = Identity {
            name: connection_name(&settings, &self.worker.to_string()),
        };
        let engine = Engine::new(Setup {
            worker: self.worker,
            workers: self.inboxes.len(),
            rules: self.current.rules(),
            topology: self.current.topology(),
            identity: Arc::new(identity),
            shared: self.shared.clone(),
            initial_db: settings.database,
            seed: self.epoch.elapsed().as_nanos() as u64 ^ u64::from(std::process::id()),
            // The one before it may have ended in a panic.
            counted: Some(self.cell.last()),
        });
        let links = Links {
            worker: self.worker,
            current: Arc::clone(&self.current),
            inboxes: self.inboxes.clone(),
            inbox: Arc::clone(&self.inbox),
            life,
            control: self.orders.clone(),
            tasks: self.tasks.clone(),
            epoch: self.epoch,
            cell: Arc::clone(&self.cell),
        };
        // A query to the one before it may have been lost.
        self.cell.publish(engine.survey().snapshot());
        Worker::new(engine, links)?.run()
    }
}

/// However a worker's thread ends, nobody waits for it any more.
struct Closing(Arc<Inbox>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}
