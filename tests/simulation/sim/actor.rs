//! One client of a simulation, as the oracle sees it: what it has asked, what it must hear next,
//! and whether what it hears is that. It knows nothing of who carries its requests.

use std::collections::{BTreeMap, VecDeque};

use narrows::engine::ClientId;
use narrows::resp::{Limits, Protocol, ReplyScanner};

use super::focus::Focus;
use super::history::{History, Setting, Tag, Told};
use super::logins::Login;
use super::server::{DATABASES, NOPERM, RESTRICTED};
use super::transaction_replies::Part;
use super::world::EARLY;

/// What the next reply has to be.
#[derive(Debug)]
pub enum Expect {
    /// The server's own, of a command that touches this key: written, or read.
    Written(u8),
    Read(u8),
    /// The server's own.
    Served,
    /// The server's own: an element of a list, or none.
    Popped,
    /// The same, from a command that waits for one.
    Awaited,
    /// The server's, with fields rewritten.
    Info,
    /// These bytes.
    Exactly(Vec<u8>),
    /// Anything that begins so.
    Beginning(&'static str),
    /// The steps of a transaction; the last one tells what became of the rest.
    Watch,
    Multi,
    Queued,
    /// An error that ends nothing.
    WatchRefused,
    /// Refused inside a transaction, which it ends.
    Refused,
    Exec(Vec<Part>),
    Discard(Vec<Part>),
    Reset,
    Select(u32),
    Hello(Protocol),
    Login(Login),
    List,
    /// Confirmations.
    Subscribe,
    /// `+OK`.
    Tracking,
}

#[derive(Debug)]
pub struct Pending {
    pub tag: Tag,
    pub silent: bool,
    pub expect: Expect,
}

/// `CLIENT REPLY`, as Redis documents it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    On,
    Off,
    Skip,
}

/// What a key may hold: the last write that was acknowledged, or one whose end is unknown.
#[derive(Debug, Default)]
pub struct Possible(pub Vec<Option<Tag>>);

/// See the file's head.
#[derive(Debug)]
pub struct Actor {
    pub worker: usize,
    pub key: ClientId,
    pub number: u32,
    /// `CLIENT ID`.
    pub id: u64,
    /// What it is set to behind the last reply it has heard.
    pub setting: Setting,
    pub pending: VecDeque<Pending>,
    /// Asked and not sent yet.
    pub unsent: Vec<u8>,
    /// The runtime reads it.
    pub readable: bool,
    /// Bytes that it takes before it has to be coaxed again.
    pub appetite: usize,
    /// It reads nothing before all that it has asked is sent.
    pub writes_first: bool,
    /// Its socket did not take all there was.
    pub blocked: bool,
    pub mode: Mode,
    pub name: String,
    pub next: u32,
    /// Asks nothing more: it has said its last word.
    pub done: bool,
    /// It may be closed at any time.
    pub doomed: bool,
    /// A SELECT or HELLO of it could not be carried out: it is closed after being told so.
    pub stranded: bool,
    /// A transaction may have moved it to another db: nothing of it is served any more.
    pub moved: bool,
    /// A transaction of it could not begin: it may be closed.
    pub loose: bool,
    /// It has asked to be told what changes: that lasts on a connection of its own.
    pub tracks: bool,
    /// Something of its transaction was refused, or may have been.
    pub flawed: bool,
    /// It was for certain.
    pub refused: bool,
    /// By what it has heard, it may watch something.
    pub watching: bool,
    /// It sends so many bytes and no more until this `WATCH` is answered.
    pub thinks: Option<(usize, Tag)>,
    pub half_closed: bool,
    pub half_close_told: bool,
    /// There are users, and the server judges their rights.
    pub users: bool,
    /// It has to log in before anything else.
    pub unauthenticated: bool,
    /// Servers get out of step, which is found on connections that are shared.
    pub desyncs: bool,
    /// It sends huge requests.
    pub huge: bool,
    /// It uses transactions, and commands that wait.
    pub transacts: bool,
    pub transacts_percent: usize,
    pub waits_much: bool,
    /// How many of its transactions depend on a `WATCH`.
    pub watches_percent: usize,
    /// What its world is focused on.
    pub focus: Option<Focus>,
    /// It subscribes and tracks keys.
    pub subscribes: bool,
    pub subscribes_percent: usize,
    /// The server may have let it log in as this one, though its `HELLO` has failed behind that.
    pub perhaps: Option<u8>,
    /// By what it has asked, it may be subscribed.
    pub subscribing: bool,
    /// By what it has heard, it is.
    pub subscribed: bool,
    pub gone: bool,
    /// A request of its that was to be silent never ran: it is to be disconnected.
    pub dropped: Option<Tag>,
    /// A server has lost its data since this client wrote something.
    pub data_lost: bool,
    /// Requests before this one may be answered with what is another's: a server was out of
    /// step. How many were.
    pub excused: u32,
    pub crossed: u32,
    /// Step at which its oldest unanswered request was made.
    pub waits_since: u64,
    scanner: ReplyScanner,
    frame: Vec<u8>,
    pub keys: BTreeMap<(u32, u8), Possible>,
}

impl Actor {
    pub fn new(worker: usize, key: ClientId, number: u32, id: u64) -> Self {
        Self {
            worker,
            key,
            number,
            id,
            setting: Setting::default(),
            pending: VecDeque::new(),
            unsent: Vec::new(),
            readable: true,
            appetite: usize::MAX,
            writes_first: false,
            blocked: false,
            mode: Mode::On,
            name: String::new(),
            next: 0,
            done: false,
            doomed: false,
            stranded: false,
            moved: false,
            loose: false,
            tracks: false,
            flawed: false,
            refused: false,
            watching: false,
            thinks: None,
            half_closed: false,
            half_close_told: false,
            users: false,
            unauthenticated: false,
            huge: false,
            transacts: false,
            transacts_percent: 0,
            waits_much: false,
            watches_percent: 50,
            focus: None,
            desyncs: false,
            subscribes: false,
            subscribes_percent: 0,
            perhaps: None,
            subscribing: false,
            subscribed: false,
            gone: false,
            dropped: None,
            data_lost: false,
            excused: 0,
            crossed: 0,
            waits_since: 0,
            scanner: ReplyScanner::default(),
            frame: Vec::new(),
            keys: BTreeMap::new(),
        }
    }

    /// Bytes from narrows.
    pub fn hear(&mut self, mut bytes: &[u8], late: bool, history: &mut History) {
        let limits = Limits::default();
        while !bytes.is_empty() {
            let advance = match self.scanner.advance(bytes, &limits) {
                Ok(advance) => advance,
                Err(error) => {
                    return history.offend(format!("client {} hears {error:?}", self.number));
                }
            };
            let (part, rest) = bytes.split_at(advance.consumed);
            bytes = rest;
            self.frame.extend_from_slice(part);
            if advance.complete {
                let frame = std::mem::take(&mut self.frame);
                if self.push_frame(&frame, late, history) {
                    continue;
                }
                self.reply(&frame, late, history);
            }
        }
    }

    /// Whether nothing is owed to it but silence.
    pub fn is_content(&self) -> bool {
        self.frame.is_empty() && self.pending.iter().all(|p| p.silent)
    }

    /// Whether narrows may close it when it drains: all was sent in whole and answered.
    pub fn is_idle(&self) -> bool {
        self.is_content() && self.unsent.is_empty() && !self.half_closed
    }

    fn reply(&mut self, frame: &[u8], late: bool, history: &mut History) {
        loop {
            let Some(pending) = self.pending.pop_front() else {
                return history.offend(format!(
                    "client {} hears what it has not asked for: {}",
                    self.number,
                    frame.escape_ascii()
                ));
            };
            if pending.silent {
                self.silence(&pending, late, history);
                continue;
            }
            let Err(why) = self.judge(&pending, frame, history) else {
                return;
            };
            if pending.tag.request < self.excused && self.may_be_crossed(&pending, frame, history) {
                self.crossed += 1;
                history.crossed += 1;
                history.told(pending.tag, Told::Unknown, self.setting);
            } else {
                history.offend(format!(
                    "{:?}, expecting {:?}, hears {}: {why}",
                    pending.tag,
                    pending.expect,
                    frame
                        .escape_ascii()
                        .to_string()
                        .get(..200)
                        .unwrap_or(&frame.escape_ascii().to_string())
                ));
            }
            return;
        }
    }

    /// Whether a server out of step may explain it: where kinds are checked it is of the right one.
    fn may_be_crossed(&mut self, pending: &Pending, frame: &[u8], history: &History) -> bool {
        let kinds: &[u8] = match pending.expect {
            Expect::Written(key) => {
                self.wrote(key, pending.tag, false);
                b"+$=_-"
            }
            Expect::Read(_) => b"$=_-",
            Expect::Popped => b"$=_*-",
            _ => b"",
        };
        !history.kinds_checked || kinds.is_empty() || kinds.contains(&frame[0])
    }

    /// A request that stays silent is over when a later one is answered.
    pub fn silence(&mut self, pending: &Pending, late: bool, history: &mut History) {
        let dropped = !late && self.was_dropped(pending, history);
        if dropped && !history.may_have_been_answered_early(pending.tag) {
            self.dropped = Some(pending.tag);
        }
        match pending.expect {
            Expect::Reset => self.setting = Setting::default(),
            Expect::Written(key) => self.wrote(key, pending.tag, false),
            Expect::Popped | Expect::Awaited => history.models.popped_silently(pending.tag),
            _ => {}
        }
        let told = if late || pending.tag.request < self.excused {
            Told::Unknown
        } else {
            Told::Done
        };
        history.told(pending.tag, told, self.setting);
    }

    fn judge(
        &mut self,
        pending: &Pending,
        frame: &[u8],
        history: &mut History,
    ) -> Result<(), &'static str> {
        let not_run = frame.starts_with(b"-TRYAGAIN narrows:");
        self.learn_user(pending.tag, history);
        if self.stranded {
            return Err("answered in a context that it had left");
        }
        if self.unauthenticated
            && self.setting.user == 0
            && !matches!(pending.expect, Expect::Login(_))
        {
            return self.judge_unauthenticated(pending, frame, history);
        }
        match &pending.expect {
            Expect::Written(_)
            | Expect::Read(_)
            | Expect::Served
            | Expect::Popped
            | Expect::Awaited
            | Expect::Info => {
                return self.served(pending, frame, history);
            }
            Expect::Watch
            | Expect::Multi
            | Expect::Queued
            | Expect::WatchRefused
            | Expect::Refused
            | Expect::Exec(_)
            | Expect::Discard(_) => return self.judge_transaction(pending, frame, history),
            Expect::Login(login) => return self.judge_login(*login, frame, history),
            // A right that its user does not have.
            Expect::Exactly(bytes) if self.may_be(RESTRICTED) && is_id(bytes) => {
                let refused = frame == format!("-{NOPERM}\r\n").as_bytes() || frame == EARLY;
                let allowed = self.perhaps.is_some() && frame == bytes;
                if !refused && !allowed && !not_run {
                    return Err("not kept from what it has no right to");
                }
            }
            Expect::Exactly(_) | Expect::Beginning(_) | Expect::List
                if self.users && (not_run || frame == EARLY) => {}
            Expect::Subscribe | Expect::Tracking => {
                return self.judge_subscription(pending, frame, history);
            }
            expect => return self.judge_own(expect, frame, not_run),
        }
        Ok(())
    }

    /// What narrows itself answers.
    fn judge_own(
        &mut self,
        expect: &Expect,
        frame: &[u8],
        not_run: bool,
    ) -> Result<(), &'static str> {
        let is_leased = self.loose || self.watching;
        let lost = is_leased && frame.ends_with(b"; the command may have run\r\n");
        match expect {
            Expect::Exactly(bytes) => {
                if frame != bytes {
                    return Err("another reply");
                }
            }
            Expect::Beginning(text) => {
                if !frame.starts_with(text.as_bytes()) {
                    return Err("another beginning");
                }
            }
            Expect::Reset => {
                self.setting = Setting::default();
                self.subscribed = false;
                if frame != b"+RESET\r\n" {
                    return Err("no RESET");
                }
            }
            // Or nobody knows whether it has moved: on a connection that was lent to it.
            Expect::Select(_) | Expect::Hello(_) if not_run || lost => self.stranded = true,
            // The server's own words for its refusal of the db.
            Expect::Select(_) | Expect::Hello(_) if frame == EARLY => {}
            Expect::Select(db) => match frame {
                b"+OK\r\n" if *db < DATABASES => self.setting.db = *db,
                b"-ERR DB index is out of range\r\n" if *db >= DATABASES => {}
                _ => return Err("no answer to SELECT"),
            },
            Expect::Hello(protocol) => {
                let id = format!("$2\r\nid\r\n:{}\r\n", self.id);
                let first = match protocol {
                    Protocol::Resp2 => b'*',
                    Protocol::Resp3 => b'%',
                };
                if frame[0] != first || !contains(frame, &id) {
                    return Err("no answer to HELLO");
                }
                self.setting.protocol = *protocol;
            }
            Expect::List => {
                if !contains(frame, &format!("id={} ", self.id)) {
                    return Err("a list without the one who asks");
                }
            }
            _ => return Err("judged elsewhere"),
        }
        Ok(())
    }

    pub fn served(
        &mut self,
        pending: &Pending,
        frame: &[u8],
        history: &mut History,
    ) -> Result<(), &'static str> {
        self.learn_user(pending.tag, history);
        let (tag, setting) = (pending.tag, self.setting);
        if frame.starts_with(b"-TRYAGAIN narrows:") {
            history.told(tag, Told::NotRun, setting);
            return Ok(());
        }
        if frame.starts_with(b"-ERR narrows:") || frame == EARLY {
            if let Expect::Written(key) = pending.expect {
                self.wrote(key, tag, false);
            }
            history.told(tag, Told::Unknown, self.setting_of(tag, history));
            return Ok(());
        }
        // On a connection that was lost an element may have been on its way: that cannot be told.
        let unblocked = matches!(frame, b"*-1\r\n" | b"_\r\n") || frame.starts_with(b"-UNBLOCKED ");
        if unblocked && pending.expect.is_wait() && history.unblocked.contains(&self.id) {
            if history.faultless && history.models.takes(history.reply(tag)) {
                return Err("an element was taken for it");
            }
            history.told(tag, Told::Unknown, setting);
            return Ok(());
        }
        if self.moved {
            return Err("served in a db that nobody knows");
        }
        if !frame.starts_with(b"*2") && pending.expect.is_wait() {
            return self.waited_in_vain(tag, frame, history);
        }
        if history.reply(tag).is_none() {
            return Err("it never ran");
        }
        let right = match pending.expect {
            Expect::Info if frame[0] != b'-' => {
                contains(frame, &format!("tag:{}\r\n", tag.text())) && frame.len() > 40
            }
            _ => history.has_answered(tag, frame),
        };
        if !right {
            return Err("not what the server answered");
        }
        match pending.expect {
            // The server has refused it: a replica, or one that is loading.
            _ if frame.starts_with(b"-") => {}
            Expect::Written(key) => self.wrote(key, tag, true),
            Expect::Popped | Expect::Awaited => {
                if let Err(text) = history.models.popped(tag, frame) {
                    history.offend(text);
                }
            }
            Expect::Read(key) if !self.may_hold(key, frame) => return Err("not what it wrote"),
            _ => {}
        }
        history.told(tag, Told::Done, setting);
        Ok(())
    }
}

/// Whether this is an answer to `CLIENT ID`.
fn is_id(reply: &[u8]) -> bool {
    reply.starts_with(b":")
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}
