//! Replies as scripts make them, however odd: they reach the client that asked for them as they come
//! directly, and the connection that it shares with others carries on.

use crate::hostile::bystander::{Bystander, expect_no_poison};
use crate::support::setup::narrows;
use crate::support::{PATIENCE, RedisServer, command};

/// Connections to Redis: control, and one that all clients share.
const SHARED: [&str; 2] = ["--max-backend-connections", "2"];

fn nested(depth: usize) -> String {
    format!("local t = 7; for i = 1, {depth} do t = {{t}} end; return t")
}

#[test]
fn a_reply_nested_deeply_reaches_its_client_and_the_increments_of_others_are_untouched() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), "", &SHARED);
    let mut others: Vec<_> = (0..4).map(|_| narrows.connect()).collect();
    let mut client = narrows.connect();
    let increments = command(&["INCR", "n"]).repeat(50);
    for depth in [150, 1000] {
        for half in 0..2 {
            for other in &mut others {
                other.send(&increments);
            }
            if half == 0 {
                client.send_command(&["EVAL", &nested(depth), "0"]);
            }
        }
        client.expect_reply(format!("{}:7\r\n", "*1\r\n".repeat(depth)));
        for other in &mut others {
            for _ in 0..100 {
                let reply = other.reply();
                assert!(!reply.is_error(), "{reply:?}");
            }
        }
    }
    client.expect(&["GET", "n"], "$3\r\n800\r\n");
    expect_no_poison(&narrows);
}

#[test]
fn whatever_a_script_returns_comes_as_directly_and_closes_nothing() {
    let server = RedisServer::start();
    let toml = "[limits]\nbulk_bytes_max = \"1MiB\"\nheader_bytes_max = \"1KiB\"\n";
    let narrows = narrows(&server.url(), toml, &SHARED);
    let bystander = Bystander::beside(&narrows);
    let big_number = |number: &str| format!("return {{big_number = {number}}}");
    let scripts = [
        nested(200),
        big_number("'12 34'"),
        big_number("'1\\r\\n2'"),
        big_number("''"),
        big_number("string.rep('1', 100000)"),
        "return {double = 1e300}".to_owned(),
        "return {map = {a = {map = {b = {set = {c = true}}}}}}".to_owned(),
        "return {verbatim_string = {format = 'long', string = ''}}".to_owned(),
        "return redis.error_reply('ERR ' .. string.rep('x', 2000000))".to_owned(),
        "return redis.status_reply(string.rep('x', 2000000))".to_owned(),
        "return string.rep('x', 2000000)".to_owned(),
        "return {ok = 'a\\r\\n+b'}".to_owned(),
        "return {err = 'ERR a\\r\\n-b'}".to_owned(),
    ];
    for script in &scripts {
        for protocol in ["2", "3"] {
            let script = format!("redis.setresp({protocol}) {script}");
            let [direct, through] = [server.connect(), narrows.connect()].map(|mut conn| {
                assert!(!conn.call(&["HELLO", protocol]).is_error());
                conn.send_command(&["EVAL", &script, "0"]);
                conn.send_command(&["PING"]);
                let reply = conn.reply().raw().to_vec();
                conn.expect_reply("+PONG\r\n");
                reply
            });
            assert!(direct == through, "{script}, RESP{protocol}");
        }
    }
    bystander.noticed_nothing(PATIENCE);
    expect_no_poison(&narrows);
}
