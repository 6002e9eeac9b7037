//! What requests need of the connections that narrows has: one of their client's own, for how long,
//! one to wait on.

use std::collections::BTreeMap;

use crate::differential::generate::POPPING;
use crate::differential::session::{Cut, Form, Request};
use crate::differential::state::is_refused_inside;
use crate::support::{Conn, Value};

/// What requests need.
#[derive(Clone, Copy, Default)]
pub(crate) struct Needs {
    /// A connection of its client's own.
    pub(crate) leases: bool,
    /// One for as long as the client likes.
    pub(crate) stays: bool,
    /// One to wait on.
    pub(crate) waits: bool,
}

/// How many words the server needs of each command, a negative number for at least as many.
pub(crate) struct Arities(BTreeMap<String, i64>);

/// What needs a connection of its client's own outside of a transaction, for as long as the client
/// likes.
const STAYS: &[&str] = &[
    "SUBSCRIBE",
    "PSUBSCRIBE",
    "SSUBSCRIBE",
    "UNSUBSCRIBE",
    "PUNSUBSCRIBE",
    "SUNSUBSCRIBE",
    "READONLY",
    "WAIT",
];

/// Just below the least that `clients.big_request_bytes` may be.
const COLLECTED_BYTES_MAX: usize = 60_000;

impl Needs {
    /// Of `requests` in one write.
    pub(crate) fn of(requests: &[Request], cut: Cut, arities: &Arities) -> Self {
        let mut needs = Self::default();
        let is_whole =
            |request: &Request| matches!(cut, Cut::Whole) && matches!(request.form, Form::Array);
        let mut block: Option<bool> = None;
        for request in requests {
            let (command, argument) = request.name();
            let command = command.as_str();
            let waits_here = may_wait(request);
            // A huge one is not collected first.
            needs.leases |= is_huge(request);
            match (command, &mut block) {
                ("MULTI", None) if request.words.len() == 1 => block = Some(is_whole(request)),
                ("EXEC" | "DISCARD", Some(is_plain)) => {
                    needs.leases |= !*is_plain || !is_whole(request) || request.words.len() > 1;
                    block = None;
                }
                (_, Some(is_plain)) => {
                    *is_plain &= is_whole(request) && !waits_here;
                    *is_plain &= is_plain_inside(request, arities);
                }
                (command, None) => {
                    let pins = ["TRACKING", "NO-TOUCH"].contains(&argument.as_str());
                    needs.stays |= (command == "CLIENT" && pins) || STAYS.contains(&command);
                    needs.leases |= command == "WATCH";
                    needs.waits |= waits_here;
                }
            }
        }
        needs.leases |= block.is_some() || needs.stays;
        needs
    }
}

impl Arities {
    pub(crate) fn of_server(conn: &mut Conn) -> Self {
        let mut arities = BTreeMap::new();
        let Value::Array(commands) = conn.call(&["COMMAND"]).value() else {
            panic!("COMMAND is no list");
        };
        for command in &commands {
            let Value::Array(fields) = command else {
                panic!("a command is no list: {command:?}");
            };
            let subcommands = match fields.get(9) {
                Some(Value::Array(subcommands)) => &subcommands[..],
                _ => &[],
            };
            let of_sub = subcommands.iter().map(|subcommand| match subcommand {
                Value::Array(fields) => fields,
                other => panic!("a subcommand is no list: {other:?}"),
            });
            for fields in of_sub.chain([fields]) {
                let (Value::Bulk(name), Value::Integer(arity)) = (&fields[0], &fields[1]) else {
                    panic!("neither name nor arity: {fields:?}");
                };
                let name = String::from_utf8_lossy(name).to_uppercase();
                arities.insert(name, *arity);
            }
        }
        Self(arities)
    }

    /// Whether the server has the command, or the subcommand as `CLIENT|ID`.
    pub(crate) fn know(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Whether the server would take `request` without a look at more than its words' number.
    fn allow(&self, request: &Request) -> bool {
        let (command, argument) = request.name();
        let begin = format!("{command}|");
        let is_container = self.0.keys().any(|name| name.starts_with(&begin));
        let name = match is_container && request.words.len() > 1 {
            true => format!("{begin}{argument}"),
            false => command,
        };
        let words = i64::try_from(request.words.len()).expect("a few words");
        let fits = |arity: &i64| words == *arity || (*arity < 0 && words >= -arity);
        self.0.get(&name).is_some_and(fits)
    }
}

/// Whether `request` may wait outside of a transaction.
pub(crate) fn may_wait(request: &Request) -> bool {
    let (command, _) = request.name();
    let blocks = || request.words.iter().any(|word| word == b"BLOCK");
    POPPING.contains(&command.as_str()) || blocks()
}

/// Whether it may be beyond `clients.big_request_bytes`.
pub(crate) fn is_huge(request: &Request) -> bool {
    let bytes: usize = request.words.iter().map(Vec::len).sum();
    bytes > COLLECTED_BYTES_MAX
}

/// Whether it may be a part of a whole block on a connection that is shared.
fn is_plain_inside(request: &Request, arities: &Arities) -> bool {
    let (command, _) = request.name();
    let others = [
        "CLIENT", "SELECT", "RESET", "QUIT", "INFO", "PUBSUB", "ACL", "MULTI", "WATCH", "UNWATCH",
    ];
    let is_refused = is_refused_inside(request) || !arities.allow(request);
    !is_refused && !others.contains(&command.as_str())
}
