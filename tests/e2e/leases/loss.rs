//! A transaction whose connection is lost.

use crate::metrics::catalog::scrape;
use crate::support::setup::{field, narrows, other_clients};
use crate::support::{Conn, Narrows, PATIENCE, RedisServer, wait_until};

/// Every connection in db 5, where a client has a transaction.
fn kill_those_in_db_5(admin: &mut Conn) {
    let list = admin.call(&["CLIENT", "LIST"]).text();
    let lines = list.lines().filter(|line| line.contains(" db=5 "));
    let ids: Vec<String> = lines.filter_map(|line| field(line, "id")).collect();
    assert!(!ids.is_empty());
    for id in ids {
        admin.expect(&["CLIENT", "KILL", "ID", &id], ":1\r\n");
    }
}

fn raw(conn: &mut Conn, args: &[&str]) -> String {
    String::from_utf8_lossy(conn.call(args).raw()).into_owned()
}

#[test]
fn nothing_runs_of_a_transaction_whose_connection_is_lost() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let mut admin = server.connect();
    let mut client = narrows.connect();
    client.expect(&["SELECT", "5"], "+OK\r\n");
    client.expect(&["MULTI"], "+OK\r\n");
    client.expect(&["SET", "k", "v"], "+QUEUED\r\n");
    kill_those_in_db_5(&mut admin);
    let told = raw(&mut client, &["SET", "l", "v"]);
    assert!(told.starts_with("-ERR narrows: "), "{told}");
    let told = raw(&mut client, &["CLIENT", "ID"]);
    assert!(told.starts_with("-ERR narrows: "), "{told}");
    client.expect(
        &["EXEC"],
        "-EXECABORT Transaction discarded because of: backend connection lost\r\n",
    );
    // And then all is as before.
    client.expect(&["EXISTS", "k", "l"], ":0\r\n");
    client.expect(&["MULTI"], "+OK\r\n");
    client.expect(&["EXEC"], "*0\r\n");
}

#[test]
fn a_discarded_one_is_as_if_it_had_never_been() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let mut admin = server.connect();
    for ends in ["DISCARD", "RESET"] {
        let mut client = narrows.connect();
        client.expect(&["SELECT", "5"], "+OK\r\n");
        client.expect(&["MULTI"], "+OK\r\n");
        kill_those_in_db_5(&mut admin);
        let told = raw(&mut client, &[ends]);
        assert!(["+OK", "+RESET"].contains(&told.trim_end()), "{told}");
        client.expect(&["SET", "k", "v"], "+OK\r\n");
    }
}

#[test]
fn an_exec_does_not_run_without_its_watch() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let mut admin = server.connect();
    for (hello, nil) in [("2", "*-1\r\n"), ("3", "_\r\n")] {
        let mut client = narrows.connect();
        client.call(&["HELLO", hello]);
        client.expect(&["SELECT", "5"], "+OK\r\n");
        client.expect(&["WATCH", "k"], "+OK\r\n");
        kill_those_in_db_5(&mut admin);
        client.expect(&["SET", "other", "v"], "+OK\r\n");
        client.expect(&["MULTI"], "+OK\r\n");
        client.expect(&["SET", "k", "v"], "+QUEUED\r\n");
        client.expect(&["EXEC"], nil);
        client.expect(&["EXISTS", "k"], ":0\r\n");
        // Sent whole, it is held back as well.
        client.expect(&["WATCH", "k"], "+OK\r\n");
        kill_those_in_db_5(&mut admin);
        client.send("MULTI\r\nSET k v\r\nEXEC\r\n");
        client.expect_reply("+OK\r\n");
        client.expect_reply("+QUEUED\r\n");
        client.expect_reply(nil);
        // It is over now: the next one runs.
        client.send("MULTI\r\nSET k v\r\nEXEC\r\n");
        client.expect_reply("+OK\r\n");
        client.expect_reply("+QUEUED\r\n");
        client.expect_reply("*1\r\n+OK\r\n");
        client.expect(&["DEL", "k"], ":1\r\n");
    }
}

#[test]
fn a_huge_request_is_a_part_of_its_transaction_like_any_other() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), "[commands]\ndeny = [\"EVAL\"]\n", &[]);
    let mut admin = server.connect();
    let huge = "x".repeat(3 << 20);
    let mut client = narrows.connect();
    client.expect(&["SELECT", "5"], "+OK\r\n");
    client.expect(&["WATCH", "k"], "+OK\r\n");
    client.expect(&["SET", "other", &huge], "+OK\r\n");
    client.expect(&["MULTI"], "+OK\r\n");
    client.expect(&["SET", "k", &huge], "+QUEUED\r\n");
    client.expect(&["STRLEN", "k"], "+QUEUED\r\n");
    client.expect(&["EXEC"], "*2\r\n+OK\r\n:3145728\r\n");
    // Not when the connection is lost.
    client.expect(&["MULTI"], "+OK\r\n");
    kill_those_in_db_5(&mut admin);
    let told = raw(&mut client, &["SET", "l", &huge]);
    assert!(told.starts_with("-ERR narrows: "), "{told}");
    assert!(raw(&mut client, &["EXEC"]).starts_with("-EXECABORT "));
    client.expect(&["EXISTS", "l"], ":0\r\n");
    // A watch that is lost is remembered over it.
    client.expect(&["WATCH", "k"], "+OK\r\n");
    kill_those_in_db_5(&mut admin);
    client.expect(&["SET", "m", &huge], "+OK\r\n");
    client.expect(&["MULTI"], "+OK\r\n");
    client.expect(&["SET", "n", "v"], "+QUEUED\r\n");
    client.expect(&["EXEC"], "*-1\r\n");
    // What is refused is so in a transaction too, and ends it.
    client.expect(&["MULTI"], "+OK\r\n");
    let told = raw(&mut client, &["EVAL", &huge, "0"]);
    assert!(told.starts_with("-NOPERM narrows: "), "{told}");
    assert!(raw(&mut client, &["EXEC"]).starts_with("-EXECABORT "));
}

/// Every connection that has watched something last, and waits until narrows knows.
fn kill_those_that_watch(admin: &mut Conn, narrows: &Narrows) {
    let lines = other_clients(admin);
    let watch = lines.iter().filter(|line| line.contains(" cmd=watch "));
    let ids: Vec<String> = watch.filter_map(|line| field(line, "id")).collect();
    assert!(!ids.is_empty(), "{lines:?}");
    // Others may be dialled and given back meanwhile.
    let gone = || scrape(narrows).value("narrows_backends_closed_total{cause=\"gone\"}");
    let before = gone();
    for id in &ids {
        admin.expect(&["CLIENT", "KILL", "ID", id], ":1\r\n");
    }
    wait_until("narrows has lost them", PATIENCE, || {
        gone() >= before + ids.len() as f64
    });
}

#[test]
fn a_watch_that_is_lost_is_remembered_whatever_its_client_does_meanwhile() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let mut admin = server.connect();
    let mut other = server.connect();
    other.expect(&["SELECT", "5"], "+OK\r\n");
    let huge = "x".repeat(2 << 20);
    let meanwhile: &[&[&str]] = &[
        &["CLIENT", "UNPAUSE"],
        &["SCRIPT", "KILL"],
        &["SET", "m", &huge],
        &["DISCARD"],
        &["DISCARD", "now"],
        &["UNWATCH", "now"],
        &["MULTI", "now"],
        &["EXEC"],
        &["BLPOP", "none", "0.01"],
        &["READONLY"],
        &["CLIENT", "NO-TOUCH", "off"],
        &["CLIENT", "ID"],
        &["SUBSCRIBE", "c"],
        &["WATCH", "another"],
        &["SELECT", "5"],
        &["HELLO", "3"],
    ];
    for what in meanwhile {
        let mut client = narrows.connect();
        client.call(&["HELLO", "3"]);
        client.expect(&["SELECT", "5"], "+OK\r\n");
        client.expect(&["WATCH", "k"], "+OK\r\n");
        kill_those_that_watch(&mut admin, &narrows);
        other.expect(&["SET", "k", "theirs"], "+OK\r\n");
        let said = raw(&mut client, what);
        client.expect(&["MULTI"], "+OK\r\n");
        client.expect(&["SET", "k", "mine"], "+QUEUED\r\n");
        client.expect(&["EXEC"], "_\r\n");
        other.expect(&["GET", "k"], "$6\r\ntheirs\r\n");
        assert!(!said.contains("narrows"), "{what:?}: {said}");
        // It is over now.
        client.send("MULTI\r\nSET k mine\r\nEXEC\r\n");
        client.expect_reply("+OK\r\n");
        client.expect_reply("+QUEUED\r\n");
        client.expect_reply("*1\r\n+OK\r\n");
        // Nothing of it is left that others would need.
        let told = raw(&mut narrows.connect(), &["SCRIPT", "KILL"]);
        assert!(told.starts_with("-NOTBUSY "), "{what:?}: {told}");
    }
    // It went where its client was.
    other.expect(&["STRLEN", "m"], ":2097152\r\n");
    admin.expect(&["EXISTS", "m", "k"], ":0\r\n");
}

#[test]
fn a_watch_that_is_lost_ends_with_what_ends_one_that_is_not() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let mut admin = server.connect();
    let ends: &[(&str, &[&str])] = &[
        ("UNWATCH\r\n", &["+OK\r\n"]),
        ("RESET\r\n", &["+RESET\r\n"]),
        ("MULTI\r\nDISCARD\r\n", &["+OK\r\n", "+OK\r\n"]),
        ("MULTI\r\nEXEC\r\n", &["+OK\r\n", "*-1\r\n"]),
    ];
    for (end, replies) in ends {
        let mut client = narrows.connect();
        client.expect(&["WATCH", "k"], "+OK\r\n");
        kill_those_that_watch(&mut admin, &narrows);
        client.send(end);
        for reply in *replies {
            client.expect_reply(reply);
        }
        client.send("MULTI\r\nDEL k\r\nEXEC\r\n");
        client.expect_reply("+OK\r\n");
        client.expect_reply("+QUEUED\r\n");
        client.expect_reply("*1\r\n:0\r\n");
    }
}

#[test]
fn who_gives_up_a_lost_transaction_for_another_has_not_given_up_its_watch() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let mut admin = server.connect();
    let mut client = narrows.connect();
    client.expect(&["SELECT", "5"], "+OK\r\n");
    client.expect(&["WATCH", "k"], "+OK\r\n");
    client.expect(&["MULTI"], "+OK\r\n");
    kill_those_in_db_5(&mut admin);
    let told = raw(&mut client, &["SET", "k", "v"]);
    assert!(told.starts_with("-ERR narrows: "), "{told}");
    client.expect(&["MULTI"], "+OK\r\n");
    client.expect(&["SET", "k", "v"], "+QUEUED\r\n");
    client.expect(&["EXEC"], "*-1\r\n");
}
