//! SIGTERM: nothing new is begun, what is under way is finished, and the end comes in time.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::setup::{NOBODY_ASKS, narrows};
use crate::support::{Conn, PATIENCE, RedisServer, command, wait_until};

/// Keeps the server busy for ARGV[1] microseconds.
const SPIN: &str = "local t = redis.call('TIME') local u = t[1] * 1000000 + t[2] + ARGV[1] \
                    repeat t = redis.call('TIME') until t[1] * 1000000 + t[2] >= u return 'done'";

#[test]
fn idle_clients_are_closed_and_narrows_ends_with_0() {
    let server = RedisServer::start();
    for signal in [Signal::TERM, Signal::INT] {
        let mut narrows = narrows(&server.url(), "", &["--workers", "2"]);
        let mut clients: Vec<Conn> = (0..50).map(|_| narrows.connect()).collect();
        for client in &mut clients[..25] {
            client.expect(&["PING"], "+PONG\r\n");
        }
        let begin = Instant::now();
        narrows.signal(signal);
        for client in &mut clients {
            client.expect_closed();
        }
        let status = narrows.wait(PATIENCE);
        assert_eq!(status.code(), Some(0), "{}", narrows.log());
        assert!(
            begin.elapsed() < Duration::from_secs(2),
            "{:?}",
            begin.elapsed()
        );
        assert!(!narrows.log().contains("WARN"), "{}", narrows.log());
    }
    wait_until("no connection is left", PATIENCE, || {
        server.info_number("connected_clients") == 1
    });
}

#[test]
fn requests_in_flight_are_finished_and_new_clients_are_not_taken() {
    let server = RedisServer::start();
    let mut narrows = narrows(&server.url(), "", &[]);
    let (mut slow, mut queued) = (narrows.connect(), narrows.connect());
    slow.send_command(&["EVAL", SPIN, "0", "1000000"]);
    slow.send_command(&["INCR", "after"]);
    queued.send_command(&["INCR", "after"]);
    let mut watch = narrows.connect();
    wait_until("the requests to be under way", PATIENCE, || {
        let list = watch.call(&["CLIENT", "LIST"]).text();
        list.matches(" cmd=incr ").count() == 2
    });
    narrows.signal(Signal::TERM);
    watch.expect_closed();
    wait_until("nobody to listen any more", PATIENCE, || {
        Conn::try_connect(narrows.address()).is_err()
    });
    slow.expect_reply("$4\r\ndone\r\n");
    let counts = [slow.reply().integer(), queued.reply().integer()];
    assert!(counts == [1, 2] || counts == [2, 1], "{counts:?}");
    slow.expect_closed();
    queued.expect_closed();
    assert_eq!(narrows.wait(PATIENCE).code(), Some(0), "{}", narrows.log());
}

#[test]
fn a_reply_that_nobody_waits_for_does_not_hold_up_the_end() {
    let server = RedisServer::start();
    let mut narrows = narrows(&server.url(), "", &[]);
    let mut gone = TcpStream::connect(narrows.address()).unwrap();
    gone.write_all(&command(&["EVAL", SPIN, "0", "2000000"]))
        .unwrap();
    let mut watch = narrows.connect();
    wait_until("the request to be under way", PATIENCE, || {
        watch
            .call(&["CLIENT", "LIST"])
            .text()
            .contains(" cmd=eval ")
    });
    // A reset, so that narrows knows that nobody can be told any more.
    let socket = socket2::SockRef::from(&gone);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    drop(gone);
    wait_until("its client to be gone", PATIENCE, || {
        !watch
            .call(&["CLIENT", "LIST"])
            .text()
            .contains(" cmd=eval ")
    });
    let begin = Instant::now();
    narrows.signal(Signal::TERM);
    assert_eq!(narrows.wait(PATIENCE).code(), Some(0), "{}", narrows.log());
    assert!(
        begin.elapsed() < Duration::from_secs(1),
        "{:?}",
        begin.elapsed()
    );
    assert!(!narrows.log().contains("panicked"), "{}", narrows.log());
}

#[test]
fn what_is_not_finished_in_time_is_cut_off() {
    let mut server = RedisServer::start();
    let toml = format!("{NOBODY_ASKS}[runtime]\ndrain_timeout = \"400ms\"\n");
    let mut narrows = narrows(&server.url(), &toml, &[]);
    let mut client = narrows.connect();
    client.expect(&["PING"], "+PONG\r\n");
    server.stop();
    client.send_command(&["INCR", "k"]);
    let mut watch = narrows.connect();
    wait_until("the request to be under way", PATIENCE, || {
        watch
            .call(&["CLIENT", "LIST"])
            .text()
            .contains(" cmd=incr ")
    });
    let begin = Instant::now();
    narrows.signal(Signal::TERM);
    assert_eq!(narrows.wait(PATIENCE).code(), Some(1), "{}", narrows.log());
    let took = begin.elapsed();
    assert!(
        took >= Duration::from_millis(400) && took < Duration::from_secs(2),
        "{took:?}"
    );
    narrows.expect_logged(&["drain timeout"]);
    client.expect_closed();
}

#[test]
fn a_client_that_waits_for_a_connection_is_still_given_one() {
    let mut server = RedisServer::start();
    let toml = "[backend]\nbackoff_max = \"50ms\"\n[pool]\nqueue_timeout = \"9s\"\n";
    let mut narrows = narrows(&server.url(), &format!("{NOBODY_ASKS}{toml}"), &[]);
    let mut client = narrows.connect();
    client.expect(&["PING"], "+PONG\r\n");
    server.kill9();
    // Nothing has been written of it: it waits for a connection.
    narrows.expect_logged(&["health check"]);
    client.send_command(&["INCR", "k"]);
    let mut watch = narrows.connect();
    wait_until("it to wait", PATIENCE, || {
        let list = watch.call(&["CLIENT", "LIST"]).text();
        list.lines().any(|line| !line.contains(" qbuf=0 "))
    });
    narrows.signal(Signal::TERM);
    watch.expect_closed();
    server.restart();
    client.expect_reply(":1\r\n");
    client.expect_closed();
    assert_eq!(narrows.wait(PATIENCE).code(), Some(0), "{}", narrows.log());
}

#[test]
fn an_open_transaction_is_finished_and_an_abandoned_one_is_cut_off() {
    let server = RedisServer::start();
    for finishes in [true, false] {
        let toml = "[runtime]\ndrain_timeout = \"1500ms\"\n";
        let mut narrows = narrows(&server.url(), toml, &[]);
        let mut client = narrows.connect();
        client.expect(&["SET", "k", "1"], "+OK\r\n");
        client.expect(&["WATCH", "k"], "+OK\r\n");
        client.expect(&["MULTI"], "+OK\r\n");
        client.expect(&["INCR", "k"], "+QUEUED\r\n");
        let mut idle = narrows.connect();
        idle.expect(&["PING"], "+PONG\r\n");
        narrows.signal(Signal::TERM);
        idle.expect_closed();
        if finishes {
            client.expect(&["EXEC"], "*1\r\n:2\r\n");
            client.expect_closed();
            assert_eq!(narrows.wait(PATIENCE).code(), Some(0), "{}", narrows.log());
            continue;
        }
        client.expect_closed();
        assert_eq!(narrows.wait(PATIENCE).code(), Some(1), "{}", narrows.log());
        for line in [
            "draining clients=1 seconds_left=0",
            "clients are cut off clients=1 ",
            "cut off client=\"id=1 addr=127.0.0.1:",
        ] {
            narrows.expect_logged(&[line]);
        }
    }
    server.connect().expect(&["GET", "k"], "$1\r\n1\r\n");
}

#[test]
fn a_second_signal_cuts_off_at_once() {
    let mut server = RedisServer::start();
    let mut narrows = narrows(&server.url(), NOBODY_ASKS, &[]);
    let mut client = narrows.connect();
    client.expect(&["PING"], "+PONG\r\n");
    server.stop();
    client.send_command(&["INCR", "k"]);
    let mut watch = narrows.connect();
    wait_until("the request to be under way", PATIENCE, || {
        watch
            .call(&["CLIENT", "LIST"])
            .text()
            .contains(" cmd=incr ")
    });
    narrows.signal(Signal::TERM);
    narrows.expect_logged(&["draining"]);
    let begin = Instant::now();
    narrows.signal(Signal::TERM);
    assert_eq!(narrows.wait(PATIENCE).code(), Some(1), "{}", narrows.log());
    assert!(
        begin.elapsed() < Duration::from_secs(1),
        "{:?}",
        begin.elapsed()
    );
    client.expect_closed();
}

#[test]
fn no_acknowledged_write_is_lost_and_no_reply_is_cut_when_narrows_ends_under_load() {
    let server = RedisServer::start();
    let mut narrows = narrows(&server.url(), "", &["--workers", "2"]);
    let address = narrows.address().to_owned();
    let clients: Vec<_> = (0..16)
        .map(|id| {
            let mut conn = Conn::connect(&address);
            std::thread::spawn(move || count_until_closed(&mut conn, &format!("counter:{id}")))
        })
        .collect();
    wait_until("load", PATIENCE, || {
        server.info_number("total_commands_processed") > 3000
    });
    narrows.signal(Signal::TERM);
    assert_eq!(narrows.wait(PATIENCE).code(), Some(0), "{}", narrows.log());
    let mut admin = server.connect();
    for (id, client) in clients.into_iter().enumerate() {
        let (sent, acknowledged) = client.join().unwrap();
        let value = admin.call(&["GET", &format!("counter:{id}")]).text();
        let value: u64 = value.parse().unwrap();
        assert!(
            acknowledged <= value && value <= sent,
            "{acknowledged} {value} {sent}"
        );
    }
}

/// Pipelines INCRs until the connection ends: how many were sent, and how many answered.
fn count_until_closed(conn: &mut Conn, key: &str) -> (u64, u64) {
    let request = command(&["INCR", key]).repeat(4);
    let (mut sent, mut acknowledged) = (0, 0_i64);
    loop {
        if conn.try_send(&request).is_err() {
            return (sent, u64::try_from(acknowledged).unwrap());
        }
        sent += 4;
        for _ in 0..4 {
            match conn.try_reply() {
                Ok(reply) => assert_eq!(reply.integer(), acknowledged + 1),
                Err(_) => return (sent, u64::try_from(acknowledged).unwrap()),
            }
            acknowledged += 1;
        }
    }
}
