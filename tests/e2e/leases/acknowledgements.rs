//! `WAIT` and `WAITAOF`: what they acknowledge is what their client has written, whichever
//! connections that went by.

use crate::support::setup::narrows;
use crate::support::{Conn, Flavor, Narrows, PATIENCE, RedisServer, wait_until};

/// A replica of `server` that has caught up with it.
fn replica_of(server: &RedisServer) -> RedisServer {
    let port = server.port().to_string();
    let replica = RedisServer::start_flavor(server.flavor(), &["--replicaof", "127.0.0.1", &port]);
    wait_until("the replica is there", PATIENCE, || {
        replica.info("master_link_status") == "up" && server.info("connected_slaves") == "1"
    });
    replica
}

#[test]
fn a_write_is_acknowledged_only_when_it_has_arrived() {
    for flavor in Flavor::pair() {
        let server = RedisServer::start_flavor(flavor, &["--repl-diskless-sync-delay", "0"]);
        let mut replica = replica_of(&server);
        let narrows = Narrows::in_front_of(&server, &[]);
        let mut client = narrows.connect();
        for protocol in ["2", "3"] {
            client.call(&["HELLO", protocol]);
            client.expect(&["SET", "k", protocol], "+OK\r\n");
            client.expect(&["WAIT", "1", "10000"], ":1\r\n");
            replica.stop();
            client.expect(&["SET", "k", "late"], "+OK\r\n");
            client.expect(&["WAIT", "1", "200"], ":0\r\n");
            // Also where the client holds another connection than that of its write.
            client.expect(&["WATCH", "k"], "+OK\r\n");
            client.expect(&["WAIT", "1", "100"], ":0\r\n");
            client.expect(&["UNWATCH"], "+OK\r\n");
            // Nothing is acknowledged by ending the wait.
            client.send_command(&["WAIT", "1", "0"]);
            let id = id_of_waiting(&mut narrows.connect());
            narrows
                .connect()
                .expect(&["CLIENT", "UNBLOCK", &id], ":1\r\n");
            client.expect_reply(":0\r\n");
            replica.cont();
            client.expect(&["WAIT", "1", "10000"], ":1\r\n");
        }
        client.expect(&["MULTI"], "+OK\r\n");
        let told = "-ERR Command not allowed inside a transaction\r\n";
        client.expect(&["WAIT", "1", "10"], told);
        assert!(client.call(&["EXEC"]).raw().starts_with(b"-EXECABORT "));
    }
}

/// All that comes of these requests, sent in one write by a client that sends no more.
fn all_of(mut conn: Conn, requests: &str) -> Vec<u8> {
    conn.send(requests.replace('|', "\r\n"));
    // The peer may be quick to close.
    let _ = conn.try_finish_sending();
    let mut all = Vec::new();
    while let Ok(reply) = conn.try_reply() {
        all.extend_from_slice(reply.raw());
    }
    all
}

#[test]
fn a_client_that_sends_no_more_is_acknowledged_what_need_not_be_waited_for() {
    for flavor in Flavor::pair() {
        let server = RedisServer::start_flavor(flavor, &["--repl-diskless-sync-delay", "0"]);
        let narrows = Narrows::in_front_of(&server, &[]);
        let cases = [
            "SET k v|WAIT 0 100|GET k|",
            "SET k v|WAIT 0 0|GET k|",
            // Nobody is there to acknowledge it: it would have to wait, which ends its client.
            "SET k v|WAIT 1 100|GET k|",
            "SET k v|WAIT 2 0|GET k|",
            "MULTI|SET k v|EXEC|WAIT 1 100|SET k w|",
            "WATCH k|WAIT 1 50|GET k|",
            "SET k v|WAIT x 100|WAIT 1|GET k|",
        ];
        for requests in cases {
            let expected = all_of(server.connect(), requests);
            for _ in 0..3 {
                let found = all_of(narrows.connect(), requests);
                let shown = [&found, &expected].map(|bytes| bytes.escape_ascii().to_string());
                assert_eq!(shown[0], shown[1], "{requests}");
            }
        }
        let _replica = replica_of(&server);
        // What has arrived is acknowledged. Through narrows that stands behind a publication, which the
        // replica may be late to have: then the client would have to wait, and that is its end.
        for _ in 0..3 {
            let found = all_of(narrows.connect(), "WAIT 1 1000|GET k|");
            let is_whole = found == b":1\r\n$1\r\nv\r\n";
            assert!(is_whole || found.is_empty(), "{}", found.escape_ascii());
        }
    }
}

/// The id of the one client that waits, once it does.
fn id_of_waiting(conn: &mut Conn) -> String {
    crate::support::wait_for("somebody waits", PATIENCE, || {
        let list = conn.call(&["CLIENT", "LIST"]).text();
        let line = list.lines().find(|line| line.contains(" flags=b "))?;
        crate::support::setup::field(line, "id")
    })
}

#[test]
fn a_write_is_on_disk_when_that_is_acknowledged() {
    for flavor in Flavor::pair() {
        // Redis has the command from 7.2 on.
        let server = RedisServer::start_flavor(flavor, &["--appendonly", "yes"]);
        let has_it = !server
            .connect()
            .call(&["WAITAOF", "0", "0", "0"])
            .is_error();
        let narrows = Narrows::in_front_of(&server, &[]);
        let mut client = narrows.connect();
        for round in 0..5 {
            client.expect(&["SET", "k", &round.to_string()], "+OK\r\n");
            let reply = client.call(&["WAITAOF", "1", "0", "10000"]);
            match has_it {
                true => assert_eq!(reply.raw(), b"*2\r\n:1\r\n:0\r\n", "{reply:?}"),
                false => assert!(reply.is_error(), "{reply:?}"),
            }
        }
    }
}

#[test]
fn who_may_not_publish_is_told_so() {
    let server = RedisServer::start();
    let mut admin = server.connect();
    let rules = [
        "ACL",
        "SETUSER",
        "app",
        "on",
        ">pw",
        "~*",
        "+@all",
        "resetchannels",
    ];
    admin.expect(&rules, "+OK\r\n");
    let url = format!("redis://app:pw@{}", server.address());
    let narrows = narrows(&url, "", &[]);
    let mut client = narrows.connect();
    client.expect(
        &["WAIT", "0", "10000"],
        "-ERR narrows: WAIT needs the right to PUBLISH to the channel __narrows:offset\r\n",
    );
    client.expect(&["SET", "k", "v"], "+OK\r\n");
}
