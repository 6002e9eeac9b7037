//! A worker whose turns are called by hand: exactly as many as it asks for.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream as Socket;

use tokio::sync::mpsc::channel;

use super::*;
use crate::admission::{Budget, DialRate};
use crate::command::{CommandTable, Policy};
use crate::engine::settings::EngineSettings;
use crate::engine::{Accepted, Identity, Rules, Setup, WorkerShared};
use crate::runtime::detached::DetachedSocket;
use crate::runtime::message::ClientCount;
use crate::runtime::settings::RuntimeSettings;
use crate::session::Access;
use crate::session::client_line::ClientAddress;
use crate::tls::connection::TlsConnection;
use crate::tls::connection::tests::{ends_with_kept, opened};

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
        tasks: ControlTasks::here(),
        epoch: Instant::now(),
        cell: Arc::default(),
    };
    Worker::new(engine, links).unwrap()
}

/// Lets it work until it would sleep.
fn run(worker: &mut Worker) {
    loop {
        worker.turn();
        let due = worker.until_due() == Some(Duration::ZERO);
        worker.wait(Some(Duration::ZERO)).unwrap();
        if !due && !worker.events.has_ended_early() {
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
            socket: DetachedSocket::Unix(theirs),
            accepted: Accepted::of(id, ClientAddress::Unix(Arc::new("test".into()))),
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

/// A client that comes with TLS, of which `bytes` have come with its handshake: its socket and its end.
fn bring_tls(inbox: &Arc<Inbox>, bytes: &[u8]) -> (TcpStream, TlsConnection) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    let ends = ends_with_kept(bytes);
    let client = NewClient {
        socket: DetachedSocket::Tls(ours, Box::new(ends.server)),
        accepted: Accepted::of(1, ClientAddress::Unix(Arc::new("test".into()))),
        guard: ClientCount::default().enter(usize::MAX).unwrap(),
    };
    inbox.permit().unwrap().bring(client);
    (theirs, ends.client)
}

/// What came with the handshake is told of by no readiness.
#[tokio::test]
async fn a_request_that_came_with_the_handshake_is_answered_without_further_news() {
    let inbox = Inbox::new(&Arc::default());
    let mut worker = worker(&inbox);
    run(&mut worker);
    let (mut theirs, mut tls) = bring_tls(&inbox, b"QUIT\r\n");
    run(&mut worker);
    assert_eq!(
        worker.engine.survey().clients_len(),
        0,
        "it has been served"
    );
    let mut come = vec![0; 1000];
    let n = theirs.read(&mut come).unwrap();
    assert_eq!(opened(&mut tls, &come[..n], 0).unwrap(), b"+OK\r\n");
}

/// Replies wait in narrows, in records and in the socket, and no readiness tells of what is in the first two.
#[tokio::test]
async fn all_that_a_client_asks_over_tls_is_answered_however_late_it_reads() {
    let inbox = Inbox::new(&Arc::default());
    let mut worker = worker(&inbox);
    run(&mut worker);
    let (mut theirs, mut tls) = bring_tls(&inbox, b"");
    run(&mut worker);
    theirs.set_nonblocking(true).unwrap();
    let name = "n".repeat(9000);
    let many = 2000;
    tls.seal(format!("CLIENT SETNAME {name}\r\n").as_bytes())
        .unwrap();
    tls.seal("CLIENT GETNAME\r\n".repeat(many).as_bytes())
        .unwrap();
    let reply = format!("$9000\r\n{name}\r\n");
    let expected = "+OK\r\n".len() + reply.len() * many;
    let (mut all, mut come) = (Vec::new(), vec![0; 300_000]);
    let mut idle = 0;
    while all.len() < expected {
        idle += 1;
        assert!(idle < 100, "{} of {expected} bytes have come", all.len());
        if let Ok(n) = theirs.write(tls.unsent()) {
            tls.sent(n);
        }
        run(&mut worker);
        if let Ok(n) = theirs.read(&mut come) {
            all.extend(opened(&mut tls, &come[..n], 0).unwrap());
            idle = 0;
        }
    }
    assert!(
        all[5..]
            .chunks(reply.len())
            .all(|one| one == reply.as_bytes())
    );
}

/// How many queries of a worker that is not there it takes, of a thousand that come at once.
#[cfg(feature = "fault_injection")]
fn queries_taken() -> u64 {
    let inbox = Inbox::new(&Arc::default());
    let mut worker = worker(&inbox);
    run(&mut worker);
    let asker = Asker {
        worker: 1,
        epoch: worker.links.life,
        ticket: 0,
    };
    for _ in 0..1000 {
        assert!(inbox.ask(asker, WorkerQuery::Figures));
    }
    run(&mut worker);
    worker.queries_next
}

#[cfg(feature = "fault_injection")]
#[tokio::test]
async fn a_worker_that_forgets_its_inbox_is_found() {
    use crate::admission::fault_injection::{Bug, inject};
    assert_eq!(queries_taken(), 1000);
    inject(Some(Bug::MailForgotten));
    let taken = queries_taken();
    inject(None);
    assert!(taken < 1000, "{taken}");
}

#[tokio::test]
async fn sockets_of_a_worker_that_ends_are_closed() {
    let inbox = Inbox::new(&Arc::default());
    let mut worker = worker(&inbox);
    let clients = bring(&inbox, 2);
    run(&mut worker);
    drop(worker);
    for mut client in &clients {
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
}
