//! A transaction whose connection is lost.

use crate::setup::{field, narrows};
use crate::support::{Conn, Narrows, RedisServer};

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
