//! Many clients in transactions, many that wait and many that do neither, over few connections.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::census::Census;
use crate::setup::narrows;
use crate::support::{Conn, RedisServer};

const SPAN: Duration = Duration::from_secs(4);

/// The reply as it came.
fn raw(conn: &mut Conn, args: &[&str]) -> String {
    String::from_utf8_lossy(conn.call(args).raw()).into_owned()
}

/// Transfers between two accounts under WATCH; what is in both together never changes.
fn transfers(mut conn: Conn, over: &AtomicBool, done: &AtomicU64) {
    while !over.load(Ordering::Relaxed) {
        let told = raw(&mut conn, &["WATCH", "a", "b"]);
        if told.starts_with("-TRYAGAIN") {
            return;
        }
        let a = number(&mut conn, "a");
        let b = number(&mut conn, "b");
        conn.expect(&["MULTI"], "+OK\r\n");
        conn.expect(&["SET", "a", &(a - 1).to_string()], "+QUEUED\r\n");
        conn.expect(&["SET", "b", &(b + 1).to_string()], "+QUEUED\r\n");
        let reply = raw(&mut conn, &["EXEC"]);
        assert!(
            reply == "*-1\r\n" || reply == "*2\r\n+OK\r\n+OK\r\n",
            "{reply}"
        );
        done.fetch_add(1, Ordering::Relaxed);
    }
}

fn number(conn: &mut Conn, key: &str) -> i64 {
    raw(conn, &["GET", key])
        .lines()
        .last()
        .unwrap()
        .parse()
        .unwrap()
}

fn waits(mut conn: Conn, over: &AtomicBool, popped: &AtomicU64) {
    while !over.load(Ordering::Relaxed) {
        let reply = raw(&mut conn, &["BLPOP", "jobs", "0.1"]);
        match reply.as_bytes()[0] {
            b'*' if reply.starts_with("*2") => {
                popped.fetch_add(1, Ordering::Relaxed);
            }
            b'*' => {}
            _ => assert!(reply.starts_with("-TRYAGAIN narrows: "), "{reply}"),
        }
    }
}

fn plain(mut conn: Conn, over: &AtomicBool, slowest_us: &AtomicU64) {
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        conn.expect(&["PING"], "+PONG\r\n");
        slowest_us.fetch_max(began.elapsed().as_micros() as u64, Ordering::Relaxed);
    }
}

#[test]
fn load_everybody_goes_on_over_eight_connections() {
    let server = RedisServer::start();
    let mut admin = server.connect();
    admin.expect(&["MSET", "a", "1000", "b", "1000"], "+OK\r\n");
    let settings = "[backend]\nmax_connections = 8\n[pool]\nblocking_max = 2\n";
    let narrows = narrows(&server.url(), settings, &[]);
    let census = Census::begin(&server);
    let (over, done, popped, slowest) = Default::default();
    let (over, done, popped, slowest): (AtomicBool, AtomicU64, AtomicU64, AtomicU64) =
        (over, done, popped, slowest);
    let mut pushed = 0;
    std::thread::scope(|scope| {
        for _ in 0..40 {
            let conn = narrows.connect();
            scope.spawn(|| transfers(conn, &over, &done));
        }
        for _ in 0..40 {
            let conn = narrows.connect();
            scope.spawn(|| waits(conn, &over, &popped));
        }
        for _ in 0..40 {
            let conn = narrows.connect();
            scope.spawn(|| plain(conn, &over, &slowest));
        }
        let end = Instant::now() + SPAN;
        while Instant::now() < end {
            admin.call(&["RPUSH", "jobs", "job"]);
            pushed += 1;
            std::thread::sleep(Duration::from_millis(2));
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(number(&mut admin, "a") + number(&mut admin, "b"), 2000);
    let left: u64 = raw(&mut admin, &["LLEN", "jobs"])[1..]
        .trim_end()
        .parse()
        .unwrap();
    assert_eq!(
        popped.load(Ordering::Relaxed) + left,
        pushed,
        "no job is lost"
    );
    let (most, looks) = census.end();
    println!(
        "{} transactions, {} jobs, slowest plain request {} us, {most} connections in {looks} looks",
        done.load(Ordering::Relaxed),
        popped.load(Ordering::Relaxed),
        slowest.load(Ordering::Relaxed),
    );
    // The test's own, which pushes, is one of them.
    assert!(most <= 9, "{most}");
    assert!(done.load(Ordering::Relaxed) > 100 && popped.load(Ordering::Relaxed) > 100);
    assert!(slowest.load(Ordering::Relaxed) < 2_000_000);
}
