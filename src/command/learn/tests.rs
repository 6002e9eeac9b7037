//! Learning from replies of `COMMAND`, real and made up.

use proptest::prelude::*;

use super::{LearnError, REPLY_BYTES_MAX};
use crate::command::{CommandTable, Flags, KeyRule, Lookup, Pin, Route, Spec, Subcommands};
use crate::resp::write;

/// An entry as Redis 6 sends it, in either protocol's shapes.
fn entry6(
    name: &str,
    arity: i32,
    flags: &[&str],
    keys: [i32; 3],
    categories: &[&str],
    set: char,
) -> String {
    let mut out = format!("*7\r\n${}\r\n{name}\r\n:{arity}\r\n", name.len());
    words(&mut out, flags, set);
    for number in keys {
        out.push_str(&format!(":{number}\r\n"));
    }
    words(&mut out, categories, set);
    out
}

/// An entry as Redis 7 sends it, with subcommands that are entries themselves.
fn entry7(
    name: &str,
    arity: i32,
    flags: &[&str],
    categories: &[&str],
    subcommands: &[String],
) -> String {
    let head = entry6(name, arity, flags, [0, 0, 0], categories, '~').replacen("*7", "*10", 1);
    // Tips, a key specification as a set of maps, and the subcommands.
    let specifications =
        "~1\r\n%2\r\n$5\r\nflags\r\n~1\r\n+RO\r\n$12\r\nbegin_search\r\n%1\r\n$4\r\ntype\r\n_\r\n";
    format!(
        "{head}~0\r\n{specifications}*{}\r\n{}",
        subcommands.len(),
        subcommands.concat()
    )
}

fn words(out: &mut String, words: &[&str], set: char) {
    out.push_str(&format!("{set}{}\r\n", words.len()));
    for word in words {
        out.push_str(&format!("+{word}\r\n"));
    }
}

fn reply(entries: &[String]) -> Vec<u8> {
    format!("*{}\r\n{}", entries.len(), entries.concat()).into_bytes()
}

fn learn(entries: &[String]) -> CommandTable {
    CommandTable::builtin().learned(&reply(entries)).unwrap()
}

fn spec<'t>(table: &'t CommandTable, name: &str) -> &'t Spec {
    table
        .named(name.as_bytes())
        .unwrap_or_else(|| panic!("{name} has no row"))
}

fn get() -> String {
    entry6("get", 2, &["readonly", "fast"], [1, 1, 1], &["@read"], '*')
}

#[test]
fn arity_and_flags_become_the_servers() {
    let table = learn(&[
        get(),
        entry6(
            "ping",
            -7,
            &["stale", "telepathic"],
            [0, 0, 0],
            &["@connection"],
            '*',
        ),
    ]);
    assert!(table.is_learned());
    let get = spec(&table, "get");
    assert_eq!(
        (get.arity, get.flags, get.on_server),
        (2, Flags::READONLY | Flags::FAST, Some(true))
    );
    assert!(get.replay);
    let ping = spec(&table, "ping");
    assert_eq!(
        (ping.arity, ping.flags, ping.route),
        (-7, Flags::STALE, Route::Shared)
    );
}

#[test]
fn rows_of_ours_that_the_server_lacks_are_marked() {
    let table = learn(&[get()]);
    assert_eq!(spec(&table, "hgetex").on_server, Some(false));
    assert_eq!(spec(&table, "client|setinfo").on_server, Some(false));
    assert_eq!(
        CommandTable::builtin().named(b"get").unwrap().on_server,
        None
    );
}

#[test]
fn a_container_that_the_server_lacks_is_answered_as_a_command() {
    let table = learn(&[get()]);
    let mut frame = Vec::new();
    write::request(&mut frame, &[b"CLIENT", b"ID"]);
    assert!(
        matches!(table.lookup(&frame, b"CLIENT", 2), Lookup::Known(spec) if &*spec.name == "client")
    );
}

#[test]
fn a_server_before_7_leaves_subcommands_open() {
    let table = learn(&[
        get(),
        entry6("client", -2, &["admin"], [0, 0, 0], &["@connection"], '*'),
    ]);
    assert_eq!(spec(&table, "client").subcommands, Subcommands::Ours);
    assert_eq!(spec(&table, "client|setinfo").on_server, None);
    assert_eq!(spec(&table, "client|kill").arity, -3);
}

#[test]
fn a_server_from_7_on_tells_its_subcommands() {
    let kill = entry7("client|kill", -4, &["admin"], &["@connection"], &[]);
    let sense = entry7("client|sense", 3, &[], &["@connection"], &[]);
    let table = learn(&[get(), entry7("client", -2, &[], &[], &[kill, sense])]);
    assert_eq!(spec(&table, "client").subcommands, Subcommands::All);
    assert_eq!(
        (
            spec(&table, "client|kill").arity,
            spec(&table, "client|kill").on_server
        ),
        (-4, Some(true))
    );
    assert_eq!(spec(&table, "client|setinfo").on_server, Some(false));
    assert_eq!(
        spec(&table, "client|sense").route,
        Route::Pinned(Pin::UnknownClientSubcommand)
    );
}

type Judged = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    Route,
);

#[test]
fn unknown_commands_of_the_server_are_shared_only_if_they_say_what_they_do() {
    const UNREVIEWED: Route = Route::Pinned(Pin::UnreviewedCommand);
    are_judged(&[
        ("core.write", &["write", "fast"], &["@hash"], Route::Shared),
        ("core.name", &["denyoom"], &["@hash"], UNREVIEWED),
        ("core.apart", &["readonly", "noscript"], &[], UNREVIEWED),
        ("core.alone", &["write", "no_multi"], &[], UNREVIEWED),
        ("core.wait", &["noscript", "blocking"], &[], Route::Blocking),
    ]);
}

#[test]
fn unknown_commands_take_the_careful_route() {
    are_judged(&[
        (
            "mod.read",
            &["readonly", "module"],
            &["@slow"],
            Route::Shared,
        ),
        (
            "mod.conn",
            &[],
            &["@fast", "@connection"],
            Route::Pinned(Pin::UnknownConnectionCommand),
        ),
        (
            "mod.chan",
            &[],
            &["@pubsub"],
            Route::Pinned(Pin::UnknownPubsubCommand),
        ),
        (
            "mod.tran",
            &[],
            &["@transaction"],
            Route::Pinned(Pin::UnknownTransactionCommand),
        ),
        ("mod.wait", &["blocking"], &["@slow"], Route::Blocking),
        (
            "mod.admin",
            &["admin", "module"],
            &["@admin", "@dangerous"],
            Route::Shared,
        ),
    ]);
}

fn are_judged(cases: &[Judged]) {
    let entries: Vec<String> = cases
        .iter()
        .map(|(name, flags, categories, _)| entry6(name, -1, flags, [1, -1, 1], categories, '*'))
        .collect();
    let table = learn(&entries);
    for (name, _, _, route) in cases {
        let spec = spec(&table, name);
        assert_eq!(
            (spec.route, spec.replay, spec.on_server),
            (*route, false, Some(true)),
            "{name}"
        );
        assert_eq!(
            spec.keys,
            KeyRule::Range {
                first: 1,
                last: -1,
                step: 1
            }
        );
    }
}

#[test]
fn a_new_subcommand_never_escapes_the_route_of_its_container() {
    let segfault = entry7("debug|segfault", 2, &["admin"], &["@admin"], &[]);
    let table = learn(&[
        get(),
        entry7("debug", -2, &["admin"], &["@admin"], &[segfault]),
    ]);
    assert_eq!(spec(&table, "debug|segfault").route, Route::Restricted);
}

#[test]
fn what_one_subcommand_may_leave_behind_is_for_all_of_its_container() {
    let help = |of| entry7(&format!("{of}|help"), 2, &["loading", "stale"], &[], &[]);
    let set = |of| entry7(&format!("{of}|set"), -5, &["write"], &["@hash"], &[]);
    let name = entry7("fields|name", -4, &["denyoom"], &["@hash"], &[]);
    let table = learn(&[
        get(),
        entry7(
            "fields",
            -2,
            &[],
            &[],
            &[name, set("fields"), help("fields")],
        ),
        entry7("plain", -2, &[], &[], &[set("plain"), help("plain")]),
    ]);
    let pinned = Route::Pinned(Pin::UnreviewedCommand);
    for name in ["fields", "fields|name", "fields|set", "fields|help"] {
        assert_eq!(spec(&table, name).route, pinned, "{name}");
    }
    assert_eq!(spec(&table, "plain|set").route, Route::Shared);
}

#[test]
fn a_withheld_subcommand_is_unknown_even_where_the_server_has_it() {
    let notify = entry7("client|maint_notifications", -3, &[], &["@connection"], &[]);
    let learned = learn(&[get(), entry7("client", -2, &[], &[], &[notify])]);
    for table in [CommandTable::builtin(), learned] {
        let mut frame = Vec::new();
        write::request(&mut frame, &[b"CLIENT", b"Maint_Notifications", b"ON"]);
        let lookup = table.lookup(&frame, b"CLIENT", 3);
        assert!(matches!(lookup, Lookup::Withheld(client) if &*client.name == "client"));
    }
}

#[test]
fn a_read_that_writes_on_this_server_is_not_replayed() {
    let table = learn(&[entry6("get", 2, &["write"], [1, 1, 1], &[], '*')]);
    assert!(!spec(&table, "get").replay);
}

#[test]
fn keys_without_a_rule_of_ours_are_not_guessed() {
    let odd = |name: &str, flags: &[&str], keys| entry6(name, -2, flags, keys, &[], '*');
    let table = learn(&[
        odd("mod.move", &["movablekeys"], [1, 1, 1]),
        odd("mod.none", &[], [0, 0, 0]),
        odd("mod.back", &[], [-1, 1, 1]),
        odd("mod.still", &[], [1, 1, 0]),
    ]);
    assert_eq!(spec(&table, "mod.move").keys, KeyRule::Unknown);
    for name in ["mod.none", "mod.back", "mod.still"] {
        assert_eq!(spec(&table, name).keys, KeyRule::None, "{name}");
    }
}

#[test]
fn resp3_says_the_same_as_resp2() {
    let [two, three] = ['*', '~'].map(|set| {
        let entry = entry6("mod.x", 3, &["write"], [1, 1, 1], &["@pubsub"], set);
        learn(&[entry]).specs().cloned().collect::<Vec<Spec>>()
    });
    assert_eq!(two, three);
}

#[test]
fn entries_without_a_usable_name_stay_unknown() {
    let table = learn(&[
        "*-1\r\n".into(),
        "_\r\n".into(),
        entry6("", 1, &[], [0, 0, 0], &[], '*'),
        get(),
    ]);
    assert_eq!(spec(&table, "get").on_server, Some(true));
}

#[test]
fn what_is_no_command_reply_is_refused() {
    let learn = |bytes: &[u8]| {
        CommandTable::builtin()
            .learned(bytes)
            .map(|_| ())
            .unwrap_err()
    };
    let denied = LearnError::Refused("NOPERM this user has no permissions".into());
    assert_eq!(learn(b"-NOPERM this user has no permissions\r\n"), denied);
    assert_eq!(learn(b"*0\r\n"), LearnError::Empty);
    assert_eq!(learn(b"+OK\r\n"), LearnError::Malformed(0));
    assert_eq!(learn(b""), LearnError::Malformed(0));
    assert_eq!(learn(b"*1\r\n:1\r\n"), LearnError::Malformed(1));
    assert_eq!(
        learn(b"*2\r\n*1\r\n$3\r\nget\r\n"),
        LearnError::Malformed(1)
    );
    assert_eq!(
        learn(&vec![b'*'; REPLY_BYTES_MAX + 1]),
        LearnError::TooLarge(REPLY_BYTES_MAX + 1)
    );
    assert_eq!(
        learn(format!("*9999\r\n{}", "*-1\r\n".repeat(9999)).as_bytes()),
        LearnError::TooMany
    );
}

#[test]
fn a_cut_reply_is_never_learned() {
    let whole = reply(&[
        get(),
        entry7(
            "client",
            -2,
            &[],
            &[],
            &[entry7("client|id", 2, &[], &[], &[])],
        ),
    ]);
    assert!(CommandTable::builtin().learned(&whole).is_ok());
    for end in 0..whole.len() {
        assert!(
            CommandTable::builtin().learned(&whole[..end]).is_err(),
            "cut at {end}"
        );
    }
}

proptest! {
    #[test]
    fn broken_replies_are_refused_in_peace(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let id = entry7("client|id", 2, &[], &["@connection"], &[]);
        let mut bytes = reply(&[get(), entry7("client", -2, &["admin"], &[], &[id])]);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = CommandTable::builtin().learned(&bytes);
    }

    #[test]
    fn any_bytes_are_refused_in_peace(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = CommandTable::builtin().learned(&bytes);
    }
}
