//! What becomes of the connection behind a transaction.

use crate::support::setup::{NONE_READY, field, narrows, other_clients, pipe_ids};
use crate::support::{Conn, Narrows, PATIENCE, RedisServer, command, wait_until};

#[test]
fn a_connection_is_used_again_once_its_transaction_is_over() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), NONE_READY, &[]);
    let mut admin = server.connect();
    let mut clients: Vec<_> = (0..20).map(|_| narrows.connect()).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        client.expect(&["WATCH", "k"], "+OK\r\n");
        client.expect(&["MULTI"], "+OK\r\n");
        client.expect(&["INCR", "k"], "+QUEUED\r\n");
        client.expect(&["EXEC"], format!("*1\r\n:{}\r\n", n + 1));
    }
    // One for everybody, one for whoever is in a transaction.
    assert!(
        pipe_ids(&mut admin).len() <= 2,
        "{:?}",
        pipe_ids(&mut admin)
    );
    let info = clients[0].call(&["INFO", "narrows"]).text();
    assert!(info.contains("backends_poisoned_total:0"), "{info}");
}

#[test]
fn a_block_that_comes_whole_takes_no_connection_of_its_own() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), NONE_READY, &[]);
    let mut admin = server.connect();
    let block = [
        command(&["MULTI"]),
        command(&["INCR", "k"]),
        command(&["LPOP", "l"]),
        command(&["EXEC"]),
    ]
    .concat();
    let mut clients: Vec<_> = (0..50).map(|_| narrows.connect()).collect();
    for client in &mut clients {
        client.send(&block);
    }
    for client in &mut clients {
        client.expect_reply("+OK\r\n");
        client.expect_reply("+QUEUED\r\n");
        client.expect_reply("+QUEUED\r\n");
        assert!(client.reply().raw().starts_with(b"*2"));
    }
    assert_eq!(pipe_ids(&mut admin).len(), 1);
    admin.expect(&["GET", "k"], "$2\r\n50\r\n");
}

#[test]
fn a_client_that_leaves_in_a_transaction_leaves_nothing_behind() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let mut admin = server.connect();
    let mut other = narrows.connect();
    for _ in 0..10 {
        let mut client = narrows.connect();
        client.expect(&["MULTI"], "+OK\r\n");
        client.expect(&["SET", "k", "never"], "+QUEUED\r\n");
        drop(client);
    }
    other.expect(&["SET", "k", "v"], "+OK\r\n");
    other.expect(&["MULTI"], "+OK\r\n");
    other.expect(&["GET", "k"], "+QUEUED\r\n");
    other.expect(&["EXEC"], "*1\r\n$1\r\nv\r\n");
    wait_until("their connections are clean or gone", PATIENCE, || {
        let list = admin.call(&["CLIENT", "LIST"]).text();
        list.lines().all(|line| line.contains(" multi=-1 "))
    });
    other.expect(&["GET", "k"], "$1\r\nv\r\n");
}

#[test]
fn a_client_that_sits_in_a_transaction_is_closed_and_others_have_its_place() {
    let server = RedisServer::start();
    let settings = "[backend]\nmax_connections = 3\n[clients]\nidle_in_transaction = \"300ms\"\n";
    let narrows = narrows(&server.url(), settings, &[]);
    let mut sits = narrows.connect();
    sits.expect(&["MULTI"], "+OK\r\n");
    let mut other = narrows.connect();
    other.expect(&["PING"], "+PONG\r\n");
    // It waits its turn, which comes when the other one is closed.
    other.expect(&["WATCH", "k"], "+OK\r\n");
    sits.expect_closed();
    other.expect(&["UNWATCH"], "+OK\r\n");
    narrows.expect_logged(&["idle in a transaction"]);
}

#[test]
fn what_cannot_begin_in_time_is_told_so_and_nothing_of_it_runs() {
    let server = RedisServer::start();
    let settings = "[backend]\nmax_connections = 3\n[pool]\nqueue_timeout = \"200ms\"\n";
    let narrows = narrows(&server.url(), settings, &[]);
    let mut holds = narrows.connect();
    holds.expect(&["WATCH", "k"], "+OK\r\n");
    let mut late = narrows.connect();
    // Its end has not come: it cannot go by a shared connection.
    late.send([command(&["MULTI"]), command(&["SET", "k", "outside"])].concat());
    let told = late.reply();
    assert!(told.raw().starts_with(b"-TRYAGAIN narrows: "), "{told:?}");
    late.expect_closed();
    let mut plain = narrows.connect();
    plain.expect(&["GET", "k"], "$-1\r\n");
}

/// The connections of narrows that carry clients and have one of these flags.
fn flagged(admin: &mut Conn, flags: &[char]) -> Vec<String> {
    let lines = other_clients(admin);
    let has = |line: &String| {
        let set = field(line, "flags").unwrap_or_default();
        line.contains("name=narrows:") && set.contains(flags)
    };
    lines.into_iter().filter(has).collect()
}

#[test]
fn what_would_change_its_connection_for_good_is_refused_inside_and_changes_none() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let mut admin = server.connect();
    for what in [
        "CLIENT TRACKING ON",
        "CLIENT TRACKING OFF",
        "CLIENT CACHING YES",
        "READONLY",
        "SUBSCRIBE a",
        "PSUBSCRIBE a*",
        "SSUBSCRIBE a",
        "UNSUBSCRIBE",
        "AUTH x",
        "HELLO 2",
        "CLIENT REPLY OFF",
    ] {
        let mut client = narrows.connect();
        client.call(&["HELLO", "3"]);
        for cut in [false, true] {
            client.send("MULTI\r\n");
            if cut {
                client.expect_reply("+OK\r\n");
            }
            client.send(format!("{what}\r\nSET k v\r\nEXEC\r\nGET k\r\n"));
            if !cut {
                client.expect_reply("+OK\r\n");
            }
            client.expect_reply("-ERR Command not allowed inside a transaction\r\n");
            client.expect_reply("+QUEUED\r\n");
            let aborted = client.reply().text();
            assert!(aborted.starts_with("EXECABORT "), "{what}: {aborted}");
            client.expect_reply("_\r\n");
        }
        assert_eq!(flagged(&mut admin, &['t', 'P', 'x']), [""; 0], "{what}");
    }
    let info = narrows.connect().call(&["INFO", "narrows"]).text();
    assert!(info.contains("backends_poisoned_total:0"), "{info}");
}

#[test]
fn what_the_server_refuses_holds_no_connection() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let mut clients: Vec<_> = (0..24).map(|_| narrows.connect()).collect();
    for (refused, begins) in [
        (
            &["READONLY"][..],
            "ERR This instance has cluster support disabled",
        ),
        (
            &["READWRITE"],
            "ERR This instance has cluster support disabled",
        ),
        (&["CLIENT", "TRACKING", "perhaps"], "ERR "),
        (&["CLIENT", "NO-TOUCH", "perhaps"], "ERR "),
        (&["CLIENT", "CACHING", "YES"], "ERR "),
        (&["CLIENT", "NOSUCH"], "ERR "),
    ] {
        for client in &mut clients {
            let said = client.call(refused).text();
            assert!(said.starts_with(begins), "{refused:?}: {said}");
        }
    }
    // Everybody has a turn at what needs one.
    for client in &mut clients {
        client.expect(&["MULTI"], "+OK\r\n");
        client.expect(&["INCR", "k"], "+QUEUED\r\n");
        assert!(client.call(&["EXEC"]).raw().starts_with(b"*1\r\n:"));
    }
    // What stays and is undone holds none either.
    for client in &mut clients {
        client.call(&["CLIENT", "NO-TOUCH", "ON"]);
        client.call(&["CLIENT", "NO-TOUCH", "OFF"]);
    }
    let info = clients[0].call(&["INFO", "narrows"]).text();
    assert!(info.contains("backends_poisoned_total:0"), "{info}");
}
