//! Handshakes with clients: what does not become one, what is said of it, and that nobody else waits.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use super::tls_client::{ONLY_1_2, TlsClient, TlsListener};
use crate::support::{Child, Conn, PATIENCE, RedisServer, wait_for};

/// How often connections were closed for `reason`.
fn rejected(listener: &TlsListener, reason: &str) -> u64 {
    let info = listener.narrows.connect().call(&["INFO", "narrows"]).text();
    let field = format!("narrows_turned_away_{reason}_total:");
    let line = info.lines().find_map(|line| line.strip_prefix(&field));
    line.unwrap().trim().parse().unwrap()
}

fn raw(listener: &TlsListener, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(listener.address()).unwrap();
    stream.set_read_timeout(Some(Conn::READ_PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

fn all_of(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut bytes);
    bytes
}

#[test]
fn one_that_speaks_resp_where_tls_is_spoken_is_told_so() {
    let server = RedisServer::start();
    let listener = TlsListener::start(&server, "", "");
    let answer = all_of(raw(&listener, b"*1\r\n$4\r\nPING\r\n"));
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("-ERR this port speaks TLS"), "{answer}");
    listener
        .narrows
        .expect_logged(&["it begins with '*' and not with TLS"]);
    assert_eq!(rejected(&listener, "tls_handshake"), 1);
}

#[test]
fn one_that_speaks_tls_where_it_is_not_spoken_is_named_in_the_log() {
    let server = RedisServer::start();
    let listener = TlsListener::start(&server, "", "");
    let client = TlsClient {
        address: listener.narrows.address().to_owned(),
        ..listener.client()
    };
    assert!(client.connect().is_err());
    listener
        .narrows
        .expect_logged(&["TLS", "rediss://", "tls:"]);
}

/// A ClientHello of TLS 1.1, which is all that it can do.
fn hello_of_tls_1_1() -> Vec<u8> {
    let mut hello = vec![3, 2];
    hello.extend([7; 32]);
    // No session, one suite, no compression, and which signatures it understands.
    hello.extend([0, 0, 2, 0xc0, 0x13, 1, 0]);
    hello.extend([0, 8, 0, 13, 0, 4, 0, 2, 4, 3]);
    let mut handshake = vec![1, 0, 0, u8::try_from(hello.len()).unwrap()];
    handshake.extend(hello);
    let mut record = vec![0x16, 3, 1, 0, u8::try_from(handshake.len()).unwrap()];
    record.extend(handshake);
    record
}

#[test]
fn an_old_version_is_refused_by_its_name() {
    let server = RedisServer::start();
    let listener = TlsListener::start(&server, "", "");
    let answer = all_of(raw(&listener, &hello_of_tls_1_1()));
    // A fatal alert: protocol_version (RFC 8446, 6.2).
    assert_eq!(answer.get(..1), Some(&[0x15][..]), "{answer:?}");
    assert_eq!(answer.get(5..7), Some(&[2, 70][..]), "{answer:?}");
    let listener = TlsListener::start(&server, "min_version = \"1.3\"", "");
    let client = TlsClient {
        versions: &ONLY_1_2,
        ..listener.client()
    };
    assert!(client.connect().is_err());
    listener.connect().expect(&["PING"], "+PONG\r\n");
}

#[test]
fn one_that_does_not_finish_is_closed_in_time() {
    let server = RedisServer::start();
    let listener = TlsListener::start(&server, "handshake_timeout = \"300ms\"", "");
    let begun = Instant::now();
    for bytes in [&b""[..], b"\x16\x03", &hello_of_tls_1_1()[..20]] {
        assert_eq!(all_of(raw(&listener, bytes)), b"");
    }
    assert!(begun.elapsed() >= Duration::from_millis(900));
    wait_for("all to be counted", PATIENCE, || {
        (rejected(&listener, "tls_timeout") == 3).then_some(())
    });
    listener
        .narrows
        .expect_logged(&["no TLS handshake in time", "tls.handshake_timeout"]);
    // Whoever only looks whether somebody listens is not worth a word.
    drop(raw(&listener, b""));
    assert_eq!(rejected(&listener, "tls_handshake"), 0);
}

#[test]
fn who_keeps_narrows_waiting_makes_way_for_who_does_not() {
    let server = RedisServer::start();
    let limits = "handshakes_max = 3\nhandshake_timeout = \"1m\"";
    let listener = TlsListener::start(&server, limits, "");
    let idle: Vec<TcpStream> = (0..10).map(|_| raw(&listener, b"")).collect();
    for _ in 0..5 {
        listener.connect().expect(&["PING"], "+PONG\r\n");
    }
    // Those that came first are gone.
    wait_for("all but the last to be closed", PATIENCE, || {
        (rejected(&listener, "tls_overload") >= 7).then_some(())
    });
    drop(idle);
    listener
        .narrows
        .expect_logged(&["made others wait", "tls.handshakes_max"]);
}

#[test]
fn connections_within_their_handshake_count_as_clients() {
    let server = RedisServer::start();
    let listener = TlsListener::start(&server, "", "[clients]\nmax_clients = 3\n");
    let mut known = listener.connect();
    known.expect(&["PING"], "+PONG\r\n");
    let mut idle = Vec::new();
    wait_for("no place to be left", PATIENCE, || {
        idle.push(raw(&listener, b""));
        let mut client = Conn::try_connect(listener.narrows.address()).ok()?;
        let text = client.call(&["PING"]).text();
        text.starts_with("ERR max number of clients").then_some(())
    });
    known.expect(&["PING"], "+PONG\r\n");
}

/// With TLS 1.2 a client could ask for another handshake at any time (RFC 5246, 7.4.1.1).
#[test]
fn nobody_gets_a_second_handshake() {
    let server = RedisServer::start();
    let listener = TlsListener::start(&server, "", "");
    let address = listener.address();
    let mut openssl = Child::spawn_with_input(
        Command::new("openssl").args(["s_client", "-tls1_2", "-connect", &address]),
    );
    openssl.input("PING\r\n");
    openssl.expect_logged(&["+PONG"]);
    // A line with this alone asks for one.
    openssl.input("R\n");
    openssl.expect_logged(&["RENEGOTIATING"]);
    openssl.expect_logged(&["no renegotiation"]);
    listener.connect().expect(&["PING"], "+PONG\r\n");
}
