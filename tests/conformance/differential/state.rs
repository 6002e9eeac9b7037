//! How a client stands at the server, as far as what it sends and the server's list of clients tell:
//! what is refused on its way through narrows depends on it.

use crate::differences::NEVER_HUGE;
use crate::differential::needs::{Needs, is_huge, may_wait};
use crate::differential::observer::{Line, Nature};
use crate::differential::session::{Cut, Request};
use crate::differential::setting::Setting;
use crate::differential::subscriptions::{self, Subscriptions};

/// One client.
#[derive(Clone, Default)]
pub(crate) struct State {
    /// Between `MULTI` and its end.
    pub(crate) multi: bool,
    /// It may watch keys.
    pub(crate) may_watch: Option<Watch>,
    /// It may get no replies.
    pub(crate) may_be_silent: bool,
    subscriptions: Subscriptions,
    resp3: bool,
    user: User,
    /// It has asked for what lasts until `RESET`.
    is_pinned: bool,
    /// Requests since it was last seen not to be blocked.
    pub(crate) backlog: usize,
    /// The last one in whose place [`STAND_IN`] was sent to the server, as lists of clients name it.
    pub(crate) stood_for: String,
}

/// See [`State::may_watch`].
#[derive(Clone)]
pub(crate) struct Watch;

/// Whether it is one of those that may not do everything: see `setting.rs`.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum User {
    #[default]
    Any,
    Bob,
    Carol,
}

/// Where a client stands when it sends something.
#[derive(Clone, Copy)]
pub(crate) struct Moment<'a> {
    /// What it has sent in the same write.
    pub(crate) before: &'a [Request],
    pub(crate) line: &'a Line,
    pub(crate) nature: &'a Nature,
    pub(crate) setting: &'a Setting,
}

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

/// What Redis refuses inside `MULTI`, and no session holds.
pub(crate) const STAND_IN: &str = "SAVE";

impl State {
    /// What is sent to the server itself: what Redis refuses inside `MULTI` in the place of what only
    /// narrows does.
    pub(crate) fn sent_directly(&mut self, request: &Request, nature: &Nature) -> Request {
        let (command, argument) = request.name();
        // Redis 7.0 does not have it.
        let pins = nature.is_since_7_2 && command == "CLIENT" && argument == "NO-TOUCH";
        if self.multi && (is_refused_inside(request) || pins) {
            let container = command == "CLIENT";
            let name = if container {
                format!("{command}|{argument}")
            } else {
                command
            };
            self.stood_for = name.to_lowercase();
            return Request::of(&[STAND_IN]);
        }
        request.clone()
    }

    /// Whether what comes of `request` can be the same.
    pub(crate) fn is_compared(&self, request: &Request, moment: Moment<'_>) -> bool {
        let Moment {
            before,
            line,
            nature,
            setting,
        } = moment;
        let holds = self.may_hold(line);
        let (command, argument) = request.name();
        let Needs { leases, waits, .. } = Needs::of(before, Cut::Whole, &nature.arities);
        let logs_in = command == "AUTH" || request.words.iter().any(|word| word == b"AUTH");
        let kills = command == "CLIENT" && argument == "KILL";
        // Nobody becomes another user while there is something on a connection of the one before.
        let is_refused = logs_in && !self.multi && (holds || leases);
        // Whether somebody hears the end of what was answered at that moment is a matter of chance.
        let is_chance = kills && (line.is_blocked() || waits);
        // See `differences.rs`: servers forget to close, drop WRONGPASS, keep a SKIP.
        let ends = command == "QUIT" || request.is_none();
        let is_forgotten = ends && self.may_be_silent;
        let has_waited = line.is_blocked() || before.iter().any(may_wait);
        let is_seen_late = nature.looks_late && request.is_none() && has_waited;
        let is_no_next = nature.keeps_skip && self.may_be_silent && request.is_without_words();
        let has_more_to_hear = !before.is_empty() || line.is_blocked();
        let is_dropped = logs_in && has_more_to_hear && nature.is_since_7_2;
        // Nothing tells when it is over.
        let is_endless = request.words.iter().any(|word| word == b"0");
        let is_unseen = self.may_be_silent && may_wait(request) && !is_endless;
        // See `differences.rs`.
        let is_beyond = setting.collects_little && is_huge(request);
        let is_too_large = is_beyond && NEVER_HUGE.contains(&&*command);
        let tells_late = nature.is_since_7_2 && line.listens();
        let is_behind = match request.is_none() {
            true => !before.is_empty(),
            false => command == "CLIENT" && before.iter().any(is_huge),
        };
        let is_too_early = tells_late && is_behind;
        let is_left_out = is_too_early || is_refused || is_chance || is_forgotten || is_dropped;
        let is_of_some = is_no_next || is_seen_late;
        !is_left_out && !is_of_some && !is_unseen && !is_too_large
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
        if self.listens_in_resp2() && !subscriptions::is_said_in_resp2(request) {
            return;
        }
        match command.as_str() {
            "RESET" if alone => {
                let backlog = self.backlog;
                *self = Self {
                    backlog,
                    ..Self::default()
                };
            }
            // An EXEC with arguments ends it all the same.
            "EXEC" | "DISCARD" if (alone || command == "EXEC") && self.multi => {
                self.multi = false;
                self.may_watch = None;
            }
            _ if self.multi => {}
            "MULTI" if alone && self.user != User::Carol => self.multi = true,
            "WATCH" if !alone => self.may_watch = Some(Watch),
            "CLIENT" if argument == "REPLY" => self.may_be_silent = true,
            "CLIENT" if argument == "NO-TOUCH" => self.is_pinned = true,
            "READONLY" => self.is_pinned = true,
            "AUTH" => self.logs_in(request.words.get(1..).unwrap_or_default()),
            "HELLO" => self.greets(request),
            _ if self.may_listen(request) => self.subscriptions.change(request),
            _ => {}
        }
    }

    /// `AUTH` with these words.
    fn logs_in(&mut self, words: &[Vec<u8>]) {
        let [user, password] = words else { return };
        self.user = match (user.as_slice(), password.as_slice()) {
            (b"bob", b"bobpw") => User::Bob,
            (b"carol", b"carolpw") => User::Carol,
            (b"alice", b"alicepw") | (b"default", _) => User::Any,
            _ => self.user,
        };
    }

    fn greets(&mut self, request: &Request) {
        let login = request.words.iter().position(|word| word == b"AUTH");
        let login = login.and_then(|at| request.words.get(at + 1..at + 3));
        if login.is_some_and(|login| login[1] == b"wrong") {
            return;
        }
        match request.name().1.as_str() {
            "2" => self.resp3 = false,
            "3" => self.resp3 = true,
            _ => return,
        }
        self.logs_in(login.unwrap_or_default());
    }

    /// Of all that listen only one may not listen to everything.
    fn may_listen(&self, request: &Request) -> bool {
        let may = |name: &Vec<u8>| name == b"news";
        let names = request.words.get(1..).unwrap_or_default();
        let is_denied = self.user == User::Bob && subscriptions::subscribes(request);
        !is_denied || names.iter().all(may)
    }

    /// It listens, and may say little.
    fn listens_in_resp2(&self) -> bool {
        !self.resp3 && !self.subscriptions.are_none()
    }

    /// The server shows it like this, and it is open. Whether that is how it is supposed to stand.
    pub(crate) fn seen(&mut self, line: &Line) -> bool {
        if line.is_blocked() {
            return true;
        }
        self.backlog = 0;
        let counts = self.subscriptions.counts();
        (self.multi, self.resp3, counts) == (line.multi, line.resp3, line.subscriptions)
    }

    /// Whether it can say a word that is not queued and not refused.
    pub(crate) fn may_publish(&self, line: &Line) -> bool {
        !line.is_blocked() && !line.multi && !self.listens_in_resp2()
    }

    /// Whether it needs a connection to itself.
    pub(crate) fn holds(&self, line: &Line) -> bool {
        let is_open = self.multi || self.may_watch.is_some() || self.is_pinned;
        is_open || line.listens() || line.is_blocked()
    }
}

pub(crate) fn is_refused_inside(request: &Request) -> bool {
    let (command, argument) = request.name();
    // Without what is to be subscribed to it is an error of its own.
    if request.words.len() < 2 && ["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"].contains(&&*command) {
        return false;
    }
    let row = REFUSED_INSIDE.iter().find(|(name, _)| *name == command);
    row.is_some_and(|(_, of)| of.is_empty() || of.contains(&argument.as_str()))
}
