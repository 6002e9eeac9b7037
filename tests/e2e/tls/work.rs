//! What goes over TLS, and that it is all.

use super::*;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Conn, PATIENCE, Value, command, wait_for};

/// Values of every length at which records begin and end, and some that take many.
const LENGTHS: [usize; 9] = [
    0, 1, 1000, 16_383, 16_384, 16_385, 65_536, 300_000, 5_000_000,
];

#[test]
fn what_clients_ask_goes_over_tls_and_comes_back_whole() {
    let server = TlsServer::start(&certificates::good(), &[]);
    for version in ["1.2", "1.3"] {
        let tls = format!("{}\nmin_version = {version:?}", server.trusted());
        let narrows = server.narrows(&tls);
        let mut client = narrows.connect();
        for length in LENGTHS {
            let value = vec![b'a' + (length % 26) as u8; length];
            client.expect(&[&b"SET"[..], b"k", &value], "+OK\r\n");
            let whole = [format!("${length}\r\n").as_bytes(), &value, b"\r\n"].concat();
            client.expect(&["GET", "k"], whole);
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
        let mut waiting = narrows.connect();
        waiting.send_command(&["BLPOP", "list", "0"]);
        let mut other = Conn::connect(narrows.address());
        other.expect(&["RPUSH", "list", "x"], ":1\r\n");
        waiting.expect_reply("*2\r\n$4\r\nlist\r\n$1\r\nx\r\n");
    }
}

/// All that is connected to the server is, but for the one who looks.
#[test]
fn every_connection_is_one_with_tls() {
    let server = TlsServer::start(&certificates::good(), &[]);
    let narrows = server.narrows(&server.trusted());
    let mut subscriber = narrows.connect();
    subscriber.expect(
        &["SUBSCRIBE", "news"],
        "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n",
    );
    let mut client = narrows.connect();
    client.expect(&["SET", "k", "v"], "+OK\r\n");
    let mut direct = Conn::connect(&server.server.address());
    let list = direct.call(&["CLIENT", "LIST"]).text();
    let of_narrows: Vec<&str> = list
        .lines()
        .filter(|line| line.contains("name=narrows:"))
        .collect();
    assert!(of_narrows.len() >= 3, "{list}");
    let tls = format!("laddr=127.0.0.1:{}", server.port);
    assert!(of_narrows.iter().all(|line| line.contains(&tls)), "{list}");
}

/// A subscriber that hears nothing for long, and then all at once.
#[test]
fn messages_come_whole_however_many_come_at_once() {
    let server = TlsServer::start(&certificates::good(), &[]);
    let narrows = server.narrows(&server.trusted());
    let mut subscriber = narrows.connect();
    subscriber.expect(
        &["SUBSCRIBE", "c"],
        "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n",
    );
    let mut direct = Conn::connect(&server.server.address());
    let message = "x".repeat(3000);
    let many = 500;
    for _ in 0..many {
        direct.send_command(&["PUBLISH", "c", &message]);
    }
    let expected = format!("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$3000\r\n{message}\r\n");
    (0..many).for_each(|_| subscriber.expect_reply(&expected));
}

#[test]
fn a_lost_server_comes_back_with_tls() {
    let mut server = TlsServer::start(&certificates::good(), &[]);
    let narrows = server.narrows(&server.trusted());
    let mut client = narrows.connect();
    client.expect(&["SET", "k", "v"], "+OK\r\n");
    server.server.restart();
    wait_for("an answer", PATIENCE, || {
        (client.call(&["PING"]).text() == "PONG").then_some(())
    });
}

/// As OpenSSL finds them: by a variable, on a machine of which nothing else is known.
#[test]
fn without_a_file_those_are_trusted_whom_the_machine_trusts() {
    let server = TlsServer::start(&certificates::good(), &[]);
    let authority = server.folder.path().join("client-ca.pem");
    let url = format!("rediss://127.0.0.1:{}", server.port);
    let narrows = Narrows::start_in(
        &[("SSL_CERT_FILE", authority.to_str().unwrap())],
        &["--listen", "127.0.0.1:0", "--backend", &url],
    );
    narrows.connect().expect(&["SET", "k", "v"], "+OK\r\n");
}

/// What each client has pushed is there once if it was told so, and never twice.
#[test]
fn load_no_write_runs_twice_when_connections_with_tls_are_closed_under_load() {
    const CLIENTS: usize = 8;
    let server = TlsServer::start(&certificates::good(), &[]);
    let toml = format!("[backend.tls]\n{}\n", server.trusted());
    let url = format!("rediss://127.0.0.1:{}", server.port);
    let narrows = crate::support::setup::narrows(&url, &toml, &[]);
    let mut admin = server.server.connect();
    let (ends, address) = (&AtomicBool::new(false), narrows.address());
    let (known, unknown) = std::thread::scope(|scope| {
        let client = |n: usize| scope.spawn(move || push_until(ends, address, n));
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        let mut seen = 0;
        for _ in 0..30 {
            let pushed = wait_for("progress", PATIENCE, || {
                let pushed = (0..CLIENTS).map(|n| admin.call(&["LLEN", &list(n)]).integer());
                pushed.min().filter(|pushed| *pushed > seen)
            });
            seen = pushed;
            admin.call(&["CLIENT", "KILL", "TYPE", "normal"]).integer();
        }
        ends.store(true, Ordering::Relaxed);
        let told: Vec<_> = clients.into_iter().map(|c| c.join().unwrap()).collect();
        told.into_iter().unzip::<_, _, Vec<_>, Vec<_>>()
    });
    let unknown_all: usize = unknown.iter().map(BTreeSet::len).sum();
    println!("{} of unknown outcome", unknown_all);
    assert!(unknown_all > 0, "no request was under way");
    for n in 0..CLIENTS {
        let there = admin.call(&["LRANGE", &list(n), "0", "-1"]).items();
        let once: BTreeSet<usize> = there.iter().map(number).collect();
        assert_eq!(once.len(), there.len(), "something has run twice");
        assert!(known[n].is_subset(&once), "what was acknowledged is there");
        let all: BTreeSet<usize> = known[n].union(&unknown[n]).copied().collect();
        assert!(once.is_subset(&all), "nothing else is");
    }
}

fn list(client: usize) -> String {
    format!("list:{client}")
}

/// Each element begins with its number, and is long enough for records to be cut in it.
fn element(number: usize) -> String {
    format!("{number:08}{}", "x".repeat(700))
}

fn number(element: &Value) -> usize {
    let Value::Bulk(element) = element else {
        panic!("{element:?} was not pushed");
    };
    String::from_utf8_lossy(&element[..8]).parse().unwrap()
}

/// Pushes one element after the other: those that are acknowledged, and those that may be there.
fn push_until(
    ends: &AtomicBool,
    address: &str,
    client: usize,
) -> (BTreeSet<usize>, BTreeSet<usize>) {
    const BATCH: usize = 20;
    /// Far more than a test that goes well comes to.
    const NUMBER_MAX: usize = 50_000;
    let mut conn = Conn::connect(address);
    let (mut known, mut unknown) = (BTreeSet::new(), BTreeSet::new());
    let mut first = 0;
    while !ends.load(Ordering::Relaxed) && first < NUMBER_MAX {
        let batch: Vec<u8> = (first..first + BATCH)
            .flat_map(|number| command(&["RPUSH", &list(client), &element(number)]))
            .collect();
        conn.send(batch);
        for number in first..first + BATCH {
            let reply = conn.reply();
            match reply.is_error() {
                true => {
                    let text = reply.text();
                    assert!(text.contains("the command may have run"), "{text}");
                    unknown.insert(number)
                }
                false => known.insert(number),
            };
        }
        first += BATCH;
    }
    (known, unknown)
}

#[test]
fn the_log_and_the_check_of_a_configuration_say_that_tls_is_spoken() {
    let server = TlsServer::start(&certificates::good(), &[]);
    let narrows = server.narrows(&server.trusted());
    let url = format!("rediss://127.0.0.1:{}", server.port);
    narrows.expect_logged(&["narrows is ready", &url]);
    let file = server.file(
        "check.toml",
        &format!(
            "[backend]\nurl = {url:?}\n[backend.tls]\n{}\n",
            server.trusted()
        ),
    );
    let mut check = Narrows::spawn(&["check", file.to_str().unwrap()]);
    assert!(check.wait(PATIENCE).success());
    check.expect_logged(&["backend", &url]);
}
