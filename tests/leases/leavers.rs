//! Clients that leave while they wait, whatever they have sent behind: none of them takes what
//! comes after it has gone.

use std::time::Duration;

use crate::support::{Conn, Narrows, PATIENCE, RedisServer, command, wait_until};

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
