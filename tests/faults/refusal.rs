//! The server is not there yet, loads, or will not have narrows: wrong password, a cluster node,
//! no `COMMAND`, too many connections, connections closed when idle.

use std::time::{Duration, Instant};

use crate::support::setup::{
    NOBODY_ASKS, NONE_READY, SHORT_DEADLINES, narrows, other_clients, pipe_ids,
};
use crate::support::{Child, Conn, PATIENCE, RedisServer, wait_for, wait_until};

/// Calls until the reply is `wanted`; every other one must begin with `until_then`.
#[track_caller]
fn becomes(conn: &mut Conn, command: &[&str], until_then: &str, wanted: &str) {
    wait_until("the awaited reply", PATIENCE, || {
        let reply = conn.call(command);
        let text = reply.text();
        assert!(
            text == wanted || text.starts_with(until_then),
            "neither {wanted:?} nor {until_then:?}: {text:?}"
        );
        text == wanted
    });
}

#[test]
fn narrows_starts_without_a_server_and_serves_when_there_is_one() {
    let mut server = RedisServer::start();
    server.kill9();
    // With the server's own users it is the server that has to be asked who may do what.
    let settings = format!("{NOBODY_ASKS}{SHORT_DEADLINES}");
    let narrows = narrows(&server.url(), &settings, &[]);
    let mut client = narrows.connect();
    let begin = Instant::now();
    let text = client.call(&["PING"]).text();
    let refused = format!(
        "TRYAGAIN narrows: no backend is connected: {}: Connection refused (os error 111)",
        server.address()
    );
    assert_eq!(text, refused);
    assert!(
        begin.elapsed() < Duration::from_secs(3),
        "the queue deadline is 1 s"
    );
    // What needs no server is answered without one.
    client.expect(&["CLIENT", "GETNAME"], "$-1\r\n");
    client.send_command(&["PING"]);
    server.restart();
    client.expect_reply("+PONG\r\n");
}

#[test]
fn a_server_that_loads_speaks_for_itself() {
    let mut server = RedisServer::start_with(&[
        "--enable-debug-command",
        "yes",
        "--key-load-delay",
        "1000",
        "--loading-process-events-interval-bytes",
        "1024",
    ]);
    let mut admin = server.connect();
    admin.expect(&["DEBUG", "POPULATE", "2000", "key", "100"], "+OK\r\n");
    admin.expect(&["SET", "key", "kept"], "+OK\r\n");
    admin.expect(&["SAVE"], "+OK\r\n");
    let narrows = narrows(&server.url(), "", &[]);
    let mut client = narrows.connect();
    client.expect(&["GET", "key"], "$4\r\nkept\r\n");
    server.restart();
    let loading = "-LOADING Redis is loading the dataset in memory\r\n";
    client.expect(&["GET", "key"], loading);
    client.expect(&["SET", "key", "new"], loading);
    client.expect(&["SELECT", "3"], "+OK\r\n");
    client.expect(&["GET", "key"], loading);
    client.expect(&["SELECT", "0"], "+OK\r\n");
    becomes(&mut client, &["GET", "key"], "LOADING ", "kept");
}

#[test]
fn without_the_servers_command_the_own_table_rules() {
    let renamed = ["--rename-command", "COMMAND", ""];
    let denied = "default on nopass ~* &* +@all -command";
    let denied: Vec<&str> = ["--user"].into_iter().chain(denied.split(' ')).collect();
    for arguments in [&renamed[..], &denied[..]] {
        let server = RedisServer::start_with(arguments);
        let settings = format!("{SHORT_DEADLINES}min_idle_leases = 0\n");
        let narrows = narrows(&server.url(), &settings, &[]);
        let mut client = narrows.connect();
        client.expect(&["SET", "k", "v"], "+OK\r\n");
        client.expect(&["GET", "k"], "$1\r\nv\r\n");
        // Lent a connection, since nobody knows what it does; the server says that it has none.
        for _ in 0..2 {
            client.expect(
                &["NO.SUCH", "command"],
                "-ERR unknown command 'NO.SUCH', with args beginning with: 'command' \r\n",
            );
        }
        client.expect(&["PING"], "+PONG\r\n");
        server
            .connect()
            .expect(&["CLIENT", "KILL", "TYPE", "normal"], ":3\r\n");
        wait_until("control is back", PATIENCE, || {
            let clients = other_clients(&mut server.connect());
            clients.iter().any(|line| line.contains(":control "))
        });
        client.expect(&["GET", "k"], "$1\r\nv\r\n");
        narrows.expect_logged(&["COMMAND is refused"]);
        let warnings = narrows.log().matches("COMMAND is refused").count();
        assert_eq!(warnings, 1, "{}", narrows.log());
    }
}

#[test]
fn a_wrong_password_is_told_apart_and_a_right_one_needs_no_restart() {
    let server = RedisServer::start_with(&["--requirepass", "s3cret-right"]);
    let at = server.address();
    for credentials in ["", ":s3cret-wrong@", "nobody:s3cret-wrong@"] {
        let settings = format!("{NOBODY_ASKS}{SHORT_DEADLINES}");
        let narrows = narrows(&format!("redis://{credentials}{at}"), &settings, &[]);
        let refused = "-TRYAGAIN narrows: the backend refuses narrows' credentials\r\n";
        let mut client = narrows.connect();
        client.expect(&["GET", "k"], refused);
        client.expect(&["PING"], refused);
        assert!(!narrows.log().contains("s3cret"), "{}", narrows.log());
    }
    let narrows = narrows(&format!("redis://:s3cret-new@{at}"), SHORT_DEADLINES, &[]);
    let mut client = narrows.connect();
    assert!(client.call(&["PING"]).text().contains("credentials"));
    let mut admin = server.connect();
    admin.expect(&["AUTH", "s3cret-right"], "+OK\r\n");
    admin.expect(&["CONFIG", "SET", "requirepass", "s3cret-new"], "+OK\r\n");
    becomes(
        &mut client,
        &["PING"],
        "TRYAGAIN narrows: the backend refuses",
        "PONG",
    );
}

#[test]
fn a_password_or_a_user_of_the_url_logs_every_connection_in() {
    let user = ["--user", "app", "on", ">pa@ss", "~*", "&*", "+@all"];
    let server = RedisServer::start_with(&[&["--requirepass", "s3cret"][..], &user].concat());
    let at = server.address();
    for (credentials, name) in [(":s3cret@", "default"), ("app:pa%40ss@", "app")] {
        let narrows = narrows(&format!("redis://{credentials}{at}/2"), NONE_READY, &[]);
        let mut client = narrows.connect();
        client.expect(&["SET", "k", "v"], "+OK\r\n");
        client.expect(&["ACL", "WHOAMI"], format!("${}\r\n{name}\r\n", name.len()));
        let mut admin = server.connect();
        admin.expect(&["AUTH", "s3cret"], "+OK\r\n");
        wait_until("both connections, logged in", PATIENCE, || {
            let lines = other_clients(&mut admin);
            let user = format!(" user={name} ");
            lines.len() == 2 && lines.iter().all(|line| line.contains(&user))
        });
        admin.expect(&["SELECT", "2"], "+OK\r\n");
        admin.expect(&["GETDEL", "k"], "$1\r\nv\r\n");
        drop(narrows);
        wait_until("the end of its connections", PATIENCE, || {
            other_clients(&mut admin).is_empty()
        });
    }
}

#[test]
fn a_cluster_node_is_refused_in_clear_words_until_another_server_is_there() {
    let node = RedisServer::start_with(&["--cluster-enabled", "yes"]);
    let narrows = narrows(&node.url(), SHORT_DEADLINES, &[]);
    let mut client = narrows.connect();
    let refused = "ERR narrows: the backend is a Redis Cluster node, which this version does not \
                   support";
    for _ in 0..3 {
        client.expect(&["GET", "k"], format!("-{refused}\r\n"));
    }
    let port = node.port().to_string();
    drop(node);
    let mut command = std::process::Command::new("redis-server");
    command.args(["--port", &port, "--save", "", "--bind", "127.0.0.1"]);
    let _plain = Child::spawn(&mut command);
    wait_for("the plain server", PATIENCE, || {
        Conn::try_connect(&format!("127.0.0.1:{port}")).ok()
    });
    wait_until("service", PATIENCE, || {
        let text = client.call(&["PING"]).text();
        assert!(
            text == "PONG" || text == refused || text.starts_with("TRYAGAIN "),
            "{text}"
        );
        text == "PONG"
    });
}

#[test]
fn the_servers_own_limit_is_never_reached_through_narrows() {
    let server = RedisServer::start_with(&["--maxclients", "10", "--databases", "64"]);
    let mut admin = server.connect();
    let narrows = narrows(&server.url(), "", &["--max-backend-connections", "32"]);
    wait_until("control", PATIENCE, || other_clients(&mut admin).len() == 1);
    let mut clients: Vec<Conn> = (0..40).map(|_| narrows.connect()).collect();
    for _ in 0..5 {
        for (db, client) in clients.iter_mut().enumerate() {
            client.send_command(&["SELECT", &db.to_string()]);
            client.send_command(&["SET", "k", &db.to_string()]);
            client.send_command(&["GET", "k"]);
        }
        for (db, client) in clients.iter_mut().enumerate() {
            client.expect_reply("+OK\r\n");
            client.expect_reply("+OK\r\n");
            assert_eq!(client.reply().text(), db.to_string());
        }
        let held = other_clients(&mut admin).len();
        assert!(held <= 8, "{held} connections, 8 are 0.8 of maxclients");
    }
    assert_eq!(server.info_number("rejected_connections"), 0);
}

#[test]
fn narrows_keeps_serving_when_the_server_takes_no_more_connections() {
    let server = RedisServer::start();
    let mut admin = server.connect();
    let narrows = narrows(&server.url(), SHORT_DEADLINES, &[]);
    let mut client = narrows.connect();
    client.expect(&["SET", "k", "v"], "+OK\r\n");
    let full = (other_clients(&mut admin).len() + 1).to_string();
    admin.expect(&["CONFIG", "SET", "maxclients", &full], "+OK\r\n");
    for db in ["1", "2", "3", "0"] {
        client.expect(&["SELECT", db], "+OK\r\n");
        client.expect(&["SET", "k", db], "+OK\r\n");
        client.expect(&["GET", "k"], format!("$1\r\n{db}\r\n"));
    }
}

#[test]
fn a_server_that_closes_idle_connections_goes_unnoticed() {
    let server = RedisServer::start_with(&["--timeout", "1"]);
    let pinging = format!("{NONE_READY}ping_interval = \"300ms\"\n");
    let pinging = narrows(&server.url(), &pinging, &[]);
    let dialling = narrows(&server.url(), NONE_READY, &[]);
    let mut clients = [pinging.connect(), dialling.connect()];
    let mut admin = server.connect();
    for client in &mut clients {
        client.expect(&["SET", "k", "v"], "+OK\r\n");
    }
    // The one that pings keeps its pipe, the other one loses it. (The health checks come once
    // a second: whether the server finds that idle is a matter of how it rounds.)
    let begin = Instant::now();
    wait_until("the server closes what is idle", PATIENCE, || {
        let pipes = pipe_ids(&mut admin).len();
        begin.elapsed() > Duration::from_millis(2500) && pipes == 1
    });
    for client in &mut clients {
        client.expect(&["SET", "k", "w"], "+OK\r\n");
        client.expect(&["GET", "k"], "$1\r\nw\r\n");
    }
    for narrows in [&pinging, &dialling] {
        assert!(!narrows.log().contains("WARN"), "{}", narrows.log());
    }
}
