//! What is held of clients elsewhere than in their inputs and outboxes: places of a transaction, the
//! connection that one holds, replies that are looked at whole, names. All of it counts.

use std::io;
use std::time::Duration;

use crate::hostile::bystander::{Bystander, expect_no_poison};
use crate::hostile::duplex::Duplex;
use crate::support::setup::narrows;
use crate::support::{Conn, Narrows, RedisServer, command, wait_until};

const MIB: u64 = 1 << 20;

const BOUND: &str = "[clients]\nmemory_bytes_max = \"64MiB\"\n";

/// What the allocator may have beside what is held: buffers grow to twice their content.
const BESIDE: u64 = 64 * MIB;

/// The most that was resident until `over`.
fn most_until(narrows: &Narrows, mut over: impl FnMut() -> bool) -> u64 {
    let mut most = 0;
    wait_until("the end of it", Duration::from_secs(30), || {
        most = most.max(narrows.rss_bytes());
        over()
    });
    most
}

/// Whether the peer has closed, not kept silent.
fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

/// How many clients there are, the one that asks among them.
fn connected(narrows: &Narrows) -> usize {
    let info = narrows.connect().call(&["INFO", "clients"]).text();
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("connected_clients:"));
    line.and_then(|count| count.trim().parse().ok())
        .expect("INFO says how many clients there are")
}

#[test]
fn load_names_queued_in_a_transaction_stay_within_the_bound() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), BOUND, &[]);
    let before = narrows.rss_bytes();
    let bystander = Bystander::beside(&narrows);
    let mut hoarder = narrows.connect();
    hoarder.expect(&["MULTI"], "+OK\r\n");
    let name = command(&["CLIENT", "SETNAME", &"n".repeat(900 << 10)]);
    let mut queued = 0;
    for _ in 0..600 {
        if hoarder.try_send(&name).is_err() || hoarder.try_reply().is_err() {
            break;
        }
        queued += 1;
        assert!(
            narrows.rss_bytes() < before + 64 * MIB + BESIDE,
            "{queued} names"
        );
    }
    assert!(
        (50..80).contains(&queued),
        "{queued} names of 900 KB in 64 MiB"
    );
    narrows.expect_logged(&["out of memory for buffers"]);
    bystander.noticed_nothing(Duration::from_secs(3));
    expect_no_poison(&narrows);
}

#[test]
fn load_names_of_many_clients_stay_within_the_bound() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), BOUND, &[]);
    let before = narrows.rss_bytes();
    let bystander = Bystander::beside(&narrows);
    let name = command(&["CLIENT", "SETNAME", &"n".repeat(900 << 10)]);
    let named: Vec<Conn> = (0..200)
        .map(|_| {
            let mut conn = narrows.connect();
            // The one that is closed may be this very one, which has its name and its request.
            let sent = conn.try_send(&name);
            match sent.and_then(|()| conn.try_reply()) {
                Ok(reply) => assert_eq!(reply.raw(), b"+OK\r\n"),
                Err(error) => assert!(is_end(&error), "{error}"),
            }
            assert!(narrows.rss_bytes() < before + 64 * MIB + BESIDE);
            conn
        })
        .collect();
    let kept = connected(&narrows);
    assert!(
        (50..80).contains(&kept),
        "{kept} clients with a name of 900 KB in 64 MiB"
    );
    narrows.expect_logged(&["out of memory for buffers"]);
    drop(named);
    bystander.noticed_nothing(Duration::from_secs(3));
}

#[test]
fn load_what_waits_for_a_stopped_server_with_a_clients_own_connection_stays_within_the_bound() {
    let mut server = RedisServer::start();
    let narrows = narrows(&server.url(), BOUND, &[]);
    let before = narrows.rss_bytes();
    let mut holders: Vec<Conn> = (0..4).map(|_| narrows.connect()).collect();
    for holder in &mut holders {
        holder.expect(&["WATCH", "k"], "+OK\r\n");
    }
    server.stop();
    let set = command(&["SET", "k", &"v".repeat(900 << 10)]);
    // Each sends 180 MB, which Redis would take: until it is closed.
    let mut sending: Vec<std::thread::JoinHandle<()>> = Vec::new();
    for mut holder in holders {
        let set = set.clone();
        sending.push(std::thread::spawn(move || {
            for _ in 0..200 {
                if holder.try_send(&set).is_err() {
                    return;
                }
            }
        }));
    }
    let most = most_until(&narrows, || {
        sending.iter().all(|sender| sender.is_finished())
    });
    assert!(most < before + 64 * MIB + BESIDE, "{} MiB", most / MIB);
    server.cont();
    narrows.connect().expect(&["PING"], "+PONG\r\n");
}

#[test]
fn load_a_reply_of_exec_that_is_looked_at_whole_stays_within_the_bound() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), BOUND, &[]);
    let before = narrows.rss_bytes();
    server
        .connect()
        .expect(&["SET", "big", &"v".repeat(4 << 20)], "+OK\r\n");
    let bystander = Bystander::beside(&narrows);
    let block = [
        command(&["MULTI"]),
        command(&["SELECT", "0"]),
        command(&["GET", "big"]).repeat(60),
        command(&["EXEC"]),
    ]
    .concat();
    let hoarder = Duplex::send(narrows.address(), block);
    let most = most_until(&narrows, || {
        narrows.log().contains("out of memory for buffers")
    });
    assert!(most < before + 64 * MIB + BESIDE, "{} MiB", most / MIB);
    drop(hoarder);
    bystander.noticed_nothing(Duration::from_secs(3));
}
