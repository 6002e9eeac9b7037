//! Bytes that are no request, or one that Redis would not take.

use std::time::Duration;

use crate::hostile::bystander::{Bystander, expect_no_poison};
use crate::support::setup::narrows;
use crate::support::{Conn, PATIENCE, RedisServer, command, wait_until};

/// What Redis itself answers, and closes behind it.
const MALFORMED: [(&[u8], &str); 14] = [
    (b"*abc\r\n", "invalid multibulk length"),
    (b"*2147483648\r\n", "invalid multibulk length"),
    (b"*1\r\nx\r\n", "expected '$', got 'x'"),
    (b"*1\r\n:5\r\n", "expected '$', got ':'"),
    (b"*2\r\n$3\r\nGET\r\n\r\n\r\n", "expected '$', got '\r'"),
    (b"*1\r\n$-1\r\n", "invalid bulk length"),
    (b"*1\r\n$x\r\n", "invalid bulk length"),
    (b"*1\r\n$\r\n", "invalid bulk length"),
    (b"*1\r\n$+4\r\nPING\r\n", "invalid bulk length"),
    (b"*1\r\n$04\r\nPING\r\n", "invalid bulk length"),
    (b"*1\r\n$536870913\r\n", "invalid bulk length"),
    (b"*1\r\n$99999999999999999999\r\n", "invalid bulk length"),
    (b"GET \"unbalanced\r\n", "unbalanced quotes in request"),
    (b"GET 'a'b\r\n", "unbalanced quotes in request"),
];

fn expect_protocol_error(conn: &mut Conn, text: &str) {
    // Redis puts a blank for what would end the line.
    let text = text.replace(['\r', '\n'], " ");
    conn.expect_reply(format!("-ERR Protocol error: {text}\r\n"));
    conn.expect_closed();
}

#[test]
fn malformed_requests_get_redis_own_words_and_the_end() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), "", &[]);
    let bystander = Bystander::beside(&narrows);
    for (bytes, text) in MALFORMED {
        for conn in [&mut server.connect(), &mut narrows.connect()] {
            conn.send(bytes);
            expect_protocol_error(conn, text);
        }
        // Requests before it are carried out and answered first.
        let mut conn = narrows.connect();
        conn.send(
            [
                &command(&["ECHO", "before"])[..],
                b"CLIENT GETNAME\r\n",
                bytes,
            ]
            .concat(),
        );
        conn.expect_reply("$6\r\nbefore\r\n");
        conn.expect_reply("$-1\r\n");
        expect_protocol_error(&mut conn, text);
    }
    bystander.noticed_nothing(Duration::from_secs(1));
    expect_no_poison(&narrows);
}

#[test]
fn framing_that_redis_lets_pass_and_that_could_hide_a_request_is_refused() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), "", &[]);
    let cases: [&[u8]; 3] = [
        b"*1\rX$4\r\nPING\r\n",
        b"*1\r\n$4\rXPING\r\n",
        b"*1\r\n$4\r\nPINGXX*1\r\n$4\r\nPING\r\n",
    ];
    for bytes in cases {
        let mut conn = narrows.connect();
        conn.send(bytes);
        let text = conn.reply().text();
        assert!(text.starts_with("ERR Protocol error: invalid "), "{text}");
        conn.expect_closed();
    }
    narrows.connect().expect(&["PING"], "+PONG\r\n");
    expect_no_poison(&narrows);
}

#[test]
fn requests_of_nothing_are_ignored() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), "", &[]);
    for conn in [&mut server.connect(), &mut narrows.connect()] {
        conn.send("*0\r\n*-1\r\n*-10\r\n\r\n\n   \r\nPING\r\n");
        conn.expect_reply("+PONG\r\n");
        conn.expect_silence(Duration::from_millis(50));
    }
}

#[test]
fn http_is_closed_without_a_word() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), "", &[]);
    let mut admin = server.connect();
    let requests: [&[u8]; 4] = [
        b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\nSET smuggled 1\r\n",
        b"post / HTTP/1.1\r\n\r\nSET smuggled 1\r\n",
        b"GET / HTTP/1.1\r\nhOST: localhost\r\n\r\nSET smuggled 1\r\n",
        b"*1\r\n$4\r\nPOST\r\n*3\r\n$3\r\nSET\r\n$8\r\nsmuggled\r\n$1\r\n1\r\n",
    ];
    for request in requests {
        for conn in [&mut server.connect(), &mut narrows.connect()] {
            conn.send(request);
            // Redis may close before the answer to the first line has left.
            while let Ok(reply) = conn.try_reply() {
                let text = "ERR wrong number of arguments for 'get' command";
                assert!(
                    request.starts_with(b"GET") && reply.text() == text,
                    "{reply:?}"
                );
            }
        }
        admin.expect(&["EXISTS", "smuggled"], ":0\r\n");
    }
    narrows.connect().expect(&["PING"], "+PONG\r\n");
}

#[test]
fn a_line_and_a_header_without_an_end_are_bounded() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), "", &[]);
    let cases = [
        (vec![b'A'; (64 << 10) + 100], "too big inline request"),
        (
            [&b"*"[..], &[b'1'; (64 << 10) + 100]].concat(),
            "too big mbulk count string",
        ),
        (
            [&b"*1\r\n$"[..], &[b'1'; (64 << 10) + 100]].concat(),
            "too big bulk count string",
        ),
    ];
    for (bytes, text) in cases {
        for conn in [&mut server.connect(), &mut narrows.connect()] {
            // It may be closed before all is sent.
            let _ = conn.try_send(&bytes);
            let reply = conn.try_reply();
            // Redis closes with bytes unread, which can cost the reply on its way.
            if let Ok(reply) = reply {
                assert_eq!(reply.text(), format!("ERR Protocol error: {text}"));
            }
        }
    }
    narrows.connect().expect(&["PING"], "+PONG\r\n");
}

#[test]
fn an_inline_request_of_nearly_64_kib_passes() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), "", &[]);
    let text = "x".repeat(60 << 10);
    for conn in [&mut server.connect(), &mut narrows.connect()] {
        conn.send(format!("ECHO {text}\r\n"));
        conn.expect_reply(format!("${}\r\n{text}\r\n", text.len()));
    }
}

#[test]
fn a_client_that_sends_a_byte_at_a_time_is_served() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), "", &[]);
    let bystander = Bystander::beside(&narrows);
    let mut conn = narrows.connect();
    let requests = [
        &command(&["SET", "k", "a\r\nb"])[..],
        b"ECHO \"in\\x41line\"\r\n",
        &command(&["GET", "k"]),
        &command(&["CLIENT", "GETNAME"]),
    ];
    for byte in requests.concat() {
        conn.send([byte]);
        std::thread::sleep(Duration::from_micros(300));
    }
    conn.expect_reply("+OK\r\n");
    conn.expect_reply("$7\r\ninAline\r\n");
    conn.expect_reply("$4\r\na\r\nb\r\n");
    conn.expect_reply("$-1\r\n");
    bystander.noticed_nothing(Duration::from_secs(1));
}

#[test]
fn random_bytes_break_nothing() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), "", &[]);
    let bystander = Bystander::beside(&narrows);
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    for round in 0..300 {
        let mut conn = narrows.connect();
        let mut bytes = command(&["ECHO", "k"]);
        for _ in 0..1 + round % 7 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let at = usize::try_from(state % bytes.len() as u64).unwrap();
            bytes[at] = (state >> 32) as u8;
        }
        bytes.extend(command(&["ECHO", "tail"]));
        let _ = conn.try_send(&bytes);
        conn.finish_sending();
        // Whatever it is, it is RESP and it ends.
        while conn.try_reply().is_ok_and(|reply| !reply.raw().is_empty()) {}
    }
    bystander.noticed_nothing(Duration::from_secs(1));
    expect_no_poison(&narrows);
}

#[test]
fn one_client_too_many_gets_redis_own_words() {
    let server = RedisServer::start();
    let narrows = narrows(
        &server.url(),
        "[clients]\nmax_clients = 20\n",
        &["--workers", "2"],
    );
    let mut clients: Vec<Conn> = (0..20).map(|_| narrows.connect()).collect();
    for client in &mut clients {
        client.expect(&["PING"], "+PONG\r\n");
    }
    for _ in 0..50 {
        let mut refused = narrows.connect();
        refused.expect_reply("-ERR max number of clients reached\r\n");
        refused.expect_closed();
    }
    for client in &mut clients {
        client.expect(&["PING"], "+PONG\r\n");
    }
    drop(clients.split_off(10));
    wait_until("room for one more", PATIENCE, || {
        let mut conn = narrows.connect();
        conn.try_send(command(&["PING"])).is_ok()
            && conn
                .try_reply()
                .is_ok_and(|reply| reply.raw() == b"+PONG\r\n")
    });
}
