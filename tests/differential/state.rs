//! How a client stands at the server, as far as what it sends and the server's list of clients tell:
//! what is refused on its way through narrows depends on it.

use crate::prompter::Line;
use crate::session::{Cut, Form, Request};
use crate::support::Flavor;

/// One client.
#[derive(Clone, Default)]
pub(crate) struct State {
    /// Between `MULTI` and its end.
    pub(crate) multi: bool,
    /// It may watch keys.
    pub(crate) may_watch: Option<Watch>,
    /// It may get no replies.
    pub(crate) may_be_silent: bool,
    listens_in_resp2: bool,
    /// It has asked for what lasts until `RESET`.
    is_pinned: bool,
    /// Requests since it was last seen not to be blocked.
    pub(crate) backlog: usize,
}

/// See [`State::may_watch`].
#[derive(Clone)]
pub(crate) struct Watch;

/// What requests need.
#[derive(Clone, Copy, Default)]
pub(crate) struct Wants {
    /// A connection of its client's own.
    pub(crate) leases: bool,
    /// One for as long as the client likes.
    pub(crate) stays: bool,
    /// One to wait on.
    pub(crate) waits: bool,
}

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

/// What is refused inside `MULTI` on its way through narrows: see docs/compatibility.md.
const REFUSED_INSIDE: &[(&str, &[&str])] = &[
    ("AUTH", &[]),
    ("HELLO", &[]),
    ("CLIENT", &["REPLY", "TRACKING", "CACHING"]),
    ("SUBSCRIBE", &[]),
    ("PSUBSCRIBE", &[]),
    ("SSUBSCRIBE", &[]),
    ("UNSUBSCRIBE", &[]),
    ("PUNSUBSCRIBE", &[]),
    ("SUNSUBSCRIBE", &[]),
    ("WAIT", &[]),
    ("READONLY", &[]),
];

/// Just below the least that `clients.big_request_bytes` may be.
const COLLECTED_BYTES_MAX: usize = 60_000;

const WAITING: &[&str] = &[
    "BLPOP",
    "BRPOP",
    "BLMOVE",
    "BRPOPLPUSH",
    "BLMPOP",
    "BZPOPMIN",
    "BZPOPMAX",
    "BZMPOP",
];

impl State {
    /// What is sent to the server itself: what Redis refuses inside `MULTI` in the place of what only
    /// narrows does.
    pub(crate) fn sent_directly(&self, request: &Request, flavor: Flavor) -> Request {
        let (command, argument) = request.name();
        // Redis 7.0 does not have it.
        let pins = flavor == Flavor::Valkey && command == "CLIENT" && argument == "NO-TOUCH";
        if self.multi && (is_refused_inside(request) || pins) {
            return Request::of(&["SAVE"]);
        }
        request.clone()
    }

    /// Whether what comes of `request` can be the same, sent behind `before` in one write by a client
    /// that holds a connection of its own or is blocked.
    pub(crate) fn is_compared(
        &self,
        request: &Request,
        before: &[Request],
        line: &Line,
        flavor: Flavor,
    ) -> bool {
        let holds = self.may_hold(line);
        let (command, argument) = request.name();
        let Wants { leases, waits, .. } = Self::wants(before, Cut::Whole);
        let logs_in = command == "AUTH" || request.words.iter().any(|word| word == b"AUTH");
        let kills = command == "CLIENT" && argument == "KILL";
        // Nobody becomes another user while there is something on a connection of the one before.
        let is_refused = logs_in && !self.multi && (holds || leases);
        // Whether somebody hears the end of what was answered at that moment is a matter of chance.
        let is_chance = kills && (line.is_blocked() || waits);
        // See `differences.rs`: Redis forgets to close; Valkey drops WRONGPASS.
        let is_forgotten = command == "QUIT" && self.may_be_silent;
        let is_dropped = logs_in && !before.is_empty() && flavor == Flavor::Valkey;
        // Nothing tells when it is over.
        let is_endless = request.words.iter().any(|word| word == b"0");
        let is_unseen = self.may_be_silent && Self::waits(request) && !is_endless;
        !is_refused && !is_chance && !is_forgotten && !is_dropped && !is_unseen
    }

    /// Whether its client may hold a connection of its own.
    pub(crate) fn may_hold(&self, line: &Line) -> bool {
        self.may_watch.is_some() || line.listens() || self.is_pinned
    }

    /// `request` is on its way.
    pub(crate) fn sent(&mut self, request: &Request) {
        let (command, argument) = request.name();
        let alone = request.words.len() == 1;
        self.backlog += 1;
        match command.as_str() {
            "MULTI" if alone && !self.listens_in_resp2 => self.multi = true,
            // Outside of a transaction it is an error and ends no watch. An EXEC with arguments ends
            // the one it stands in all the same.
            "EXEC" | "DISCARD"
                if (alone || command == "EXEC") && self.multi && !self.listens_in_resp2 =>
            {
                self.multi = false;
                self.may_watch = None;
            }
            "RESET" if alone => *self = Self::default(),
            "WATCH" if !alone => self.may_watch = Some(Watch),
            "CLIENT" if argument == "REPLY" && !self.multi => self.may_be_silent = true,
            "CLIENT" if argument == "NO-TOUCH" => self.is_pinned = true,
            "READONLY" => self.is_pinned = true,
            _ => {}
        }
    }

    /// The server shows it like this.
    pub(crate) fn seen(&mut self, line: &Line) {
        if !line.is_blocked() {
            self.backlog = 0;
        }
        self.listens_in_resp2 = line.subscriptions != [0; 3] && !line.resp3;
    }

    /// Whether `request` may wait outside of a transaction.
    pub(crate) fn waits(request: &Request) -> bool {
        Self::wants(std::slice::from_ref(request), Cut::Whole).waits
    }

    /// Whether it can say a word that is not queued and not refused.
    pub(crate) fn may_publish(&self, line: &Line) -> bool {
        !line.is_blocked() && !line.multi && !self.listens_in_resp2
    }

    /// Whether it needs a connection to itself.
    pub(crate) fn holds(&self, line: &Line) -> bool {
        let is_open = self.multi || self.may_watch.is_some() || self.is_pinned;
        is_open || line.listens() || line.is_blocked()
    }

    /// What `requests` need.
    pub(crate) fn wants(requests: &[Request], cut: Cut) -> Wants {
        let mut wants = Wants::default();
        let is_whole =
            |request: &Request| matches!(cut, Cut::Whole) && matches!(request.form, Form::Array);
        let mut block: Option<bool> = None;
        for request in requests {
            let (command, argument) = request.name();
            let command = command.as_str();
            let waits_here =
                WAITING.contains(&command) || request.words.iter().any(|word| word == b"BLOCK");
            // A huge one is not collected first.
            let bytes: usize = request.words.iter().map(Vec::len).sum();
            wants.leases |= bytes > COLLECTED_BYTES_MAX;
            match (command, &mut block) {
                ("MULTI", None) => block = Some(is_whole(request)),
                ("EXEC" | "DISCARD", Some(is_plain)) => {
                    wants.leases |= !*is_plain || !is_whole(request);
                    block = None;
                }
                (_, Some(is_plain)) => {
                    *is_plain &= is_whole(request) && is_plain_inside(request) && !waits_here;
                }
                (command, None) => {
                    let pins = ["TRACKING", "NO-TOUCH"].contains(&argument.as_str());
                    wants.stays |= (command == "CLIENT" && pins) || STAYS.contains(&command);
                    wants.leases |= command == "WATCH";
                    wants.waits |= waits_here;
                }
            }
        }
        wants.leases |= block.is_some() || wants.stays;
        wants
    }
}

/// Whether it may be a part of a whole block on a connection that is shared.
fn is_plain_inside(request: &Request) -> bool {
    let (command, _) = request.name();
    let others = [
        "CLIENT", "SELECT", "RESET", "QUIT", "INFO", "PUBSUB", "ACL", "MULTI", "WATCH", "UNWATCH",
    ];
    !is_refused_inside(request) && !others.contains(&command.as_str())
}

fn is_refused_inside(request: &Request) -> bool {
    let (command, argument) = request.name();
    // Without what is to be subscribed to it is an error of its own.
    if request.words.len() < 2 && ["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"].contains(&&*command) {
        return false;
    }
    let row = REFUSED_INSIDE.iter().find(|(name, _)| *name == command);
    row.is_some_and(|(_, of)| of.is_empty() || of.contains(&argument.as_str()))
}
