//! Clients that speak TLS are served as those that do not.

use super::certificates::Authority;
use super::tls_client::{ONLY_1_2, ONLY_1_3, TlsClient, TlsListener};
use crate::support::{PATIENCE, RedisServer, wait_for};

/// Values of every length at which records begin and end, and some that take many.
const LENGTHS: [usize; 9] = [
    0, 1, 1000, 16_383, 16_384, 16_385, 65_536, 300_000, 5_000_000,
];

#[test]
fn what_is_asked_over_tls_comes_back_whole_and_beside_it_clients_without_are_served() {
    let server = RedisServer::start();
    let listener = TlsListener::start(&server, "", "");
    for versions in [&ONLY_1_2, &ONLY_1_3] {
        let tls = TlsClient {
            versions,
            ..listener.client()
        };
        let mut client = tls.connect().unwrap();
        for length in LENGTHS {
            let value = vec![b'a' + (length % 26) as u8; length];
            client.expect(&[&b"SET"[..], b"k", &value], "+OK\r\n");
            let whole = [format!("${length}\r\n").as_bytes(), &value, b"\r\n"].concat();
            client.expect(&["GET", "k"], &whole);
            listener.narrows.connect().expect(&["GET", "k"], &whole);
        }
        let many = 10_000;
        client.send(b"PING\r\n".repeat(many));
        client.send(b"INCR n\r\n".repeat(many));
        (0..many).for_each(|_| client.expect_reply("+PONG\r\n"));
        (1..=many).for_each(|n| client.expect_reply(format!(":{n}\r\n")));
        client.expect(&["DEL", "n"], ":1\r\n");
        client.expect(&["MULTI"], "+OK\r\n");
        client.expect(&["INCR", "m"], "+QUEUED\r\n");
        client.expect(&["DEL", "m"], "+QUEUED\r\n");
        client.expect(&["EXEC"], "*2\r\n:1\r\n:1\r\n");
        let mut waiting = tls.connect().unwrap();
        waiting.send_command(&["BLPOP", "list", "0"]);
        listener.connect().expect(&["RPUSH", "list", "x"], ":1\r\n");
        waiting.expect_reply("*2\r\n$4\r\nlist\r\n$1\r\nx\r\n");
    }
}

/// One that asks for much and reads it late, and one that hears nothing for long and then much at once.
#[test]
fn replies_and_messages_wait_for_a_client_that_reads_late() {
    let server = RedisServer::start();
    let listener = TlsListener::start(&server, "", "");
    let mut client = listener.connect();
    let value = "x".repeat(100_000);
    client.expect(&["SET", "k", &value], "+OK\r\n");
    let many = 300;
    client.send(b"GET k\r\n".repeat(many));
    let mut subscriber = listener.connect();
    let begun = "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n";
    subscriber.expect(&["SUBSCRIBE", "c"], begun);
    let message = "y".repeat(3000);
    for _ in 0..many {
        listener
            .narrows
            .connect()
            .expect(&["PUBLISH", "c", &message], ":1\r\n");
    }
    let expected = format!("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$3000\r\n{message}\r\n");
    (0..many).for_each(|_| subscriber.expect_reply(&expected));
    let expected = format!("$100000\r\n{value}\r\n");
    (0..many).for_each(|_| client.expect_reply(&expected));
}

#[test]
fn a_client_that_leaves_is_gone_whether_it_says_so_or_not() {
    let server = RedisServer::start();
    let listener = TlsListener::start(&server, "", "");
    let mut polite = listener.connect();
    polite.expect(&["PING"], "+PONG\r\n");
    // What it has asked is answered, and the end comes behind that.
    polite.send_command(&["GET", "k"]);
    polite.try_finish_sending().unwrap();
    polite.expect_reply("$-1\r\n");
    polite.expect_closed();
    let mut other = listener.connect();
    other.expect(&["PING"], "+PONG\r\n");
    drop(other);
    let mut looking = listener.narrows.connect();
    wait_for("both to be gone", PATIENCE, || {
        let list = looking.call(&["CLIENT", "LIST"]).text();
        (list.lines().count() == 1).then_some(())
    });
}

#[test]
fn a_client_is_shown_the_certificate_of_the_host_that_it_names() {
    let server = RedisServer::start();
    let authority = Authority::new();
    let shown = [
        authority.signs(&["127.0.0.1"], |_| {}),
        authority.signs(&["cache.example"], |_| {}),
        authority.signs(&["*.teams.example"], |_| {}),
        authority.signs(&["one.teams.example"], |_| {}),
    ];
    let shown: Vec<_> = shown.iter().collect();
    let listener = TlsListener::showing(&server, authority, &shown, "", "");
    for name in [
        "127.0.0.1",
        "cache.example",
        "CACHE.example",
        "any.teams.example",
        "one.teams.example",
    ] {
        let client = TlsClient {
            name,
            ..listener.client()
        };
        // It looks at the certificate itself.
        client.connect().unwrap().expect(&["PING"], "+PONG\r\n");
    }
    for name in ["other.example", "a.b.teams.example", "teams.example"] {
        let client = TlsClient {
            name,
            ..listener.client()
        };
        assert!(client.connect().is_err(), "{name}");
    }
}

/// What a TLS server and TLS clients have in common is narrows alone.
#[test]
fn both_sides_may_speak_tls() {
    let server = super::TlsServer::start(&super::certificates::good(), &[]);
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (certificate, key) = authority
        .signs(&["127.0.0.1"], |_| {})
        .write(folder.path(), "shown");
    let toml = format!(
        "[backend.tls]\n{}\n[tls]\ncert_files = [{certificate:?}]\nkey_files = [{key:?}]\n",
        server.trusted()
    );
    let url = format!("rediss://127.0.0.1:{}", server.port);
    let flags = ["--listen", "tls:127.0.0.1:0"];
    let narrows = crate::support::setup::narrows(&url, &toml, &flags);
    let listener = TlsListener {
        narrows,
        folder,
        authority,
    };
    let mut client = listener.connect();
    let value = "z".repeat(1_000_000);
    client.expect(&["SET", "k", &value], "+OK\r\n");
    client.expect(&["GET", "k"], format!("$1000000\r\n{value}\r\n"));
}

/// A balancer says whose the connection is before the client speaks TLS over it.
#[test]
fn a_header_of_a_balancer_comes_before_the_handshake() {
    let server = RedisServer::start();
    let listed = "[listen]\nallow_open = true\nproxy_protocol_from = [\"127.0.0.1\"]\n";
    let listener = TlsListener::start(&server, "", listed);
    let mut head = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    head.extend([203, 0, 113, 9, 127, 0, 0, 1, 0x12, 0x34, 0x18, 0xf6]);
    let client = TlsClient {
        head: &head,
        ..listener.client()
    };
    let mut client = client.connect().unwrap();
    let line = client.call(&["CLIENT", "INFO"]).text();
    assert!(line.contains(" addr=203.0.113.9:4660 "), "{line}");
    // Without one a connection from there is nobody's.
    assert!(listener.client().connect().is_err());
}
