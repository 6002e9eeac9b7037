//! Huge requests with bad manners: abandoned, too slow, to a command that is denied, malformed in
//! the middle.

use std::time::{Duration, Instant};

use crate::hostile::bystander::{Bystander, expect_no_poison};
use crate::support::setup::{narrows, other_clients};
use crate::support::{Narrows, PATIENCE, RedisServer, command, wait_until};

/// A request of two mebibytes.
fn huge(name: &str) -> Vec<u8> {
    command(&[name, "huge", &"h".repeat(2 << 20)])
}

fn expect_served(narrows: &Narrows) {
    let mut next = narrows.connect();
    next.expect(&["ECHO", "next"], "$4\r\nnext\r\n");
    next.expect(&["EXISTS", "huge"], ":0\r\n");
}

#[test]
fn a_huge_request_is_named_like_any_other() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), "", &[]);
    let (mut direct, mut through) = (server.connect(), narrows.connect());
    let id = through.call(&["CLIENT", "ID"]).text();
    let mut other = narrows.connect();
    let value = "h".repeat(2 << 20);
    for (words, named) in [
        (["NOTHING", &value], "NULL"),
        (["ECHO", &value], "echo"),
        (["SELECT", &value], "select"),
    ] {
        let (expected, found) = (direct.call(&words), through.call(&words));
        if named != "select" {
            assert!(expected.raw() == found.raw(), "{:?}", words[0]);
        }
        let line = other.call(&["CLIENT", "LIST", "ID", &id]).text();
        assert!(line.contains(&format!(" cmd={named} ")), "{line}");
    }
}

#[test]
fn an_abandoned_upload_never_reaches_the_data() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), "", &["--max-backend-connections", "3"]);
    let bystander = Bystander::beside(&narrows);
    let mut admin = server.connect();
    let request = huge("SET");
    for sent in [100 << 10, 1 << 20, request.len() - 1] {
        for _ in 0..5 {
            let mut conn = narrows.connect();
            conn.send(&request[..sent]);
            drop(conn);
            expect_served(&narrows);
        }
    }
    wait_until("no connection is left over", PATIENCE, || {
        other_clients(&mut admin).len() <= 3
    });
    bystander.noticed_nothing(Duration::from_secs(2));
    expect_no_poison(&narrows);
}

#[test]
fn an_upload_that_is_too_slow_is_cut_off_with_its_reason() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), "", &[]);
    let bystander = Bystander::beside(&narrows);
    let mut conn = narrows.connect();
    let request = huge("SET");
    conn.send(&request[..100 << 10]);
    let begin = Instant::now();
    // Some bytes now and then are not enough.
    let mut at = 100 << 10;
    wait_until("the end of it", Duration::from_secs(20), || {
        at += 1;
        conn.try_send(&request[at..=at]).is_err() || begin.elapsed() > Duration::from_secs(12)
    });
    assert!(
        begin.elapsed() < Duration::from_secs(12),
        "16 KiB a second is the least"
    );
    expect_served(&narrows);
    bystander.noticed_nothing(Duration::from_secs(1));
    let cause = "a huge request came too slowly";
    narrows.expect_logged(&[cause]);
    expect_no_poison(&narrows);
}

#[test]
fn an_upload_to_a_command_that_is_not_allowed_is_refused_and_the_connection_stays() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), "[commands]\ndeny = [\"SET\"]\n", &[]);
    let refused = [
        (
            "SET",
            "-NOPERM narrows: 'set' is not allowed; see [commands] and the user in the configuration\r\n",
        ),
        (
            "DEBUG",
            "-NOPERM narrows: 'debug' is not allowed; see [commands] and the user in the configuration\r\n",
        ),
        (
            "REPLCONF",
            "-ERR narrows: 'replconf' cannot pass through a connection multiplexer\r\n",
        ),
    ];
    for (name, words) in refused {
        let mut conn = narrows.connect();
        conn.send([huge(name), command(&["ECHO", "behind"])].concat());
        conn.expect_reply(words);
        conn.expect_reply("$6\r\nbehind\r\n");
    }
    let mut conn = narrows.connect();
    conn.send([huge("NO.SUCH"), command(&["ECHO", "behind"])].concat());
    let text = conn.reply().text();
    assert!(
        text.starts_with("ERR unknown command 'NO.SUCH', with args beginning with: "),
        "{text}"
    );
    conn.expect_reply("$6\r\nbehind\r\n");
    expect_served(&narrows);
}

#[test]
fn an_upload_that_turns_into_garbage_ends_its_client_alone() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), "", &["--max-backend-connections", "2"]);
    let bystander = Bystander::beside(&narrows);
    for _ in 0..5 {
        let mut request = huge("SET");
        request.truncate(request.len() - 2);
        let mut conn = narrows.connect();
        conn.send([&request[..], b"XX*1\r\n$4\r\nPING\r\n"].concat());
        conn.expect_reply("-ERR Protocol error: invalid bulk length\r\n");
        conn.expect_closed();
        expect_served(&narrows);
    }
    bystander.noticed_nothing(Duration::from_secs(2));
    expect_no_poison(&narrows);
}

#[test]
fn an_upload_whose_server_dies_has_not_run_and_says_so() {
    let mut server = RedisServer::start();
    let narrows = narrows(&server.url(), "", &[]);
    let request = huge("SET");
    let mut conn = narrows.connect();
    conn.send(&request[..1 << 20]);
    let mut admin = server.connect();
    wait_until("the upload to be under way", PATIENCE, || {
        let clients = other_clients(&mut admin);
        clients
            .iter()
            .any(|line| !line.contains(" qbuf=0 ") && line.contains("name=narrows:"))
    });
    server.restart();
    conn.send(&request[1 << 20..]);
    conn.expect_reply(
        "-TRYAGAIN narrows: backend connection lost before all of the command had left\r\n",
    );
    conn.send(&request);
    conn.expect_reply("+OK\r\n");
    conn.expect(&["STRLEN", "huge"], ":2097152\r\n");
}
