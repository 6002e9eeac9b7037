//! As many clients as descriptors allow, over at most four connections to Redis, coming and going:
//! every reply is verified, and afterwards nothing is left of them.
//!
//! Ten seconds by default; `NARROWS_TEST_MANY_CLIENTS_SECONDS` makes it longer.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::support::census::Census;
use crate::support::setup::{self, other_clients};
use crate::support::{Narrows, PATIENCE, RedisServer, command, wait_until};

/// Clients at once.
const CLIENTS: u64 = 9500;

/// Connections to Redis, of every kind.
const BACKENDS: usize = 4;

/// Files of this process beside the clients.
const OTHER_FILES: u64 = 200;

/// How many connect at once: below the backlog of the listener.
const CONNECTING: usize = 500;

/// What all clients share. One thread, so no locks.
struct Crowd {
    address: String,
    until: Instant,
    connecting: Semaphore,
    connected: Cell<u64>,
    most: Cell<u64>,
    replies: Cell<u64>,
    visits: Cell<u64>,
    slowest: Cell<Duration>,
    /// The most memory that narrows held.
    rss: Cell<u64>,
}

impl Crowd {
    fn new(address: &str, length: Duration) -> Self {
        Self {
            address: address.to_owned(),
            until: Instant::now() + length,
            connecting: Semaphore::new(CONNECTING),
            connected: Cell::new(0),
            most: Cell::new(0),
            replies: Cell::new(0),
            visits: Cell::new(0),
            slowest: Cell::new(Duration::ZERO),
            rss: Cell::new(0),
        }
    }

    /// One client after another at the same place, until the time is over.
    async fn place(self: Rc<Self>, id: u64) {
        let mut visit = 0;
        while Instant::now() < self.until {
            self.visit(id, visit).await;
            visit += 1;
        }
    }

    async fn visit(&self, id: u64, visit: u64) {
        let mut stream = {
            let _turn = self.connecting.acquire().await.unwrap();
            TcpStream::connect(&self.address).await.unwrap()
        };
        stream.set_nodelay(true).unwrap();
        self.connected.set(self.connected.get() + 1);
        self.most.set(self.most.get().max(self.connected.get()));
        // Some stay long and say little, others come for a moment.
        let exchanges = if id.is_multiple_of(4) {
            2
        } else {
            4 + (id + visit) % 5
        };
        let pause = Duration::from_millis(700 + (id * 37 + visit * 101) % 600);
        for number in 0..exchanges {
            self.exchange(&mut stream, id, visit * 100 + number).await;
            if Instant::now() >= self.until {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        self.leave(stream, id + visit).await;
        self.connected.set(self.connected.get() - 1);
        self.visits.set(self.visits.get() + 1);
    }

    /// Requests whose replies no other client can have.
    async fn exchange(&self, stream: &mut TcpStream, id: u64, number: u64) {
        let value = format!(
            "{id}/{number}/{}",
            "p".repeat(usize::try_from(id % 64).unwrap())
        );
        let key = format!("crowd/{id}");
        let requests = [
            command(&["SET", &key, &value]),
            command(&["GET", &key]),
            command(&["ECHO", &value]),
        ];
        let bulk = format!("${}\r\n{value}\r\n", value.len());
        let expected = format!("+OK\r\n{bulk}{bulk}");
        let begin = Instant::now();
        stream.write_all(&requests.concat()).await.unwrap();
        let mut found = vec![0; expected.len()];
        let read = tokio::time::timeout(PATIENCE, stream.read_exact(&mut found));
        read.await.expect("no reply in time").unwrap();
        assert_eq!(String::from_utf8_lossy(&found), expected, "client {id}");
        self.slowest.set(self.slowest.get().max(begin.elapsed()));
        self.replies.set(self.replies.get() + 3);
    }

    /// Politely, by closing, by a reset, or with a request on its way.
    async fn leave(&self, mut stream: TcpStream, how: u64) {
        match how % 4 {
            0 => {
                stream.write_all(b"QUIT\r\n").await.unwrap();
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest).await.unwrap();
                assert_eq!(rest, b"+OK\r\n");
            }
            1 => {}
            2 => {
                let socket = socket2::SockRef::from(&stream);
                socket.set_linger(Some(Duration::ZERO)).unwrap();
            }
            _ => stream.write_all(&command(&["ECHO", "gone"])).await.unwrap(),
        }
    }
}

/// As many clients as this process may have files for.
fn clients_allowed() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let files = limit.maximum.unwrap_or(u64::MAX);
    CLIENTS.min(files.saturating_sub(OTHER_FILES))
}

fn length() -> Duration {
    let seconds = std::env::var("NARROWS_TEST_MANY_CLIENTS_SECONDS");
    Duration::from_secs(seconds.map_or(10, |text| text.parse().unwrap()))
}

/// One crowd, from the first who comes to the last who leaves.
fn run_crowd(narrows: &Narrows, clients: u64, length: Duration) -> Rc<Crowd> {
    let crowd = Rc::new(Crowd::new(narrows.address(), length));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let mut places = JoinSet::new();
        for id in 0..clients {
            places.spawn_local(Rc::clone(&crowd).place(id));
        }
        let mut looks = tokio::time::interval(Duration::from_millis(100));
        while !places.is_empty() {
            tokio::select! {
                place = places.join_next() => {
                    place.unwrap().expect("a client saw what must not be");
                }
                _ = looks.tick() => crowd.rss.set(crowd.rss.get().max(narrows.rss_bytes())),
            }
        }
    });
    crowd
}

#[test]
fn load_thousands_of_clients_come_and_go_over_four_connections_and_leave_nothing_behind() {
    let clients = clients_allowed();
    let server = RedisServer::start();
    let bound = BACKENDS.to_string();
    let narrows = setup::narrows(
        &server.url(),
        // Room for those who have left and are not known to have left yet.
        "[pool]\nidle_timeout = \"500ms\"\n[clients]\nmax_clients = 15000\n",
        &["--max-backend-connections", &bound, "--workers", "2"],
    );
    // A first small crowd, so that what is there for good is there before.
    run_crowd(&narrows, clients / 10, Duration::from_secs(1));
    let settled = |fds: usize| {
        wait_until("all clients to be forgotten", PATIENCE, || {
            let list = narrows.connect().call(&["CLIENT", "LIST"]).text();
            list.lines().count() == 1 && narrows.fd_count() <= fds
        });
    };
    settled(usize::MAX);
    let (fds, rss) = (narrows.fd_count(), narrows.rss_bytes());
    let census = Census::begin(&server);
    let crowd = run_crowd(&narrows, clients, length());
    let (most_backends, _) = census.end();
    settled(fds + BACKENDS);
    let after = narrows.rss_bytes();
    let mib = |bytes: u64| bytes >> 20;
    println!(
        "{} clients at once, {} in all, {} replies verified, slowest {:?}, {most_backends} backends; \
         resident MiB before {}, with them {}, after {}; descriptors before {fds}, after {}",
        crowd.most.get(),
        crowd.visits.get(),
        crowd.replies.get(),
        crowd.slowest.get(),
        mib(rss),
        mib(crowd.rss.get()),
        mib(after),
        narrows.fd_count(),
    );
    assert!(crowd.most.get() >= clients * 9 / 10, "{}", crowd.most.get());
    assert!(most_backends <= BACKENDS, "{most_backends} backends");
    assert!(
        after < rss + (48 << 20),
        "{} MiB, then {} MiB",
        mib(rss),
        mib(after)
    );
    assert!(!narrows.log().contains("WARN"), "{}", narrows.log());
    wait_until("idle connections to be closed", PATIENCE, || {
        other_clients(&mut server.connect()).len() < BACKENDS
    });
}

/// More than a worker takes in one turn, faster than it takes them, and not a byte of any of them.
#[test]
fn whoever_comes_behind_a_thousand_that_say_nothing_is_served() {
    clients_allowed();
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &["--workers", "1"]);
    let idle: Vec<_> = (0..1000).map(|_| narrows.connect()).collect();
    narrows.connect().expect(&["PING"], "+PONG\r\n");
    drop(idle);
}
