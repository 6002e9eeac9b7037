//! What one client may do: say nothing, sit in a transaction, not read, have too much under way.

use std::time::Duration;

use crate::limits::figures::figure;
use crate::support::setup::{NOBODY_ASKS, narrows};
use crate::support::{Conn, PATIENCE, RedisServer, command, wait_until};

#[test]
fn an_idle_client_is_closed_without_a_word_and_one_that_waits_or_works_is_not() {
    let server = RedisServer::start();
    let toml = "[clients]\nidle_timeout = \"400ms\"\n";
    let narrows = narrows(&server.url(), toml, &["--log-level", "debug"]);
    let mut busy = narrows.connect();
    let mut blocked = narrows.connect();
    blocked.send_command(&["BLPOP", "queue", "0"]);
    let mut subscriber = narrows.connect();
    subscriber.expect(
        &["SUBSCRIBE", "news"],
        "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n",
    );
    let mut idle: Vec<Conn> = (0..20).map(|_| narrows.connect()).collect();
    for client in &mut idle[..10] {
        client.expect(&["PING"], "+PONG\r\n");
    }
    wait_until("the idle ones to be closed", PATIENCE, || {
        figure(&mut busy, "narrows_clients_closed_idle_total") == 20
    });
    for client in &mut idle {
        client.expect_closed();
    }
    narrows.expect_logged(&["DEBUG", "client closed: idle", "clients.idle_timeout"]);
    // Longer than the limit for the one that waits, and once more for its answer to count.
    let begin = std::time::Instant::now();
    wait_until("twice the limit", PATIENCE, || {
        busy.expect(&["PING"], "+PONG\r\n");
        begin.elapsed() > Duration::from_millis(800)
    });
    busy.expect(&["RPUSH", "queue", "x"], ":1\r\n");
    blocked.expect_reply("*2\r\n$5\r\nqueue\r\n$1\r\nx\r\n");
    blocked.expect(&["PING"], "+PONG\r\n");
    blocked.expect_closed();
    server.connect().call(&["PUBLISH", "news", "x"]);
    subscriber.expect_reply("*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\nx\r\n");
}

#[test]
fn a_client_that_does_not_log_in_is_closed_and_one_that_does_stays() {
    let server = RedisServer::start();
    let word = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8";
    let toml = format!(
        "[clients]\nhandshake_timeout = \"400ms\"\n[auth]\nmode = 'local'\n\
         [users.app]\npassword_sha256 = ['{word}']\n"
    );
    let narrows = narrows(&server.url(), &toml, &["--log-level", "debug"]);
    let (mut inside, mut silent, mut chatty) =
        (narrows.connect(), narrows.connect(), narrows.connect());
    inside.expect(&["AUTH", "app", "password"], "+OK\r\n");
    // To be refused again and again is not to log in.
    wait_until("the one that talks to be closed", PATIENCE, || {
        let _ = chatty.try_send(command(&["PING"]));
        match chatty.try_reply() {
            Ok(reply) => {
                assert_eq!(reply.raw(), b"-NOAUTH Authentication required.\r\n");
                false
            }
            Err(_) => true,
        }
    });
    silent.expect_closed();
    assert_eq!(figure(&mut inside, "narrows_clients_closed_login_total"), 2);
    narrows.expect_logged(&["DEBUG", "it has not logged in", "clients.handshake_timeout"]);
    inside.expect(&["PING"], "+PONG\r\n");
}

#[test]
fn who_sits_in_a_transaction_is_closed_counted_and_logged() {
    let server = RedisServer::start();
    let toml = "[clients]\nidle_in_transaction = \"300ms\"\n";
    let narrows = narrows(&server.url(), toml, &[]);
    let mut client = narrows.connect();
    client.expect(&["MULTI"], "+OK\r\n");
    client.expect(&["SET", "k", "v"], "+QUEUED\r\n");
    client.expect_closed();
    let mut other = narrows.connect();
    other.expect(&["GET", "k"], "$-1\r\n");
    assert_eq!(
        figure(&mut other, "narrows_clients_closed_in_transaction_total"),
        1
    );
    let words = [
        "idle in a transaction for too long",
        "clients.idle_in_transaction",
        "client_id=1",
    ];
    narrows.expect_logged(&words);
}

#[test]
fn who_does_not_read_is_closed_counted_and_logged() {
    let server = RedisServer::start();
    let value = "v".repeat(1 << 20);
    server.connect().expect(&["SET", "big", &value], "+OK\r\n");
    for (toml, reason, key) in [
        (
            "[clients]\noutput_bytes_max = \"2MiB\"\noutput_pause_bytes = \"64KiB\"\n",
            "output",
            "clients.output_bytes_max",
        ),
        (
            "[clients]\nmemory_bytes_max = \"4MiB\"\n",
            "memory",
            "clients.memory_bytes_max",
        ),
    ] {
        let narrows = narrows(&server.url(), toml, &[]);
        let mut greedy = narrows.connect();
        greedy.send(command(&["GET", "big"]).repeat(60));
        let mut other = narrows.connect();
        let name = format!("narrows_clients_closed_{reason}_total");
        wait_until("its end", PATIENCE, || figure(&mut other, &name) == 1);
        narrows.expect_logged(&["WARN", "client closed", key, "client_id=1"]);
    }
}

#[test]
fn who_has_too_much_under_way_is_not_read_and_loses_nothing() {
    let mut server = RedisServer::start();
    let toml = format!("{NOBODY_ASKS}[clients]\nin_flight_max = 4\n");
    let narrows = narrows(&server.url(), &toml, &[]);
    let (mut client, mut other) = (narrows.connect(), narrows.connect());
    other.expect(&["PING"], "+PONG\r\n");
    server.stop();
    client.send(command(&["INCR", "k"]).repeat(100));
    let mut watch = narrows.connect();
    wait_until("the rest to wait", PATIENCE, || {
        let list = watch.call(&["CLIENT", "LIST"]).text();
        let line = list
            .lines()
            .find(|line| line.starts_with("id=1 "))
            .unwrap_or("");
        crate::support::setup::field(line, "qbuf").is_some_and(|bytes| bytes != "0")
    });
    server.cont();
    for n in 1..=100 {
        client.expect_reply(format!(":{n}\r\n"));
    }
    assert!(
        !narrows.log().contains("client closed"),
        "{}",
        narrows.log()
    );
}

#[test]
fn who_waits_in_a_line_that_is_full_is_told_at_once() {
    let mut server = RedisServer::start();
    let toml = "[pool]\nqueue_clients_max = 2\nqueue_timeout = \"1s\"\n";
    let narrows = narrows(&server.url(), toml, &[]);
    server.kill9();
    narrows.expect_logged(&["health check"]);
    let mut clients: Vec<Conn> = (0..3).map(|_| narrows.connect()).collect();
    for client in &mut clients {
        client.send_command(&["INCR", "k"]);
    }
    let mut replies: Vec<String> = clients.iter_mut().map(|c| c.reply().text()).collect();
    replies.sort();
    let full = "TRYAGAIN narrows: too many requests wait for a backend";
    assert_eq!(
        replies.iter().filter(|reply| *reply == full).count(),
        1,
        "{replies:?}"
    );
    let late = replies
        .iter()
        .filter(|reply| reply.starts_with("TRYAGAIN narrows: no backend"));
    assert_eq!(late.count(), 2, "{replies:?}");
    server.restart();
    assert_eq!(figure(&mut clients[0], "narrows_refusals_total"), 3);
    clients[0].expect(&["GET", "k"], "$-1\r\n");
}
