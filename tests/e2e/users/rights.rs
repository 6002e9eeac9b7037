//! The server's ACL holds for what narrows answers itself, and its `ACL LOG` tells of it.

use crate::support::{Conn, Flavor, RedisServer};
use crate::users::{passthrough, server_with_users};

fn user(server: &RedisServer, rules: &[&str]) -> Conn {
    let mut admin = server.connect();
    admin.expect(&["AUTH", "admin", "adminpw"], "+OK\r\n");
    let command: Vec<&str> = ["ACL", "SETUSER"].iter().chain(rules).copied().collect();
    admin.expect(&command, "+OK\r\n");
    admin
}

/// All that narrows answers itself, and what it sends to connections of their own.
const ASKED: &[&[&str]] = &[
    &["CLIENT", "ID"],
    &["CLIENT", "INFO"],
    &["CLIENT", "LIST"],
    &["CLIENT", "KILL", "ID", "1000000"],
    &["CLIENT", "KILL", "1.2.3.4:5"],
    &["CLIENT", "SETNAME", "x"],
    &["CLIENT", "GETNAME"],
    &["CLIENT", "REPLY", "ON"],
    &["CLIENT", "UNBLOCK", "1000000"],
    &["CLIENT", "NO-EVICT", "ON"],
    &["CLIENT", "GETREDIR"],
    &["CLIENT", "TRACKINGINFO"],
    &["CLIENT", "HELP"],
    &["SELECT", "1"],
    &["SCRIPT", "EXISTS", "x"],
    &["SCRIPT", "FLUSH"],
    &["FUNCTION", "LIST"],
    &["FUNCTION", "STATS"],
    &["CONFIG", "GET", "maxmemory"],
    &["ACL", "LIST"],
    &["INFO"],
    &["PUBLISH", "c", "m"],
];

#[test]
fn whoever_may_not_gets_redis_own_words_for_all_that_narrows_answers() {
    for flavor in Flavor::pair() {
        let server = server_with_users(flavor);
        user(&server, &["nobody", "on", ">pw", "~*", "+get"]);
        let narrows = passthrough(&server, "");
        let (mut client, mut direct) = (narrows.connect(), server.connect());
        for conn in [&mut client, &mut direct] {
            conn.expect(&["AUTH", "nobody", "pw"], "+OK\r\n");
        }
        for asked in ASKED {
            let expected = direct.call(asked).text();
            assert!(expected.starts_with("NOPERM"), "{asked:?}: {expected}");
            assert_eq!(client.call(asked).text(), expected, "{asked:?}");
        }
        // What Redis asks no right for.
        for free in [&["AUTH", "nobody", "pw"][..], &["HELLO", "2"], &["RESET"]] {
            assert_ne!(client.call(free).raw()[0], b'-', "{free:?}");
        }
    }
}

#[test]
fn whoever_may_is_answered_and_a_right_that_is_taken_is_missed_soon() {
    let server = server_with_users(Flavor::Redis);
    let mut admin = user(&server, &["carol", "on", ">pw", "~*", "+@all"]);
    let narrows = passthrough(&server, "");
    let mut client = narrows.connect();
    client.expect(&["AUTH", "carol", "pw"], "+OK\r\n");
    assert!(
        client
            .call(&["CLIENT", "LIST"])
            .text()
            .contains("user=carol")
    );
    client.expect(&["SELECT", "3"], "+OK\r\n");
    admin.expect(&["ACL", "SETUSER", "carol", "-client|list"], "+OK\r\n");
    crate::support::wait_until("the right is missed", crate::support::PATIENCE, || {
        client
            .call(&["CLIENT", "LIST"])
            .text()
            .starts_with("NOPERM")
    });
    client.expect(&["CLIENT", "SETNAME", "x"], "+OK\r\n");
}

#[test]
fn the_servers_log_names_who_tried_what_once_for_each_try() {
    let server = server_with_users(Flavor::Redis);
    let mut admin = user(
        &server,
        &["dave", "on", ">pw", "~*", "+get", "+multi", "+exec"],
    );
    let narrows = passthrough(&server, "");
    let mut client = narrows.connect();
    client.expect(&["AUTH", "dave", "pw"], "+OK\r\n");
    client.expect(&["GET", "x"], "$-1\r\n");
    assert_eq!(
        admin.call(&["ACL", "LOG"]).raw(),
        b"*0\r\n",
        "narrows itself tries nothing"
    );
    client.call(&["CLIENT", "LIST"]);
    client.call(&["CLIENT", "LIST"]);
    let log = admin.call(&["ACL", "LOG"]).raw().escape_ascii().to_string();
    assert!(log.contains("client|list") && log.contains("dave"), "{log}");
    admin.expect(&["ACL", "LOG", "RESET"], "+OK\r\n");
    // Inside a transaction it is refused as it is queued.
    client.expect(&["MULTI"], "+OK\r\n");
    assert!(client.call(&["CLIENT", "ID"]).text().starts_with("NOPERM"));
    assert!(client.call(&["EXEC"]).text().starts_with("EXECABORT"));
    let log = admin.call(&["ACL", "LOG"]).raw().escape_ascii().to_string();
    assert!(log.contains("client|id") && log.contains("multi"), "{log}");
}
