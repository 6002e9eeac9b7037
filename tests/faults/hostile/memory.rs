//! Clients that ask for much and read nothing, announce much and send nothing, or send much and
//! wait for nothing: memory stays bounded, and what is not their fault goes on.

use std::time::Duration;

use crate::hostile::bystander::{Bystander, expect_no_poison};
use crate::hostile::duplex::Duplex;
use crate::support::setup::{NOBODY_ASKS, narrows};
use crate::support::{Conn, Narrows, PATIENCE, RedisServer, command, wait_until};

const MIB: u64 = 1 << 20;

/// Limits small enough to be reached in a test.
const SMALL_LIMITS: &str = r#"
    [clients]
    output_bytes_max = "8MiB"
    output_pause_bytes = "512KiB"
    memory_bytes_max = "64MiB"
"#;

fn client_count(narrows: &Narrows) -> usize {
    let list = narrows.connect().call(&["CLIENT", "LIST"]).text();
    list.lines().count() - 1
}

/// Resident memory once all that is there from the start has been touched.
fn warm_rss(narrows: &Narrows) -> u64 {
    let mut clients: Vec<Conn> = (0..400).map(|_| narrows.connect()).collect();
    for client in &mut clients {
        client.expect(&["PING"], "+PONG\r\n");
    }
    // Answered when the server's table of commands has been read.
    assert!(clients[0].call(&["NO.SUCH"]).is_error());
    narrows.rss_bytes()
}

#[track_caller]
fn expect_rss_below(narrows: &Narrows, bound: u64, what: &str) {
    let rss = narrows.rss_bytes();
    println!("{what}: {} MiB resident", rss / MIB);
    assert!(rss < bound, "{what}: {} MiB resident", rss / MIB);
}

#[test]
fn load_clients_that_do_not_read_huge_replies_are_closed_at_their_limit_and_cost_little() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), SMALL_LIMITS, &[]);
    let before = warm_rss(&narrows);
    let value = "v".repeat(1 << 20);
    server.connect().expect(&["SET", "big", &value], "+OK\r\n");
    let bystander = Bystander::beside(&narrows);
    let request = command(&["GET", "big"]).repeat(30);
    let mut afterwards = Vec::new();
    for _ in 0..4 {
        let mut greedy: Vec<Conn> = (0..10).map(|_| narrows.connect()).collect();
        for client in &mut greedy {
            client.send(&request);
        }
        let mut most = 0;
        wait_until("all of them to be closed", Duration::from_secs(30), || {
            most = most.max(narrows.rss_bytes());
            client_count(&narrows) == 1
        });
        // All of their buffers, each of which may have grown to twice of what it holds.
        assert!(most < before + 176 * MIB, "{} MiB resident", most / MIB);
        afterwards.push(narrows.rss_bytes() / MIB);
    }
    narrows.expect_logged(&["it does not read its replies"]);
    bystander.noticed_nothing(Duration::from_secs(3));
    println!("{} MiB resident before, then {afterwards:?}", before / MIB);
    // The allocator keeps some of it for the next time, within the bound of all buffers.
    let bound = before / MIB + 64 + 24;
    assert!(afterwards.iter().all(|rss| *rss < bound), "{afterwards:?}");
    expect_no_poison(&narrows);
}

#[test]
fn load_the_bound_of_all_memory_closes_the_largest_debtor_first() {
    let server = RedisServer::start();
    let toml = "[clients]\noutput_bytes_max = \"64MiB\"\nmemory_bytes_max = \"16MiB\"\n";
    let narrows = narrows(&server.url(), toml, &[]);
    let value = "v".repeat(1 << 20);
    server.connect().expect(&["SET", "big", &value], "+OK\r\n");
    let mut modest = narrows.connect();
    modest.send(command(&["GET", "big"]));
    let mut greedy = narrows.connect();
    greedy.send(command(&["GET", "big"]).repeat(100));
    wait_until("the end of the greedy one", PATIENCE, || {
        client_count(&narrows) == 1
    });
    narrows.expect_logged(&["out of memory for buffers"]);
    modest.expect_reply(format!("${}\r\n{value}\r\n", value.len()));
    expect_no_poison(&narrows);
}

#[test]
fn announcing_much_costs_nothing() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), "", &[]);
    let before = warm_rss(&narrows);
    let announcements: [&[u8]; 4] = [
        b"*1048576\r\n",
        b"*1048576\r\n$3\r\nSET\r\n$536870912\r\n",
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n",
        b"*3\r\n$536870912\r\n",
    ];
    let clients: Vec<Conn> = (0..2000)
        .map(|n| {
            let mut conn = narrows.connect();
            conn.send(announcements[n % announcements.len()]);
            conn
        })
        .collect();
    wait_until("all of them to be there", PATIENCE, || {
        client_count(&narrows) == clients.len()
    });
    // Less than 8 KiB each, of what they have announced, which is up to half a terabyte.
    expect_rss_below(&narrows, before + 16 * MIB, "2000 announcements");
    narrows.connect().expect(&["PING"], "+PONG\r\n");
    let mut one_more = narrows.connect();
    one_more.send("*1048577\r\n");
    one_more.expect_reply("-ERR Protocol error: invalid multibulk length\r\n");
    one_more.expect_closed();
}

#[test]
fn a_request_of_a_hundred_thousand_arguments_passes() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), "", &[]);
    let bystander = Bystander::beside(&narrows);
    for members in [100_000, 400_000] {
        let mut words = vec!["SADD".to_owned(), format!("set/{members}")];
        words.extend((0..members).map(|n| n.to_string()));
        let mut conn = narrows.connect();
        conn.send(command(&words));
        conn.expect_reply(format!(":{members}\r\n"));
        conn.expect(&["SCARD", &words[1]], format!(":{members}\r\n"));
    }
    bystander.noticed_nothing(Duration::from_secs(2));
}

#[test]
fn load_a_hundred_thousand_requests_without_reading_are_all_answered_in_order_at_last() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), "", &[]);
    let before = warm_rss(&narrows);
    let bystander = Bystander::beside(&narrows);
    let request = [
        command(&["INCR", "pipelined"]),
        command(&["ECHO", &"e".repeat(100)]),
    ]
    .concat();
    let mut deep = Duplex::send(narrows.address(), request.repeat(50_000));
    // Until TCP itself holds it up, or all is sent.
    wait_until("the client to be held up", PATIENCE, || {
        let list = narrows.connect().call(&["CLIENT", "LIST"]).text();
        let unread = |line: &str| crate::support::setup::field(line, "omem").unwrap() != "0";
        list.lines().any(unread) || deep.has_sent_all()
    });
    expect_rss_below(&narrows, before + 16 * MIB, "a deep pipeline");
    let echo = format!("$100\r\n{}\r\n", "e".repeat(100));
    for n in 1..=50_000 {
        deep.expect(format!(":{n}\r\n{echo}").as_bytes());
    }
    deep.end();
    bystander.noticed_nothing(Duration::from_secs(2));
    expect_rss_below(&narrows, before + 16 * MIB, "afterwards");
}

#[test]
fn a_client_that_goes_on_sending_while_it_is_held_is_not_read_without_end() {
    let mut server = RedisServer::start();
    // What waits and what is unread of each is bounded by this, and each sends five times as much.
    let bound = "[clients]\noutput_bytes_max = \"256KiB\"\noutput_pause_bytes = \"64KiB\"\n";
    let narrows = narrows(&server.url(), &format!("{NOBODY_ASKS}{bound}"), &[]);
    let before = warm_rss(&narrows);
    server.stop();
    let request = [command(&["ECHO", "held"]), command(&["CLIENT", "GETNAME"])].concat();
    let senders: Vec<Duplex> = (0..20)
        .map(|_| Duplex::send(narrows.address(), request.repeat(20_000)))
        .collect();
    // The list is narrows' own. Each has sent on one request and is held at the second.
    wait_until("all of them to be held", PATIENCE, || {
        let list = narrows.connect().call(&["CLIENT", "LIST"]).text();
        let held = |line: &&str| crate::support::setup::field(line, "qbuf").unwrap() != "0";
        list.lines().filter(held).count() == senders.len()
    });
    expect_rss_below(&narrows, before + 16 * MIB, "held clients");
    server.cont();
    for mut sender in senders {
        sender.expect("$4\r\nheld\r\n$-1\r\n".repeat(20_000).as_bytes());
        sender.end();
    }
    expect_no_poison(&narrows);
}
