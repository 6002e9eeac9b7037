//! Clients that leave while they wait, or in the middle of what a connection was lent to them for,
//! whatever they have sent behind: none of them takes what comes after it has gone, and nothing of
//! them is left.

use std::time::{Duration, Instant};

use crate::leases::streams::{message, subscribed};
use crate::support::setup::field;
use crate::support::{Conn, Flavor, Narrows, PATIENCE, RedisServer, command, wait_until};

fn blocked(admin: &mut Conn) -> usize {
    let list = admin.call(&["CLIENT", "LIST"]).text();
    list.lines()
        .filter(|line| line.contains(" flags=b"))
        .count()
}

/// What clients send behind a command that waits.
fn pipelined() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("nothing", Vec::new()),
        ("what is no request", b"*x\r\n".to_vec()),
        ("a half request", b"*2\r\n$3\r\nGET\r\n$5\r\nab".to_vec()),
        ("more than is kept", command(&["PING"]).repeat(10_000)),
        ("a huge value", command(&["SET", "k", &"v".repeat(100_000)])),
    ]
}

#[test]
fn whoever_leaves_while_it_waits_takes_nothing_whatever_it_has_sent_behind() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let mut admin = server.connect();
    for (what, behind) in pipelined() {
        let mut waits = narrows.connect();
        waits.send_command(&["BLPOP", "jobs", "0"]);
        wait_until("it waits", PATIENCE, || blocked(&mut admin) == 1);
        waits.send(&behind);
        drop(waits);
        wait_until(what, PATIENCE, || blocked(&mut admin) == 0);
        admin.expect(&["RPUSH", "jobs", "one"], ":1\r\n");
        assert_eq!(
            admin.call(&["LPOP", "jobs"]).raw(),
            b"$3\r\none\r\n",
            "{what}"
        );
    }
    assert_eq!(admin.call(&["EXISTS", "k"]).raw(), b":0\r\n");
}

#[test]
fn nothing_that_stands_behind_a_wait_is_looked_at_before_it_is_over() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let (mut admin, mut waits) = (server.connect(), narrows.connect());
    waits.send(b"BLPOP jobs 0\r\nSET k v\r\n*x\r\n");
    wait_until("it waits", PATIENCE, || blocked(&mut admin) == 1);
    waits.expect_silence(Duration::from_millis(100));
    admin.expect(&["EXISTS", "k"], ":0\r\n");
    admin.expect(&["RPUSH", "jobs", "one"], ":1\r\n");
    waits.expect_reply("*2\r\n$4\r\njobs\r\n$3\r\none\r\n");
    waits.expect_reply("+OK\r\n");
    waits.expect_reply("-ERR Protocol error: invalid multibulk length\r\n");
    waits.expect_closed();
}

/// Whoever is not read is read again where it was, however often.
#[test]
fn what_was_not_read_for_a_while_is_read_in_its_order() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let (mut admin, mut waits) = (server.connect(), narrows.connect());
    for round in 0..20 {
        waits.send_command(&["BLPOP", "jobs", "0"]);
        wait_until("it waits", PATIENCE, || blocked(&mut admin) == 1);
        let words: Vec<String> = (0..3000)
            .map(|n| format!("{round}-{n}-{}", "w".repeat(50)))
            .collect();
        for word in &words {
            waits.send(command(&["ECHO", word]));
        }
        admin.expect(&["RPUSH", "jobs", "one"], ":1\r\n");
        waits.expect_reply("*2\r\n$4\r\njobs\r\n$3\r\none\r\n");
        for word in &words {
            waits.expect_reply(format!("${}\r\n{word}\r\n", word.len()));
        }
    }
}

#[test]
fn what_follows_a_reset_runs_when_the_server_has_seen_the_end_of_what_was_subscribed() {
    for flavor in Flavor::pair() {
        let server = RedisServer::start_flavor(flavor, &[]);
        let narrows = Narrows::in_front_of(&server, &[]);
        let mut conn = narrows.connect();
        for round in 0..120 {
            let (listen, publish) = match round % 4 {
                0 => ("SUBSCRIBE", "PUBLISH"),
                1 => ("PSUBSCRIBE", "PUBLISH"),
                2 => ("SSUBSCRIBE", "SPUBLISH"),
                _ => ("MONITOR\r\nSUBSCRIBE", "PUBLISH"),
            };
            if round % 3 == 0 {
                conn.call(&["HELLO", "3"]);
            }
            conn.send(format!(
                "{listen} x\r\nRESET\r\n{publish} x m\r\nECHO end\r\n"
            ));
            let mut heard = Vec::new();
            while !heard.ends_with(b"$3\r\nend\r\n") {
                heard.extend_from_slice(conn.reply().raw());
            }
            let heard = heard.escape_ascii().to_string();
            assert!(
                heard.ends_with(r"+RESET\r\n:0\r\n$3\r\nend\r\n"),
                "{round}: {heard}"
            );
        }
        let info = conn.call(&["INFO", "narrows"]).text();
        assert!(info.contains("backends_poisoned_total:0"), "{info}");
    }
}

/// A client that leaves in the middle of what a connection was lent to it for.
fn leaves_in_the_middle(narrows: &Narrows, kind: usize) {
    let mut conn = narrows.connect();
    match kind % 6 {
        0 => {
            conn.expect(&["SUBSCRIBE", "c"], subscribed("c", 1));
        }
        1 => {
            conn.call(&["PSUBSCRIBE", "c*"]);
            conn.call(&["SUBSCRIBE", "c"]);
        }
        2 => conn.expect(&["WATCH", "k"], "+OK\r\n"),
        3 => {
            conn.expect(&["WATCH", "k"], "+OK\r\n");
            conn.expect(&["MULTI"], "+OK\r\n");
            conn.expect(&["SET", "k", "never"], "+QUEUED\r\n");
        }
        4 => {
            conn.expect(&["SELECT", "3"], "+OK\r\n");
            conn.call(&["SSUBSCRIBE", "s"]);
            conn.call(&["SUBSCRIBE", "a", "b"]);
            conn.reply();
        }
        _ => {
            conn.call(&["HELLO", "3"]);
            conn.expect(&["CLIENT", "TRACKING", "ON"], "+OK\r\n");
            conn.call(&["GET", "k"]);
            conn.call(&["SUBSCRIBE", "c"]);
            conn.expect(&["MULTI"], "+OK\r\n");
        }
    }
}

#[test]
fn load_who_leaves_in_the_middle_costs_no_new_connection_and_leaves_nothing_behind() {
    for flavor in Flavor::pair() {
        let server = RedisServer::start_flavor(flavor, &[]);
        let narrows = Narrows::in_front_of(&server, &[]);
        let mut other = narrows.connect();
        let begun = Instant::now();
        for kind in 0..300 {
            leaves_in_the_middle(&narrows, kind);
            other.expect(&["PUBLISH", "nobody", "m"], ":0\r\n");
        }
        let took = begun.elapsed();
        // With a new connection for each it is 6 s and more: 50 may be opened in a second.
        assert!(took < Duration::from_secs(3), "{took:?}");
        let mut admin = server.connect();
        let connections = server.info_number("total_connections_received");
        assert!(connections < 40, "{connections}");
        wait_until("nothing to be left", PATIENCE, || {
            let list = admin.call(&["CLIENT", "LIST"]).text();
            list.lines()
                .filter(|line| line.contains("name=narrows:"))
                .all(|line| {
                    // Whether it is in a transaction its flags say: Valkey since 8.1 goes on counting.
                    [" sub=0 ", " psub=0 "]
                        .iter()
                        .all(|clean| line.contains(clean))
                        && field(line, "ssub").is_none_or(|shards| shards == "0")
                        && !field(line, "flags").is_some_and(|flags| flags.contains(['t', 'x']))
                })
        });
        other.expect(&["GET", "k"], "$-1\r\n");
        let info = other.call(&["INFO", "narrows"]).text();
        assert!(info.contains("backends_poisoned_total:0"), "{info}");
    }
}

/// Short subscribers, ten at a time; each of their messages is counted once. How long they take.
fn short_subscribers(connect: impl Fn() -> Conn + Sync) -> Duration {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for crowd in 0..10 {
            let connect = &connect;
            scope.spawn(move || {
                let mut publisher = connect();
                for turn in 0..30 {
                    let channel = format!("of:{crowd}:{turn}");
                    let mut conn = connect();
                    conn.expect(&["SUBSCRIBE", &channel], subscribed(&channel, 1));
                    publisher.expect(&["PUBLISH", &channel, "m"], ":1\r\n");
                    conn.expect_reply(message(&channel, "m"));
                }
            });
        }
    });
    begun.elapsed()
}

#[test]
fn load_three_hundred_short_subscribers_take_about_what_they_take_directly() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let direct = short_subscribers(|| server.connect());
    let before = server.info_number("total_connections_received");
    let through = short_subscribers(|| narrows.connect());
    println!("directly {direct:?}, through narrows {through:?}");
    // Within the rate of dials it were six seconds.
    assert!(through < direct * 5 + Duration::from_secs(1), "{through:?}");
    let dialled = server.info_number("total_connections_received") - before;
    assert!(dialled < 20, "{dialled}");
}
