//! Waits that are ended before their time, by `CLIENT UNBLOCK`, by a client that leaves, by the end
//! of narrows: whatever is on its way to them then is delivered, or is where it came from.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::setup::{NOBODY_ASKS, narrows};
use crate::support::{Conn, Flavor, Narrows, PATIENCE, RedisServer, wait_until};

fn blocked(admin: &mut Conn) -> usize {
    let list = admin.call(&["CLIENT", "LIST"]).text();
    list.lines()
        .filter(|line| line.contains(" flags=b"))
        .count()
}

fn id_of(conn: &mut Conn) -> String {
    conn.call(&["CLIENT", "ID"]).integer().to_string()
}

/// A server with one client of narrows that waits as `request` says.
struct Setup {
    server: RedisServer,
    narrows: Narrows,
    admin: Conn,
    asks: Conn,
    waits: Conn,
    /// `CLIENT ID` of the one that waits.
    id: String,
}

impl Setup {
    fn of(flavor: Flavor, settings: &str, request: &[&str]) -> Self {
        let server = RedisServer::start_flavor(flavor, &[]);
        // Whether anybody may see who is there is not asked of a server that does not answer.
        let settings = format!("{NOBODY_ASKS}{settings}");
        let narrows = narrows(&server.url(), &settings, &[]);
        let mut admin = server.connect();
        let (mut asks, mut waits) = (narrows.connect(), narrows.connect());
        asks.expect(&["PING"], "+PONG\r\n");
        let id = id_of(&mut waits);
        waits.send_command(request);
        wait_until("it waits", PATIENCE, || blocked(&mut admin) == 1);
        Self {
            server,
            narrows,
            admin,
            asks,
            waits,
            id,
        }
    }
}

const TAKEN: &str = "*2\r\n$1\r\nq\r\n$1\r\na\r\n";

#[test]
fn an_element_that_is_on_its_way_beats_client_unblock() {
    for flavor in Flavor::pair() {
        for reason in ["TIMEOUT", "ERROR"] {
            let mut setup = Setup::of(flavor, "", &["BLPOP", "q", "0"]);
            setup.server.stop();
            setup.admin.send_command(&["RPUSH", "q", "a"]);
            let unblock = ["CLIENT", "UNBLOCK", &setup.id, reason];
            setup.asks.send_command(&unblock);
            setup.server.cont();
            setup.waits.expect_reply(TAKEN);
            setup.asks.expect_reply(":0\r\n");
            setup.waits.expect(&["LLEN", "q"], ":0\r\n");
        }
    }
}

#[test]
fn beside_pushes_client_unblock_loses_nothing() {
    for flavor in Flavor::pair() {
        let server = RedisServer::start_flavor(flavor, &[]);
        let narrows = Narrows::in_front_of(&server, &["--workers", "2"]);
        let (mut admin, mut asks, mut waits) =
            (server.connect(), narrows.connect(), narrows.connect());
        let id = id_of(&mut waits);
        let mut delivered = 0;
        for round in 0..60 {
            waits.send_command(&["BLPOP", "q", "0"]);
            wait_until("it waits", PATIENCE, || blocked(&mut asks) == 1);
            asks.send_command(&["CLIENT", "UNBLOCK", &id]);
            admin.send_command(&["RPUSH", "q", &round.to_string()]);
            let got = waits.reply().raw() != b"*-1\r\n";
            assert_eq!(asks.reply().integer(), i64::from(!got), "round {round}");
            admin.reply();
            delivered += i64::from(got);
            if !got {
                assert_eq!(admin.call(&["LPOP", "q"]).text(), round.to_string());
            }
            admin.expect(&["LLEN", "q"], ":0\r\n");
        }
        println!("{delivered} of 60 delivered");
    }
}

/// What waits, what fills its key, where to look afterwards if its client has left, and what is there.
type Case = (
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
    &'static str,
);

/// Every verb that takes something.
const CASES: [Case; 7] = [
    (
        &["BLPOP", "q", "x", "0"],
        &["RPUSH", "q", "a", "b"],
        &["LRANGE", "q", "0", "-1"],
        "ab",
    ),
    (
        &["BRPOP", "q", "0"],
        &["RPUSH", "q", "a", "b"],
        &["LRANGE", "q", "0", "-1"],
        "ab",
    ),
    (
        &["BLMPOP", "0", "1", "q", "LEFT", "COUNT", "2"],
        &["RPUSH", "q", "a", "b", "c"],
        &["LRANGE", "q", "0", "-1"],
        "abc",
    ),
    (
        &["BLMPOP", "0", "1", "q", "RIGHT", "COUNT", "2"],
        &["RPUSH", "q", "a", "b", "c"],
        &["LRANGE", "q", "0", "-1"],
        "abc",
    ),
    (
        &["BZPOPMIN", "z", "0"],
        &["ZADD", "z", "1", "a", "2", "b"],
        &["ZRANGE", "z", "0", "-1"],
        "ab",
    ),
    (
        &["BZMPOP", "0", "1", "z", "MAX", "COUNT", "2"],
        &["ZADD", "z", "1", "a", "2", "b", "3", "c"],
        &["ZRANGE", "z", "0", "-1"],
        "abc",
    ),
    // Where it has been moved to, as when a client of the server's own dies.
    (
        &["BLMOVE", "q", "d", "LEFT", "LEFT", "0"],
        &["RPUSH", "q", "a"],
        &["LRANGE", "d", "0", "-1"],
        "a",
    ),
];

/// Its client leaves while the server does nothing, which then finds what was pushed before.
fn leaves((request, push, look, left): Case, mut setup: Setup, how: fn(Conn)) {
    setup.server.stop();
    setup.admin.send_command(push);
    how(setup.waits);
    // It is answered here, behind the end of the other.
    wait_until("it is gone", PATIENCE, || {
        setup.asks.call(&["CLIENT", "ID"]);
        !setup
            .asks
            .call(&["CLIENT", "LIST"])
            .text()
            .contains(&format!("id={} ", setup.id))
    });
    setup.server.cont();
    setup.admin.reply();
    wait_until(request[0], PATIENCE, || {
        let found = setup.admin.call(look);
        let words = String::from_utf8_lossy(found.raw()).into_owned();
        let words: Vec<&str> = words
            .lines()
            .skip(1)
            .filter(|line| !line.starts_with('$'))
            .collect();
        words.concat() == left
    });
    wait_until("nobody waits", PATIENCE, || blocked(&mut setup.admin) == 0);
    setup.asks.expect(&["PING"], "+PONG\r\n");
}

#[test]
fn what_was_taken_for_a_client_that_has_left_is_where_it_came_from() {
    // Who only sends no more is here until it is known how its wait ends, which takes the server.
    leaves(CASES[0], Setup::of(Flavor::Redis, "", CASES[0].0), drop);
    for case in CASES {
        let setup = Setup::of(Flavor::Redis, "", case.0);
        leaves(case, setup, Conn::reset);
    }
}

#[test]
fn that_a_client_has_waited_for_long_is_no_silence_of_the_server_when_it_leaves() {
    let settings = "[backend]\nstall_timeout = \"2s\"\n";
    let case = CASES[0];
    let mut setup = Setup::of(Flavor::Redis, settings, case.0);
    setup.waits.expect_silence(Duration::from_millis(2500));
    leaves(case, setup, Conn::reset);
}

#[test]
fn what_was_taken_for_a_client_that_has_left_is_only_told_of_where_that_is_wanted() {
    let settings = "[blocking]\nundeliverable = \"log\"\n";
    let mut setup = Setup::of(Flavor::Redis, settings, &["BLPOP", "q", "0"]);
    setup.server.stop();
    setup.admin.send_command(&["RPUSH", "q", "a"]);
    setup.waits.reset();
    wait_until("it is gone", PATIENCE, || {
        !setup
            .asks
            .call(&["CLIENT", "LIST"])
            .text()
            .contains(&format!("id={} ", setup.id))
    });
    setup.server.cont();
    setup
        .narrows
        .expect_logged(&["an element was taken for a client that is gone: it is lost"]);
    setup.admin.expect_reply(":1\r\n");
    setup.admin.expect(&["LLEN", "q"], ":0\r\n");
}

#[test]
fn what_is_on_its_way_when_narrows_ends_is_delivered() {
    for flavor in Flavor::pair() {
        let mut setup = Setup::of(flavor, "", &["BLPOP", "q", "0"]);
        setup.server.stop();
        setup.admin.send_command(&["RPUSH", "q", "a"]);
        setup.narrows.signal(Signal::TERM);
        setup.narrows.expect_logged(&["draining"]);
        setup.asks.expect_closed();
        setup.server.cont();
        setup.waits.expect_reply(TAKEN);
        setup.waits.expect_closed();
        assert_eq!(setup.narrows.wait(PATIENCE).code(), Some(0));
    }
}

#[test]
fn many_waits_end_with_narrows_and_nothing_is_lost() {
    let server = RedisServer::start();
    let mut narrows = narrows(&server.url(), "", &[]);
    let mut admin = server.connect();
    let mut waiting: Vec<Conn> = (0..4).map(|_| narrows.connect()).collect();
    for waits in &mut waiting {
        waits.send_command(&["BLPOP", "q", "0"]);
    }
    wait_until("they wait", PATIENCE, || blocked(&mut admin) == 4);
    narrows.signal(Signal::TERM);
    for element in 0..60 {
        admin.send_command(&["RPUSH", "q", &element.to_string()]);
    }
    let delivered = waiting
        .iter_mut()
        .filter_map(|waits| waits.try_reply().ok())
        .count();
    for _ in 0..60 {
        admin.reply();
    }
    assert_eq!(narrows.wait(PATIENCE).code(), Some(0), "{}", narrows.log());
    let left = admin.call(&["LLEN", "q"]).integer();
    assert_eq!(delivered as i64 + left, 60, "{}", narrows.log());
}

/// A server dies that is asked to unblock a client which it holds up by a pause (redis#14164).
#[test]
fn a_wait_that_ends_while_writes_are_paused_ends_with_the_pause() {
    for flavor in Flavor::pair() {
        let mut setup = Setup::of(flavor, "", &["BLPOP", "q", "0"]);
        setup
            .admin
            .expect(&["CLIENT", "PAUSE", "700", "WRITE"], "+OK\r\n");
        let unblock = ["CLIENT", "UNBLOCK", &setup.id];
        setup.asks.send_command(&unblock);
        setup.waits.expect_silence(Duration::from_millis(200));
        setup.waits.expect_reply("*-1\r\n");
        setup.asks.expect_reply(":1\r\n");
        setup.admin.expect(&["PING"], "+PONG\r\n");
    }
}

/// Who may not end waits has them run slice by slice.
#[test]
fn waits_that_nobody_may_end_run_in_slices() {
    let server = RedisServer::start();
    let mut admin = server.connect();
    let user = [
        "ACL",
        "SETUSER",
        "app",
        "on",
        ">pw",
        "~*",
        "+@all",
        "-client|unblock",
    ];
    admin.expect(&user, "+OK\r\n");
    let url = format!("redis://app:pw@{}", server.address());
    let narrows = narrows(&url, "[clients]\nrequest_timeout = \"500ms\"\n", &[]);
    let (mut asks, mut waits) = (narrows.connect(), narrows.connect());
    let id = id_of(&mut waits);
    // It is not known yet: the connection is closed.
    waits.send_command(&["BLPOP", "q", "0"]);
    wait_until("it waits", PATIENCE, || blocked(&mut admin) == 1);
    asks.expect(&["CLIENT", "UNBLOCK", &id], ":1\r\n");
    waits.expect_reply("*-1\r\n");
    for (unblocked, pushed) in [(false, true), (true, false)] {
        waits.send_command(&["BLPOP", "q", "0"]);
        wait_until("it waits", PATIENCE, || blocked(&mut asks) == 1);
        waits.expect_silence(Duration::from_millis(1300));
        if unblocked {
            asks.expect(&["CLIENT", "UNBLOCK", &id, "ERROR"], ":1\r\n");
            waits.expect_reply("-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
        }
        if pushed {
            admin.expect(&["RPUSH", "q", "a"], ":1\r\n");
            waits.expect_reply(TAKEN);
        }
    }
    waits.send_command(&["BLPOP", "q", "1.5"]);
    waits.expect_reply("*-1\r\n");
}

#[test]
fn what_stands_before_a_half_close_is_answered_and_a_wait_ends_with_its_client() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let mut admin = server.connect();
    for address in [server.address(), narrows.address().to_owned()] {
        let mut client = Conn::connect(&address);
        client.send(b"RPUSH q 1\r\nBLPOP q 0\r\nSET a b\r\n");
        client.finish_sending();
        client.expect_reply(":1\r\n");
        client.expect_reply("*2\r\n$1\r\nq\r\n$1\r\n1\r\n");
        client.expect_reply("+OK\r\n");
        client.expect_closed();
        admin.expect(&["DEL", "a"], ":1\r\n");
        let mut client = Conn::connect(&address);
        client.send(b"RPUSH p 1\r\nBLPOP q 0\r\nSET a b\r\n");
        client.finish_sending();
        client.expect_reply(":1\r\n");
        client.expect_closed();
        admin.expect(&["DEL", "p", "a"], ":1\r\n");
        admin.expect(&["RPUSH", "q", "1"], ":1\r\n");
        admin.expect(&["LPOP", "q"], "$1\r\n1\r\n");
    }
}
