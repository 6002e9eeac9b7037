//! Programs that people use with Redis every day, on narrows as it is: redis-cli, redis-benchmark,
//! redis-py, ioredis and node-redis. Where their output is the same each time it is compared with that of a direct connection.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::support::{Child, Flavor, Narrows, RedisServer, command, node, python};

/// Every server of the matrix, with narrows in front of it.
fn for_each_flavor(flags: &[&str], test: impl Fn(&RedisServer, &Narrows)) {
    for_each_of(Flavor::matrix(), flags, test);
}

fn for_each_of(flavors: Vec<Flavor>, flags: &[&str], test: impl Fn(&RedisServer, &Narrows)) {
    for flavor in flavors {
        let server = RedisServer::start_flavor(flavor, &[]);
        let narrows = Narrows::in_front_of(&server, flags);
        test(&server, &narrows);
    }
}

/// Runs `program -p PORT arguments` with `input`.
#[track_caller]
fn run(program: &str, port: u16, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(program)
        .args(["-p", &port.to_string()])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} is missing ({error}): run `make test` once"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writing = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    let _ = writing.join();
    output
}

/// What a program said, for comparing and for messages.
fn said(output: &Output) -> String {
    format!(
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

const SESSION: &str = "\
SET key \"a value\"
GET key
GET missing
HSET hash f 1 g 2
HGETALL hash
RPUSH list a b c
LRANGE list 0 -1
SADD set x
SMEMBERS set
ZADD zset 1.5 m
ZRANGE zset 0 -1 WITHSCORES
LPUSH key x
NOTHING x
GET
EVAL \"return {1,'two',{3}}\" 0
SELECT 2
GET key
SET key other
SELECT 0
GET key
SELECT 99
CLIENT SETNAME me
CLIENT GETNAME
HELLO 3 SETNAME you
CLIENT GETNAME
HGETALL hash
ZSCORE zset m
PING
ECHO \"\\x00\\xff\"
DBSIZE
FLUSHALL
";

#[test]
fn redis_cli_says_the_same_in_either_protocol() {
    for_each_flavor(&[], |server, narrows| {
        for flags in [
            &[][..],
            &["-3"],
            &["-2"],
            &["-n", "5"],
            &["-3", "-n", "5"],
            &["--csv"],
            &["--json"],
            &["--no-raw"],
            &["-3", "--no-raw"],
            &["--raw"],
        ] {
            // `id` in the reply of HELLO is the connection's own.
            let session = |port| {
                let text = said(&run("redis-cli", port, flags, SESSION.as_bytes()));
                let lines = text.lines().map(|line| match line.contains("id") {
                    true => line.split(|c: char| c.is_ascii_digit()).collect::<String>(),
                    false => line.to_owned(),
                });
                lines.collect::<Vec<_>>().join("\n")
            };
            assert_eq!(
                session(narrows.port()),
                session(server.port()),
                "redis-cli {flags:?}"
            );
        }
    });
}

#[test]
fn redis_cli_says_the_same_to_single_commands() {
    for_each_flavor(&[], |server, narrows| {
        for arguments in [
            &["PING"][..],
            &["-n", "5", "SET", "a", "1"],
            &["-n", "5", "GET", "a"],
            &["-3", "-n", "5", "GET", "a"],
            &["-n", "99", "GET", "a"],
            &["-e", "NOTHING"],
            &["-r", "3", "INCR", "n"],
            &["-x", "SET", "from-input"],
            &["--eval", "/dev/null"],
            &["--scan", "--pattern", "*"],
            &["-a", "wrong", "PING"],
            &["--user", "default", "--pass", "any", "PING"],
            &["--user", "nobody", "--pass", "any", "PING"],
            &["--user", "nobody", "--pass", "any", "-3", "PING"],
            &["-3", "--no-auth-warning", "-a", "wrong", "PING"],
            &["FLUSHALL"],
        ] {
            let through = said(&run("redis-cli", narrows.port(), arguments, b"input"));
            let (mut direct, mut inside) = (server.connect(), narrows.connect());
            if arguments.contains(&"INCR") {
                inside.expect(&["DEL", "n"], ":1\r\n");
            }
            if arguments.contains(&"--scan") {
                assert_eq!(direct.call(&["DBSIZE"]).integer(), 2);
            }
            let directly = said(&run("redis-cli", server.port(), arguments, b"input"));
            // It does not say that there are none.
            let through = match server.flavor() {
                Flavor::Redis810 => through.replace(", with args beginning with: ", ""),
                _ => through,
            };
            assert_eq!(through, directly, "redis-cli {arguments:?}");
        }
    });
}

#[test]
fn redis_cli_pipes_a_hundred_thousand_commands_in() {
    for_each_flavor(&[], |server, narrows| {
        let mut input = Vec::new();
        for number in 0..100_000 {
            input.extend(command(&["SET", &format!("key:{number}"), "value"]));
        }
        let output = run("redis-cli", narrows.port(), &["--pipe"], &input);
        assert!(
            output.status.success() && said(&output).contains("errors: 0, replies: 100000"),
            "{}",
            said(&output)
        );
        assert_eq!(server.connect().call(&["DBSIZE"]).integer(), 100_000);
    });
}

#[track_caller]
fn expect_benchmark(narrows: &Narrows, arguments: &[&str], results: usize) {
    let output = run("redis-benchmark", narrows.port(), arguments, b"");
    let text = said(&output);
    let lines = text
        .lines()
        .filter(|line| line.contains("requests per second"))
        .count();
    let complaints = ["Error", "ERR", "WARNING", "failed", "TRYAGAIN"];
    assert!(
        output.status.success()
            && lines == results
            && !complaints.iter().any(|word| text.contains(word)),
        "redis-benchmark {arguments:?}, {lines} results:\n{text}"
    );
}

#[test]
fn load_redis_benchmark_runs_its_whole_suite() {
    for_each_of(Flavor::pair(), &[], |_, narrows| {
        expect_benchmark(narrows, &["-q", "-n", "2000"], 20);
        expect_benchmark(narrows, &["-q", "-3", "-n", "1000", "--dbnum", "5"], 20);
    });
}

#[test]
fn load_redis_benchmark_runs_with_many_clients_and_deep_pipelines() {
    for_each_of(
        Flavor::pair(),
        &["--max-backend-connections", "4"],
        |server, narrows| {
            for arguments in [
                &["-q", "-c", "200", "-n", "20000", "-t", "set,get,incr"][..],
                &["-q", "-P", "16", "-n", "50000", "-t", "set,get,incr"],
                &[
                    "-q",
                    "-c",
                    "200",
                    "-P",
                    "16",
                    "-r",
                    "1000",
                    "-n",
                    "50000",
                    "-t",
                    "set,get,lpush",
                ],
            ] {
                expect_benchmark(narrows, arguments, 3);
            }
            // Ours, and the one that asks.
            assert!(server.info_number("connected_clients") <= 5);
        },
    );
}

#[track_caller]
fn expect_python(script: &str, port: u16, further: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/compat/python")
        .join(script);
    let output = Command::new(python())
        .arg(&script)
        .arg(port.to_string())
        .args(further)
        .output()
        .unwrap();
    let text = said(&output);
    assert!(
        output.status.success() && text.contains("all replies were right"),
        "{} {further:?}:\n{text}",
        script.display()
    );
}

#[test]
fn redis_py_gets_right_replies_from_clients_pools_and_pipelines() {
    for_each_flavor(&[], |server, narrows| {
        // The script itself has to be right.
        expect_python("sync_client.py", server.port(), &["direct"]);
        expect_python("sync_client.py", narrows.port(), &[]);
    });
}

#[test]
fn load_three_hundred_asyncio_clients_each_get_their_own_replies() {
    for_each_of(
        Flavor::pair(),
        &["--max-backend-connections", "4"],
        |server, narrows| {
            expect_python("async_load.py", narrows.port(), &[]);
            assert!(server.info_number("connected_clients") <= 5);
        },
    );
}

#[track_caller]
fn expect_node(script: &str, port: u16) {
    let Some(mut command) = node(script) else {
        return;
    };
    let mut child = Child::spawn(command.arg(port.to_string()));
    let status = child.wait(Duration::from_secs(50));
    let text = child.log();
    assert!(
        status.success() && text.contains("all replies were right"),
        "{script}: {status}\n{text}"
    );
}

/// The script itself has to be right; once is enough for that.
#[track_caller]
fn expect_right_script(script: &str, server: &RedisServer) {
    if server.flavor() == Flavor::Redis {
        expect_node(script, server.port());
    }
}

#[test]
fn ioredis_gets_right_replies_and_comes_back_after_a_kill() {
    for_each_flavor(&[], |server, narrows| {
        expect_right_script("ioredis.js", server);
        expect_node("ioredis.js", narrows.port());
    });
}

#[test]
fn node_redis_gets_right_replies_and_comes_back_after_a_kill() {
    for_each_flavor(&[], |server, narrows| {
        expect_node("node_redis.js", server.port());
        expect_node("node_redis.js", narrows.port());
    });
}
