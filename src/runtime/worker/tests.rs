//! A worker polled by hand: exactly as often as it asks for.

use std::io::Read;
use std::os::unix::net::UnixStream as Socket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use tokio::sync::mpsc::channel;

use super::*;
use crate::admission::{Budget, DialRate};
use crate::command::{CommandTable, Policy};
use crate::engine::settings::EngineSettings;
use crate::engine::{Accepted, Identity, Rules, Setup, WorkerShared};
use crate::runtime::message::ClientCount;
use crate::runtime::settings::RuntimeSettings;
use crate::session::Access;
use crate::session::client_line::ClientAddress;

#[derive(Default)]
struct WakeFlag(AtomicBool);

impl Wake for WakeFlag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A worker of its own, which has no server.
fn worker(inbox: &Arc<Inbox>) -> Worker {
    let rules = Rules {
        settings: EngineSettings::default(),
        commands: CommandTable::builtin(),
        policy: Policy::default(),
        access: Access::default(),
    };
    let current = Arc::new(Current::new(RuntimeSettings::default(), rules));
    let shared = WorkerShared::new(Budget::new(4, 1), DialRate::new(1));
    let identity = Arc::new(Identity {
        name: "test".to_owned(),
    });
    let engine = Engine::new(Setup {
        worker: 0,
        workers: 1,
        rules: current.rules(),
        topology: current.topology(),
        identity,
        shared,
        initial_db: 0,
        seed: 1,
        counted: None,
    });
    let (control, _) = channel(1);
    let links = Links {
        worker: 0,
        current,
        inboxes: vec![Arc::clone(inbox)],
        inbox: Arc::clone(inbox),
        life: inbox.begin(),
        control,
        epoch: Instant::now(),
        cell: Arc::default(),
    };
    Worker::new(engine, links)
}

/// Polls it until it sleeps.
fn run(worker: &mut Worker) {
    let woken = Arc::new(WakeFlag::default());
    let waker = Waker::from(Arc::clone(&woken));
    loop {
        let polled = Pin::new(&mut *worker).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        if !woken.0.swap(false, Ordering::Relaxed) {
            return;
        }
    }
}

/// Clients that are there all at once, each with a request that needs no server.
fn bring(inbox: &Arc<Inbox>, count: usize) -> Vec<Socket> {
    let client = |id| {
        let (ours, theirs) = Socket::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let client = NewClient {
            socket: AcceptedSocket::Unix(theirs),
            accepted: Accepted {
                id,
                address: ClientAddress::Unix("test".into()),
            },
            guard: ClientCount::default().enter(usize::MAX).unwrap(),
        };
        inbox.permit().unwrap().bring(client);
        ours
    };
    (0..count as u64).map(client).collect()
}

#[tokio::test]
async fn a_thousand_clients_that_come_at_once_and_say_nothing_are_all_taken() {
    let inbox = Inbox::new(&Arc::default());
    let mut worker = worker(&inbox);
    run(&mut worker);
    let clients = bring(&inbox, 1000);
    run(&mut worker);
    assert_eq!(worker.engine.survey().clients_len(), clients.len());
    drop(clients);
}

#[cfg(feature = "fault_injection")]
#[tokio::test]
async fn a_worker_that_forgets_its_inbox_is_found() {
    use crate::admission::fault_injection::{Bug, inject};
    let inbox = Inbox::new(&Arc::default());
    let mut worker = worker(&inbox);
    inject(Some(Bug::MailForgotten));
    run(&mut worker);
    let clients = bring(&inbox, 1000);
    run(&mut worker);
    inject(None);
    let taken = worker.engine.survey().clients_len();
    assert!(taken < clients.len(), "{taken}");
    let mut byte = [0];
    drop(worker);
    assert_eq!((&clients[0]).read(&mut byte).unwrap(), 0);
}
