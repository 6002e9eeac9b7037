//! Who may come in: all clients, those of one address, and those of other machines.

use crate::limits::figures::figure;
use crate::limits::proxy_header::through_a_balancer;
use crate::support::setup::{NOBODY_ASKS, narrows};
use crate::support::{Conn, Narrows, PATIENCE, RedisServer, wait_until};

const MAX_CLIENTS: &str = "-ERR max number of clients reached\r\n";

#[test]
fn one_client_too_many_is_refused_counted_and_logged() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), "[clients]\nmax_clients = 3\n", &[]);
    let mut clients: Vec<Conn> = (0..3).map(|_| narrows.connect()).collect();
    for client in &mut clients {
        client.expect(&["PING"], "+PONG\r\n");
    }
    for _ in 0..5 {
        let mut refused = narrows.connect();
        refused.expect_reply(MAX_CLIENTS);
        refused.expect_closed();
    }
    assert_eq!(
        figure(&mut clients[0], "narrows_turned_away_max_clients_total"),
        5
    );
    let words = [
        "WARN",
        "max number of clients reached",
        "clients.max_clients",
        "max=3",
    ];
    narrows.expect_logged(&words);
    assert_eq!(
        narrows.log().matches("max number of clients").count(),
        1,
        "not each of them"
    );
}

#[test]
fn one_client_too_many_of_an_address_is_refused_and_others_are_not() {
    let server = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("narrows.sock");
    let listen = format!("unix:{}", socket.display());
    let toml = "[clients]\nmax_per_address = 2\n";
    let narrows = narrows(
        &server.url(),
        toml,
        &["--listen", &listen, "--workers", "2"],
    );
    let mut clients: Vec<Conn> = (0..2).map(|_| narrows.connect()).collect();
    for client in &mut clients {
        client.expect(&["PING"], "+PONG\r\n");
    }
    for _ in 0..3 {
        let mut refused = narrows.connect();
        refused.expect_reply(MAX_CLIENTS);
        refused.expect_closed();
    }
    let mut other = Conn::connect_from("127.0.0.2", narrows.address());
    other.expect(&["PING"], "+PONG\r\n");
    // A unix socket has no address to be counted by.
    let mut local: Vec<Conn> = (0..4).map(|_| Conn::connect_unix(&socket)).collect();
    for client in &mut local {
        client.expect(&["PING"], "+PONG\r\n");
    }
    let turned_away = figure(&mut other, "narrows_turned_away_max_per_address_total");
    assert_eq!(turned_away, 3);
    let words = [
        "clients.max_per_address",
        "address=127.0.0.1",
        "clients=2",
        "max=2",
    ];
    narrows.expect_logged(&words);
    // A place is free again when its client has left.
    clients.pop();
    wait_until("room for one more", PATIENCE, || {
        let mut conn = narrows.connect();
        let _ = conn.try_send(b"PING\r\n");
        conn.try_reply()
            .is_ok_and(|reply| reply.raw() == b"+PONG\r\n")
    });
}

#[test]
fn an_ipv6_address_counts_with_its_whole_network() {
    let server = RedisServer::start();
    let toml = "[clients]\nmax_per_address = 2\n\
                [listen]\nallow_open = true\nproxy_protocol_from = ['127.0.0.1']\n";
    let narrows = narrows(&server.url(), toml, &[]);
    let served = |client: &str| {
        let mut conn = through_a_balancer(&narrows, client);
        conn.send("PING\r\n");
        let reply = conn.reply().raw().to_vec();
        (conn, reply)
    };
    let one = served("[2001:db8:0:7::1]:9");
    let two = served("[2001:db8:0:7:ffff::2]:9");
    let three = served("[2001:db8:0:7::3]:9");
    let elsewhere = served("[2001:db8:0:8::1]:9");
    let replies = [one.1, two.1, three.1, elsewhere.1];
    let pong = b"+PONG\r\n".to_vec();
    let expected = [pong.clone(), pong.clone(), MAX_CLIENTS.into(), pong];
    assert_eq!(replies, expected);
    narrows.expect_logged(&["address=2001:db8:0:7::/64", "clients=2"]);
}

#[test]
fn who_comes_from_another_machine_is_turned_away_unless_that_is_meant() {
    let server = RedisServer::start();
    let toml = |open: bool| {
        let listen = format!("allow_open = {open}\nproxy_protocol_from = ['127.0.0.1']\n");
        format!("{NOBODY_ASKS}[listen]\n{listen}")
    };
    let closed = narrows(&server.url(), &toml(false), &[]);
    for client in ["203.0.113.9:40000", "[2001:db8::1]:40000"] {
        let mut refused = through_a_balancer(&closed, client);
        let words = refused.reply().text();
        let begin = "DENIED Redis is running in protected mode because protected mode is enabled";
        let end = "in order for the server to start accepting connections from the outside.";
        assert!(words.starts_with(begin) && words.ends_with(end), "{words}");
        refused.expect_closed();
    }
    let mut local = Conn::connect_from("127.0.0.2", closed.address());
    local.expect(&["PING"], "+PONG\r\n");
    assert_eq!(figure(&mut local, "narrows_turned_away_protected_total"), 2);
    closed.expect_logged(&["WARN", "listen.allow_open", "peer=203.0.113.9:40000"]);

    let open = narrows(&server.url(), &toml(true), &[]);
    let mut served = through_a_balancer(&open, "203.0.113.9:40000");
    served.expect(&["PING"], "+PONG\r\n");
}

#[test]
fn where_clients_have_to_log_in_they_may_come_from_anywhere() {
    let server = RedisServer::start();
    let word = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8";
    let toml = format!(
        "[listen]\nproxy_protocol_from = ['127.0.0.1']\n[auth]\nmode = 'local'\n\
         [users.app]\npassword_sha256 = ['{word}']\n"
    );
    let narrows = narrows(&server.url(), &toml, &[]);
    let mut client = through_a_balancer(&narrows, "203.0.113.9:40000");
    client.expect(&["GET", "k"], "-NOAUTH Authentication required.\r\n");
    client.expect(&["AUTH", "app", "password"], "+OK\r\n");
    client.expect(&["GET", "k"], "$-1\r\n");
}

#[test]
fn a_server_that_asks_nobody_for_a_login_is_not_opened_to_other_machines_by_narrows() {
    let toml = "[listen]\nproxy_protocol_from = ['127.0.0.1']\n[auth]\nmode = 'passthrough'\n";
    let open = RedisServer::start();
    let narrows_of_open = narrows(&open.url(), toml, &["--log-level", "debug"]);
    let mut client = through_a_balancer(&narrows_of_open, "203.0.113.9:40000");
    client.send_command(&["GET", "k"]);
    let words = client.reply().text();
    assert!(
        words.starts_with("DENIED Redis is running in protected mode"),
        "{words}"
    );
    client.expect_closed();
    let mut local = Conn::connect_from("127.0.0.2", narrows_of_open.address());
    local.expect(&["GET", "k"], "$-1\r\n");
    assert_eq!(figure(&mut local, "narrows_turned_away_protected_total"), 1);
    narrows_of_open.expect_logged(&["listen.allow_open", "peer=\"203.0.113.9:40000\""]);

    let closed = RedisServer::start_with(&["--requirepass", "word"]);
    let narrows = narrows(&closed.url(), toml, &[]);
    let mut client = through_a_balancer(&narrows, "203.0.113.9:40000");
    client.expect(&["GET", "k"], "-NOAUTH Authentication required.\r\n");
    client.expect(&["AUTH", "word"], "+OK\r\n");
    client.expect(&["GET", "k"], "$-1\r\n");
}

#[test]
fn an_address_for_other_machines_is_told_at_the_start() {
    let server = RedisServer::start();
    let url = server.url();
    let arguments = ["--backend", &url, "--listen", "127.0.0.1:0,0.0.0.0:0"];
    let closed = Narrows::start(&arguments);
    let words = [
        "WARN",
        "0.0.0.0:0",
        "only clients of this machine are served",
    ];
    closed.expect_logged(&words);
    closed.connect().expect(&["PING"], "+PONG\r\n");
    let open = Narrows::start(&[&arguments[..], &["--allow-open"]].concat());
    let words = ["WARN", "0.0.0.0:0", "acts as the server's default user"];
    open.expect_logged(&words);
}
