//! What a row of ours says beside what each server's `COMMAND` says of the same command: that it is
//! there, its arity, its flags, where its keys are. What differs is listed here with its reason.

use std::collections::BTreeSet;

use narrows::command::{CommandTable, Flags, KeyRule, Route, Spec};

use crate::command_table::server::{Listed, Server};
use crate::support::Flavor;

/// What a row of ours says otherwise than a server does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Facet {
    Arity,
    Flag(&'static str),
    Keys,
}

struct Accepted {
    facet: Facet,
    #[expect(dead_code, reason = "for whoever reads it")]
    reason: &'static str,
    commands: &'static [&'static str],
}

const ACCEPTED: &[Accepted] = &[
    Accepted {
        facet: Facet::Arity,
        reason: "differs between versions: ours is the loosest, and the server's own counts once it \
                 has been learned",
        commands: &[
            "cluster|replicate",
            "command|getkeys",
            "command|getkeysandflags",
            "script|debug",
            "zrank",
            "zrevrank",
        ],
    },
    Accepted {
        facet: Facet::Arity,
        reason: "before 8.10 Redis lists vector sets as a module's, and leaves their arguments uncounted",
        commands: &[
            "vadd",
            "vcard",
            "vdim",
            "vemb",
            "vgetattr",
            "vinfo",
            "vismember",
            "vlinks",
            "vrandmember",
            "vrange",
            "vrem",
            "vsetattr",
            "vsim",
        ],
    },
    Accepted {
        facet: Facet::Flag("blocking"),
        reason: "Redis before 7.2 does not say so of WAIT",
        commands: &["wait"],
    },
    Accepted {
        facet: Facet::Flag("no_multi"),
        reason: "Valkey says so, Redis refuses or answers them inside MULTI in words of their own: the \
                 learned flag decides whose words a client hears",
        commands: &["client|reply", "multi", "watch"],
    },
    Accepted {
        facet: Facet::Keys,
        reason: "shard channels are listed like keys, since they choose the node of a cluster",
        commands: &["spublish", "ssubscribe", "sunsubscribe"],
    },
    Accepted {
        facet: Facet::Keys,
        reason: "BY and GET may name more keys, by patterns that are no arguments",
        commands: &["sort_ro"],
    },
];

/// Those that narrows decides by: see `Flags`.
const FLAGS: &[(&str, Flags)] = &[
    ("write", Flags::WRITE),
    ("readonly", Flags::READONLY),
    ("admin", Flags::ADMIN),
    ("pubsub", Flags::PUBSUB),
    ("blocking", Flags::BLOCKING),
    ("no_auth", Flags::NO_AUTH),
    ("no_multi", Flags::NO_MULTI),
];

/// Rows of commands that none of the servers here lists: `SFLUSH` is for a cluster that is managed.
const LISTED_NOWHERE: &[&str] = &["sflush"];

#[test]
fn every_command_has_a_row_and_rows_say_what_the_server_says() {
    let ours = CommandTable::builtin();
    let asked = Flavor::matrix();
    let mut offences = Vec::new();
    let (mut met, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for mut server in asked.iter().copied().map(Server::start) {
        for listed in server.commands() {
            seen.insert(listed.name.clone());
            let context = format!("{}: {}", server.program, listed.name);
            let Some(row) = ours.named(listed.name.as_bytes()) else {
                if !listed.is_of_a_module() {
                    offences.push(format!("{context} has no row of ours"));
                }
                continue;
            };
            for facet in differing(row, &listed) {
                let difference = (facet, listed.name.clone());
                match accepted().any(|one| one == difference) {
                    true => _ = met.insert(difference),
                    false => offences.push(format!("{context}: {facet:?} differs")),
                }
            }
            if listed.flags.contains("blocking") && row.route != Route::Blocking {
                offences.push(format!("{context} waits, by its flags, and not by its row"));
            }
        }
    }
    assert!(offences.is_empty(), "{offences:#?}");
    if asked == Flavor::ALL {
        let gone: Vec<_> = accepted().filter(|one| !met.contains(one)).collect();
        assert!(
            gone.is_empty(),
            "no server says otherwise any more: {gone:?}"
        );
        let unlisted = ours.specs().map(|row| &*row.name);
        let unlisted: Vec<&str> = unlisted.filter(|name| !seen.contains(*name)).collect();
        assert_eq!(unlisted, LISTED_NOWHERE);
    }
}

fn accepted() -> impl Iterator<Item = (Facet, String)> {
    ACCEPTED.iter().flat_map(|accepted| {
        let names = accepted.commands.iter();
        names.map(|name| (accepted.facet, (*name).to_owned()))
    })
}

fn differing(row: &Spec, listed: &Listed) -> Vec<Facet> {
    let mut found = Vec::new();
    // A row that is stricter than a server is never right.
    let is_looser = row.arity < 0 && row.arity.abs() <= listed.arity.abs();
    if row.arity != listed.arity {
        assert!(is_looser, "{}: {} words", row.name, row.arity);
        found.push(Facet::Arity);
    }
    for (name, flag) in FLAGS {
        if row.flags.contains(*flag) != listed.flags.contains(*name) {
            found.push(Facet::Flag(name));
        }
    }
    let may_move = listed.flags.contains("movablekeys");
    let same_keys = match row.keys {
        KeyRule::None => listed.keys == [0, 0, 0] && !may_move,
        KeyRule::Range { first, last, step } => {
            let range = [i64::from(first), i64::from(last), i64::from(step)];
            listed.keys == range && !may_move
        }
        // `keys_are_those_that_the_server_finds` looks at these.
        _ => may_move,
    };
    if !same_keys {
        found.push(Facet::Keys);
    }
    found
}
