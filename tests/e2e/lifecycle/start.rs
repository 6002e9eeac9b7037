//! Addresses, sockets, `check` and the embedded server.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::support::{Conn, Narrows, PATIENCE, RedisServer, process_exists, wait_until};

#[test]
fn a_file_that_is_no_socket_is_neither_listened_on_nor_removed() {
    let server = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("precious.txt");
    std::fs::write(&file, "precious").unwrap();
    let listen = format!("unix:{}", file.display());
    let mut narrows = Narrows::spawn(&["--listen", &listen, "--backend", &server.url()]);
    assert!(!narrows.wait(PATIENCE).success());
    assert!(
        narrows
            .log()
            .contains("there is something that is no socket"),
        "{}",
        narrows.log()
    );
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
}

#[test]
fn clients_and_the_server_are_reached_over_unix_sockets() {
    let server = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("narrows.sock");
    let listen = format!("unix:{}", socket.display());
    let mut narrows = Narrows::start(&["--listen", &listen, "--backend", &server.unix_url()]);
    let mut clients: Vec<Conn> = (0..20).map(|_| Conn::connect_unix(&socket)).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        client.expect(&["ECHO", &format!("{n:03}")], format!("$3\r\n{n:03}\r\n"));
    }
    let list = clients[0].call(&["CLIENT", "LIST"]).text();
    let addr = format!(" addr={}:0 laddr={}:0 ", socket.display(), socket.display());
    assert_eq!(list.matches(&addr).count(), 20, "{list}");
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700, "for its owner only");
    narrows.signal(Signal::TERM);
    assert_eq!(narrows.wait(PATIENCE).code(), Some(0), "{}", narrows.log());
    assert!(!socket.exists(), "the socket's file is removed");
}

#[test]
fn a_socket_left_over_is_replaced_and_one_in_use_is_not() {
    let server = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("narrows.sock");
    let listen = format!("unix:{}", socket.display());
    let arguments = ["--listen", &listen, "--backend", &server.url()];
    drop(UnixListener::bind(&socket).unwrap());
    assert!(socket.exists());
    let narrows = Narrows::start(&arguments);
    Conn::connect_unix(&socket).expect(&["PING"], "+PONG\r\n");

    let mut second = Narrows::spawn(&arguments);
    assert_eq!(second.wait(PATIENCE).code(), Some(1));
    let words = format!("narrows: cannot listen on {listen}: Address already in use");
    second.wait_for_line(PATIENCE, |line| line.starts_with(&words).then_some(()));
    Conn::connect_unix(&socket).expect(&["PING"], "+PONG\r\n");
    drop(narrows);
}

#[test]
fn several_addresses_at_once() {
    let server = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("narrows.sock");
    let listen = format!("127.0.0.1:0,[::1]:0,unix:{}", socket.display());
    let narrows = Narrows::start(&["--listen", &listen, "--backend", &server.url()]);
    wait_until("all addresses", PATIENCE, || {
        narrows.log().matches("listening").count() == 3
    });
    let log = narrows.log();
    let v6 = log.split("addr=[::1]:").nth(1).unwrap();
    let v6 = v6.split_whitespace().next().unwrap();
    for mut conn in [
        narrows.connect(),
        Conn::connect(&format!("[::1]:{v6}")),
        Conn::connect_unix(&socket),
    ] {
        conn.expect(&["PING"], "+PONG\r\n");
    }
}

#[test]
fn a_port_in_use_is_a_clear_error() {
    let server = RedisServer::start();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    let mut narrows = Narrows::spawn(&["--listen", &taken, "--backend", &server.url()]);
    assert_eq!(narrows.wait(PATIENCE).code(), Some(1));
    let words = format!("narrows: cannot listen on {taken}: Address already in use (os error 98)");
    narrows.wait_for_line(PATIENCE, |line| (line == words).then_some(()));
}

#[test]
fn check_says_what_a_file_comes_to_or_all_of_its_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    let check = |text: &str| {
        let file = folder.path().join("narrows.toml");
        std::fs::write(&file, text).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_narrows"))
            .args([Path::new("check"), &file])
            .env_clear()
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (code, text) = check("[backend]\nurl = \"redis://:s3cret@127.0.0.1:7/3\"\n");
    assert!(
        code == Some(0) && text.contains("narrows.toml: ok\n"),
        "{text}"
    );
    assert!(!text.contains("s3cret"), "{text}");
    let (code, text) = check("[pool]\nslice = 20\nmin_idel = 1\n[backend]\nurl = \"http://x\"\n");
    assert!(
        code == Some(1) && text.contains("narrows.toml: 3 mistakes\n"),
        "{text}"
    );
    let all = include_str!("../../../config/narrows.toml");
    assert_eq!(check(all).0, Some(0), "the file with all defaults");
}

/// The pid of the embedded server, and its socket.
fn embedded_server(narrows: &Narrows) -> (u32, PathBuf) {
    let mut conn = narrows.connect();
    let field = |text: String, name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name).map(str::to_owned));
        line.unwrap()
    };
    let pid = field(conn.call(&["INFO", "server"]).text(), "process_id:");
    let socket = conn.call(&["CONFIG", "GET", "unixsocket"]).items();
    let crate::support::Value::Bulk(socket) = &socket[1] else {
        panic!("{socket:?}");
    };
    let socket = PathBuf::from(String::from_utf8(socket.clone()).unwrap());
    (pid.parse().unwrap(), socket)
}

#[test]
fn the_embedded_server_serves_and_ends_with_narrows() {
    let mut narrows = Narrows::start(&["--embedded", "--listen", "127.0.0.1:0"]);
    let mut client = narrows.connect();
    client.expect(&["SET", "k", "v"], "+OK\r\n");
    client.expect(&["GET", "k"], "$1\r\nv\r\n");
    let (pid, socket) = embedded_server(&narrows);
    narrows.expect_logged(&["  end:      Ctrl-C"]);
    let greeting = format!("  connect:  redis-cli -h 127.0.0.1 -p {}\n", narrows.port());
    assert!(narrows.log().contains(&greeting), "{}", narrows.log());
    narrows.signal(Signal::TERM);
    assert_eq!(narrows.wait(PATIENCE).code(), Some(0), "{}", narrows.log());
    assert!(!process_exists(pid) && !socket.parent().unwrap().exists());
}

#[test]
fn the_embedded_server_does_not_outlive_a_killed_narrows() {
    let mut narrows = Narrows::start(&["--embedded", "--listen", "127.0.0.1:0"]);
    let (pid, socket) = embedded_server(&narrows);
    narrows.signal(Signal::KILL);
    narrows.wait(PATIENCE);
    wait_until("the end of the server", PATIENCE, || {
        !process_exists(pid) && !socket.parent().unwrap().exists()
    });
}
