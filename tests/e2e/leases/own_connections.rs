//! Commands that have to get through while pipes are stuck: they travel on a connection of their own,
//! as their client's own user.

use std::time::{Duration, Instant};

use crate::support::setup::{SHORT_DEADLINES, narrows, other_clients};
use crate::support::{Flavor, Narrows, PATIENCE, RedisServer, wait_until};

/// Runs until it is killed.
const FOR_EVER: &str = "while true do end";

#[test]
fn a_script_that_runs_for_ever_is_killed_through_narrows() {
    for flavor in Flavor::pair() {
        let server = RedisServer::start_flavor(flavor, &["--busy-reply-threshold", "50"]);
        for connections in ["3", "4", "16"] {
            let narrows =
                Narrows::in_front_of(&server, &["--max-backend-connections", connections]);
            let (mut busy, mut other) = (narrows.connect(), narrows.connect());
            other.expect(&["SET", "k", "v"], "+OK\r\n");
            busy.send_command(&["EVAL", FOR_EVER, "0"]);
            wait_until("the server is busy", PATIENCE, || {
                let mut direct = server.connect();
                direct.call(&["GET", "k"]).raw().starts_with(b"-BUSY")
            });
            narrows.connect().expect(&["SCRIPT", "KILL"], "+OK\r\n");
            let killed = busy.reply().text();
            assert!(
                killed.starts_with("ERR Error running script")
                    || killed.starts_with("ERR user_script")
                    || killed.contains("killed"),
                "{killed}"
            );
            other.expect(&["GET", "k"], "$1\r\nv\r\n");
            let text = other.call(&["SCRIPT", "KILL"]).text();
            assert!(text.starts_with("NOTBUSY"), "{text}");
        }
    }
}

#[test]
fn what_follows_it_runs_in_the_db_of_its_client_with_few_connections_too() {
    let server = RedisServer::start();
    for connections in ["2", "3", "4", "16"] {
        let options = ["--max-backend-connections", connections];
        let narrows = narrows(&server.url(), SHORT_DEADLINES, &options);
        let (mut client, mut other) = (narrows.connect(), narrows.connect());
        // A connection that is dialled for this is in no db yet.
        client.expect(&["SELECT", "5"], "+OK\r\n");
        client.expect(&["SET", "mine", "5"], "+OK\r\n");
        // The first time one more can be had, later each of the two has one.
        client.send(b"SCRIPT KILL\r\n");
        assert!(client.reply().text().starts_with("NOTBUSY"));
        for _ in 0..5 {
            client.send(b"SET mine 5\r\nSCRIPT KILL\r\nGET mine\r\n");
            client.expect_reply("+OK\r\n");
            let text = client.reply().text();
            assert!(text.starts_with("NOTBUSY"), "{connections}: {text}");
            client.expect_reply("$1\r\n5\r\n");
            other.expect(&["GET", "mine"], "$-1\r\n");
        }
        server.connect().expect(&["DBSIZE"], ":0\r\n");
        drop((client, other));
        narrows.connect().expect(&["PING"], "+PONG\r\n");
        assert!(!narrows.log().contains("WARN"), "{}", narrows.log());
    }
}

#[test]
fn a_function_that_runs_for_ever_is_killed_through_narrows() {
    let server = RedisServer::start_flavor(Flavor::Redis, &["--busy-reply-threshold", "50"]);
    let narrows = Narrows::in_front_of(&server, &["--max-backend-connections", "4"]);
    let mut busy = narrows.connect();
    let library =
        "#!lua name=lib\nredis.register_function('spin', function() while true do end end)";
    busy.expect(&["FUNCTION", "LOAD", library], "$3\r\nlib\r\n");
    busy.send_command(&["FCALL", "spin", "0"]);
    wait_until("the server is busy", PATIENCE, || {
        server
            .connect()
            .call(&["GET", "k"])
            .raw()
            .starts_with(b"-BUSY")
    });
    narrows.connect().expect(&["FUNCTION", "KILL"], "+OK\r\n");
    assert_eq!(busy.reply().raw()[0], b'-');
}

#[test]
fn a_pause_begins_and_ends_through_narrows_and_reads_go_on_under_a_pause_of_writes() {
    let server = RedisServer::start();
    let narrows = narrows(
        &server.url(),
        SHORT_DEADLINES,
        &["--max-backend-connections", "6"],
    );
    let (mut operator, mut writer, mut reader) =
        (narrows.connect(), narrows.connect(), narrows.connect());
    reader.expect(&["SET", "k", "v"], "+OK\r\n");
    operator.expect(&["CLIENT", "PAUSE", "60000", "WRITE"], "+OK\r\n");
    reader.expect(&["GET", "k"], "$1\r\nv\r\n");
    writer.send_command(&["SET", "k", "w"]);
    writer.expect_silence(Duration::from_millis(300));
    operator.expect(&["CLIENT", "UNPAUSE"], "+OK\r\n");
    writer.expect_reply("+OK\r\n");
    reader.expect(&["GET", "k"], "$1\r\nw\r\n");
}

#[test]
fn nothing_is_late_or_dead_in_a_pause_that_is_longer_than_every_deadline() {
    for (what, length) in [("ALL", "3500"), ("WRITE", "3500")] {
        let server = RedisServer::start();
        let options = ["--max-backend-connections", "6"];
        let narrows = narrows(&server.url(), SHORT_DEADLINES, &options);
        let mut operator = narrows.connect();
        let mut clients: Vec<_> = (0..10).map(|_| narrows.connect()).collect();
        for client in &mut clients {
            client.expect(&["GET", "k"], "$-1\r\n");
        }
        let begin = Instant::now();
        operator.expect(&["CLIENT", "PAUSE", length, what], "+OK\r\n");
        for (at, client) in clients.iter_mut().enumerate() {
            // Some need a connection that is dialled now, and some a lease.
            match at % 3 {
                0 => client.send(b"INCR k\r\n"),
                1 => client.send(b"SELECT 5\r\nINCR k\r\n"),
                _ => client.send(b"WATCH k\r\nMULTI\r\nINCR k\r\nEXEC\r\n"),
            }
        }
        for (at, client) in clients.iter_mut().enumerate() {
            if at % 3 == 1 {
                client.expect_reply("+OK\r\n");
            }
            if at % 3 == 2 {
                client.expect_reply("+OK\r\n");
                client.expect_reply("+OK\r\n");
                client.expect_reply("+QUEUED\r\n");
            }
            let reply = client.reply();
            assert!(!reply.is_error(), "{at}: {}", reply.text());
        }
        assert!(begin.elapsed() > Duration::from_secs(3), "{what}");
        assert!(!narrows.log().contains("WARN"), "{}", narrows.log());
        operator.expect(&["PING"], "+PONG\r\n");
    }
}

#[test]
fn what_was_dialled_for_it_is_closed_behind_it_and_the_bound_holds() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &["--max-backend-connections", "4"]);
    let mut direct = server.connect();
    let mut clients: Vec<_> = (0..20).map(|_| narrows.connect()).collect();
    for _ in 0..5 {
        for client in &mut clients {
            client.send_command(&["SCRIPT", "KILL"]);
            client.send_command(&["PING"]);
        }
        assert!(other_clients(&mut direct).len() <= 4);
        for client in &mut clients {
            let text = client.reply().text();
            assert!(text.starts_with("NOTBUSY"), "{text}");
            client.expect_reply("+PONG\r\n");
        }
    }
    wait_until("they are closed", PATIENCE, || {
        other_clients(&mut direct).len() <= 3
    });
}

#[test]
fn it_waits_for_earlier_replies_and_is_refused_where_a_connection_is_held() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let mut client = narrows.connect();
    client.send(b"SET k 1\r\nSCRIPT KILL\r\nINCR k\r\nSCRIPT KILL x\r\n");
    client.expect_reply("+OK\r\n");
    assert!(client.reply().text().starts_with("NOTBUSY"));
    client.expect_reply(":2\r\n");
    assert!(
        client
            .reply()
            .text()
            .starts_with("ERR wrong number of arguments")
    );
    client.expect(&["WATCH", "k"], "+OK\r\n");
    let text = client.call(&["SCRIPT", "KILL"]).text();
    assert!(
        text.starts_with("ERR narrows: 'script|kill' is not possible"),
        "{text}"
    );
    client.expect(&["UNWATCH"], "+OK\r\n");
    assert!(
        client
            .call(&["SCRIPT", "KILL"])
            .text()
            .starts_with("NOTBUSY")
    );
}
