//! Pipelines as most libraries send them: written whole before a byte of the replies is read. Redis
//! reads whatever its client has not read yet, and so does narrows, up to the client's bound.

use std::time::Duration;

use crate::hostile::bystander::{Bystander, expect_no_poison};
use crate::support::setup::narrows;
use crate::support::{Conn, Narrows, PATIENCE, RedisServer, command, wait_until};

const MIB: usize = 1 << 20;

/// More than sockets hold on their way: Linux' own default bound for one side, and twice that.
const MORE_THAN_SOCKETS_HOLD: usize = 20 * MIB;

fn rss_mib(narrows: &Narrows) -> u64 {
    narrows.rss_bytes() >> 20
}

/// Writes all of `pipeline`, and only then reads; what it hears of each request goes to `hears`.
fn in_one_write(
    mut conn: Conn,
    pipeline: &[u8],
    requests: usize,
    mut hears: impl FnMut(usize, &[u8]),
) {
    conn.send(pipeline);
    for n in 0..requests {
        hears(n, conn.reply().raw());
    }
}

#[test]
fn load_a_deep_pipeline_of_short_replies_to_long_requests_and_back_is_answered_as_directly() {
    const REQUESTS: usize = 6000;
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), "", &[]);
    let before = rss_mib(&narrows);
    let bystander = Bystander::beside(&narrows);
    let value = |n: usize| format!("{n:0>4096}");
    let pipeline: Vec<u8> = (0..REQUESTS)
        .flat_map(|n| command(&["GETSET", "k", &value(n)]))
        .collect();
    assert!(pipeline.len() > MORE_THAN_SOCKETS_HOLD);
    for conn in [server.connect(), narrows.connect()] {
        server.connect().call(&["DEL", "k"]);
        in_one_write(conn, &pipeline, REQUESTS, |n, reply| match n {
            0 => assert_eq!(reply, b"$-1\r\n"),
            n => assert_eq!(reply, format!("$4096\r\n{}\r\n", value(n - 1)).as_bytes()),
        });
    }
    bystander.noticed_nothing(Duration::from_secs(3));
    // What it held for the pipeline goes back.
    wait_until("the memory to go back", PATIENCE, || {
        rss_mib(&narrows) < before + 24
    });
    expect_no_poison(&narrows);
}

#[test]
fn load_a_huge_reply_and_a_huge_request_in_one_pipeline_are_answered_as_directly() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), "", &[]);
    let before = rss_mib(&narrows);
    let bystander = Bystander::beside(&narrows);
    let value = "v".repeat(64 * MIB);
    server.connect().expect(&["SET", "big", &value], "+OK\r\n");
    let get = command(&["GET", "big"]);
    let set = command(&["SET", "other", &value]);
    // The second GET waits for its client to read, and all of the SET behind it.
    for gets in [1, 2] {
        let pipeline = [get.repeat(gets), set.clone(), command(&["STRLEN", "other"])].concat();
        for conn in [server.connect(), narrows.connect()] {
            server.connect().call(&["DEL", "other"]);
            in_one_write(conn, &pipeline, gets + 2, |n, reply| match n {
                n if n < gets => assert_eq!(reply.len(), value.len() + 13),
                n if n == gets => assert_eq!(reply, b"+OK\r\n"),
                _ => assert_eq!(reply, format!(":{}\r\n", value.len()).as_bytes()),
            });
        }
    }
    bystander.noticed_nothing(Duration::from_secs(3));
    wait_until("the memory to go back", PATIENCE, || {
        rss_mib(&narrows) < before + 24
    });
    expect_no_poison(&narrows);
}

#[test]
fn load_uploads_behind_what_waits_pass_in_order() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), "", &[]);
    let values: Vec<String> = (0..6).map(|n| n.to_string().repeat(5 * MIB)).collect();
    let mut pipeline = Vec::new();
    for value in &values {
        pipeline.extend(command(&["SET", "k", value]));
        pipeline.extend(command(&["GET", "k"]));
        pipeline.extend(command(&["CLIENT", "GETNAME"]));
    }
    for (mut conn, ends) in [(server.connect(), false), (narrows.connect(), true)] {
        conn.send(&pipeline);
        if ends {
            // All of it is dealt with; Redis drops what it has not written by then.
            conn.finish_sending();
        }
        for value in &values {
            conn.expect_reply("+OK\r\n");
            let reply = conn.reply();
            assert_eq!(reply.raw().len(), value.len() + 12);
            assert!(
                reply.raw().ends_with(
                    &value.as_bytes()[..100]
                        .iter()
                        .copied()
                        .chain(*b"\r\n")
                        .collect::<Vec<u8>>()
                )
            );
            assert!(matches!(conn.reply().raw(), b"$-1\r\n"));
        }
        if ends {
            conn.expect_closed();
        }
    }
    expect_no_poison(&narrows);
}

#[test]
fn load_who_sends_more_ahead_than_it_may_is_held_up_and_loses_nothing_once_it_reads() {
    let server = RedisServer::start();
    let toml = "[clients]\noutput_bytes_max = \"4MiB\"\noutput_pause_bytes = \"64KiB\"\n";
    let narrows = narrows(&server.url(), toml, &[]);
    let before = rss_mib(&narrows);
    let request = command(&["ECHO", &"e".repeat(1000)]);
    let requests = MORE_THAN_SOCKETS_HOLD / 1000;
    let mut deep =
        crate::hostile::duplex::Duplex::send(narrows.address(), request.repeat(requests));
    wait_until("it to be held up", PATIENCE, || {
        let list = narrows.connect().call(&["CLIENT", "LIST"]).text();
        let held = |line: &str| {
            let bytes = |name| {
                crate::support::setup::field(line, name)
                    .unwrap()
                    .parse::<usize>()
                    .unwrap()
            };
            bytes("qbuf") + bytes("omem") >= 4 * MIB
        };
        list.lines().any(held)
    });
    assert!(!deep.has_sent_all());
    assert!(rss_mib(&narrows) < before + 24);
    let echo = format!("$1000\r\n{}\r\n", "e".repeat(1000));
    for _ in 0..requests {
        deep.expect(echo.as_bytes());
    }
    deep.end();
}
