//! Holds the command table against real servers: what a server lists must have a row of ours
//! wherever a wrong route could mix clients, and what a row of ours says must be what the server
//! says (`rows.rs`). Runs on every server of the matrix.

mod kinds;
mod rows;
mod server;

use std::collections::BTreeSet;

use narrows::command::{
    CommandTable, Flags, KeyRule, Lookup, Policy, PolicySettings, Route, Spec, Subcommands,
};
use redis_protocol::resp2::encode::encode;
use redis_protocol::resp2::types::{OwnedFrame, Resp2Frame};
use server::{Server, frame, servers, text};

use crate::support::Flavor;

/// Commands of these categories decide what becomes of a connection: each needs a row of ours.
const CATEGORIES: &[&str] = &[
    "@connection",
    "@pubsub",
    "@blocking",
    "@transaction",
    "@admin",
];

#[test]
fn every_command_that_touches_its_connection_has_a_row_of_ours() {
    let ours = CommandTable::builtin();
    for mut server in servers() {
        for listed in server.commands() {
            let touching = CATEGORIES
                .iter()
                .any(|category| listed.categories.contains(*category));
            let known = ours.named(listed.name.as_bytes()).is_some();
            // The careful rule for what has no row is enough for modules.
            assert!(
                known || !touching || listed.is_of_a_module(),
                "{}: `{}` has no row of ours",
                server.program,
                listed.name
            );
        }
    }
}

/// Names of the server's own with something in front, so that none has a row of ours.
fn disguised(reply: &OwnedFrame) -> OwnedFrame {
    let OwnedFrame::Array(entries) = reply else {
        return reply.clone();
    };
    let entry = |entry: &OwnedFrame| {
        let OwnedFrame::Array(mut fields) = entry.clone() else {
            return entry.clone();
        };
        let name = format!("unknown-{}", text(&fields[0]).to_lowercase());
        fields[0] = OwnedFrame::BulkString(name.into_bytes());
        fields[9] = disguised(&fields[9]);
        OwnedFrame::Array(fields)
    };
    OwnedFrame::Array(entries.iter().map(entry).collect())
}

/// What a server says of its commands shows all those that keep a connection to be such, though no row
/// of ours says so: the next one will be new to us too.
#[test]
fn what_keeps_a_connection_is_not_shared_without_a_row_either() {
    let ours = CommandTable::builtin();
    for mut server in servers() {
        let reply = server.request(&["COMMAND"]);
        let reply = encode_bytes(&disguised(&reply));
        let table = ours.learned(&reply).expect("the server's own reply");
        let alone = |name: &str| table.named(format!("unknown-{name}").as_bytes());
        let (mut kept, mut needlessly) = (0, Vec::new());
        for row in ours.specs() {
            let Some(judged) = alone(&row.name) else {
                continue;
            };
            let context = format!("{}: {}", server.program, row.name);
            match row.route {
                Route::Shared | Route::Unpins(_) | Route::Info if row.keys == KeyRule::None => {
                    needlessly.extend((judged.route != Route::Shared).then_some(&*row.name));
                }
                Route::Shared if row.name.contains("|") => {}
                // Whatever has keys and is shared by its row costs no connection without it.
                Route::Shared => assert!(
                    judged.route == Route::Shared || judged.keys == KeyRule::Unknown,
                    "{context}"
                ),
                Route::Info | Route::Unpins(_) | Route::Restricted => {}
                _ => {
                    kept += 1;
                    assert_ne!(judged.route, Route::Shared, "{context}");
                }
            }
        }
        assert!(
            kept > 50,
            "{}: only {kept} keep a connection",
            server.program
        );
        for name in ["dbsize", "flushall", "keys", "scan", "randomkey"] {
            assert!(!needlessly.contains(&name), "{}: {name}", server.program);
        }
    }
}

/// A rule that denies one of these has to be held to for scripts too.
#[test]
fn what_a_server_lets_scripts_run_is_known_as_such() {
    for mut server in servers() {
        let all = server.commands();
        for listed in &all {
            // A container alone, and its help, only tell what subcommands there are.
            let of_it = format!("{}|", listed.name);
            let harmless = listed.name.ends_with("|help")
                || all.iter().any(|other| other.name.starts_with(&of_it));
            let denied = PolicySettings {
                deny: vec![listed.name.clone()],
                ..PolicySettings::default()
            };
            let policy = Policy::new(&denied).unwrap();
            let kept_out = listed.flags.contains("noscript");
            assert!(
                harmless || kept_out || policy.is_evaded(),
                "{}: {}",
                server.program,
                listed.name
            );
        }
    }
}

#[test]
fn a_learned_table_knows_what_the_server_has() {
    for mut server in servers() {
        let table = server.learned();
        assert!(table.is_learned());
        let listed: BTreeSet<String> = server
            .commands()
            .into_iter()
            .map(|entry| entry.name)
            .collect();
        for spec in table.specs() {
            assert_eq!(
                spec.on_server,
                Some(listed.contains(&*spec.name)),
                "{}",
                spec.name
            );
            assert!(
                !spec.replay
                    || spec.flags.contains(Flags::READONLY)
                    || matches!(&*spec.name, "ping" | "echo" | "time"),
                "{}",
                spec.name
            );
        }
        for name in &listed {
            assert!(
                table.named(name.as_bytes()).is_some(),
                "{name} was not learned"
            );
        }
        let container = table.named(b"client").unwrap();
        assert_eq!(container.subcommands, Subcommands::All);
    }
}

#[test]
fn both_protocols_teach_the_same() {
    for mut server in servers() {
        let [two, three] = [2, 3].map(|protocol| {
            let reply = server.raw_command_reply(protocol);
            let table = CommandTable::builtin()
                .learned(&reply)
                .expect("the server's own reply");
            table.specs().cloned().collect::<Vec<Spec>>()
        });
        assert_eq!(two, three, "{}", server.program);
    }
}

#[test]
fn a_denied_command_reply_is_told_as_such() {
    let mut server = Server::start(Flavor::Redis);
    server.request(&["ACL", "SETUSER", "default", "-command"]);
    let refused = CommandTable::builtin().learned(&server.raw(&["COMMAND"]));
    assert!(refused.unwrap_err().to_string().contains("NOPERM"));
}

/// What clients and tools send before the first command of their user, and while they idle.
const ON_CONNECT: &[&str] = &[
    // redis-cli
    "HELLO 3",
    "HELLO 2 AUTH user password SETNAME name",
    "AUTH password",
    "AUTH user password",
    "SELECT 3",
    "COMMAND",
    "COMMAND DOCS",
    "COMMAND DOCS get",
    "COMMAND COUNT",
    "COMMAND INFO get",
    "INFO",
    "INFO server",
    "PING",
    "CLIENT SETNAME redis-cli",
    "CLIENT REPLY ON",
    "ECHO 0123456789abcdefghij",
    "CONFIG GET databases",
    "SCAN 0",
    "DBSIZE",
    "ROLE",
    "LATENCY RESET",
    "MEMORY USAGE key",
    // redis-benchmark
    "CONFIG GET save",
    "CONFIG GET appendonly",
    "CLUSTER NODES",
    // redis-py, sync and asyncio
    "CLIENT SETINFO LIB-NAME redis-py",
    "CLIENT SETINFO LIB-VER 5.0.0",
    "CLIENT ID",
    "CLIENT INFO",
    "CLIENT LIST",
    "CLIENT GETNAME",
    "CLIENT NO-EVICT ON",
    "ACL WHOAMI",
    "QUIT",
    "RESET",
];

#[test]
fn what_clients_send_on_connect_needs_no_lease() {
    for mut server in servers() {
        for table in [CommandTable::builtin(), server.learned()] {
            for request in ON_CONNECT {
                let spec = known(&table, request);
                let route = spec.route_of(&frame(&words(request)));
                assert!(
                    matches!(route, Route::Shared | Route::Info | Route::Local(_)),
                    "{request}: {route:?}"
                );
            }
        }
    }
}

#[test]
fn what_the_server_does_not_know_is_told_apart() {
    for mut server in servers() {
        let table = server.learned();
        let frame = frame(&["CLIENT", "TELEPATHY", "ON"]);
        let lookup = table.lookup(&frame, b"CLIENT", 3);
        assert!(matches!(lookup, Lookup::UnknownSubcommand(client) if &*client.name == "client"));
        let setinfo = known(&table, "CLIENT SETINFO LIB-NAME x");
        let answer = server.request(&["CLIENT", "SETINFO", "LIB-NAME", "x"]);
        assert_eq!(
            setinfo.on_server,
            Some(!matches!(answer, OwnedFrame::Error(_)))
        );
        assert_eq!(
            table.lookup(b"*1\r\n$3\r\nfoo\r\n", b"foo", 1),
            Lookup::Unknown
        );
    }
}

/// Real requests, well formed and not. Where the server finds keys, so must we, in the same order.
/// (Not here: `GEORADIUS` with both `STORE` and `STOREDIST`, where the server names both keys
/// although the command uses the last, as we do.)
const REQUESTS: &[&str] = &[
    "GET k",
    "SET k v EX 10 GET",
    "MGET a b c",
    "MSET a 1 b 2",
    "MSETNX a 1",
    "DEL a b",
    "LCS a b LEN",
    "RENAME a b",
    "COPY a b DB 1 REPLACE",
    "OBJECT ENCODING k",
    "MEMORY USAGE k SAMPLES 5",
    "BITOP AND d a b",
    "BITFIELD k GET u8 0",
    "PFMERGE d a b",
    "PFCOUNT a b",
    "SORT k",
    "SORT k BY w_* LIMIT 0 5 GET # ALPHA STORE d",
    "SORT k STORE d STORE e",
    "SORT_RO k BY w_*",
    "BLPOP a b c 0",
    "BRPOPLPUSH a b 0",
    "BLMOVE a b LEFT RIGHT 0",
    "LMPOP 2 a b LEFT COUNT 3",
    "BLMPOP 0 2 a b LEFT",
    "BZMPOP 1.5 1 a MIN",
    "ZMPOP 1 a MAX",
    "SINTERCARD 2 a b LIMIT 3",
    "SINTERSTORE d a b",
    "SMOVE a b m",
    "ZADD k 1 a 2 b",
    "ZRANGESTORE d s 0 -1",
    "ZUNION 2 a b WITHSCORES",
    "ZINTERCARD 2 a b",
    "ZDIFF 3 a b c",
    "ZUNIONSTORE d 2 a b WEIGHTS 1 2",
    "ZINTERSTORE d 1 a AGGREGATE MAX",
    "ZDIFFSTORE d 2 a b",
    "ZUNIONSTORE d 3 a b",
    "ZUNIONSTORE d x a b",
    "BZPOPMIN a b 0",
    "GEOSEARCHSTORE d s FROMMEMBER m BYRADIUS 1 km",
    "GEORADIUS k 1 2 3 m",
    "GEORADIUS k 1 2 3 m STORE d",
    "GEORADIUS k 1 2 3 m STOREDIST d COUNT 1",
    "GEORADIUSBYMEMBER k m 3 m WITHDIST STOREDIST d",
    "GEORADIUS_RO k 1 2 3 m",
    "XADD k * f v",
    "XREAD STREAMS a b 0 0",
    "XREAD COUNT 2 BLOCK 5 STREAMS a 0",
    "XREADGROUP GROUP g c COUNT 1 NOACK STREAMS a b > >",
    "XGROUP CREATE k g $ MKSTREAM",
    "XINFO STREAM k FULL",
    "XAUTOCLAIM k g c 0 0",
    "EVAL return 2 a b c",
    "EVAL return 0 c",
    "EVALSHA_RO 0123 1 a",
    "FCALL f 1 a b",
    "EXISTS a a b",
    "TOUCH a b",
    "RESTORE k 0 x",
    "WATCH a b",
    "PING",
    "CONFIG GET save",
    "SCAN 0 MATCH k",
    "PUBLISH c m",
    "SPUBLISH c m",
    "SUBSCRIBE a b",
];

#[test]
fn keys_are_those_that_the_server_finds() {
    for mut server in servers() {
        let table = server.learned();
        let mut found = 0;
        for request in REQUESTS {
            let args = words(request);
            let frame = frame(&args);
            let ours: Vec<Vec<u8>> = known(&table, request)
                .keys
                .keys_of(&frame)
                .map(<[u8]>::to_vec)
                .collect();
            let theirs = match server.request(&[&["COMMAND", "GETKEYS"], &*args].concat()) {
                OwnedFrame::Array(keys) => keys
                    .iter()
                    .map(|key| text(key).as_bytes().to_vec())
                    .collect(),
                OwnedFrame::Error(_) => Vec::new(),
                other => panic!("{request}: {other:?}"),
            };
            found += theirs.len();
            assert_eq!(ours, theirs, "{}: {request}", server.program);
        }
        assert!(found > 80, "the server found only {found} keys");
    }
}

fn encode_bytes(frame: &OwnedFrame) -> Vec<u8> {
    let mut bytes = vec![0; frame.encode_len(false)];
    encode(&mut bytes, frame, false).expect("room for it");
    bytes
}

fn known<'t>(table: &'t CommandTable, request: &str) -> &'t Spec {
    let args = words(request);
    match table.lookup(
        &frame(&args),
        args[0].as_bytes(),
        u32::try_from(args.len()).unwrap(),
    ) {
        Lookup::Known(spec) => spec,
        other => panic!("{request}: {other:?}"),
    }
}

fn words(request: &str) -> Vec<&str> {
    request.split(' ').collect()
}
