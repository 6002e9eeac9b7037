//! More databases and protocols than connections: they take turns.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::census::Census;
use crate::support::setup::narrows;
use crate::support::{Conn, RedisServer, command};

/// How often each client writes and reads.
const ROUNDS: u64 = 20;

/// Which context a client is in.
#[derive(Clone, Copy, Debug)]
struct Place {
    db: u64,
    protocol: u64,
    number: u64,
}

fn enter(address: &str, place: Place) -> Conn {
    let mut conn = Conn::connect(address);
    let hello = conn.call(&["HELLO", &place.protocol.to_string()]);
    assert!(!hello.is_error(), "{place:?}: {hello:?}");
    conn.expect(&["SELECT", &place.db.to_string()], "+OK\r\n");
    conn
}

/// Writes and reads its own keys; the longest that one exchange took.
fn use_db(address: &str, place: Place, all: &Barrier) -> Duration {
    let mut conn = enter(address, place);
    all.wait();
    let Place {
        db,
        protocol,
        number,
    } = place;
    let (key, hash) = (
        format!("{protocol}/{number}"),
        format!("h/{protocol}/{number}"),
    );
    let mut slowest = Duration::ZERO;
    for round in 0..ROUNDS {
        let value = format!("{db}/{protocol}/{number}/{round}");
        let begin = Instant::now();
        conn.send(
            [
                command(&["SET", &key, &value]),
                command(&["HSET", &hash, "f", &value]),
                command(&["GET", &key]),
                command(&["HGETALL", &hash]),
            ]
            .concat(),
        );
        conn.expect_reply("+OK\r\n");
        assert_eq!(conn.reply().integer(), i64::from(round == 0), "{place:?}");
        let bulk = format!("${}\r\n{value}\r\n", value.len());
        conn.expect_reply(&bulk);
        let head = if protocol == 3 { "%1" } else { "*2" };
        conn.expect_reply(format!("{head}\r\n$1\r\nf\r\n{bulk}"));
        slowest = slowest.max(begin.elapsed());
        std::thread::sleep(Duration::from_millis(5));
    }
    slowest
}

/// Clients that keep one db busy without a gap.
struct Hammer {
    threads: Vec<JoinHandle<u64>>,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
}

impl Hammer {
    fn start(address: &str, db: u64, clients: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicU64::new(0));
        let threads = (0..clients)
            .map(|number| {
                let place = Place {
                    db,
                    protocol: 2,
                    number,
                };
                let mut conn = enter(address, place);
                let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
                std::thread::spawn(move || {
                    let request = command(&["INCR", &format!("hammer/{number}")]).repeat(8);
                    let mut count = 0;
                    // Always eight requests ahead of the replies.
                    conn.send(&request);
                    while !stop.load(Ordering::Relaxed) {
                        conn.send(&request);
                        for _ in 0..8 {
                            count += 1;
                            assert_eq!(conn.reply().integer(), count);
                        }
                        done.fetch_add(8, Ordering::Relaxed);
                    }
                    u64::try_from(count).unwrap()
                })
            })
            .collect();
        Self {
            threads,
            stop,
            done,
        }
    }

    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().map(|t| t.join().unwrap()).sum()
    }
}

/// `dbs` databases in both protocols, with `each` clients, beside steady load on db 0.
fn everybody_is_served(flags: &[&str], bound: usize, dbs: u64, each: u64) {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), "", flags);
    let census = Census::begin(&server);
    let hammer = Hammer::start(narrows.address(), 0, 4);
    let places = (0..dbs).flat_map(|db| {
        let both = [2, 3].into_iter();
        both.flat_map(move |protocol| {
            (0..each).map(move |number| Place {
                db,
                protocol,
                number,
            })
        })
    });
    let all = Arc::new(Barrier::new(usize::try_from(dbs * 2 * each).unwrap()));
    let clients: Vec<_> = places
        .map(|place| {
            let address = narrows.address().to_owned();
            let all = Arc::clone(&all);
            std::thread::spawn(move || use_db(&address, place, &all))
        })
        .collect();
    let slowest = clients
        .into_iter()
        .map(|client| client.join().unwrap())
        .max()
        .unwrap();
    // On a machine that is busy with others the census comes to its looks late.
    census.wait_for(51);
    let hammered = hammer.end();
    let (most, looks) = census.end();
    println!("{flags:?}: slowest {slowest:?}, db 0 {hammered}, {most} backends in {looks} looks");
    assert!(looks > 50 && hammered > 1000, "{looks} {hammered}");
    assert_eq!(most, bound, "the server's own count");
    assert!(
        slowest < Duration::from_secs(3),
        "the queue deadline: {slowest:?}"
    );
    assert!(!narrows.log().contains("WARN"), "{}", narrows.log());
}

#[test]
fn load_every_client_of_every_db_is_served_over_three_connections() {
    let flags = ["--max-backend-connections", "3", "--workers", "2"];
    everybody_is_served(&flags, 3, 16, 2);
}

#[test]
fn load_every_client_of_every_db_is_served_over_two_connections() {
    let flags = ["--max-backend-connections", "2", "--workers", "1"];
    everybody_is_served(&flags, 2, 16, 1);
}

#[test]
fn load_the_bound_holds_where_there_is_nearly_room_for_all() {
    let flags = ["--max-backend-connections", "16", "--workers", "2"];
    // One place is kept back.
    everybody_is_served(&flags, 15, 16, 2);
}

#[test]
fn load_busy_databases_get_fair_shares_of_one_connection() {
    let server = RedisServer::start();
    let flags = ["--max-backend-connections", "2", "--workers", "1"];
    let narrows = narrows(&server.url(), "", &flags);
    let hammers: Vec<Hammer> = (0..6)
        .map(|db| Hammer::start(narrows.address(), db, 2))
        .collect();
    let begin = Instant::now();
    crate::support::wait_until("two seconds of load", Duration::from_secs(10), || {
        begin.elapsed() > Duration::from_secs(2)
    });
    let done: Vec<u64> = hammers
        .iter()
        .map(|h| h.done.load(Ordering::Relaxed))
        .collect();
    hammers.into_iter().for_each(|hammer| {
        hammer.end();
    });
    println!("{done:?}");
    let (least, most) = (done.iter().min().unwrap(), done.iter().max().unwrap());
    assert!(least * 3 >= *most, "each has the same slice: {done:?}");
}

#[test]
fn a_client_that_changes_its_database_with_every_request_is_served_in_order() {
    let server = RedisServer::start();
    let flags = ["--max-backend-connections", "2", "--workers", "1"];
    let narrows = narrows(&server.url(), "", &flags);
    let mut conn = narrows.connect();
    let dbs = || (0..200_u32).map(|n| (n * 7) % 16);
    for db in dbs() {
        conn.send_command(&["SELECT", &db.to_string()]);
        conn.send_command(&["INCR", "visits"]);
    }
    let mut visits = [0; 16];
    for db in dbs() {
        conn.expect_reply("+OK\r\n");
        visits[db as usize] += 1;
        assert_eq!(conn.reply().integer(), visits[db as usize]);
    }
}
