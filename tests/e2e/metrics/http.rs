//! As much of an HTTP client as is needed here, and that the endpoints answer as HTTP wants it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::{Narrows, PATIENCE, RedisServer, wait_until};

/// What a path answers: the status, the head in lower case, the body.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// Asks `address` and reads to the end of the connection.
pub fn ask(address: &str, request: &str) -> Page {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(2 * PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Page {
        status,
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

/// `GET path`.
pub fn get(address: &str, path: &str) -> Page {
    ask(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: narrows\r\n\r\n"),
    )
}

/// The server's health has been asked for.
fn becomes_ready(address: &str) {
    wait_until("it is ready", PATIENCE, || {
        get(address, "/readyz").status == 200
    });
}

#[test]
fn only_known_paths_are_answered_and_only_to_be_read() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let address = narrows.admin_address();
    becomes_ready(&address);
    let index = get(&address, "/");
    assert_eq!(index.status, 200);
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert!(index.body.contains(path), "{index:?}");
        assert_eq!(get(&address, path).status, 200, "{path}");
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let request =
                format!("{method} {path} HTTP/1.1\r\nHost: n\r\ncontent-length: 0\r\n\r\n");
            let page = ask(&address, &request);
            assert_eq!(page.status, 405, "{method} {path}");
            assert!(page.head.contains("allow: get,head"), "{page:?}");
        }
        let head = ask(
            &address,
            &format!("HEAD {path} HTTP/1.1\r\nHost: n\r\n\r\n"),
        );
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
    }
    let metrics = get(&address, "/metrics");
    assert!(
        metrics
            .head
            .contains("content-type: text/plain; version=0.0.4")
    );
    for path in ["/metrics/", "/config", "/../etc/passwd", "/admin"] {
        let page = get(&address, path);
        assert_eq!(page.status, 404, "{path}");
        assert!(page.body.contains("/metrics"), "{page:?}");
    }
}

/// Reads until the other end has closed. Fails after `patience`.
fn wait_for_the_end(stream: &mut TcpStream, patience: Duration) {
    stream.set_read_timeout(Some(patience)).unwrap();
    let begun = Instant::now();
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    assert!(begun.elapsed() < patience);
}

#[test]
fn a_head_that_is_too_long_or_too_slow_ends_its_connection() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let address = narrows.admin_address();
    let mut slow = TcpStream::connect(&address).unwrap();
    slow.write_all(b"GET /metrics HTTP/1.1\r\nHost: ").unwrap();
    let mut long = TcpStream::connect(&address).unwrap();
    // It may be closed before all of it is written.
    let _ = long.write_all(format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(100_000)).as_bytes());
    wait_for_the_end(&mut long, PATIENCE);
    wait_for_the_end(&mut slow, PATIENCE);
    let mut redis = TcpStream::connect(&address).unwrap();
    redis.write_all(b"*1\r\n$4\r\nPING\r\n").unwrap();
    wait_for_the_end(&mut redis, PATIENCE);
}

#[test]
fn those_who_hold_connections_open_keep_neither_clients_nor_others_out() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let address = narrows.admin_address();
    let open: Vec<TcpStream> = (0..200)
        .map(|_| TcpStream::connect(&address).unwrap())
        .collect();
    let mut client = narrows.connect();
    client.expect(&["PING"], "+PONG\r\n");
    // In the kernel's queue behind them, which moves on as their time is up.
    let begun = Instant::now();
    drop(open);
    assert_eq!(get(&address, "/healthz").status, 200);
    assert!(begun.elapsed() < PATIENCE);
    let silent: Vec<TcpStream> = (0..40)
        .map(|_| TcpStream::connect(&address).unwrap())
        .collect();
    becomes_ready(&address);
    client.expect(&["PING"], "+PONG\r\n");
    drop(silent);
}

#[test]
fn load_a_health_check_is_answered_at_once_behind_requests_that_never_end() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let address = narrows.admin_address();
    becomes_ready(&address);
    let mut half_open = Vec::new();
    for _ in 0..4 {
        for _ in 0..40 {
            let mut stream = TcpStream::connect(&address).unwrap();
            stream
                .write_all(b"GET /healthz HTTP/1.1\r\nHost: ")
                .unwrap();
            half_open.push(stream);
        }
        let begun = Instant::now();
        assert_eq!(get(&address, "/healthz").status, 200);
        // Below the time that the head of any of them may take.
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "{:?}",
            begun.elapsed()
        );
    }
}
