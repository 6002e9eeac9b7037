//! What the fake servers have executed, by request. Every request carries a tag, so this oracle
//! needs no model of Redis: a reply is right if it is, byte for byte, what the last execution of
//! that very request answered, in the db and protocol that its client was in. `models` judges
//! the data besides.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use narrows::engine::Rules;
use narrows::resp::{Args, Limits, Protocol, RequestEvent, RequestScanner};

use super::models::Models;
use super::push_streams::PushStreams;
use super::transactions::Transactions;
use super::wait_line::WaitLine;

/// Whose request, and which: unique in one simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag {
    pub client: u32,
    pub request: u32,
}

impl Tag {
    pub fn text(self) -> String {
        format!("#{}.{}", self.client, self.request)
    }

    pub fn read(text: &[u8]) -> Option<Self> {
        let (client, request) = std::str::from_utf8(text)
            .ok()?
            .strip_prefix('#')?
            .split_once('.')?;
        Some(Self {
            client: client.parse().ok()?,
            request: request.parse().ok()?,
        })
    }
}

/// What a connection, a client's or a server's, is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Setting {
    /// As which user; 0 is the default one.
    pub user: u8,
    pub protocol: Protocol,
    pub db: u32,
}

/// What a client was told of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The server's reply, or nothing because it asked for silence.
    Done,
    /// It may or may not have run.
    Unknown,
    /// It has not run.
    NotRun,
}

/// One request executed by a server.
pub struct Execution<'a> {
    pub tag: Tag,
    pub write: bool,
    pub setting: Setting,
    pub reply: &'a [u8],
    /// How often the server had lost its data before.
    pub life: u32,
}

#[derive(Debug, Default)]
pub struct Entry {
    pub times: u32,
    write: bool,
    pub setting: Setting,
    reply: Vec<u8>,
    /// What the last execution but one answered.
    earlier: Option<Vec<u8>>,
    pub life: u32,
    /// The number of its last execution.
    pub at: u64,
    /// How it ran out of order, where that may be right: its client may have been given up on.
    late: Option<String>,
    pub told: Option<(Told, Setting)>,
}

impl Entry {
    /// Whether the server has answered with an error: it has done nothing.
    pub fn was_refused(&self) -> bool {
        self.reply.starts_with(b"-")
    }
}

/// See the file's head. The first offence is kept.
#[derive(Debug, Default)]
pub struct History {
    entries: BTreeMap<Tag, Entry>,
    /// By client: the last write executed, and the last request of any kind.
    last: BTreeMap<u32, (u32, u32)>,
    pub offence: Option<String>,
    pub executions: u64,
    /// Requests that clients have been told the end of.
    pub requests: u64,
    /// Replies that reached the wrong client while a server was out of step.
    pub crossed: u64,
    /// narrows holds replies against what their commands may answer.
    pub kinds_checked: bool,
    /// What clients have asked of shared keys.
    pub models: Models,
    /// Who waits for what.
    pub wait_line: WaitLine,
    /// What belongs between `MULTI` and `EXEC`.
    pub transactions: Transactions,
    /// What servers push to clients.
    pub push_streams: PushStreams,
    /// Clients that narrows knows to have left, and how many executions there were before.
    pub left: BTreeMap<u32, u64>,
    /// Nothing goes wrong with connections.
    pub faultless: bool,
    /// Clients whose waits others have ended, by their ids.
    pub unblocked: BTreeSet<u64>,
    /// How often the server's passwords have been changed.
    pub password_changes: u32,
    /// Which user a client runs as changes while it runs: whether that is the one that narrows takes
    /// it for is asked of the connections.
    pub any_user: bool,
    /// Requests that servers have answered with an error before they had read them, and how many more
    /// that nobody can tell.
    early: BTreeSet<Tag>,
    early_of_some: u32,
    /// Requests time out: they may run after their clients were told so.
    pub timeouts: bool,
    pub now: Duration,
    /// When waits that clients have asked for may be over at the earliest.
    pub waits_until: BTreeMap<Tag, Duration>,
}

impl History {
    pub fn new(rules: &Rules, faultless: bool) -> Self {
        let settings = &rules.settings;
        Self {
            faultless,
            timeouts: !settings.clients.request_timeout.is_zero(),
            kinds_checked: settings.pool.check_kinds,
            any_user: rules.access.mode == narrows::session::AuthMode::Local,
            ..Self::default()
        }
    }

    pub fn offend(&mut self, text: String) {
        self.offence.get_or_insert(text);
    }

    /// A server has executed a request and answered `reply`.
    pub fn executed(&mut self, execution: Execution) {
        let Execution {
            tag,
            write,
            setting,
            ..
        } = execution;
        self.executions += 1;
        let entry = self.entries.entry(tag).or_default();
        entry.times += 1;
        entry.write = write;
        entry.setting = setting;
        let before = std::mem::replace(&mut entry.reply, execution.reply.to_vec());
        entry.earlier = (entry.times > 1).then_some(before);
        entry.life = execution.life;
        entry.at = self.executions;
        let (times, told) = (entry.times, entry.told);
        if write && times > 1 {
            self.offend(format!("the write {tag:?} was executed {times} times"));
        }
        match told {
            None => self.check_order(tag, write),
            Some((Told::NotRun, _)) if write => {
                self.offend(format!(
                    "{tag:?} ran after its client was told that it had not"
                ));
            }
            // One that was asked again elsewhere runs where it stood, too.
            Some((Told::Done, _)) if write => {
                self.offend(format!("{tag:?} ran after its client was answered"));
            }
            Some((_, expected)) => {
                self.check_setting(tag, setting, expected);
            }
        }
    }

    /// A write comes after everything before it, and nothing comes before an earlier write.
    /// Requests whose clients were told that the outcome is unknown may come whenever they like.
    fn check_order(&mut self, tag: Tag, write: bool) {
        let (last_write, last) = self.last.entry(tag.client).or_default();
        let late = tag.request < *last_write || (write && tag.request < *last);
        let (was_write, was) = (*last_write, *last);
        *last = (*last).max(tag.request);
        if write {
            *last_write = (*last_write).max(tag.request);
        }
        if late {
            let text =
                format!("{tag:?} ran out of order: write {was_write}, any {was} came before");
            match self.timeouts {
                true => self.entries.entry(tag).or_default().late = Some(text),
                false => self.offend(text),
            }
        }
    }

    fn check_setting(&mut self, tag: Tag, setting: Setting, mut expected: Setting) {
        if self.any_user {
            expected.user = setting.user;
        }
        if setting != expected {
            self.offend(format!(
                "{tag:?} ran in {setting:?}, its client is in {expected:?}"
            ));
        }
    }

    /// Whether the server's own answer has reached the client.
    pub fn was_answered(&self, tag: Tag) -> bool {
        let told = self.entries.get(&tag).and_then(|entry| entry.told);
        told.is_some_and(|(told, _)| told == Told::Done)
    }

    /// narrows is told, or has decided, that a client is gone.
    pub fn leaves(&mut self, client: u32) {
        let executions = self.executions;
        self.left.entry(client).or_insert(executions);
    }

    /// Whether a request was executed when narrows knew that its client had left, and nothing went
    /// wrong: what it has taken is not lost.
    pub fn is_kept_for_others(&self, tag: Tag) -> bool {
        let left = self.left.get(&tag.client);
        let entry = self.entries.get(&tag).filter(|entry| entry.told.is_none());
        match (left, entry) {
            (Some(left), Some(entry)) => self.faultless && entry.times > 0 && entry.at > *left,
            _ => false,
        }
    }

    /// How a request went, if anything is known of it.
    pub fn entry(&self, tag: Tag) -> Option<&Entry> {
        self.entries.get(&tag)
    }

    /// What the last execution of a request answered.
    pub fn reply(&self, tag: Tag) -> Option<&[u8]> {
        let entry = self.entries.get(&tag)?;
        (entry.times > 0).then_some(&entry.reply)
    }

    /// Whether a reply is that of an execution: of the last one, or of the one before. A read that
    /// was asked again elsewhere runs where it stood later, before its client has heard the other.
    pub fn has_answered(&self, tag: Tag, frame: &[u8]) -> bool {
        let entry = self.entries.get(&tag);
        entry.is_some_and(|entry| entry.reply == frame || entry.earlier.as_deref() == Some(frame))
    }

    /// A server answers what `received` begins with, before it has read all of it.
    pub fn answered_early(&mut self, received: &[u8]) {
        let limits = Limits::default().authenticated();
        let advance = RequestScanner::default().advance(received, &limits);
        let length = match advance {
            Ok(advance) if matches!(advance.event, RequestEvent::Complete(_)) => advance.consumed,
            _ => 0,
        };
        match Args::new(&received[..length]).last().and_then(Tag::read) {
            Some(tag) => {
                self.early.insert(tag);
            }
            None => self.early_of_some += 1,
        }
    }

    /// Whether that may have been the answer to a request that never ran. Where it was to be silent its
    /// client has not heard it, as directly.
    pub fn may_have_been_answered_early(&mut self, tag: Tag) -> bool {
        let known = self.early.contains(&tag);
        let some = !known && self.early_of_some > 0;
        self.early_of_some -= u32::from(some);
        known || some
    }

    /// A client in `expected` has been told how its request ended.
    pub fn told(&mut self, tag: Tag, told: Told, expected: Setting) {
        self.requests += 1;
        let entry = self.entries.entry(tag).or_default();
        entry.told = Some((told, expected));
        if told == Told::Done
            && let Some(text) = entry.late.take()
        {
            self.offence.get_or_insert(text);
        }
        let (times, setting) = (entry.times, entry.setting);
        if times == 0 {
            return;
        }
        let wrote = entry.write;
        // A read that ran in vain and could not be asked again has done nothing.
        if told == Told::NotRun && wrote {
            self.offend(format!(
                "{tag:?} had run when its client was told that it had not"
            ));
        }
        self.check_setting(tag, setting, expected);
    }
}
