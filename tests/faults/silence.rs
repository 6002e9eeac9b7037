//! The server is there and says nothing: stopped, paused, or at work on something slow.

use std::time::Duration;

use crate::load::{Dataset, Load, expect_counters};
use crate::support::setup::{SHORT_DEADLINES, narrows, pipe_ids};
use crate::support::{PATIENCE, RedisServer, wait_until};

#[test]
fn load_a_stopped_server_is_given_up_in_time_and_its_late_replies_reach_nobody() {
    let mut server = RedisServer::start();
    let narrows = narrows(&server.url(), SHORT_DEADLINES, &["--workers", "2"]);
    let load = Load::start(narrows.address(), 24, Dataset::Kept);
    let stalled = || narrows.log().matches("cause=\"stalled\"").count();
    for _ in 0..2 {
        load.progress(1000, PATIENCE);
        let before = stalled();
        server.stop();
        wait_until("the end of patience", PATIENCE, || stalled() > before);
        // Both workers have given their backends up, then clients are told that nobody serves them.
        let mut clients = [narrows.connect(), narrows.connect()];
        wait_until("nobody serves", PATIENCE, || {
            clients.iter_mut().all(|client| {
                let text = client.call(&["GET", "k"]).text();
                text.starts_with("TRYAGAIN narrows: no backend")
            })
        });
        server.cont();
    }
    load.progress(1000, PATIENCE);
    let tally = load.finish();
    println!("{tally:?}");
    assert!(tally.unknown > 0 && tally.not_executed > 0, "{tally:?}");
    // One second of silence, one in the queue, and room for a busy machine.
    assert!(tally.slowest < Duration::from_secs(5), "{tally:?}");
    expect_counters(&tally, &mut server.connect());
}

#[test]
fn load_a_paused_server_is_waited_for() {
    for mode in ["ALL", "WRITE"] {
        let server = RedisServer::start();
        let narrows = narrows(&server.url(), "", &["--workers", "2"]);
        let mut admin = server.connect();
        let load = Load::start(narrows.address(), 24, Dataset::Kept);
        load.progress(1000, PATIENCE);
        let before = pipe_ids(&mut admin);
        // Longer than a health check is waited for, shorter than a silent backend is.
        admin.expect(&["CLIENT", "PAUSE", "2300", mode], "+OK\r\n");
        load.progress(2000, PATIENCE);
        let tally = load.finish();
        println!("{mode}: {tally:?}");
        assert!(
            tally.slowest >= Duration::from_secs(2),
            "it was paused: {tally:?}"
        );
        assert_eq!(
            (tally.unknown, tally.not_executed, tally.cut_off),
            (0, 0, 0),
            "{mode}: {tally:?}"
        );
        let after = pipe_ids(&mut admin);
        assert!(
            before.iter().all(|id| after.contains(id)),
            "{before:?} {after:?}"
        );
        expect_counters(&tally, &mut admin);
    }
}

#[test]
fn a_slow_script_is_waited_for_as_long_as_the_server_may_be_silent() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), "", &[]);
    let script = "local t = redis.call('TIME') local u = t[1] * 1000000 + t[2] + ARGV[1] \
                  repeat t = redis.call('TIME') until t[1] * 1000000 + t[2] >= u return 'done'";
    let mut slow = narrows.connect();
    slow.send_command(&["EVAL", script, "0", "2500000"]);
    let mut other = narrows.connect();
    other.expect(&["SET", "k", "v"], "+OK\r\n");
    slow.expect_reply("$4\r\ndone\r\n");
    assert!(
        !narrows.log().contains("backend closed"),
        "{}",
        narrows.log()
    );
}

#[test]
fn a_slow_request_times_out_alone_and_its_late_reply_reaches_nobody() {
    let server = RedisServer::start_with(&["--enable-debug-command", "yes"]);
    let toml = "[clients]\nrequest_timeout = \"300ms\"\n[commands]\nallow = [\"DEBUG\"]\n";
    let narrows = narrows(&server.url(), toml, &[]);
    let mut slow = narrows.connect();
    slow.send_command(&["DEBUG", "SLEEP", "1"]);
    slow.send_command(&["ECHO", "late"]);
    let timeout = "-ERR narrows: no reply within request_timeout; the command may have run\r\n";
    slow.expect_reply(timeout);
    slow.expect_reply(timeout);
    slow.expect(&["ECHO", "next"], timeout);
    wait_until("the server to be awake", PATIENCE, || {
        let reply = slow.call(&["ECHO", "awake"]).text();
        reply == "awake"
    });
    slow.expect(&["ECHO", "mine"], "$4\r\nmine\r\n");
    narrows
        .connect()
        .expect(&["ECHO", "another's"], "$9\r\nanother's\r\n");
    assert!(
        !narrows.log().contains("backend closed"),
        "{}",
        narrows.log()
    );
}
