//! What one client is subscribed to, as follows from what it has sent.

use std::collections::BTreeSet;

use crate::differential::session::Request;

/// Channels, patterns, and channels of shards.
#[derive(Clone, Default)]
pub(crate) struct Subscriptions([BTreeSet<Vec<u8>>; 3]);

/// The commands on each.
const COMMANDS: [[&str; 2]; 3] = [
    ["SUBSCRIBE", "UNSUBSCRIBE"],
    ["PSUBSCRIBE", "PUNSUBSCRIBE"],
    ["SSUBSCRIBE", "SUNSUBSCRIBE"],
];

/// What clients that listen may say in RESP2: the rest is an error.
const SAID_IN_RESP2: [&str; 3] = ["PING", "QUIT", "RESET"];

impl Subscriptions {
    /// `request` is done outside of a transaction.
    pub(crate) fn change(&mut self, request: &Request) {
        let (command, _) = request.name();
        let names = request.words.get(1..).unwrap_or_default();
        for (all, [begin, end]) in self.0.iter_mut().zip(COMMANDS) {
            if command == begin {
                all.extend(names.iter().cloned());
            } else if command == end && names.is_empty() {
                all.clear();
            } else if command == end {
                all.retain(|name| !names.contains(name));
            }
        }
    }

    pub(crate) fn counts(&self) -> [usize; 3] {
        [0, 1, 2].map(|kind| self.0[kind].len())
    }

    pub(crate) fn are_none(&self) -> bool {
        self.counts() == [0; 3]
    }
}

/// Whether it begins to subscribe to something.
pub(crate) fn subscribes(request: &Request) -> bool {
    let (command, _) = request.name();
    COMMANDS.iter().any(|[begin, _]| command == *begin)
}

/// Whether a client that listens in RESP2 may say it.
pub(crate) fn is_said_in_resp2(request: &Request) -> bool {
    let (command, _) = request.name();
    SAID_IN_RESP2.contains(&command.as_str()) || COMMANDS.as_flattened().contains(&&*command)
}
