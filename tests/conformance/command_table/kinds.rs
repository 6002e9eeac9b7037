//! Every kind of reply that a row of ours names, held against the servers' own replies in both
//! protocols: a row that is too narrow would close connections of a healthy server.

use std::collections::BTreeSet;

use narrows::command::{CommandTable, Lookup, Shape};
use narrows::resp::{Limits, ReplyKind, ReplyScanner};

use crate::command_table::server::{Server, frame, servers};

/// Requests one after the other: each a line, words between spaces.
const SESSION: &str = include_str!("kinds.txt");

/// What a reply is, once it is whole.
fn kind(reply: &[u8]) -> Option<ReplyKind> {
    let mut scanner = ReplyScanner::default();
    let advance = scanner.advance(reply, &Limits::default()).unwrap();
    assert!(!advance.complete || advance.consumed == reply.len());
    scanner.kind().filter(|_| advance.complete)
}

fn ask(server: &mut Server, args: &[&str]) -> Vec<u8> {
    server.exchange(args, |reply| kind(reply).is_some())
}

#[test]
fn every_row_that_names_kinds_of_reply_names_those_that_servers_send() {
    for mut server in servers() {
        let table = CommandTable::builtin()
            .learned(&server.raw(&["COMMAND"]))
            .unwrap();
        let mut met: BTreeSet<String> = BTreeSet::new();
        for protocol in ["2", "3"] {
            ask(&mut server, &["HELLO", protocol]);
            ask(&mut server, &["FLUSHALL"]);
            for line in SESSION.lines().filter(|line| !line.is_empty()) {
                let args: Vec<&str> = line.split(' ').collect();
                let request = frame(&args);
                let name = args[0].as_bytes();
                let Lookup::Known(spec) = table.lookup(&request, name, args.len() as u32) else {
                    continue;
                };
                if spec.on_server == Some(false) {
                    continue;
                }
                let reply = ask(&mut server, &args);
                let kind = kind(&reply).unwrap();
                let text = reply.escape_ascii();
                assert!(
                    kind != ReplyKind::Error,
                    "{}: {line}: {text}",
                    server.program
                );
                assert!(
                    spec.shape.allows(kind),
                    "{} RESP{protocol}: `{line}` is answered with {kind:?}: {text}",
                    server.program
                );
                met.insert(spec.name.to_string());
            }
        }
        for spec in table.specs() {
            let shaped = spec.shape != Shape::ANY && spec.on_server == Some(true);
            assert!(
                !shaped || met.contains(&*spec.name),
                "{}: `{}` names kinds of reply and is not in kinds.txt",
                server.program,
                spec.name
            );
        }
    }
}
