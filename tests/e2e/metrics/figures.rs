//! What happens moves the figure that tells of it, and nothing else.

use std::time::Duration;

use crate::metrics::catalog::scrape;
use crate::metrics::exposition::Exposition;
use crate::support::setup::narrows;
use crate::support::{Conn, Narrows, PATIENCE, RedisServer, command, wait_until};

const ROUTES: [&str; 7] = [
    "shared", "local", "bracket", "blocking", "pinned", "upload", "refused",
];

/// How far each route has moved between two pages.
fn moved(before: &Exposition, after: &Exposition) -> Vec<(&'static str, u64)> {
    let moved = ROUTES.iter().map(|route| {
        let series = format!("narrows_commands_total{{route=\"{route}\"}}");
        (
            *route,
            (after.value(&series) - before.value(&series)) as u64,
        )
    });
    moved.filter(|(_, by)| *by > 0).collect()
}

#[test]
fn commands_are_counted_once_and_by_the_way_they_went() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let mut client = narrows.connect();
    let mut talk = |words: &[&[&str]], expected: &[(&str, u64)]| {
        let before = scrape(&narrows);
        for command in words {
            client.call(command);
        }
        assert_eq!(moved(&before, &scrape(&narrows)), expected, "{words:?}");
    };
    talk(
        &[&["SET", "k", "v"], &["GET", "k"], &["PING"]],
        &[("shared", 3)],
    );
    talk(
        &[&["CLIENT", "ID"], &["SELECT", "1"], &["CLIENT", "LIST"]],
        &[("local", 3)],
    );
    talk(
        &[&["MULTI"], &["INCR", "n"], &["CLIENT", "ID"], &["EXEC"]],
        &[("bracket", 4)],
    );
    talk(&[&["BLPOP", "none", "0.01"]], &[("blocking", 1)]);
    talk(
        &[&["SYNC"], &["NO.SUCH"], &["GET"]],
        &[("shared", 1), ("refused", 2)],
    );
    // The server is no cluster node and says so: nothing is left on the connection.
    talk(
        &[&["READONLY"], &["GET", "k"]],
        &[("shared", 1), ("pinned", 1)],
    );
    talk(&[&["RESET"]], &[("local", 1)]);
    let huge = "x".repeat(2 << 20);
    talk(&[&["SET", "k", &huge]], &[("upload", 1)]);
    let page = scrape(&narrows);
    assert_eq!(
        page.value("narrows_refusals_total{reason=\"not_forwarded\"}"),
        1.0
    );
    assert_eq!(
        page.value("narrows_refusals_total{reason=\"unknown_command\"}"),
        1.0
    );
    assert_eq!(page.sum("narrows_refusals_total"), 2.0);
}

#[test]
fn a_block_that_comes_in_one_piece_is_shared() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let before = scrape(&narrows);
    let mut client = narrows.connect();
    let words: [&[&str]; 4] = [&["MULTI"], &["INCR", "n"], &["INCR", "n"], &["EXEC"]];
    client.send(words.map(command).concat());
    client.expect_reply("+OK\r\n");
    client.expect_reply("+QUEUED\r\n");
    client.expect_reply("+QUEUED\r\n");
    client.expect_reply("*2\r\n:1\r\n:2\r\n");
    assert_eq!(moved(&before, &scrape(&narrows)), [("shared", 4)]);
}

#[test]
fn what_is_held_is_shown_while_it_is_held() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &["--workers", "2"]);
    let (mut first, mut second) = (narrows.connect(), narrows.connect());
    first.expect(&["WATCH", "k"], "+OK\r\n");
    second.expect(&["MONITOR"], "+OK\r\n");
    let mut waits = narrows.connect();
    waits.send_command(&["BLPOP", "none", "0"]);
    wait_until("all three to be seen", PATIENCE, || {
        let page = scrape(&narrows);
        page.value("narrows_clients_blocked") == 1.0
            && page.sum("narrows_clients_connected") == 3.0
            && page.value("narrows_leases{purpose=\"bracket\"}") == 1.0
            && page.value("narrows_leases{purpose=\"blocking\"}") == 1.0
            && page.value("narrows_leases{purpose=\"subscriber\"}") == 1.0
            && page.value("narrows_pins{reason=\"monitor\"}") == 1.0
            && page.value("narrows_pin_age_seconds{reason=\"monitor\"}") >= 1.0
            && page.value("redis_client_pool_connections_in_use{pool=\"exclusive\"}") == 1.0
            && page.value("redis_client_pool_connections_in_use{pool=\"lasting\"}") == 1.0
            && page.value("redis_client_pool_connections_in_use{pool=\"blocking\"}") == 1.0
            && page.value("narrows_backends{phase=\"leased\"}") == 3.0
    });
    let page = scrape(&narrows);
    for worker in ["0", "1"] {
        let connected = format!("narrows_clients_connected{{worker=\"{worker}\"}}");
        assert!(page.value(&connected) >= 1.0, "clients are spread");
        assert_eq!(
            page.value(&format!("narrows_worker_up{{worker=\"{worker}\"}}")),
            1.0
        );
    }
    let in_use = page.sum("redis_client_pool_connections_in_use");
    assert_eq!(page.value("narrows_budget_connections_held"), in_use);
    assert_eq!(page.value("narrows_budget_connections_max"), 16.0);
    assert_eq!(
        page.value("redis_client_pool_max_connections{pool=\"shared\"}"),
        15.0
    );
    first.expect(&["UNWATCH"], "+OK\r\n");
    drop((waits, second));
    wait_until("nothing to be held", PATIENCE, || {
        let page = scrape(&narrows);
        page.sum("narrows_leases") == 0.0
            && page.sum("narrows_pins") == 0.0
            && page.value("narrows_clients_blocked") == 0.0
    });
}

#[test]
fn clients_that_end_are_counted_by_why_and_those_turned_away_too() {
    let server = RedisServer::start();
    let settings = "[clients]\nmax_clients = 3\n";
    let narrows = narrows(&server.url(), settings, &[]);
    let mut clients: Vec<Conn> = (0..3).map(|_| narrows.connect()).collect();
    for client in &mut clients {
        client.expect(&["PING"], "+PONG\r\n");
    }
    let mut refused = narrows.connect();
    refused.expect_reply("-ERR max number of clients reached\r\n");
    clients[0].expect(&["QUIT"], "+OK\r\n");
    clients[0].expect_closed();
    let id = clients[2].call(&["CLIENT", "ID"]).text();
    clients[1].expect(&["CLIENT", "KILL", "ID", &id], ":1\r\n");
    clients[2].expect_closed();
    clients[1].send("*1\r\n:1\r\n");
    clients[1].expect_reply("-ERR Protocol error: expected '$', got ':'\r\n");
    clients[1].expect_closed();
    drop(narrows.connect());
    let closed = |page: &Exposition, why: &str| {
        page.value(&format!("narrows_clients_closed_total{{reason=\"{why}\"}}"))
    };
    wait_until("all ends to be counted", PATIENCE, || {
        closed(&scrape(&narrows), "client") == 1.0
    });
    let page = scrape(&narrows);
    for why in ["quit", "killed", "protocol_error"] {
        assert_eq!(closed(&page, why), 1.0, "{why}");
    }
    assert_eq!(page.sum("narrows_clients_closed_total"), 4.0);
    assert_eq!(
        page.value("narrows_clients_refused_total{reason=\"max_clients\"}"),
        1.0
    );
    assert_eq!(page.value("narrows_clients_max"), 3.0);
}

#[test]
fn times_are_taken_of_what_is_shared_and_of_what_had_to_wait() {
    let server = RedisServer::start();
    let settings = "[pool]\nqueue_timeout = \"200ms\"\nleases_max = 1\n";
    let narrows = narrows(&server.url(), settings, &[]);
    let (mut holds, mut waits) = (narrows.connect(), narrows.connect());
    for _ in 0..50 {
        holds.expect(&["PING"], "+PONG\r\n");
    }
    let page = scrape(&narrows);
    let count = page.value("narrows_round_trip_seconds_count");
    let sum = page.value("narrows_round_trip_seconds_sum");
    // One client, one request at a time: each of them is a sample.
    assert!(count >= 49.0, "{count}");
    assert!(sum > 0.0 && sum < 60.0, "{sum}");
    let waited = page.value("narrows_queue_wait_seconds_count");
    holds.expect(&["WATCH", "k"], "+OK\r\n");
    waits.send_command(&["WATCH", "k"]);
    assert!(waits.reply().text().starts_with("TRYAGAIN "));
    let page = scrape(&narrows);
    // The first one waited for its lease too, if shortly.
    assert_eq!(page.value("narrows_queue_wait_seconds_count") - waited, 2.0);
    let above = page.value("narrows_queue_wait_seconds_count")
        - page.value("narrows_queue_wait_seconds_bucket{le=\"0.1\"}");
    assert_eq!(above, 1.0, "200 ms");
}

#[test]
fn lost_connections_are_counted_by_cause() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let mut client = narrows.connect();
    client.expect(&["SET", "k", "v"], "+OK\r\n");
    let before = scrape(&narrows);
    server.connect().call(&["CLIENT", "KILL", "TYPE", "normal"]);
    client.expect(&["GET", "k"], "$1\r\nv\r\n");
    let gone = "narrows_backends_closed_total{cause=\"gone\"}";
    wait_until("the loss to be counted", PATIENCE, || {
        scrape(&narrows).value(gone) > before.value(gone)
    });
    let page = scrape(&narrows);
    assert!(page.value("narrows_dials_total") > before.value("narrows_dials_total"));
    assert_eq!(page.sum("narrows_backends_poisoned_total"), 0.0);
    assert_eq!(page.value("narrows_unsolicited_replies_total"), 0.0);
}

#[test]
fn the_servers_figures_are_its_own() {
    let server = RedisServer::start_with(&["--maxclients", "77", "--maxmemory", "100mb"]);
    let narrows = Narrows::in_front_of(&server, &[]);
    let clients: Vec<Conn> = (0..20).map(|_| narrows.connect()).collect();
    wait_until("the first poll", PATIENCE, || {
        scrape(&narrows).find("redis_config_maxclients") == Some(77.0)
    });
    let page = scrape(&narrows);
    assert_eq!(page.value("redis_up"), 1.0);
    assert_eq!(page.value("redis_memory_max_bytes"), 104_857_600.0);
    assert!(page.value("redis_memory_used_bytes") > 100_000.0);
    // Not the twenty of narrows.
    assert!(page.value("redis_connected_clients") < 10.0);
    assert_eq!(page.value("redis_evicted_keys_total"), 0.0);
    assert!(page.value("narrows_budget_connections_ceiling") < 77.0);
    drop(clients);
}

#[test]
fn the_process_figures_are_those_of_the_system() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let page = scrape(&narrows);
    let resident = page.value("process_resident_memory_bytes");
    let seen = narrows.rss_bytes() as f64;
    assert!((resident / seen - 1.0).abs() < 0.5, "{resident} {seen}");
    let fds = page.value("process_open_fds");
    let seen = narrows.fd_count() as f64;
    assert!((fds - seen).abs() <= 3.0, "{fds} {seen}");
    assert!(page.value("process_max_fds") >= fds);
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let age = now.as_secs_f64() - page.value("process_start_time_seconds");
    assert!((-2.0..120.0).contains(&age), "{age}");
    let cpu = page.value("process_cpu_seconds_total");
    assert!(Duration::from_secs_f64(cpu) < Duration::from_secs(60));
}
