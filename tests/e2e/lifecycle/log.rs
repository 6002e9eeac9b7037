//! Logs: one JSON object a line where that is wanted, and never a password.

use crate::support::setup::other_clients;
use crate::support::{Child, Conn, Narrows, PATIENCE, RedisServer, wait_until};

/// The parts of a JSON object without nesting: enough for a line of this log.
fn fields(line: &str) -> Option<Vec<(String, String)>> {
    let inner = line.strip_prefix('{')?.strip_suffix('}')?;
    let mut fields = Vec::new();
    let mut rest = inner;
    while !rest.is_empty() {
        let (name, after) = rest.strip_prefix('"')?.split_once("\":")?;
        let end = match after.strip_prefix('"') {
            Some(text) => closing_quote(text)? + 2,
            None => after.find(',').unwrap_or(after.len()),
        };
        fields.push((name.to_owned(), after[..end].trim_matches('"').to_owned()));
        rest = after[end..].strip_prefix(',').unwrap_or("");
    }
    Some(fields)
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes.then_some(at)
    })
}

#[test]
fn json_logs_are_one_object_a_line() {
    let mut server = RedisServer::start();
    let url = server.url();
    let arguments = [
        "--log-format",
        "json",
        "--log-level",
        "debug",
        "--backend",
        &url,
    ];
    let mut narrows = Narrows::spawn(&[&arguments[..], &["--listen", "127.0.0.1:0"]].concat());
    let address = narrows.wait_for_line(PATIENCE, |line| {
        let fields = fields(line)?;
        let addr = fields.into_iter().find(|(name, _)| name == "addr")?;
        Some(addr.1)
    });
    let mut client = Conn::connect(&address);
    client.expect(&["PING"], "+PONG\r\n");
    client.send("*1\r\n%\"\\\x1b[31m\r\n");
    client.expect_reply("-ERR Protocol error: expected '$', got '%'\r\n");
    server.kill9();
    narrows.expect_logged(&["health check"]);
    narrows.signal(rustix::process::Signal::TERM);
    narrows.wait(PATIENCE);
    let log = narrows.log();
    assert!(log.lines().count() > 5, "{log}");
    for line in log.lines() {
        let fields = fields(line).unwrap_or_else(|| panic!("not JSON: {line}"));
        for name in ["timestamp", "level", "message", "target"] {
            assert!(
                fields.iter().any(|(field, _)| field == name),
                "{name}: {line}"
            );
        }
    }
}

/// Everything that was written to stdout and stderr.
fn expect_no_secret(log: &str) {
    for secret in ["s3cret", "s3%63ret", "czNjcmV0"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn passwords_are_never_logged() {
    let server = RedisServer::start_with(&["--requirepass", "s3cret"]);
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "s3cret\n").unwrap();
    let (in_url, plain) = (
        format!("redis://:s3%63ret@{}", server.address()),
        server.url(),
    );
    let password = password.to_str().unwrap();
    let variants: [&[&str]; 2] = [
        &["--backend", &in_url],
        &["--backend", &plain, "--backend-password-file", password],
    ];
    for variant in variants {
        let common = ["--listen", "127.0.0.1:0", "--log-level", "trace"];
        let narrows = Narrows::start(&[&common[..], variant].concat());
        let mut client = narrows.connect();
        client.expect(&["PING"], "+PONG\r\n");
        // What clients send is no business of the log either.
        client.call(&["AUTH", "s3cret-of-client"]);
        client.call(&["HELLO", "3", "AUTH", "default", "s3cret-of-client"]);
        client.call(&["ACL", "SETUSER", "x", ">s3cret-of-user"]);
        client.call(&["CONFIG", "SET", "masterauth", "s3cret-of-master"]);
        client.call(&["NO.SUCH", "s3cret-argument"]);
        let mut admin = server.connect();
        admin.expect(&["AUTH", "s3cret"], "+OK\r\n");
        admin.call(&["CLIENT", "KILL", "TYPE", "normal"]);
        wait_until("control is back", PATIENCE, || {
            let lines = other_clients(&mut admin);
            lines.iter().any(|line| line.contains(":control "))
        });
        client.expect(&["PING"], "+PONG\r\n");
        expect_no_secret(&narrows.log());
    }
}

#[test]
fn mistakes_on_the_command_line_do_not_repeat_passwords() {
    for arguments in [
        &["--backend", "rediss://:s3cret@ho st"][..],
        &["--bakend", "redis://:s3cret@host"],
        &["--backend=redis://:s3cret@host:notaport"],
        &["redis://:s3cret@host"],
    ] {
        let mut narrows: Child = Narrows::spawn(arguments);
        assert_eq!(narrows.wait(PATIENCE).code(), Some(2));
        wait_until("its words", PATIENCE, || !narrows.log().is_empty());
        expect_no_secret(&narrows.log());
    }
}
