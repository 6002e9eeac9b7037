//! The server becomes a replica, or a master again: `HELLO` says what it is now.

use crate::support::setup::narrows;
use crate::support::{Conn, Flavor, PATIENCE, RedisServer, wait_until};

/// What `HELLO` says.
#[track_caller]
pub(crate) fn role(conn: &mut Conn, protocol: &str) -> String {
    let reply = conn.call(&["HELLO", protocol]);
    role_in(reply.raw())
}

#[track_caller]
fn role_in(reply: &[u8]) -> String {
    let text = String::from_utf8_lossy(reply).into_owned();
    let mut lines = text.lines().skip_while(|line| *line != "role").skip(2);
    lines.next().unwrap_or_else(|| panic!("{text}")).to_owned()
}

/// A master that nobody has to reach.
const OF_SOMEBODY: [&str; 3] = ["REPLICAOF", "127.0.0.1", "1"];
const OF_NO_ONE: [&str; 3] = ["REPLICAOF", "NO", "ONE"];

#[test]
fn hello_says_what_the_server_has_become() {
    for flavor in Flavor::matrix() {
        let server = RedisServer::start_flavor(flavor, &[]);
        let settings =
            "[backend]\nhealth_interval = \"50ms\"\n[commands]\nallow = [\"REPLICAOF\"]\n";
        let narrows = narrows(&server.url(), settings, &["--workers", "2"]);
        // One for each worker.
        let mut clients = [narrows.connect(), narrows.connect()];
        let mut direct = server.connect();
        for client in &mut clients {
            for protocol in ["2", "3"] {
                assert_eq!(role(client, protocol), "master");
            }
        }
        // By somebody else: soon.
        for (change, becomes) in [(OF_SOMEBODY, "replica"), (OF_NO_ONE, "master")] {
            direct.expect(&change, "+OK\r\n");
            for client in &mut clients {
                for protocol in ["2", "3"] {
                    wait_until(becomes, PATIENCE, || role(client, protocol) == becomes);
                }
            }
        }
    }
}

#[test]
fn what_is_made_of_the_server_through_narrows_is_known_at_once() {
    for flavor in Flavor::matrix() {
        let server = RedisServer::start_flavor(flavor, &[]);
        // No health check helps.
        let settings = "[backend]\nhealth_interval = \"9s\"\n[commands]\nallow = [\"REPLICAOF\"]\n";
        let narrows = narrows(&server.url(), settings, &["--workers", "2"]);
        let [mut client, mut other] = [narrows.connect(), narrows.connect()];
        for conn in [&mut client, &mut other] {
            assert_eq!(role(conn, "3"), "master");
        }
        for round in 0..6 {
            // Also on a connection of its own.
            if round == 3 {
                client.expect(&["CLIENT", "TRACKING", "ON"], "+OK\r\n");
            }
            for (change, becomes) in [(OF_SOMEBODY, "replica"), (OF_NO_ONE, "master")] {
                let pipeline = format!("{}\r\nHELLO 3\r\n", change.join(" "));
                client.send(pipeline);
                client.expect_reply("+OK\r\n");
                assert_eq!(role_in(client.reply().raw()), becomes, "{round}");
                assert_eq!(role(&mut other, "3"), becomes, "{round}");
            }
        }
    }
}
