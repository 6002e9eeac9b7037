//! A script that keeps the server busy: others get the server's own `-BUSY`, as directly, and what ends
//! the script gets through, wherever its client stands.

use std::time::Duration;

use crate::support::setup::{NOBODY_ASKS, SHORT_DEADLINES, narrows};
use crate::support::{Conn, Flavor, Narrows, PATIENCE, RedisServer, wait_until};

/// Runs until it is killed.
const FOR_EVER: &str = "while true do end";

/// Most connections that narrows may have: with two there is one beside control's.
const CONNECTIONS: [&str; 3] = ["2", "3", "16"];

/// A server that is soon busy, of each kind.
fn servers() -> impl Iterator<Item = RedisServer> {
    Flavor::pair().into_iter().map(soon_busy)
}

/// Those that say so of `SELECT` too: Valkey since 9.1 obeys it meanwhile, and narrows says what it says
/// where it has a connection for the new db.
fn servers_without_select() -> impl Iterator<Item = RedisServer> {
    let flavors = Flavor::chosen_or(&[Flavor::Redis, Flavor::Valkey81]);
    let all = flavors.into_iter();
    all.filter(|flavor| *flavor != Flavor::Valkey91)
        .map(soon_busy)
}

fn soon_busy(flavor: Flavor) -> RedisServer {
    RedisServer::start_flavor(flavor, &["--busy-reply-threshold", "50"])
}

/// narrows over so many connections, which lists its clients whether the server answers or not.
fn with(server: &RedisServer, connections: &str) -> Narrows {
    let flags = ["--max-backend-connections", connections];
    narrows(&server.url(), NOBODY_ASKS, &flags)
}

#[track_caller]
fn expect_busy(conn: &mut Conn) {
    let text = conn.reply().text();
    assert!(text.starts_with("BUSY "), "{text}");
}

#[track_caller]
fn expect_killed(conn: &mut Conn) {
    let reply = conn.reply();
    assert!(reply.is_error(), "{}", reply.text());
}

/// `busy` has sent what runs `command`, and it is on its way.
fn is_on_its_way(narrows: &Narrows, command: &str) {
    let shown = format!(" cmd={command} ");
    let mut other = narrows.connect();
    wait_until("it is on its way", PATIENCE, || {
        other.call(&["CLIENT", "LIST"]).text().contains(&shown)
    });
}

/// The script runs when others are told so directly.
fn begin_script(server: &RedisServer, busy: &mut Conn) {
    busy.send_command(&["EVAL", FOR_EVER, "0"]);
    is_busy(server);
}

fn is_busy(server: &RedisServer) {
    wait_until("the server is busy", PATIENCE, || {
        let mut direct = server.connect();
        direct.call(&["GET", "k"]).raw().starts_with(b"-BUSY")
    });
}

#[test]
fn others_are_told_that_the_server_is_busy_and_may_end_the_script() {
    for server in servers() {
        for connections in CONNECTIONS {
            let narrows = with(&server, connections);
            let (mut a, mut b) = (narrows.connect(), narrows.connect());
            b.expect(&["PING"], "+PONG\r\n");
            a.send_command(&["EVAL", FOR_EVER, "0"]);
            is_on_its_way(&narrows, "eval");
            // These stand behind the script.
            b.send(b"PING\r\nGET k\r\n");
            expect_busy(&mut b);
            expect_busy(&mut b);
            for _ in 0..3 {
                b.send(b"GET k\r\nSET k v\r\nINFO\r\n");
                for _ in 0..3 {
                    expect_busy(&mut b);
                }
            }
            let mut late = narrows.connect();
            late.send(b"SET k v\r\n");
            expect_busy(&mut late);
            b.expect(&["SCRIPT", "KILL"], "+OK\r\n");
            expect_killed(&mut a);
            for client in [&mut a, &mut b, &mut late] {
                client.expect(&["SET", "k", "v"], "+OK\r\n");
            }
            assert!(
                !narrows.log().contains("backend closed"),
                "{}",
                narrows.log()
            );
        }
    }
}

#[test]
fn what_the_server_has_to_allow_first_is_answered_as_directly_while_it_is_busy() {
    for server in servers_without_select() {
        for connections in CONNECTIONS {
            let flags = ["--max-backend-connections", connections];
            let narrows = Narrows::in_front_of(&server, &flags);
            let (mut a, mut b) = (narrows.connect(), narrows.connect());
            b.expect(&["PING"], "+PONG\r\n");
            begin_script(&server, &mut a);
            // Whether it may see the list the server does not say now.
            let list = b.call(&["CLIENT", "LIST"]).text();
            assert!(
                list.starts_with("BUSY ") || list.contains(" cmd=eval "),
                "{list}"
            );
            b.send("SELECT 3\r\nPING\r\n");
            expect_busy(&mut b);
            expect_busy(&mut b);
            b.expect(&["SCRIPT", "KILL"], "+OK\r\n");
            expect_killed(&mut a);
            wait_until("the script is over", PATIENCE, || {
                b.call(&["SELECT", "3"]).raw() == b"+OK\r\n"
            });
        }
    }
}

#[test]
fn a_kill_goes_before_what_its_client_waits_for_and_its_reply_keeps_its_turn() {
    for server in servers() {
        for connections in CONNECTIONS {
            let narrows = with(&server, connections);
            let (mut a, mut b) = (narrows.connect(), narrows.connect());
            server.connect().expect(&["SET", "n", "0"], "+OK\r\n");
            b.expect(&["INCR", "n"], ":1\r\n");
            a.send_command(&["EVAL", FOR_EVER, "0"]);
            is_on_its_way(&narrows, "eval");
            // What writes waits for the end of the script, on the connection that it is on.
            b.send(b"INCR n\r\nSCRIPT KILL\r\nINCR n\r\n");
            b.expect_reply(":2\r\n");
            b.expect_reply("+OK\r\n");
            b.expect_reply(":3\r\n");
            expect_killed(&mut a);
        }
    }
}

#[test]
fn ones_own_script_is_not_killed_by_what_is_behind_it() {
    let server = RedisServer::start_with(&["--busy-reply-threshold", "5000"]);
    let narrows = Narrows::in_front_of(&server, &[]);
    let mut client = narrows.connect();
    client.send(b"EVAL \"return 'whole'\" 0\r\nSCRIPT KILL\r\nPING\r\n");
    client.expect_reply("$5\r\nwhole\r\n");
    assert!(client.reply().text().starts_with("NOTBUSY"));
    client.expect_reply("+PONG\r\n");
}

#[test]
fn a_db_that_was_asked_for_while_the_server_was_busy_is_no_refused_one() {
    for server in servers_without_select() {
        let narrows = Narrows::in_front_of(&server, &["--max-backend-connections", "6"]);
        let (mut a, mut b) = (narrows.connect(), narrows.connect());
        b.expect(&["SET", "k", "v"], "+OK\r\n");
        begin_script(&server, &mut a);
        b.send_command(&["SELECT", "7"]);
        expect_busy(&mut b);
        narrows.connect().expect(&["SCRIPT", "KILL"], "+OK\r\n");
        expect_killed(&mut a);
        wait_until("the end", PATIENCE, || !b.call(&["GET", "k"]).is_error());
        b.expect(&["SELECT", "7"], "+OK\r\n");
        b.expect(&["GET", "k"], "$-1\r\n");
    }
}

#[test]
fn a_busy_server_is_alive_however_long_the_script() {
    let server = RedisServer::start_with(&["--busy-reply-threshold", "50"]);
    // A stalled connection is given up after two seconds while the server answers others.
    let narrows = narrows(&server.url(), SHORT_DEADLINES, &[]);
    let (mut a, mut b) = (narrows.connect(), narrows.connect());
    b.expect(&["PING"], "+PONG\r\n");
    a.send_command(&["EVAL", FOR_EVER, "0"]);
    a.expect_silence(Duration::from_millis(3500));
    b.send_command(&["PING"]);
    expect_busy(&mut b);
    b.expect(&["SCRIPT", "KILL"], "+OK\r\n");
    expect_killed(&mut a);
    assert!(
        !narrows.log().contains("backend closed"),
        "{}",
        narrows.log()
    );
}

#[test]
fn a_script_in_a_block_holds_up_its_pipe_no_more_than_one_outside() {
    for server in servers() {
        let narrows = Narrows::in_front_of(&server, &["--max-backend-connections", "6"]);
        let (mut a, mut b) = (narrows.connect(), narrows.connect());
        b.expect(&["PING"], "+PONG\r\n");
        a.send(format!("MULTI\r\nEVAL \"{FOR_EVER}\" 0\r\nEXEC\r\n"));
        is_on_its_way(&narrows, "exec");
        // Another connection is there for what is asked next, and could be faster.
        is_busy(&server);
        b.send_command(&["PING"]);
        expect_busy(&mut b);
        b.expect(&["SCRIPT", "KILL"], "+OK\r\n");
        a.expect_reply("+OK\r\n");
        a.expect_reply("+QUEUED\r\n");
        a.reply();
        b.expect(&["PING"], "+PONG\r\n");
    }
}
