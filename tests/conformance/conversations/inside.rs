//! Every route inside `MULTI`, where commands mean something else than outside: what is queued, what
//! acts at once, and what is refused, by whom. A row for each command that is not just shared.

use narrows::command::{CommandTable, Route};

use super::conversation::{Conversation, words};
use super::fixture::Fixture;
use crate::support::command;

/// What becomes of a request inside `MULTI`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Inside {
    /// What becomes of it directly: it is queued, acts at once, or is refused by the server.
    AsDirectly,
    /// It is queued, and answers what it answers outside: a number of narrows' own.
    AsOutside,
    /// narrows refuses to queue it, with a text that begins so, and `EXEC` aborts.
    Refused(&'static str),
}

use Inside::{AsDirectly, AsOutside, Refused};

const NOT_INSIDE: Inside = Refused("-ERR Command not allowed inside a transaction\r\n");
const NOT_CARRIED: Inside = Refused("-ERR narrows: ");
const NOT_ALLOWED: Inside = Refused("-NOPERM narrows: ");

const ROWS: &[(&[&str], Inside)] = &[
    (&["CLIENT ID"], AsOutside),
    (
        &[
            "CLIENT INFO",
            "CLIENT LIST ID 9223372036854775807",
            "CLIENT KILL ID 9223372036854775807",
            "CLIENT UNBLOCK 9223372036854775807",
            "CLIENT SETNAME me",
            "CLIENT GETNAME",
            "CLIENT SETINFO lib-name x",
            "CLIENT NO-EVICT on",
            "CLIENT CAPA redirect",
            "CLIENT GETREDIR",
            "CLIENT TRACKINGINFO",
            "CLIENT HELP",
            "SELECT 1",
            "RESET",
            "INFO server",
            "HIMPORT DISCARDALL",
        ],
        AsDirectly,
    ),
    (
        &["WATCH k", "UNWATCH", "MULTI", "EXEC", "DISCARD"],
        AsDirectly,
    ),
    (
        &[
            "BLPOP l 0",
            "BRPOP l 0",
            "BLMOVE l m LEFT LEFT 0",
            "BLMOVEM l m LEFT LEFT 0",
            "BRPOPLPUSH l m 0",
            "BLMPOP 0 1 l LEFT",
            "BZPOPMIN z 0",
            "BZPOPMAX z 0",
            "BZMPOP 0 1 z MIN",
            "XREAD BLOCK 0 STREAMS s 0",
            "XREADGROUP GROUP g c BLOCK 0 STREAMS s >",
        ],
        AsDirectly,
    ),
    (
        &["SHUTDOWN NOSAVE", "MONITOR", "SYNC", "PSYNC ? -1", "CLIENT"],
        AsDirectly,
    ),
    (
        &[
            "AUTH x",
            "HELLO 2",
            "CLIENT REPLY OFF",
            "WAIT 0 0",
            "WAITAOF 0 0 0",
        ],
        NOT_INSIDE,
    ),
    (
        &[
            "SUBSCRIBE a",
            "PSUBSCRIBE a",
            "SSUBSCRIBE a",
            "UNSUBSCRIBE",
            "PUNSUBSCRIBE",
            "SUNSUBSCRIBE",
        ],
        NOT_INSIDE,
    ),
    (
        &[
            "CLIENT TRACKING ON",
            "CLIENT CACHING YES",
            "HIMPORT PREPARE names f g",
            "CLIENT NO-TOUCH ON",
            "CLIENT IMPORT-SOURCE ON",
            "READONLY",
            "READWRITE",
            "ASKING",
        ],
        NOT_INSIDE,
    ),
    (
        &[
            "SCRIPT KILL",
            "FUNCTION KILL",
            "CLIENT PAUSE 1",
            "CLIENT UNPAUSE",
        ],
        NOT_CARRIED,
    ),
    (
        &["REPLCONF x y", "SCRIPT DEBUG NO", "CLUSTER SYNCSLOTS x"],
        NOT_CARRIED,
    ),
    (
        &[
            "DEBUG JMAP",
            "REPLICAOF NO ONE",
            "SLAVEOF NO ONE",
            "FAILOVER ABORT",
        ],
        NOT_ALLOWED,
    ),
];

/// Acts at once, and ends the connection.
const ENDS: &str = "QUIT";

/// Compares each row with a direct connection, piece by piece and in one write.
pub fn compare(fixture: &Fixture) {
    let rows = || {
        ROWS.iter()
            .flat_map(|(requests, what)| requests.iter().map(move |r| (*r, *what)))
    };
    let conversation = |request: &str| {
        let script =
            format!("MULTI\n{request}\nSET a 1\nEXEC\nCLIENT GETNAME\nGET a\nEXEC\nDISCARD");
        Conversation::new(request, &script)
    };
    let mut conversations: Vec<Conversation> = rows()
        .filter(|(_, what)| *what == AsDirectly)
        .map(|(request, _)| conversation(request))
        .collect();
    conversations.push(Conversation::new(ENDS, &format!("MULTI\nSET a 1\n!{ENDS}")));
    fixture.compare(&conversations);
    for (request, what) in rows() {
        match what {
            AsDirectly => {}
            AsOutside => as_outside(fixture, request),
            Refused(text) => refused(fixture, request, text),
        }
    }
}

fn as_outside(fixture: &Fixture, request: &str) {
    let words = words(request);
    let mut conn = fixture.narrows.connect();
    let outside = conn.call(&words);
    conn.expect(&["MULTI"], "+OK\r\n");
    conn.expect(&words, "+QUEUED\r\n");
    conn.expect(&["EXEC"], [b"*1\r\n", outside.raw()].concat());
}

/// narrows refuses to queue the request, or the server does not have it.
fn refused(fixture: &Fixture, request: &str, text: &str) {
    fixture.empty();
    let words = words(request);
    let mut direct = fixture.server.connect();
    direct.expect(&["MULTI"], "+OK\r\n");
    let directly = direct.call(&words);
    let text = match directly.raw().starts_with(b"-ERR unknown") {
        true => directly.raw(),
        false => text.as_bytes(),
    };
    for in_one_write in [false, true] {
        let mut conn = fixture.narrows.connect();
        let rest = [
            command(&words),
            command(&["SET", "a", "1"]),
            command(&["EXEC"]),
        ]
        .concat();
        match in_one_write {
            true => conn.send([command(&["MULTI"]), rest].concat()),
            false => conn.send(command(&["MULTI"])),
        }
        conn.expect_reply("+OK\r\n");
        if !in_one_write {
            conn.send(
                [
                    command(&words),
                    command(&["SET", "a", "1"]),
                    command(&["EXEC"]),
                ]
                .concat(),
            );
        }
        let said = conn.reply();
        assert!(said.raw().starts_with(text), "{request}: {said:?}");
        conn.expect_reply("+QUEUED\r\n");
        let aborted = conn.reply();
        assert!(
            aborted.raw().starts_with(b"-EXECABORT "),
            "{request}: {aborted:?}"
        );
        conn.expect(&["EXISTS", "a"], ":0\r\n");
        conn.expect(&["EXEC"], "-ERR EXEC without MULTI\r\n");
    }
}

/// No command that is not just shared is missing in the table.
pub fn is_complete() -> Vec<String> {
    let has = |name: &str| {
        let requests = ROWS.iter().flat_map(|(requests, _)| requests.iter());
        let mut all = requests
            .chain([&ENDS])
            .map(|request| request.to_ascii_lowercase());
        let name = name.replace('|', " ");
        all.any(|request| request == name || request.starts_with(&format!("{name} ")))
    };
    let table = CommandTable::builtin();
    let apart = table.specs().filter(|spec| spec.route != Route::Shared);
    apart
        .filter(|spec| !has(&spec.name))
        .map(|spec| spec.name.to_string())
        .collect()
}
