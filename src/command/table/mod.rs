//! The rows of ours, a file per family, sorted by name: every command and subcommand of Redis 7.0
//! to 8.10 and Valkey 8 to 9.1 except Sentinel's and those of modules, which the server's `COMMAND`
//! tells.
//!
//! Figures come from the servers' own `src/commands/*.json`. Where versions differ the row holds
//! the widest arity, so that a server whose `COMMAND` cannot be read is never denied a request that
//! it would take.
//!
//! A row says `replay` when its command only reads and reads nothing but data, or nothing at all:
//! `PING`, `ECHO`, `TIME`. Flagged `READONLY`
//! by Redis and yet not so: `TOUCH` (its purpose is an effect), `PFCOUNT` (may store what it has
//! counted), `OBJECT FREQ` and `OBJECT IDLETIME` (measure the very use that a second run changes),
//! scripts and functions (may do anything), `KEYS` (a server that was lost under it should not get
//! it twice), `LOLWUT` and `CLUSTER SLOT-STATS` (no data).

mod arrays;
mod bitmaps;
mod cluster;
mod connection;
mod geo;
mod hashes;
mod keys;
mod lists;
mod pubsub;
mod row;
mod scripting;
mod server;
mod sets;
mod sorted_sets;
mod streams;
mod strings;
mod transactions;
mod vectors;

pub(super) use row::Row;

/// Every row of ours; a container comes before its subcommands.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    FAMILIES.iter().copied().flatten()
}

/// Whether narrows keeps a subcommand from its clients, whatever the server has: to them it is unknown.
///
/// Client libraries ask for `CLIENT MAINT_NOTIFICATIONS` on connect and take the error for a no. A
/// server that grants it (Redis Enterprise) would push to that connection from then on, and each
/// client would have to keep one.
pub(super) fn is_withheld(container: &str, name: &[u8]) -> bool {
    container == "client" && name.eq_ignore_ascii_case(b"maint_notifications")
}

/// Whether it does nothing but tell what subcommands there are: a container alone, and `HELP`.
pub(super) fn only_lists(name: &str) -> bool {
    let of_it = |row: &Row| {
        let rest = row.name.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with('|'))
    };
    name.ends_with("|help") || rows().any(of_it)
}

const FAMILIES: &[&[Row]] = &[
    strings::ROWS,
    hashes::ROWS,
    lists::ROWS,
    sets::ROWS,
    sorted_sets::ROWS,
    streams::ROWS,
    arrays::ROWS,
    vectors::ROWS,
    bitmaps::ROWS,
    geo::ROWS,
    keys::ROWS,
    pubsub::ROWS,
    scripting::ROWS,
    transactions::ROWS,
    connection::ROWS,
    server::ROWS,
    cluster::ROWS,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{FAMILIES, Row, rows};
    use crate::command::flags::Flags;
    use crate::command::{KeyRule, Route};

    #[test]
    fn names_are_lower_case_sorted_and_there_once() {
        let mut seen = BTreeSet::new();
        for family in FAMILIES {
            assert!(family.is_sorted_by(|a, b| a.name < b.name));
            for Row { name, arity, .. } in *family {
                assert_eq!(*name, name.to_ascii_lowercase());
                assert!(*arity != 0 && seen.insert(*name), "{name}");
            }
        }
    }

    #[test]
    fn a_subcommand_stands_behind_its_container() {
        let mut seen = BTreeSet::new();
        for row in rows() {
            if let Some((container, _)) = row.name.split_once('|') {
                assert!(seen.contains(container), "{}", row.name);
            }
            seen.insert(row.name);
        }
    }

    #[test]
    fn only_plain_reads_are_replayed() {
        let reads_nothing = |row: &Row| matches!(row.name, "ping" | "echo" | "time");
        for row in rows().filter(|row| row.replay && !reads_nothing(row)) {
            assert_eq!(row.flags, row.flags | Flags::READONLY, "{}", row.name);
            assert!(!row.flags.contains(Flags::WRITE), "{}", row.name);
            assert!(
                row.route == Route::Shared || row.keys == KeyRule::Streams,
                "{}",
                row.name
            );
        }
        for effect in [
            "touch",
            "pfcount",
            "object|freq",
            "eval_ro",
            "fcall_ro",
            "xreadgroup",
            "spop",
            "getdel",
            "getex",
        ] {
            assert!(
                rows().any(|row| row.name == effect && !row.replay),
                "{effect}"
            );
        }
    }
}
