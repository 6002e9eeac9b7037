//! What clients of Java and .NET say on connecting, byte for byte as their sources write it, direct beside
//! through: their libraries are not to be had where these tests run. Each conversation names its source
//! by file and commit. What differs by its nature (ids of connections, clocks) is left out.

use crate::support::setup;
use crate::support::{Conn, Flavor, Narrows, PATIENCE, RedisServer, command, wait_until};

/// What a library sends on one new connection: batches, whose replies it waits for before the next.
struct Handshake {
    library: &'static str,
    /// Where it is to be read.
    source: &'static str,
    batches: &'static [&'static [&'static str]],
}

const JEDIS: &str = "redis/jedis 9bcb5c6 (8.0.0-SNAPSHOT): Connection.initializeFromClientConfig, ProtocolHandshake";
const LETTUCE: &str =
    "redis/lettuce b0bcdd8 (7.8.0-SNAPSHOT): RedisHandshake, MaintNotificationsConfig";
const REDISSON: &str =
    "redisson/redisson 6686397 (4.7.1-SNAPSHOT): BaseConnectionHandler, ValkeyCapability";
const STACK_EXCHANGE: &str = "StackExchange/StackExchange.Redis 90bbf1f (3.1): ServerEndPoint.HandshakeAsync, AutoConfigureAsync";
const STACK_EXCHANGE_2: &str = "StackExchange/StackExchange.Redis 0084522 (2.x): ServerEndPoint.HandshakeAsync, AutoConfigureAsync";

/// `PASSWORD` is the server's, `BYTES` sixteen of them that are no text.
const HANDSHAKES: &[Handshake] = &[
    Handshake {
        library: "Jedis, RESP3 or what the server has",
        source: JEDIS,
        batches: &[
            &["HELLO 3 AUTH default PASSWORD"],
            &[
                "CLIENT SETNAME app",
                "CLIENT SETINFO lib-name jedis",
                "CLIENT SETINFO lib-ver 8.0.0",
            ],
            &["SELECT 3"],
            &["PING"],
            &["SET key value", "GET key"],
        ],
    },
    Handshake {
        library: "Jedis, as before version 8",
        source: JEDIS,
        batches: &[
            &["AUTH PASSWORD"],
            &[
                "CLIENT SETINFO lib-name jedis(spring-data-redis_v4.0.0)",
                "CLIENT SETINFO lib-ver 8.0.0",
                "READONLY",
            ],
            &["SELECT 3"],
            &["PING"],
        ],
    },
    Handshake {
        library: "Lettuce, RESP3",
        source: LETTUCE,
        batches: &[
            &["HELLO 3 AUTH default PASSWORD SETNAME app"],
            &["SELECT 3"],
            &[
                "CLIENT SETINFO lib-name Lettuce",
                "CLIENT SETINFO lib-ver 7.8.0",
            ],
            &["CLIENT MAINT_NOTIFICATIONS on moving-endpoint-type internal-ip"],
            &["SUBSCRIBE news"],
            &["PING"],
        ],
    },
    Handshake {
        library: "Lettuce, RESP2",
        source: LETTUCE,
        batches: &[
            &["AUTH PASSWORD"],
            &["SELECT 3"],
            &[
                "CLIENT SETNAME app",
                "CLIENT SETINFO lib-name Lettuce",
                "CLIENT SETINFO lib-ver 7.8.0",
            ],
            &["CLIENT MAINT_NOTIFICATIONS on"],
            &["SUBSCRIBE news"],
            &["PING"],
        ],
    },
    Handshake {
        library: "Redisson, RESP2",
        source: REDISSON,
        batches: &[
            &["AUTH PASSWORD"],
            &["SELECT 3", "CLIENT SETNAME app", "PING"],
            &["SUBSCRIBE redisson_lock__channel:{lock}"],
            &["PING"],
        ],
    },
    Handshake {
        library: "Redisson, RESP3 and what Valkey can do",
        source: REDISSON,
        batches: &[
            &["AUTH default PASSWORD"],
            &[
                "HELLO 3",
                "SELECT 3",
                "CLIENT SETNAME app",
                "CLIENT CAPA REDIRECT",
                "PING",
            ],
            &["SET key value"],
        ],
    },
    Handshake {
        library: "StackExchange.Redis, RESP3",
        source: STACK_EXCHANGE,
        batches: &[
            &[
                "AUTH PASSWORD",
                "HELLO 3",
                "CLIENT SETNAME host",
                "CLIENT SETINFO lib-name SE.Redis",
                "CLIENT SETINFO lib-ver 3.1.0",
                "CLIENT ID",
                "CONFIG GET timeout",
                "CONFIG GET replica-read-only",
                "CONFIG GET databases",
                "SENTINEL MASTERS",
                "INFO replication",
                "INFO server",
                "CLUSTER NODES",
                "GET __Booksleeve_TieBreak",
                "ECHO BYTES",
            ],
            &["SUBSCRIBE __Booksleeve_MasterChanged", "PING"],
        ],
    },
    Handshake {
        library: "StackExchange.Redis, RESP2",
        source: STACK_EXCHANGE,
        batches: &[&[
            "AUTH default PASSWORD",
            "HELLO 2",
            "CLIENT SETNAME host(SE.Redis-v3.1.0)",
            "CLIENT SETINFO lib-name SE.Redis",
            "CLIENT SETINFO lib-ver 3.1.0",
            "CLIENT ID",
            "CONFIG GET timeout",
            "CONFIG GET slave-read-only",
            "CONFIG GET databases",
            "SENTINEL MASTERS",
            "INFO replication",
            "INFO server",
            "CLUSTER NODES",
            "GET __Booksleeve_TieBreak",
            "ECHO BYTES",
        ]],
    },
    Handshake {
        library: "StackExchange.Redis, RESP2, what it subscribes with",
        source: STACK_EXCHANGE,
        batches: &[
            &[
                "AUTH default PASSWORD",
                "CLIENT SETNAME host",
                "CLIENT SETINFO lib-name SE.Redis",
                "CLIENT SETINFO lib-ver 3.1.0",
                "CLIENT ID",
                "ECHO BYTES",
                "SUBSCRIBE __Booksleeve_MasterChanged",
            ],
            &["PING"],
        ],
    },
    Handshake {
        library: "StackExchange.Redis 2",
        source: STACK_EXCHANGE_2,
        batches: &[
            &[
                "AUTH PASSWORD",
                "CLIENT SETNAME host",
                "CONFIG GET timeout",
                "CONFIG GET slave-read-only",
                "CONFIG GET databases",
                "SENTINEL MASTERS",
                "INFO replication",
                "INFO server",
                "CLUSTER NODES",
                "GET __Booksleeve_TieBreak",
                "ECHO BYTES",
            ],
            &["PING"],
        ],
    },
];

const PASSWORD: &str = "a-password";

/// Clients log in where the server has a password; without one their sources leave that out.
#[test]
fn handshakes_of_java_and_dotnet_are_answered_as_directly_with_a_password() {
    for flavor in Flavor::matrix() {
        let server = RedisServer::start_flavor(flavor, &["--requirepass", PASSWORD]);
        let url = format!("redis://:{PASSWORD}@{}", server.address());
        let narrows = setup::narrows(&url, "[auth]\nmode = \"passthrough\"\n", &[]);
        wait_until_known(&server, &narrows, &["AUTH", PASSWORD]);
        for handshake in HANDSHAKES {
            let batches = handshake.commands(|line| Some(line.replace("PASSWORD", PASSWORD)));
            expect_same(handshake, &batches, server.connect(), narrows.connect());
        }
    }
}

#[test]
fn handshakes_of_java_and_dotnet_are_answered_as_directly_without_one() {
    for flavor in Flavor::matrix() {
        let server = RedisServer::start_flavor(flavor, &[]);
        let narrows = Narrows::in_front_of(&server, &[]);
        wait_until_known(&server, &narrows, &[]);
        for handshake in HANDSHAKES {
            let batches = handshake.commands(|line| {
                let line = line.replace(" AUTH default PASSWORD", "");
                (!line.starts_with("AUTH ")).then_some(line)
            });
            expect_same(handshake, &batches, server.connect(), narrows.connect());
        }
    }
}

/// In its first moments narrows takes what the server may not have.
fn wait_until_known(server: &RedisServer, narrows: &Narrows, login: &[&str]) {
    let told = |mut conn: Conn| {
        if !login.is_empty() {
            conn.expect(login, "+OK\r\n");
        }
        let reply = conn.call(&["CLIENT", "SETINFO", "lib-name", "any"]);
        reply.raw().to_vec()
    };
    wait_until("the server's commands are known", PATIENCE, || {
        told(narrows.connect()) == told(server.connect())
    });
}

impl Handshake {
    /// The batches with each line as `line` gives it.
    fn commands(&self, line: impl Fn(&str) -> Option<String>) -> Vec<Vec<String>> {
        let batches = self.batches.iter();
        let lines = batches.map(|batch| batch.iter().filter_map(|each| line(each)).collect());
        lines
            .filter(|batch: &Vec<String>| !batch.is_empty())
            .collect()
    }
}

#[track_caller]
fn expect_same(
    handshake: &Handshake,
    batches: &[Vec<String>],
    mut direct: Conn,
    mut through: Conn,
) {
    for batch in batches {
        let bytes: Vec<u8> = batch.iter().flat_map(|line| bytes_of(line)).collect();
        for conn in [&mut direct, &mut through] {
            conn.send(&bytes);
        }
        for line in batch {
            let [expected, found] =
                [&mut direct, &mut through].map(|conn| told(line, conn.reply().raw()));
            assert_eq!(
                found, expected,
                "{line} of {} ({})",
                handshake.library, handshake.source
            );
        }
    }
}

fn bytes_of(line: &str) -> Vec<u8> {
    let words: Vec<&[u8]> = line
        .split(' ')
        .map(|word| match word {
            "BYTES" => &[
                0x00, 0xff, b'\r', b'\n', 0x80, b'*', b'$', 9, 8, 7, 6, 5, 4, 3, 2, 1,
            ][..],
            word => word.as_bytes(),
        })
        .collect();
    command(&words)
}

/// Lines of `INFO` that go on by themselves.
const CLOCKS: &[&str] = &[
    "server_time_usec:",
    "uptime_in_seconds:",
    "lru_clock:",
    "io_threads_active:",
];

/// A reply in words, without what is the connection's own.
fn told(line: &str, reply: &[u8]) -> String {
    let text = reply.escape_ascii().to_string();
    if line.starts_with("HELLO ") {
        let (before, after) = text.split_once("id\\r\\n:").unwrap_or((&text, ""));
        return format!(
            "{before}{}",
            after.trim_start_matches(|c: char| c.is_ascii_digit())
        );
    }
    if line == "CLIENT ID" {
        return text.replace(|c: char| c.is_ascii_digit(), "");
    }
    if line.starts_with("INFO ") {
        let lines = String::from_utf8_lossy(reply).into_owned();
        let fields = lines
            .lines()
            .filter(|line| !CLOCKS.iter().any(|clock| line.starts_with(clock)));
        // Behind the length, which goes with the clocks.
        return fields.skip(1).collect::<Vec<_>>().join("\n");
    }
    text
}
