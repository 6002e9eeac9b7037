//! The test support, tested: the other tests are worth what their servers and their reading of
//! replies are worth.

use std::io::{ErrorKind, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use crate::support::{Conn, Flavor, PATIENCE, RedisServer, Value, process_exists, wait_until};

#[test]
fn a_server_of_each_flavor_answers_on_both_its_ways() {
    for flavor in Flavor::matrix() {
        let server = RedisServer::start_flavor(flavor, &["--maxclients", "77"]);
        server
            .connect()
            .expect(&["SET", "key", "a\r\nb"], "+OK\r\n");
        Conn::connect_unix(&server.socket()).expect(&["GET", "key"], "$4\r\na\r\nb\r\n");
        assert_eq!(server.info_number("maxclients"), 77);
        assert_eq!(server.info_number("process_id"), u64::from(server.pid()));
        assert_eq!(server.info("tcp_port"), server.port().to_string());
    }
}

#[test]
fn a_killed_server_comes_back_empty_at_the_same_place() {
    let mut server = RedisServer::start();
    let mut conn = server.connect();
    conn.expect(&["SET", "key", "value"], "+OK\r\n");
    server.kill9();
    conn.expect_closed();
    assert!(Conn::try_connect(&server.address()).is_err());
    server.restart();
    server.connect().expect(&["GET", "key"], "$-1\r\n");
}

#[test]
fn a_stopped_server_is_silent_until_it_goes_on() {
    let mut server = RedisServer::start();
    let mut conn = server.connect();
    server.stop();
    conn.send_command(&["PING"]);
    conn.expect_silence(Duration::from_millis(100));
    server.cont();
    conn.expect_reply("+PONG\r\n");
}

#[test]
fn a_dropped_server_is_gone_with_its_folder() {
    let server = RedisServer::start();
    let (pid, socket) = (server.pid(), server.socket());
    drop(server);
    assert!(!process_exists(pid) && !socket.parent().unwrap().exists());
}

#[test]
fn connections_are_counted_by_the_server() {
    let server = RedisServer::start();
    let clients: Vec<Conn> = (0..5).map(|_| server.connect()).collect();
    wait_until("five clients and the one that asks", PATIENCE, || {
        server.info_number("connected_clients") == 6
    });
    drop(clients);
    wait_until("only the one that asks", PATIENCE, || {
        server.info_number("connected_clients") == 1
    });
}

#[test]
fn replies_keep_their_bytes_and_tell_their_meaning() {
    let replies: [(&str, Value); 16] = [
        ("+OK\r\n", Value::Status("OK".into())),
        ("-ERR no\r\n", Value::Error("ERR no".into())),
        ("!6\r\nERR no\r\n", Value::Error("ERR no".into())),
        (":-12\r\n", Value::Integer(-12)),
        ("$4\r\n\r\n\r\n\r\n", Value::Bulk(b"\r\n\r\n".to_vec())),
        ("$0\r\n\r\n", Value::Bulk(Vec::new())),
        ("$-1\r\n", Value::Null),
        ("*-1\r\n", Value::Null),
        ("_\r\n", Value::Null),
        (",inf\r\n", Value::Number("inf".into())),
        ("#t\r\n", Value::Boolean(true)),
        (
            "*2\r\n:1\r\n*1\r\n:2\r\n",
            Value::Array(vec![one(1), Value::Array(vec![one(2)])]),
        ),
        (
            "%1\r\n:1\r\n~1\r\n:2\r\n",
            Value::Map(vec![(one(1), Value::Array(vec![one(2)]))]),
        ),
        ("|1\r\n+a\r\n+b\r\n>1\r\n:3\r\n", Value::Push(vec![one(3)])),
        (
            "*?\r\n:1\r\n:2\r\n.\r\n",
            Value::Array(vec![one(1), one(2)]),
        ),
        (
            "$?\r\n;2\r\nab\r\n;1\r\nc\r\n;0\r\n",
            Value::Bulk(b"abc".to_vec()),
        ),
    ];
    let all: String = replies.iter().map(|(raw, _)| *raw).collect();
    let mut conn = peer_that_sends(&all);
    for (raw, value) in &replies {
        let reply = conn.reply();
        assert_eq!(
            (reply.raw(), reply.value()),
            (raw.as_bytes(), value.clone()),
            "{raw:?}"
        );
    }
    conn.expect_closed();
}

#[test]
fn what_is_no_reply_is_an_error() {
    for bytes in ["hello\r\n", "$x\r\n", "$1\r\nabc\r\n", "*1\r\nx\r\n"] {
        let error = peer_that_sends(bytes).try_reply().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{bytes:?}");
    }
    let error = peer_that_sends("$5\r\nab").try_reply().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

fn one(number: i64) -> Value {
    Value::Integer(number)
}

/// A peer that sends `bytes` one by one and closes.
fn peer_that_sends(bytes: &str) -> Conn {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let conn = Conn::connect(&listener.local_addr().unwrap().to_string());
    let (mut peer, _) = listener.accept().unwrap();
    peer.set_nodelay(true).unwrap();
    let bytes = bytes.to_owned();
    thread::spawn(move || {
        bytes
            .bytes()
            .for_each(|byte| peer.write_all(&[byte]).unwrap())
    });
    conn
}
