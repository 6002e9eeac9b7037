//! The PROXY protocol: whom a load balancer speaks for, and that nobody else is listened to.

use std::net::SocketAddr;

use crate::limits::figures::figure;
use crate::support::setup::{field, narrows};
use crate::support::{Conn, Narrows, PATIENCE, RedisServer, wait_until};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

const FROM_HERE: &str = "[listen]\nallow_open = true\nproxy_protocol_from = ['127.0.0.1']\n";

/// A connection of a balancer at 127.0.0.1 that speaks for `client`.
#[track_caller]
pub(crate) fn through_a_balancer(narrows: &Narrows, client: &str) -> Conn {
    let mut conn = narrows.connect();
    conn.send(header(client.parse().unwrap(), b""));
    conn
}

/// A header of version 2 that says `client`, with further fields.
fn header(client: SocketAddr, further: &[u8]) -> Vec<u8> {
    let (family, mut rest) = match client {
        SocketAddr::V4(client) => (0x11, [&client.ip().octets()[..], &[127, 0, 0, 1]].concat()),
        SocketAddr::V6(client) => (0x21, [&client.ip().octets()[..], &[0; 16]].concat()),
    };
    rest.extend(client.port().to_be_bytes());
    rest.extend(6380_u16.to_be_bytes());
    rest.extend(further);
    raw(0x21, family, &rest)
}

fn raw(version_and_command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[version_and_command, family], &length, rest].concat()
}

#[test]
fn a_client_behind_a_balancer_has_its_own_address_and_its_first_byte_is_its_own() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), FROM_HERE, &[]);
    let own_address = |conn: &mut Conn| {
        let line = conn.call(&["CLIENT", "INFO"]).text();
        field(&line, "addr").unwrap()
    };
    for client in ["203.0.113.9:40000", "[2001:db8::1]:40000"] {
        let mut conn = through_a_balancer(&narrows, client);
        assert_eq!(own_address(&mut conn), client);
    }
    // Header and requests in one packet, with further fields in between.
    let mut conn = narrows.connect();
    let further = [&[0x04, 0x00, 0x08][..], &[0; 8]].concat();
    let header = header("198.51.100.7:1".parse().unwrap(), &further);
    conn.send([&header[..], b"SET k v\r\nGET k\r\n"].concat());
    conn.expect_reply("+OK\r\n");
    conn.expect_reply("$1\r\nv\r\n");
    // The balancer's own connection.
    let mut conn = narrows.connect();
    conn.send(raw(0x20, 0x00, b""));
    assert!(own_address(&mut conn).starts_with("127.0.0.1:"));
}

#[test]
fn a_header_may_come_byte_by_byte() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), FROM_HERE, &[]);
    let mut conn = narrows.connect();
    for byte in header("203.0.113.9:40000".parse().unwrap(), b"") {
        conn.send([byte]);
    }
    conn.expect(&["PING"], "+PONG\r\n");
}

#[test]
fn whoever_does_not_begin_with_a_header_is_closed_counted_and_logged() {
    let server = RedisServer::start();
    // Each on a narrows of its own: a reason is logged once in ten seconds.
    let too_long = 4633_u16.to_be_bytes();
    let cases: [(Vec<u8>, &str); 6] = [
        (
            b"*1\r\n$4\r\nPING\r\n".to_vec(),
            "does not begin with a PROXY protocol header",
        ),
        (
            b"PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\n".to_vec(),
            "version 1 is not supported",
        ),
        (raw(0x21, 0x31, &[0; 216]), "type 0x31 are not TCP"),
        (raw(0x22, 0x11, &[0; 12]), "command 2 is not known"),
        (raw(0x21, 0x11, &[0; 4]), "too few for its addresses"),
        (
            [SIGNATURE, &[0x21, 0x11], &too_long].concat(),
            "4633 bytes, more than 4632",
        ),
    ];
    for (bytes, why) in cases {
        let toml = "[listen]\nproxy_protocol_from = ['127.0.0.1']\n";
        let narrows = narrows(&server.url(), toml, &[]);
        let mut conn = narrows.connect();
        conn.send(&bytes);
        conn.expect_closed();
        narrows.expect_logged(&["WARN", "listen.proxy_protocol_from", why]);
        // Others are not looked at for a header.
        let mut other = Conn::connect_from("127.0.0.2", narrows.address());
        assert_eq!(
            figure(&mut other, "narrows_turned_away_proxy_header_total"),
            1
        );
    }
}

#[test]
fn who_sends_no_header_is_closed_in_time_and_holds_nobody_up() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), FROM_HERE, &[]);
    let mut silent: Vec<Conn> = (0..300).map(|_| narrows.connect()).collect();
    let mut half = narrows.connect();
    let _ = half.try_send(&SIGNATURE[..5]);
    // The door is open meanwhile, to those who need no header.
    let mut other = Conn::connect_from("127.0.0.2", narrows.address());
    other.expect(&["PING"], "+PONG\r\n");
    wait_until("those beyond the bound to be closed", PATIENCE, || {
        figure(&mut other, "narrows_turned_away_proxy_header_total") >= 45
    });
    for conn in &mut silent {
        conn.expect_closed();
    }
    half.expect_closed();
    wait_until("all of them to be counted", PATIENCE, || {
        figure(&mut other, "narrows_turned_away_proxy_header_total") == 301
    });
    let mut behind = through_a_balancer(&narrows, "203.0.113.9:40000");
    behind.expect(&["PING"], "+PONG\r\n");
}

#[test]
fn what_looks_like_a_header_is_a_request_to_whoever_is_no_balancer() {
    let server = RedisServer::start();
    let toml = "[listen]\nproxy_protocol_from = ['10.0.0.0/8']\n";
    let narrows = narrows(&server.url(), toml, &[]);
    // Its lines are inline requests: empty ones, then one with a NUL, which none may have.
    let mut conn = through_a_balancer(&narrows, "203.0.113.9:40000");
    conn.expect_reply("-ERR Protocol error: unbalanced quotes in request\r\n");
    conn.expect_closed();
    let mut other = narrows.connect();
    assert_eq!(
        figure(&mut other, "narrows_turned_away_proxy_header_total"),
        0
    );
}
