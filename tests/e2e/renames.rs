//! `commands.rename`: a server that knows commands by other names serves clients that do not.

use crate::support::setup::{NOBODY_ASKS, narrows};
use crate::support::{Conn, Flavor, Narrows, PATIENCE, RedisServer, command, wait_until};

const RENAMED: &[&str] = &[
    "--rename-command",
    "CONFIG",
    "sec-name",
    "--rename-command",
    "LRANGE",
    "sec-range",
    "--rename-command",
    "SET",
    "sec-set",
];

const TOML: &str = "[commands]\nrename = ['CONFIG=sec-name', 'LRANGE=sec-range', 'SET=SEC-SET']\n";

/// SHA-256 of `hello`.
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

/// Each server, with narrows in front of it.
fn each(mut story: impl FnMut(&mut RedisServer, &Narrows)) {
    for flavor in Flavor::pair() {
        let mut server = RedisServer::start_flavor(flavor, RENAMED);
        let narrows = narrows(
            &server.url(),
            &format!("{NOBODY_ASKS}{TOML}"),
            &["--workers", "1"],
        );
        story(&mut server, &narrows);
    }
}

/// Its `COMMAND` has been read when an unknown one is known to be unknown.
#[track_caller]
fn expect_learned(conn: &mut Conn) {
    let unknown = "-ERR unknown command 'NO.SUCH', with args beginning with: \r\n";
    wait_until("the server's table", PATIENCE, || {
        conn.call(&["NO.SUCH"]).raw() == unknown.as_bytes()
    });
}

#[test]
fn clients_use_the_names_they_know_and_the_servers_are_none_to_them() {
    each(|server, narrows| {
        let mut direct = server.connect();
        assert!(
            direct.call(&["CONFIG", "GET", "port"]).is_error(),
            "it is renamed"
        );
        let mut client = narrows.connect();
        expect_learned(&mut client);
        client.expect(&["set", "k", "SET"], "+OK\r\n");
        direct.expect(&["GET", "k"], "$3\r\nSET\r\n");
        client.expect(
            &["CONFIG", "GET", "databases"],
            "*2\r\n$9\r\ndatabases\r\n$2\r\n16\r\n",
        );
        client.send("CONFIG GET databases\r\n");
        client.expect_reply("*2\r\n$9\r\ndatabases\r\n$2\r\n16\r\n");
        // Pipelined with others, in order.
        let pipeline = [
            command(&["RPUSH", "l", "a"]),
            command(&["LRANGE", "l", "0", "-1"]),
            command(&["SET", "k", "2"]),
            command(&["GET", "k"]),
        ];
        client.send(pipeline.concat());
        for reply in [":1\r\n", "*1\r\n$1\r\na\r\n", "+OK\r\n", "$1\r\n2\r\n"] {
            client.expect_reply(reply);
        }
        for name in ["sec-name", "SEC-SET", "Sec-Range"] {
            let expected = format!(
                "-ERR unknown command '{name}', with args beginning with: 'GET' 'databases' \r\n"
            );
            client.expect(&[name, "GET", "databases"], expected);
        }
        let arity = "-ERR wrong number of arguments for 'set' command\r\n";
        client.expect(&["SET", "k"], arity);
    });
}

#[test]
fn transactions_whole_and_piecemeal_hold_renamed_commands() {
    each(|_, narrows| {
        let mut client = narrows.connect();
        let block = [
            command(&["MULTI"]),
            command(&["SET", "k", "v"]),
            command(&["RPUSH", "l", "a"]),
            command(&["LRANGE", "l", "0", "0"]),
            command(&["EXEC"]),
        ];
        client.send(block.concat());
        for reply in ["+OK\r\n", "+QUEUED\r\n", "+QUEUED\r\n", "+QUEUED\r\n"] {
            client.expect_reply(reply);
        }
        client.expect_reply("*3\r\n+OK\r\n:1\r\n*1\r\n$1\r\na\r\n");
        client.expect(&["WATCH", "k"], "+OK\r\n");
        client.expect(&["MULTI"], "+OK\r\n");
        client.expect(&["SET", "k", "w"], "+QUEUED\r\n");
        client.expect(&["EXEC"], "*1\r\n+OK\r\n");
        client.expect(&["MULTI"], "+OK\r\n");
        assert!(client.call(&["sec-set", "k", "x"]).is_error());
        let aborted = "-EXECABORT Transaction discarded because of previous errors.\r\n";
        client.expect(&["EXEC"], aborted);
        client.expect(&["GET", "k"], "$1\r\nw\r\n");
    });
}

#[test]
fn a_huge_request_of_a_renamed_command_streams_under_the_servers_name() {
    each(|server, narrows| {
        let value = "v".repeat(3 << 20);
        let mut client = narrows.connect();
        client.expect(&["SET", "big", &value], "+OK\r\n");
        server
            .connect()
            .expect(&["STRLEN", "big"], format!(":{}\r\n", value.len()));
        client.expect(&["PING"], "+PONG\r\n");
    });
}

#[test]
fn a_read_whose_connection_is_lost_is_asked_again_under_the_right_name() {
    each(|server, narrows| {
        let mut client = narrows.connect();
        client.expect(&["LRANGE", "l", "0", "-1"], "*0\r\n");
        server.stop();
        client.send_command(&["LRANGE", "l", "0", "-1"]);
        let mut watch = narrows.connect();
        wait_until("the request to be under way", PATIENCE, || {
            let own = watch.call(&["CLIENT", "LIST"]).text();
            own.lines()
                .any(|line| line.starts_with("id=1 ") && line.contains(" cmd=lrange "))
        });
        server.restart();
        client.expect_reply("*0\r\n");
        let info = client.call(&["INFO", "narrows"]).text();
        assert!(info.contains("narrows_replays_total:1\r\n"), "{info}");
    });
}

#[test]
fn a_user_may_know_commands_by_their_usual_names_that_others_do_not() {
    let toml = format!(
        "[auth]\nmode = 'local'\n[users.default]\nnopass = true\nadmin = true\n\
         [users.ops]\npassword_sha256 = ['{HELLO}']\nrename = ['CONFIG=sec-name', 'LRANGE=sec-range']\n\
         [commands]\nrename = ['SET=sec-set']\n"
    );
    for flavor in Flavor::pair() {
        let mut server = RedisServer::start_flavor(flavor, RENAMED);
        let narrows = narrows(&server.url(), &toml, &["--workers", "1"]);
        let (mut plain, mut ops) = (narrows.connect(), narrows.connect());
        expect_learned(&mut plain);
        ops.expect(&["AUTH", "ops", "hello"], "+OK\r\n");
        for client in [&mut plain, &mut ops] {
            client.expect(&["SET", "k", "v"], "+OK\r\n");
        }
        ops.expect(&["RPUSH", "l", "a"], ":1\r\n");
        ops.expect(&["LRANGE", "l", "0", "-1"], "*1\r\n$1\r\na\r\n");
        let text = ops.call(&["sec-range", "l", "0", "-1"]).text();
        assert!(text.starts_with("ERR unknown command"), "{text}");
        let text = plain.call(&["LRANGE", "l", "0", "-1"]).text();
        assert!(text.starts_with("ERR unknown command 'LRANGE'"), "{text}");
        // Asked again after a loss it is the right command still.
        server.stop();
        ops.send_command(&["LRANGE", "l", "0", "-1"]);
        wait_until("the request to be under way", PATIENCE, || {
            let list = plain.call(&["CLIENT", "LIST"]).text();
            list.contains(" cmd=lrange ")
        });
        server.restart();
        ops.expect_reply("*0\r\n");
    }
}
