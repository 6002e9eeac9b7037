//! The server dies, or closes connections that carry requests.

use std::time::Duration;

use crate::load::{Dataset, Load, UNKNOWN, expect_counters};
use crate::support::setup::{NOBODY_ASKS, SHORT_DEADLINES, narrows};
use crate::support::{Conn, Narrows, PATIENCE, RedisServer, command, wait_until};

/// Bound on any batch of the load: the queue deadline, with room for a busy machine.
const NO_HANG: Duration = Duration::from_secs(4);

#[test]
fn load_every_request_is_answered_or_told_when_the_server_is_killed() {
    let mut server = RedisServer::start();
    let narrows = narrows(&server.url(), SHORT_DEADLINES, &["--workers", "2"]);
    let load = Load::start(narrows.address(), 24, Dataset::Lost);
    for _ in 0..4 {
        load.progress(2000, PATIENCE);
        server.kill9();
        server.restart();
    }
    load.progress(2000, PATIENCE);
    let tally = load.finish();
    println!("{tally:?}");
    assert!(tally.unknown > 0, "no request was under way: {tally:?}");
    assert!(tally.slowest < NO_HANG, "{tally:?}");
}

#[test]
fn requests_are_refused_in_time_while_the_server_is_away_and_served_when_it_is_back() {
    let mut server = RedisServer::start();
    let narrows = narrows(&server.url(), SHORT_DEADLINES, &[]);
    let load = Load::start(narrows.address(), 8, Dataset::Lost);
    load.progress(200, PATIENCE);
    server.kill9();
    let mut client = narrows.connect();
    for command in [&["GET", "k"][..], &["SET", "k", "v"]] {
        let text = client.call(command).text();
        let refused = format!(
            "TRYAGAIN narrows: no backend is connected: {}: Connection refused",
            server.address()
        );
        assert!(text.starts_with(&refused), "{text}");
    }
    server.restart();
    load.progress(500, PATIENCE);
    client.expect(&["SET", "k", "v"], "+OK\r\n");
    let tally = load.finish();
    assert!(
        tally.not_executed > 0 && tally.slowest < NO_HANG,
        "{tally:?}"
    );
}

#[test]
fn load_no_command_runs_twice_when_connections_are_closed_under_load() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), SHORT_DEADLINES, &["--workers", "2"]);
    let mut admin = server.connect();
    let load = Load::start(narrows.address(), 24, Dataset::Kept);
    for _ in 0..40 {
        load.progress(300, PATIENCE);
        let closed = admin.call(&["CLIENT", "KILL", "TYPE", "normal"]).integer();
        assert!(closed > 0, "narrows has connections");
    }
    load.progress(300, PATIENCE);
    let tally = load.finish();
    println!("{tally:?}");
    assert!(tally.unknown > 0, "no request was under way: {tally:?}");
    assert!(
        tally.not_executed == 0,
        "there was always a server: {tally:?}"
    );
    assert!(tally.slowest < NO_HANG, "{tally:?}");
    expect_counters(&tally, &mut admin);
}

/// Requests that are with the server when it dies. It is stopped before they are sent, so that
/// none of them is answered.
struct UnderWay {
    server: RedisServer,
    narrows: Narrows,
}

impl UnderWay {
    fn new(toml: &str) -> Self {
        let server = RedisServer::start();
        let mut admin = server.connect();
        admin.expect(&["SET", "key", "kept"], "+OK\r\n");
        admin.expect(&["SAVE"], "+OK\r\n");
        // Whether anybody may see the list is not asked of the server, which does not answer.
        let toml = format!("{NOBODY_ASKS}{toml}");
        let narrows = narrows(&server.url(), &toml, &[]);
        narrows.connect().expect(&["PING"], "+PONG\r\n");
        Self { server, narrows }
    }

    /// Sends `requests` on a connection each and lets the server die with them.
    fn die_with(&mut self, requests: &[Vec<u8>]) -> Vec<Conn> {
        let mut watch = self.narrows.connect();
        let mut clients: Vec<Conn> = requests.iter().map(|_| self.narrows.connect()).collect();
        self.server.stop();
        for (client, request) in clients.iter_mut().zip(requests) {
            client.send(request);
        }
        // The list is narrows' own: it shows the last command that was sent on.
        wait_until("all requests to be with the server", PATIENCE, || {
            let list = watch.call(&["CLIENT", "LIST"]).text();
            let sent = |line: &&str| line.contains(" cmd=get ") || line.contains(" cmd=set ");
            list.lines().filter(sent).count() == requests.len()
        });
        self.server.restart();
        clients
    }
}

fn get() -> Vec<u8> {
    command(&["GET", "key"])
}

fn set() -> Vec<u8> {
    command(&["SET", "other", "value"])
}

#[test]
fn a_read_under_way_is_asked_again_and_a_write_is_not() {
    let mut scene = UnderWay::new("");
    let requests = [
        get(),
        set(),
        [get(), set()].concat(),
        [set(), get()].concat(),
    ];
    let mut clients = scene.die_with(&requests);
    let (unknown, kept) = (format!("-{UNKNOWN}\r\n"), "$4\r\nkept\r\n");
    clients[0].expect_reply(kept);
    clients[1].expect_reply(&unknown);
    // Asked again after the write, the read could give what came later than its turn.
    clients[2].expect_reply(&unknown);
    clients[2].expect_reply(&unknown);
    clients[3].expect_reply(&unknown);
    clients[3].expect_reply(kept);
    for client in &mut clients {
        client.expect(&["EXISTS", "other"], ":0\r\n");
    }
}

#[test]
fn a_read_is_not_asked_again_where_that_is_switched_off() {
    let mut scene = UnderWay::new("[clients]\nreplay_reads = false\n");
    let mut clients = scene.die_with(&[get()]);
    clients[0].expect_reply(format!("-{UNKNOWN}\r\n"));
    clients[0].expect(&["GET", "key"], "$4\r\nkept\r\n");
}

#[test]
fn an_unknown_outcome_ends_the_connection_where_that_is_wanted() {
    let mut scene = UnderWay::new("[clients]\non_unknown_outcome = \"disconnect\"\n");
    let mut clients = scene.die_with(&[set(), get()]);
    clients[0].expect_closed();
    clients[1].expect_reply("$4\r\nkept\r\n");
}

#[test]
fn a_client_that_asked_for_silence_is_disconnected_rather_than_left_in_the_dark() {
    let mut scene = UnderWay::new("");
    let silent = [command(&["CLIENT", "REPLY", "OFF"]), set()].concat();
    let mut clients = scene.die_with(&[silent, get()]);
    clients[0].expect_closed();
    clients[1].expect_reply("$4\r\nkept\r\n");
}
