//! Commands that wait on the server.

use std::time::{Duration, Instant};

use crate::support::setup::{narrows, pipe_ids};
use crate::support::{Conn, Narrows, PATIENCE, RedisServer, wait_until};

fn blocked(admin: &mut Conn) -> usize {
    let list = admin.call(&["CLIENT", "LIST"]).text();
    list.lines()
        .filter(|line| line.contains(" flags=b"))
        .count()
}

#[test]
fn others_go_on_while_one_waits() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let mut waits = narrows.connect();
    waits.send_command(&["BLPOP", "jobs", "0"]);
    wait_until("it waits", PATIENCE, || blocked(&mut server.connect()) == 1);
    let mut other = narrows.connect();
    let began = Instant::now();
    for _ in 0..100 {
        other.expect(&["PING"], "+PONG\r\n");
    }
    assert!(began.elapsed() < Duration::from_secs(2));
    other.expect(&["RPUSH", "jobs", "one"], ":1\r\n");
    waits.expect_reply("*2\r\n$4\r\njobs\r\n$3\r\none\r\n");
    waits.expect(&["PING"], "+PONG\r\n");
}

#[test]
fn a_wait_may_last_longer_than_every_deadline_of_silence() {
    let server = RedisServer::start();
    let settings = "[backend]\nhealth_interval = \"100ms\"\nstall_timeout = \"200ms\"\n\
                    stall_timeout_answering = \"300ms\"\n[clients]\nrequest_timeout = \"300ms\"\n";
    let narrows = narrows(&server.url(), settings, &[]);
    let mut waits = narrows.connect();
    waits.send_command(&["BLPOP", "jobs", "0"]);
    waits.expect_silence(Duration::from_millis(1500));
    narrows
        .connect()
        .expect(&["RPUSH", "jobs", "late"], ":1\r\n");
    waits.expect_reply("*2\r\n$4\r\njobs\r\n$4\r\nlate\r\n");
}

#[test]
fn the_wait_of_a_client_that_has_left_takes_nothing() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let mut admin = server.connect();
    let mut waits = narrows.connect();
    waits.send_command(&["BLPOP", "jobs", "0"]);
    wait_until("it waits", PATIENCE, || blocked(&mut admin) == 1);
    drop(waits);
    wait_until("it is forgotten", PATIENCE, || blocked(&mut admin) == 0);
    admin.expect(&["RPUSH", "jobs", "one"], ":1\r\n");
    admin.expect(&["LLEN", "jobs"], ":1\r\n");
}

#[test]
fn who_finds_no_place_waits_for_one_and_plain_traffic_goes_on() {
    let server = RedisServer::start();
    let settings = "[backend]\nmax_connections = 8\n[pool]\nblocking_max = 2\nqueue_timeout = \"300ms\"\n\
         min_idle_leases = 0\n";
    let narrows = narrows(&server.url(), settings, &[]);
    let mut admin = server.connect();
    let mut waiting: Vec<Conn> = (0..6).map(|_| narrows.connect()).collect();
    let mut plain = narrows.connect();
    for (at, client) in waiting.iter_mut().enumerate() {
        client.send_command(&["BLPOP", "jobs", "0"]);
        wait_until("it waits", PATIENCE, || blocked(&mut plain) == at + 1);
    }
    wait_until("two wait there", PATIENCE, || blocked(&mut admin) == 2);
    plain.expect(&["SET", "k", "v"], "+OK\r\n");
    std::thread::sleep(Duration::from_millis(400));
    admin.expect(&["RPUSH", "jobs", "1", "2", "3", "4", "5", "6"], ":6\r\n");
    // Those who wait on the server in their order; the others share two places, each for a moment.
    let mut served: Vec<u8> = Vec::new();
    for client in &mut waiting {
        let reply = client.reply();
        let element = reply.raw().strip_prefix(b"*2\r\n$4\r\njobs\r\n$1\r\n");
        served.push(element.unwrap_or_else(|| panic!("{reply:?}"))[0]);
        client.expect(&["PING"], "+PONG\r\n");
    }
    assert_eq!(&served[..2], b"12");
    served.sort_unstable();
    assert_eq!(served, b"123456");
    // Two that wait, one for the rest, one that is kept free beside whoever takes one.
    assert!(pipe_ids(&mut admin).len() <= 4);
}

#[test]
fn whoever_asks_narrows_sees_who_waits_and_who_is_in_a_transaction() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let mut asks = narrows.connect();
    let (mut waits, mut queues) = (narrows.connect(), narrows.connect());
    waits.send_command(&["BLPOP", "jobs", "0"]);
    queues.expect(&["MULTI"], "+OK\r\n");
    queues.expect(&["SET", "k", "v"], "+QUEUED\r\n");
    wait_until("it waits", PATIENCE, || blocked(&mut asks) == 1);
    let list = asks.call(&["CLIENT", "LIST"]).text();
    let line = list.lines().find(|line| line.contains(" flags=x "));
    assert!(
        line.is_some_and(|line| line.contains(" multi=1 ")),
        "{list}"
    );
    let info = asks.call(&["INFO", "clients"]).text();
    assert!(info.contains("blocked_clients:1\r\n"), "{info}");
    asks.expect(&["RPUSH", "jobs", "one"], ":1\r\n");
    waits.reply();
    queues.expect(&["DISCARD"], "+OK\r\n");
    assert_eq!(blocked(&mut asks), 0);
    let list = asks.call(&["CLIENT", "LIST"]).text();
    assert!(!list.contains("flags=x"), "{list}");
}

#[test]
fn a_wait_is_ended_by_client_unblock() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &["--workers", "2"]);
    let mut asks = narrows.connect();
    for (reason, hears) in [
        (None, "*-1\r\n"),
        (Some("TIMEOUT"), "*-1\r\n"),
        (
            Some("ERROR"),
            "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n",
        ),
    ] {
        let mut waits = narrows.connect();
        let id = waits.call(&["CLIENT", "ID"]).raw()[1..]
            .trim_ascii()
            .to_vec();
        let id = String::from_utf8(id).unwrap();
        let mut unblock = vec!["CLIENT", "UNBLOCK", &id];
        unblock.extend(reason);
        asks.expect(&unblock, ":0\r\n");
        waits.send_command(&["BLPOP", "jobs", "0"]);
        wait_until("it waits", PATIENCE, || blocked(&mut asks) == 1);
        asks.expect(&unblock, ":1\r\n");
        waits.expect_reply(hears);
        waits.expect(&["PING"], "+PONG\r\n");
        asks.expect(&["RPUSH", "jobs", "x"], ":1\r\n");
        waits.expect(&["LPOP", "jobs"], "$1\r\nx\r\n");
    }
}

#[test]
fn a_wait_that_is_ended_answers_for_itself_alone() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let (mut asks, mut waits) = (narrows.connect(), narrows.connect());
    let id = waits.call(&["CLIENT", "ID"]).raw()[1..]
        .trim_ascii()
        .to_vec();
    let id = String::from_utf8(id).unwrap();
    waits.expect(&["WATCH", "k"], "+OK\r\n");
    for request in ["SET a 1", "BLPOP jobs 0", "GET a", "INCR a"] {
        waits.send(format!("{request}\r\n"));
    }
    wait_until("it waits", PATIENCE, || blocked(&mut asks) == 1);
    asks.expect(&["CLIENT", "UNBLOCK", &id], ":1\r\n");
    for reply in ["+OK\r\n", "*-1\r\n", "$1\r\n1\r\n", ":2\r\n"] {
        waits.expect_reply(reply);
    }
    // The connection is still the client's, and so is what it watches.
    waits.send("MULTI\r\nINCR a\r\nEXEC\r\n");
    for reply in ["+OK\r\n", "+QUEUED\r\n", "*1\r\n:3\r\n"] {
        waits.expect_reply(reply);
    }
}

#[test]
fn who_waits_in_line_for_a_place_is_blocked_as_any_other() {
    let server = RedisServer::start();
    let mut narrows = narrows(
        &server.url(),
        "[pool]\nblocking_max = 1\nqueue_timeout = \"1m\"\n",
        &[],
    );
    let (mut asks, mut first) = (narrows.connect(), narrows.connect());
    first.send_command(&["BLPOP", "jobs", "0"]);
    wait_until("it waits", PATIENCE, || blocked(&mut server.connect()) == 1);
    let mut second = narrows.connect();
    let id = second.call(&["CLIENT", "ID"]).integer().to_string();
    for (reason, hears) in [
        ("TIMEOUT", "*-1\r\n"),
        (
            "ERROR",
            "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n",
        ),
    ] {
        second.send("BLPOP jobs 0\r\nPING\r\n");
        wait_until("both wait", PATIENCE, || blocked(&mut asks) == 2);
        let info = asks.call(&["INFO", "clients"]).text();
        assert!(info.contains("blocked_clients:2\r\n"), "{info}");
        asks.expect(&["CLIENT", "UNBLOCK", &id, reason], ":1\r\n");
        second.expect_reply(hears);
        second.expect_reply("+PONG\r\n");
        asks.expect(&["CLIENT", "UNBLOCK", &id, reason], ":0\r\n");
    }
    second.send_command(&["BLPOP", "jobs", "0"]);
    wait_until("both wait", PATIENCE, || blocked(&mut asks) == 2);
    narrows.signal(rustix::process::Signal::TERM);
    for client in [&mut first, &mut second, &mut asks] {
        client.expect_closed();
    }
    assert_eq!(narrows.wait(PATIENCE).code(), Some(0), "{}", narrows.log());
}
