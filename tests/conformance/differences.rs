//! All that a client may see differently through narrows, with the reason: what is not listed here
//! is compared byte by byte. Each entry names as little away as it can.

#![allow(dead_code, reason = "each of the tests that compare uses its own part")]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use narrows::resp::{Limits, ReplyScanner};

use crate::support::Flavor;

/// A conversation that goes differently, on purpose.
pub struct Accepted {
    pub reason: &'static str,
    /// The servers where it can be had; empty: all.
    pub on: &'static [Flavor],
    pub conversation: &'static str,
    /// What narrows answers.
    pub through: &'static [&'static str],
}

pub const ACCEPTED: &[Accepted] = &[
    Accepted {
        reason: "Redis before 7.2 sets the name although HELLO fails behind it; narrows is like 7.2",
        on: &[],
        conversation: "HELLO 3 SETNAME me NOTHING\nCLIENT GETNAME",
        through: &[
            "-ERR Syntax error in HELLO option \\'NOTHING\\'\\r\\n",
            "$-1\\r\\n",
        ],
    },
    Accepted {
        reason: "Redis before 7.2 judges the password before the name; narrows is like 7.2",
        on: &[],
        conversation: "HELLO 3 AUTH nobody x SETNAME 'a b'",
        through: &[
            "-ERR Client names cannot contain spaces, newlines or special characters.\\r\\n",
        ],
    },
    Accepted {
        reason: "Redis before 7.2 keeps NO-EVICT over a RESET; narrows is like 7.2",
        on: &[],
        conversation: "CLIENT NO-EVICT on\nRESET\nCLIENT GETNAME",
        through: &["+OK\\r\\n", "+RESET\\r\\n", "$-1\\r\\n"],
    },
    Accepted {
        reason: "Redis forgets to close after a QUIT that it does not answer: the client would hang",
        on: &[],
        conversation: "~CLIENT REPLY OFF\n!QUIT",
        through: &["nothing", " and the end"],
    },
    Accepted {
        reason: "the same",
        on: &[],
        conversation: "~CLIENT REPLY SKIP\n!QUIT",
        through: &["nothing", " and the end"],
    },
    Accepted {
        reason: "the same, after what is no request",
        on: &[],
        conversation: "~CLIENT REPLY OFF\n!raw: \"*x\\r\\n\"",
        through: &["nothing", " and the end"],
    },
    Accepted {
        reason: "Redis since 7.2 and Valkey drop WRONGPASS while earlier replies are unsent",
        on: &[],
        conversation: "raw: \"PING a\\r\\nAUTH nobody x\\r\\nHELLO 3 AUTH nobody x\\r\\nPING b\\r\\n\"\n\
               ~PING c\nraw: \"\"\nraw: \"\"\nraw: \"\"\nraw: \"\"",
        through: &[
            "$1\\r\\na\\r\\n",
            "nothing",
            "-WRONGPASS invalid username-password pair or user is disabled.\\r\\n",
            "-WRONGPASS invalid username-password pair or user is disabled.\\r\\n",
            "$1\\r\\nb\\r\\n",
            "$1\\r\\nc\\r\\n",
        ],
    },
    Accepted {
        reason: "the word is in capitals, however the client wrote it",
        on: &[],
        conversation: "client unblock 1 timeout x",
        through: &[
            "-ERR unknown subcommand or wrong number of arguments for \\'UNBLOCK\\'. Try CLIENT HELP.\\r\\n",
        ],
    },
    Accepted {
        reason: "who the server's users are only the server knows; narrows closes its own clients",
        on: &[],
        conversation: "CLIENT KILL USER nobody\nMULTI\nCLIENT KILL USER nobody\nEXEC",
        through: &[":0\\r\\n", "+OK\\r\\n", "+QUEUED\\r\\n", "*1\\r\\n:0\\r\\n"],
    },
    Accepted {
        reason: "Valkey takes whatever follows a line of blanks for inline requests",
        on: &[Flavor::Valkey, Flavor::Valkey81, Flavor::Valkey91],
        conversation: "PING a\n~raw: \"   \\r\\n\"\nPING b",
        through: &["$1\\r\\na\\r\\n", "nothing", "$1\\r\\nb\\r\\n"],
    },
    Accepted {
        reason: "Valkey 8.0 looks at a name up to its first NUL; narrows at all of it, as Redis",
        on: &[Flavor::Valkey, Flavor::Valkey81],
        conversation: "CLIENT SETNAME \"\\x00\"\nCLIENT GETNAME",
        through: &[
            "-ERR Client names cannot contain spaces, newlines or special characters.\\r\\n",
            "$-1\\r\\n",
        ],
    },
];

/// Servers on which a request without words leaves a `CLIENT REPLY SKIP` as it is: narrows is like all
/// others, before and since, and counts it as the next one.
pub const KEEPS_SKIP: &[Flavor] = &[Flavor::Redis82];

/// Servers that look at what is no request, and stands behind a command that has waited, only when more
/// comes: narrows says at once what is wrong with it, like all others.
pub const LOOKS_LATE: &[Flavor] = &[Flavor::Redis82, Flavor::Redis810];

/// Requests that Valkey since 8.1 judges otherwise: narrows answers in Redis' words.
pub const IN_OTHER_WORDS: &[(&str, &[Flavor])] = &[
    ("CLIENT LIST ID x", SINCE_VALKEY_8_1),
    ("CLIENT LIST ID {id1} x", SINCE_VALKEY_8_1),
    ("CLIENT LIST ID -1", SINCE_VALKEY_8_1),
    ("CLIENT LIST ID 0", SINCE_VALKEY_8_1),
    ("CLIENT KILL ID x", SINCE_VALKEY_8_1),
    ("CLIENT UNBLOCK 1 TIMEOUT x", SINCE_VALKEY_8_1),
    // It takes text that follows a quote for a part of the word.
    ("PING \"a\"b", &[Flavor::Valkey91]),
];

const SINCE_VALKEY_8_1: &[Flavor] = &[Flavor::Valkey81, Flavor::Valkey91];

pub fn has_other_words(flavor: Flavor, request: &str) -> bool {
    let listed = |(text, on): &&(&str, &[Flavor])| *text == request && on.contains(&flavor);
    IN_OTHER_WORDS.iter().any(|entry| listed(&entry))
}

/// What no multiplexer can carry.
pub const NEVER_CARRIED: &[&str] = &["SYNC", "PSYNC ? -1", "REPLCONF x y", "SCRIPT DEBUG YES"];

/// What acts on the server that all share, unless the operator allows it.
pub const NOT_ALLOWED: &[&str] = &[
    "DEBUG SLEEP 0",
    "SHUTDOWN NOSAVE",
    "REPLICAOF NO ONE",
    "SLAVEOF NO ONE",
    "FAILOVER ABORT",
];

/// Refused when they are beyond `clients.big_request_bytes` (1 MiB): narrows looks at their words, and
/// what is huge passes through unread. No client has a password, a name or a db of that size.
pub const NEVER_HUGE: &[&str] = &["AUTH", "CLIENT", "EXEC", "MULTI", "SELECT"];

/// Why the sessions of `differential` leave something out or name it away. Where they do stands
/// beside the code that does: `is_chance` in `direct.rs`, `is_compared` in `state.rs`, `hear` in
/// `through.rs`, `lists_one_that_waits` in `equivalence.rs`.
pub const LEFT_OUT: &[&str] = &[
    "Redis drops what it has not written of its replies (64 KiB are written at a time) when it reads \
     the end of what their client sends; narrows delivers all of it",
    "what narrows answers itself inside of a transaction it does when the server has done all of it: \
     whom a push of the same transaction serves is served by the time it is listed, killed or unblocked",
    "whoever is killed right behind what was sent to it may have heard that, or not",
    "the server remembers which keys a connection has read while it tracked them, also when that is \
     over: the next client that tracks there may be told of a key that it has not read",
    "Valkey tells a client what it has published to itself behind the answer to that: narrows may have \
     answered what it answers itself of the same write before that has come (a large message), or \
     what is no request",
    "an element that comes to a wait is its client's if the end of what that sends has come in one piece \
     with it; if the end has come behind, what is on its way goes back, since most such clients are gone",
    "Redis since 7.4 lets a client wait for what FLUSHDB frees in the background, others go on meanwhile, \
     and one that has sent its end is closed unheard: sessions say ASYNC",
    "Valkey since 9.1 names the command that may not be in a transaction; narrows, which refuses others \
     than the server does, speaks as Redis",
    "of a wait of some milliseconds that comes with its client's end nobody knows which is first",
];

/// Counted by the server, which sees the end of a client that was killed and listened some moments
/// after whoever has killed it is told so: the count may include it that long.
pub const COUNTS_OF_LISTENERS: &[&str] = &["PUBLISH", "SPUBLISH", "PUBSUB"];

/// Fields of `CLIENT LIST` and `CLIENT INFO` that both have, but with values of their own: the ids,
/// ports and clocks of another process, and memory that is held by another program.
const CLIENT_FIELDS: &[&str] = &[
    "id",
    "addr",
    "laddr",
    "fd",
    "age",
    "idle",
    "qbuf",
    "qbuf-free",
    "argv-mem",
    "multi-mem",
    "rbs",
    "rbp",
    "obl",
    "oll",
    "omem",
    "tot-mem",
    "events",
];

/// Fields of `CLIENT LIST` that only some servers have: narrows writes the same line in front of all
/// of them.
const CLIENT_FIELDS_OF_SOME: &[&str] = &[
    "capa",
    "ssub",
    "watch",
    "resp",
    "lib-name",
    "lib-ver",
    "io-thread",
    "tot-net-in",
    "tot-net-out",
    "tot-cmds",
    "omem-shared",
    "omem-unshared",
    "read-events",
    "avg-pipeline-len-sum",
    "avg-pipeline-len-cnt",
];

/// A refusal of what the server does not know and has no arguments, in the words of Redis 8.10, which does
/// not say that there are none; only where Redis 8.10 is among the servers that are asked.
pub fn without_arguments(reply: &[u8]) -> &[u8] {
    static MAY_BE_SHORT: LazyLock<bool> =
        LazyLock::new(|| Flavor::matrix().contains(&Flavor::Redis810));
    if !*MAY_BE_SHORT || !reply.starts_with(b"-ERR unknown command '") {
        return reply;
    }
    let short = reply.strip_suffix(b", with args beginning with: \r\n");
    short.or(reply.strip_suffix(b"\r\n")).unwrap_or(reply)
}

/// `reply` to `request` without what may differ.
pub fn name_away(request: &str, reply: &[u8]) -> Vec<u8> {
    let reply = without_arguments(reply);
    let mut words = request.split_whitespace().map(str::to_ascii_uppercase);
    let command = words.next().unwrap_or_default();
    let second = words.next().unwrap_or_default();
    match (command.as_str(), second.as_str()) {
        // narrows counts its own clients.
        ("CLIENT", "ID") => number(reply),
        ("HELLO", _) => id_field(reply),
        ("CLIENT", "LIST" | "INFO") => client_lines(reply),
        // Clocks, counters and the connections of narrows itself.
        ("INFO", _) => info_names(reply),
        // The same inside a transaction.
        ("EXEC", _) => elements(reply),
        // The clock.
        ("TIME" | "LASTSAVE", _) => replace_digits(reply),
        _ => reply.to_vec(),
    }
}

/// The elements of `EXEC`'s reply, those that are lines of clients or sections of `INFO` by what
/// those may have different.
fn elements(reply: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(reply);
    if !(text.contains("\nid=")
        || text.contains(":id=")
        || text.contains("\n# ")
        || text.contains(":# "))
    {
        return reply.to_vec();
    }
    let head = reply
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let mut seen = reply[..head].to_vec();
    let mut rest = &reply[head..];
    while !rest.is_empty() {
        let mut scanner = ReplyScanner::default();
        let length = scanner.advance(rest, &Limits::default()).unwrap().consumed;
        let (element, after) = rest.split_at(length);
        rest = after;
        let is = |begin: &str| bulk_text(element).is_some_and(|text| text.starts_with(begin));
        seen.extend(match (is("id="), is("# ")) {
            (true, _) => client_lines(element),
            (_, true) => info_names(element),
            _ => element.to_vec(),
        });
    }
    seen
}

/// `:12\r\n`
fn number(reply: &[u8]) -> Vec<u8> {
    let is_positive = std::str::from_utf8(reply)
        .ok()
        .and_then(|text| text.strip_prefix(':')?.trim_end().parse::<u64>().ok())
        .is_some_and(|id| id > 0);
    if is_positive {
        b":<id>\r\n".to_vec()
    } else {
        reply.to_vec()
    }
}

/// The number behind the field `id` of a `HELLO` reply.
pub fn id_field(reply: &[u8]) -> Vec<u8> {
    const FIELD: &[u8] = b"$2\r\nid\r\n:";
    let mut out = Vec::new();
    let mut rest = reply;
    while let Some(at) = rest.windows(FIELD.len()).position(|part| part == FIELD) {
        let (before, after) = rest.split_at(at + FIELD.len());
        out.extend_from_slice(before);
        out.extend_from_slice(b"<id>");
        let digits = after.iter().take_while(|b| b.is_ascii_digit()).count();
        rest = &after[digits..];
    }
    out.extend_from_slice(rest);
    out
}

/// The bulk string's length is left out, each line keeps its shape.
fn client_lines(reply: &[u8]) -> Vec<u8> {
    let Some(text) = bulk_text(reply) else {
        return reply.to_vec();
    };
    let lines = text.split('\n').map(|line| {
        let flags = line.split(' ').find_map(|pair| pair.strip_prefix("flags="));
        let in_transaction = flags.is_some_and(|flags| flags.contains('x'));
        let fields: Vec<String> = line
            .split(' ')
            .filter_map(|pair| {
                let (name, _) = pair.split_once('=').unwrap_or((pair, ""));
                if CLIENT_FIELDS.contains(&name) {
                    Some(format!("{name}=<own>"))
                } else if let Some(flags) = pair.strip_prefix("flags=") {
                    // Only the server knows that a watched key has changed, until `EXEC`; and that a
                    // client has been unblocked, until its reply is written; and that it has said
                    // `READONLY`, which means nothing outside of a cluster.
                    let flags = flags.replace(['d', 'u', 'r'], "");
                    Some(format!(
                        "flags={}",
                        if flags.is_empty() { "N" } else { &flags }
                    ))
                } else if in_transaction && name == "multi" && pair != "multi=-1" {
                    // Commands that the server has not queued for an error are counted too.
                    Some("multi=<some>".to_owned())
                } else if !in_transaction && pair == "multi=0" {
                    // Valkey since 8.1 says so of whoever has ever been in one, or has watched keys.
                    Some("multi=-1".to_owned())
                } else if CLIENT_FIELDS_OF_SOME.contains(&name) {
                    None
                } else {
                    Some(pair.to_owned())
                }
            })
            .collect();
        fields.join(" ")
    });
    let kind = char::from(reply[0]);
    format!("{kind}{}", lines.collect::<Vec<_>>().join("\n")).into_bytes()
}

/// The names of sections and fields. A section of statistics by command, error or db has rows for
/// what has happened, and narrows' own handshake has happened too: of those only the section.
fn info_names(reply: &[u8]) -> Vec<u8> {
    let Some(text) = bulk_text(reply) else {
        return reply.to_vec();
    };
    let names: BTreeSet<&str> = text
        .lines()
        .filter(|line| {
            !["cmdstat_", "errorstat_", "latency_percentiles_", "db"]
                .iter()
                .any(|row| line.starts_with(row))
        })
        .filter_map(|line| line.split(':').next())
        .collect();
    let kind = char::from(reply[0]);
    format!("{kind}{names:?}").into_bytes()
}

fn replace_digits(reply: &[u8]) -> Vec<u8> {
    let shape = reply.iter().map(|byte| match byte {
        b'0'..=b'9' => b'0',
        other => *other,
    });
    let mut shape: Vec<u8> = shape.collect();
    // The number of microseconds may have fewer digits.
    shape.dedup();
    shape
}

/// The text of `$...` or `=...txt:`.
fn bulk_text(reply: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(reply).ok()?;
    let (head, body) = text.split_once("\r\n")?;
    let body = body.strip_suffix("\r\n")?;
    match head.as_bytes().first() {
        Some(b'$') => Some(body),
        Some(b'=') => body.strip_prefix("txt:"),
        _ => None,
    }
}
