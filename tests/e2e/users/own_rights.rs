//! The rights that narrows' own user needs, as its manual has them: with these nothing of narrows' is refused.

use std::time::Duration;

use crate::support::{Conn, Flavor, PATIENCE, RedisServer, setup, wait_for};

/// The lines of the manual, in their order, word by word.
fn manual() -> Vec<Vec<&'static str>> {
    const MANUAL: &str = include_str!("../../../docs/operating.md");
    let lines = MANUAL.lines().map(str::trim);
    let rights = lines.filter(|line| line.starts_with("ACL SETUSER narrows "));
    let words = |line: &'static str| line.split(' ').collect();
    let found: Vec<Vec<&str>> = rights.map(words).collect();
    assert_eq!(found.len(), 2);
    found
}

fn nothing_was_refused(admin: &mut Conn) {
    admin.expect(&["ACL", "LOG"], "*0\r\n");
}

#[test]
fn beside_the_servers_own_users_narrows_needs_no_more_than_the_manual_says() {
    for flavor in Flavor::pair() {
        let server = RedisServer::start_flavor(flavor, &[]);
        let mut admin = server.connect();
        admin.expect(&manual()[0], "+OK\r\n");
        let url = format!("redis://narrows:SECRET@{}", server.address());
        let toml = "[auth]\nmode = \"passthrough\"\n[backend]\nhealth_interval = \"50ms\"\n";
        let narrows = setup::narrows(&url, toml, &[]);
        let mut client = narrows.connect();
        client.expect(&["SET", "k", "v"], "+OK\r\n");
        // Control asks whether a pause still holds.
        client.expect(&["CLIENT", "PAUSE", "300", "WRITE"], "+OK\r\n");
        client.expect(&["GET", "k"], "$1\r\nv\r\n");
        std::thread::sleep(Duration::from_millis(500));
        wait_for("the server's figures", PATIENCE, || {
            let info = client.call(&["INFO", "narrows"]).text();
            info.contains("server_maxclients:").then_some(())
        });
        nothing_was_refused(&mut admin);
    }
}

#[test]
fn where_clients_are_narrows_own_user_it_needs_what_they_use_and_what_the_manual_says() {
    for flavor in Flavor::pair() {
        let server = RedisServer::start_flavor(flavor, &[]);
        let mut admin = server.connect();
        for line in manual() {
            admin.expect(&line, "+OK\r\n");
        }
        let of_clients = [
            "ACL",
            "SETUSER",
            "narrows",
            "~*",
            "&*",
            "+get",
            "+set",
            "+multi",
            "+exec",
            "+watch",
            "+blpop",
            "+lpush",
            "+subscribe",
            "+psubscribe",
            "+client|tracking",
        ];
        admin.expect(&of_clients, "+OK\r\n");
        let url = format!("redis://narrows:SECRET@{}", server.address());
        let narrows = setup::narrows(&url, "[backend]\nhealth_interval = \"50ms\"\n", &[]);
        let mut client = narrows.connect();
        client.expect(&["SELECT", "3"], "+OK\r\n");
        client.expect(&["SET", "k", "v"], "+OK\r\n");
        client.expect(&["WATCH", "k"], "+OK\r\n");
        client.expect(&["MULTI"], "+OK\r\n");
        client.expect(&["GET", "k"], "+QUEUED\r\n");
        client.expect(&["EXEC"], "*1\r\n$1\r\nv\r\n");
        // Each leaves something behind that has to be taken back.
        for left in [
            &["WATCH", "k"][..],
            &["MULTI"],
            &["SUBSCRIBE", "c"],
            &["PSUBSCRIBE", "p"],
            &["BLPOP", "l", "0"],
        ] {
            let mut leaving = narrows.connect();
            leaving.send_command(left);
            if left[0] != "BLPOP" {
                leaving.reply();
            }
            drop(leaving);
        }
        wait_for("all to be gone", PATIENCE, || {
            let list = client.call(&["CLIENT", "LIST"]).text();
            (list.lines().count() == 1).then_some(())
        });
        client.expect(&["GET", "k"], "$1\r\nv\r\n");
        nothing_was_refused(&mut admin);
    }
}
