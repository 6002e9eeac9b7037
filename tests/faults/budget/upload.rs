//! Huge requests stream over a connection of their own, also where there is only one.

use std::time::{Duration, Instant};

use crate::load::{Dataset, Load, expect_counters};
use crate::support::census::Census;
use crate::support::setup::narrows;
use crate::support::{PATIENCE, RedisServer, command};

const ONE_CONNECTION: [&str; 4] = ["--max-backend-connections", "2", "--workers", "1"];

/// Bytes that differ everywhere.
fn payload(len: usize, seed: usize) -> Vec<u8> {
    (0..len)
        .map(|n| ((n / 251 + n * 7 + seed) % 256) as u8)
        .collect()
}

#[test]
fn load_huge_values_pass_while_others_go_on() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), "", &ONE_CONNECTION);
    let census = Census::begin(&server);
    let load = Load::start(narrows.address(), 12, Dataset::Kept);
    load.progress(200, PATIENCE);
    let uploads: Vec<_> = (0..3)
        .map(|id| {
            let mut conn = narrows.connect();
            std::thread::spawn(move || {
                let key = format!("huge/{id}");
                for round in 0..3 {
                    let value = payload(5 << 20, id * 31 + round);
                    conn.send(command(&[&b"SET"[..], key.as_bytes(), &value]));
                    conn.send_command(&["STRLEN", &key]);
                    conn.expect_reply("+OK\r\n");
                    conn.expect_reply(format!(":{}\r\n", value.len()));
                    let reply = conn.call(&["GET", &key]);
                    let bulk = format!("${}\r\n", value.len()).into_bytes();
                    assert!(reply.raw() == [&bulk[..], &value, b"\r\n"].concat());
                }
            })
        })
        .collect();
    uploads
        .into_iter()
        .for_each(|upload| upload.join().unwrap());
    let tally = load.finish();
    let (most, _) = census.end();
    println!("{tally:?}, at most {most} backends");
    assert_eq!(most, 2, "the server's own count");
    assert_eq!((tally.unknown, tally.not_executed), (0, 0), "{tally:?}");
    assert!(tally.slowest < Duration::from_secs(3), "{tally:?}");
    expect_counters(&tally, &mut server.connect());
}

#[test]
fn an_upload_that_stalls_is_cut_off_and_others_are_told_in_time() {
    let server = RedisServer::start();
    let narrows = narrows(
        &server.url(),
        "[pool]\nqueue_timeout = \"1s\"\n",
        &ONE_CONNECTION,
    );
    let mut slow = narrows.connect();
    let mut other = narrows.connect();
    other.expect(&["PING"], "+PONG\r\n");
    let request = command(&[&b"SET"[..], b"huge", &payload(5 << 20, 1)]);
    slow.send(&request[..200 << 10]);
    // The only connection is the upload's now: others wait for as long as they may.
    let begin = Instant::now();
    crate::support::wait_until("the end of the upload", PATIENCE, || {
        let asked = Instant::now();
        let reply = other.call(&["PING"]).text();
        assert!(
            asked.elapsed() < Duration::from_secs(2),
            "{:?}",
            asked.elapsed()
        );
        let told = reply == "TRYAGAIN narrows: all backend connections are in use";
        assert!(reply == "PONG" || told, "{reply}");
        reply == "PONG" && begin.elapsed() > Duration::from_secs(4)
    });
    slow.expect_reply("-ERR narrows: the request came in too slowly and has been dropped\r\n");
    slow.expect_closed();
    other.expect(&["EXISTS", "huge"], ":0\r\n");
}

#[test]
fn an_upload_behind_other_requests_of_its_client_is_carried_out_in_order() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), "", &ONE_CONNECTION);
    let mut conn = narrows.connect();
    let value = payload(2 << 20, 7);
    let all = [
        command(&["SET", "k", "small"]),
        command(&["GET", "k"]),
        command(&[&b"SET"[..], b"k", &value]),
        command(&["STRLEN", "k"]),
        command(&["CLIENT", "GETNAME"]),
        command(&["APPEND", "k", "x"]),
        command(&[&b"SET"[..], b"k", &value, b"GET"]),
        command(&["STRLEN", "k"]),
    ];
    conn.send(all.concat());
    conn.expect_reply("+OK\r\n");
    conn.expect_reply("$5\r\nsmall\r\n");
    conn.expect_reply("+OK\r\n");
    conn.expect_reply(":2097152\r\n");
    conn.expect_reply("$-1\r\n");
    conn.expect_reply(":2097153\r\n");
    assert_eq!(conn.reply().raw().len(), 2097153 + 12);
    conn.expect_reply(":2097152\r\n");
}
