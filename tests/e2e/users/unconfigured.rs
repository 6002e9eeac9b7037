//! narrows that was given nothing but the server's address: its clients log in as they would
//! directly, or need not where the server asks for no login.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::setup;
use crate::support::{Conn, Flavor, Narrows, PATIENCE, RedisServer, wait_until};
use crate::users::server_with_users;

/// A server that asks for a password.
fn with_a_password(flavor: Flavor) -> RedisServer {
    RedisServer::start_flavor(flavor, &["--requirepass", "pw"])
}

/// One that asks for none, and has a user beside that may not change its db.
fn open_with_users(flavor: Flavor) -> RedisServer {
    let server = RedisServer::start_flavor(flavor, &[]);
    let mut admin = server.connect();
    for rules in [
        &["stays", "on", ">pw", "~*", "&*", "+@all", "-select"][..],
        &["alice", "on", ">alicepw", "~a:*", "&*", "+@all", "-@admin"],
    ] {
        let command: Vec<&str> = ["ACL", "SETUSER"].iter().chain(rules).copied().collect();
        admin.expect(&command, "+OK\r\n");
    }
    server
}

fn in_front_of(server: &RedisServer) -> Narrows {
    setup::narrows(&server.url(), "", &[])
}

/// What clients say first, to servers of every kind.
const CONVERSATIONS: &[&[&str]] = &[
    &["PING", "GET k", "AUTH pw", "GET k", "ACL WHOAMI", "SET k v"],
    &[
        "AUTH wrong",
        "AUTH default pw",
        "AUTH",
        "AUTH a b c",
        "GET k",
    ],
    &[
        "AUTH alice wrong",
        "AUTH alice alicepw",
        "ACL WHOAMI",
        "SET a:1 x",
        "SET b:1 x",
    ],
    &[
        "AUTH alice alicepw",
        "AUTH nobody x",
        "ACL WHOAMI",
        "AUTH pw",
        "ACL WHOAMI",
    ],
    &[
        "HELLO 3",
        "HELLO 3 AUTH default pw",
        "GET none",
        "ACL WHOAMI",
    ],
    &[
        "HELLO 3 AUTH alice alicepw",
        "GET a:none",
        "HELLO 2",
        "GET a:none",
        "RESET",
        "GET a:none",
    ],
    &[
        "HELLO 3 AUTH alice wrong",
        "HELLO 2 AUTH alice alicepw SETNAME me",
        "CLIENT GETNAME",
    ],
    &[
        "SELECT 3",
        "AUTH alice alicepw",
        "SET a:db 3",
        "SELECT 0",
        "EXISTS a:db",
        "CONFIG GET save",
    ],
    &[
        "EXEC",
        "DISCARD",
        "EXEC x",
        "MULTI",
        "EXEC",
        "AUTH alice alicepw",
        "MULTI",
        "SET a:2 x",
        "SET b:2 x",
        "EXEC",
    ],
];

/// What a reply says, but for the connection's own id.
fn said(conn: &mut Conn, request: &str) -> String {
    let words: Vec<&str> = request.split(' ').collect();
    let reply = conn.call(&words);
    match (words[0], reply.raw().first()) {
        ("HELLO", Some(b'%' | b'*')) => format!("{}hello", reply.raw()[0] as char),
        _ => reply.raw().escape_ascii().to_string(),
    }
}

#[test]
fn clients_log_in_as_they_would_directly_and_need_not_where_the_server_does_not_ask() {
    for flavor in Flavor::pair() {
        let kinds: [fn(Flavor) -> RedisServer; 3] =
            [with_a_password, server_with_users, open_with_users];
        for start in kinds {
            let (server, other) = (start(flavor), start(flavor));
            let narrows = in_front_of(&server);
            for conversation in CONVERSATIONS {
                let (mut client, mut direct) = (narrows.connect(), other.connect());
                for request in *conversation {
                    let expected = said(&mut direct, request);
                    let found = said(&mut client, request);
                    // Valkey since 9.1 asks for a login before it looks at the arguments.
                    if flavor == Flavor::Valkey91 && *request == "EXEC x" {
                        let aborts = |reply: &str| reply.starts_with("-EXECABORT ");
                        assert!(aborts(&found) && aborts(&expected), "{found} {expected}");
                        continue;
                    }
                    assert_eq!(found, expected, "{request} of {conversation:?}");
                }
            }
        }
    }
}

/// The body of a page of the admin endpoints.
fn page(narrows: &Narrows, path: &str) -> String {
    let mut stream = TcpStream::connect(narrows.admin_address()).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

const UNKNOWN: &str = "unknown until a client that may ask has logged in";

#[test]
fn what_only_a_login_shows_is_asked_as_a_user_that_has_logged_in() {
    for flavor in Flavor::pair() {
        let server = server_with_users(flavor);
        let mut admin = server.connect();
        admin.expect(&["AUTH", "admin", "adminpw"], "+OK\r\n");
        let shy = ["ACL", "SETUSER", "alice", "-info", "-command"];
        admin.expect(&shy, "+OK\r\n");
        let narrows = setup::narrows(
            &server.url(),
            "[backend]\nhealth_interval = \"50ms\"\n",
            &[],
        );
        narrows.expect_logged(&["logins=", "passthrough"]);
        wait_until("it is said that much is unknown", PATIENCE, || {
            let ready = page(&narrows, "/readyz");
            ready.contains("ready\n") && ready.contains("passthrough") && ready.contains(UNKNOWN)
        });
        narrows.expect_logged(&["is unknown until a client that may ask has logged in"]);
        let figures = |known: bool| {
            wait_until("what is known", PATIENCE, || {
                let shown = page(&narrows, "/metrics").contains("redis_config_maxclients 10000");
                shown == known && page(&narrows, "/readyz").contains(UNKNOWN) != known
            });
        };
        figures(false);
        let mut alice = narrows.connect();
        alice.expect(&["AUTH", "alice", "alicepw"], "+OK\r\n");
        alice.expect(&["SET", "a:1", "x"], "+OK\r\n");
        // The server refuses her that, so it is asked as the next one.
        let mut bob = narrows.connect();
        bob.expect(&["AUTH", "bob", "bobpw"], "+OK\r\n");
        figures(true);
        let control = |admin: &mut Conn| {
            let list = admin.call(&["CLIENT", "LIST"]).text();
            let control = list.lines().find(|line| line.contains(":control "));
            control.map(str::to_owned).unwrap_or_default()
        };
        let line = control(&mut admin);
        assert!(line.contains(" user=bob "), "{line}");
        // With another password, and its connections gone, he is asked as no more.
        let other = ["ACL", "SETUSER", "bob", "resetpass", ">other"];
        admin.expect(&other, "+OK\r\n");
        admin.call(&["CLIENT", "KILL", "USER", "bob"]);
        figures(false);
        let mut bob = narrows.connect();
        bob.expect(&["AUTH", "bob", "other"], "+OK\r\n");
        figures(true);
        assert!(!narrows.log().contains("pw"), "{}", narrows.log());
    }
}

/// What a user that may not `SELECT` says that logs in elsewhere than in db 0.
const STAYS: &[&str] = &[
    "SELECT 9",
    "SET k nine",
    "AUTH stays pw",
    "GET k",
    "ACL WHOAMI",
    "WATCH k",
    "MULTI",
    "GET k",
    "EXEC",
    "SELECT 9",
    "SELECT 0",
    "GET k",
    "DEL q",
    "RPUSH q 1",
    "BLPOP q 1",
    "RESET",
    "GET k",
];

#[test]
fn who_may_not_select_and_logs_in_in_another_db_stays_there() {
    for flavor in Flavor::pair() {
        let (server, other) = (open_with_users(flavor), open_with_users(flavor));
        for server in [&server, &other] {
            server.connect().expect(&["SET", "k", "zero"], "+OK\r\n");
        }
        for connections in ["3", "16"] {
            let settings = format!("[backend]\nmax_connections = {connections}\n");
            let narrows = setup::narrows(&server.url(), &settings, &[]);
            let mut at_home = narrows.connect();
            at_home.expect(&["AUTH", "stays", "pw"], "+OK\r\n");
            at_home.expect(&["GET", "k"], "$4\r\nzero\r\n");
            for protocol in ["2", "3"] {
                let (mut client, mut direct) = (narrows.connect(), other.connect());
                let hello = format!("HELLO {protocol}");
                let conversation = [&[&*hello], STAYS].concat();
                for request in conversation {
                    let expected = said(&mut direct, request);
                    assert_eq!(said(&mut client, request), expected, "{request}");
                }
            }
            at_home.expect(&["GET", "k"], "$4\r\nzero\r\n");
            let refused = at_home.call(&["SELECT", "9"]).text();
            assert!(refused.starts_with("NOPERM"), "{refused}");
            at_home.expect(&["GET", "k"], "$4\r\nzero\r\n");
        }
    }
}

#[test]
fn who_may_not_select_is_told_that_it_cannot_be_served_where_nobody_can_bring_it_there() {
    let server = open_with_users(Flavor::Redis);
    // The only one that may change its db is one that has to log in.
    let mut admin = server.connect();
    for rules in [
        &["mover", "on", ">pw", "~*", "&*", "+@all"][..],
        &["default", "-select"],
    ] {
        let command: Vec<&str> = ["ACL", "SETUSER"].iter().chain(rules).copied().collect();
        admin.expect(&command, "+OK\r\n");
    }
    let narrows = in_front_of(&server);
    let mut client = narrows.connect();
    client.expect(&["AUTH", "mover", "pw"], "+OK\r\n");
    client.expect(&["SELECT", "9"], "+OK\r\n");
    client.expect(&["AUTH", "stays", "pw"], "+OK\r\n");
    let refused = client.call(&["SET", "k", "v"]).text();
    assert!(refused.starts_with("TRYAGAIN narrows:"), "{refused}");
    client.expect(&["AUTH", "mover", "pw"], "+OK\r\n");
    client.expect(&["EXISTS", "k"], ":0\r\n");
    admin.expect(&["EXISTS", "k"], ":0\r\n");
}
