//! What is lent has bounds too: whoever waits in vain is told and counted, and who does not read
//! what it has subscribed to is closed.

use crate::limits::figures::figure;
use crate::support::setup::narrows;
use crate::support::{PATIENCE, RedisServer, wait_until};

#[test]
fn who_waits_in_vain_for_what_is_lent_is_told_and_counted() {
    let server = RedisServer::start();
    let toml = "[pool]\nleases_max = 1\nqueue_timeout = \"200ms\"\n";
    let narrows = narrows(&server.url(), toml, &[]);
    let (mut holder, mut other) = (narrows.connect(), narrows.connect());
    holder.expect(&["WATCH", "k"], "+OK\r\n");
    let told = other.call(&["WATCH", "c"]).text();
    assert!(told.starts_with("TRYAGAIN narrows: "), "{told}");
    let mut third = narrows.connect();
    assert_eq!(figure(&mut third, "narrows_refusals_total"), 1);
    holder.expect(&["UNWATCH"], "+OK\r\n");
    third.expect(&["WATCH", "k"], "+OK\r\n");
}

#[test]
fn idle_subscribers_keep_neither_transactions_nor_waits_nor_huge_requests_out() {
    let server = RedisServer::start();
    for (toml, subscribers) in [
        ("", 4),
        ("[pool]\nleases_max = 4\n", 4),
        ("[backend]\nmax_connections = 8\n", 3),
        (
            "[runtime]\nworkers = 2\n[backend]\nmax_connections = 9\n",
            3,
        ),
    ] {
        let narrows = narrows(&server.url(), toml, &[]);
        let mut idle: Vec<_> = (0..subscribers).map(|_| narrows.connect()).collect();
        for client in &mut idle {
            let confirmed = "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n";
            client.expect(&["SUBSCRIBE", "c"], confirmed);
        }
        // As many at once as there may be, and more than one for each worker.
        let mut others: Vec<_> = (0..4).map(|_| narrows.connect()).collect();
        for client in &mut others {
            client.expect(&["MULTI"], "+OK\r\n");
            client.expect(&["SET", "k", "v"], "+QUEUED\r\n");
            client.expect(&["EXEC"], "*1\r\n+OK\r\n");
            let huge = "x".repeat(2 << 20);
            client.expect(&["SET", "huge", &huge], "+OK\r\n");
            client.expect(&["BRPOP", "none", "0.01"], "*-1\r\n");
        }
        let mut waits = narrows.connect();
        waits.send_command(&["BRPOP", "jobs", "0"]);
        wait_until("it waits", PATIENCE, || {
            server.info_number("blocked_clients") == 1
        });
        others[0].expect(&["WATCH", "k"], "+OK\r\n");
        others[0].expect(&["GET", "k"], "$1\r\nv\r\n");
        others[1].expect(&["RPUSH", "jobs", "1"], ":1\r\n");
        waits.expect_reply("*2\r\n$4\r\njobs\r\n$1\r\n1\r\n");
    }
}

#[test]
fn who_listens_beyond_what_the_budget_leaves_is_told_in_time() {
    let server = RedisServer::start();
    let toml = "[backend]\nmax_connections = 8\n[pool]\nqueue_timeout = \"200ms\"\n";
    let narrows = narrows(&server.url(), toml, &[]);
    let mut clients: Vec<_> = (0..4).map(|_| narrows.connect()).collect();
    for (place, client) in clients.iter_mut().enumerate() {
        let told = client.call(&["SUBSCRIBE", "c"]);
        let refused = told.raw().starts_with(b"-TRYAGAIN narrows: ");
        assert_eq!(refused, place == 3, "{place}: {told:?}");
    }
    clients[3].expect(&["WATCH", "k"], "+OK\r\n");
    drop(clients.remove(0));
    clients[2].expect(&["UNWATCH"], "+OK\r\n");
    assert!(!clients[2].call(&["SUBSCRIBE", "c"]).is_error());
}

#[test]
fn a_huge_request_that_comes_too_slowly_is_refused_and_counted() {
    let server = RedisServer::start();
    let toml = "[clients]\nbig_request_bytes = \"64KiB\"\nupload_bytes_per_second_min = \"1MiB\"\n";
    let narrows = narrows(&server.url(), toml, &[]);
    let mut slow = narrows.connect();
    slow.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\n");
    slow.send(vec![b'x'; 100_000]);
    let told = slow.reply().text();
    assert_eq!(
        told,
        "ERR narrows: the request came in too slowly and has been dropped"
    );
    slow.expect_closed();
    let mut other = narrows.connect();
    assert_eq!(figure(&mut other, "narrows_refusals_total"), 1);
    other.expect(&["EXISTS", "k"], ":0\r\n");
}

#[test]
fn a_subscriber_that_stays_too_far_behind_is_closed_counted_and_logged() {
    let server = RedisServer::start();
    let toml = "[clients]\noutput_subscriber_bytes_max = \"64MiB\"\n\
                output_subscriber_soft_bytes = \"64KiB\"\noutput_subscriber_soft_time = \"300ms\"\n";
    let narrows = narrows(&server.url(), toml, &[]);
    let mut lazy = narrows.connect();
    lazy.expect(
        &["SUBSCRIBE", "c"],
        "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n",
    );
    let (mut publisher, message) = (server.connect(), "m".repeat(1 << 20));
    // Beyond what the sockets of both sides hold, and below the bound that closes at once.
    for _ in 0..20 {
        publisher.expect(&["PUBLISH", "c", &message], ":1\r\n");
    }
    let mut other = narrows.connect();
    wait_until("its end", PATIENCE, || {
        figure(&mut other, "narrows_clients_closed_output_total") == 1
    });
    narrows.expect_logged(&["WARN", "client closed", "subscribed to"]);
}

#[test]
fn failed_logins_are_counted_and_logged() {
    let server = RedisServer::start();
    let toml = "[auth]\nmode = \"local\"\nfailures_max = 2\n[users.default]\nnopass = true\n\
                [users.a]\npassword_sha256 = [\"5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8\"]\n";
    let narrows = narrows(&server.url(), toml, &[]);
    let mut guesses = narrows.connect();
    for _ in 0..2 {
        assert!(
            guesses
                .call(&["AUTH", "a", "x"])
                .text()
                .starts_with("WRONGPASS")
        );
    }
    let told = guesses.call(&["AUTH", "a", "password"]).text();
    assert!(
        told.starts_with("ERR narrows: too many failed logins"),
        "{told}"
    );
    assert_eq!(figure(&mut guesses, "narrows_refusals_total"), 3);
    narrows.expect_logged(&["WARN", "too many failed logins", "auth.failures_max"]);
}
