//! A session played with a server itself. What comes of it is a script: what is to be sent through
//! narrows, and what is to be heard there after each step.
//!
//! Where it is documented that narrows refuses what Redis does not, something that Redis refuses in
//! the same words is sent to the server in its place: what has been refused has not run, and
//! everything that follows is the same again.

use std::time::Instant;

use crate::differences::COUNTS_OF_LISTENERS;
use crate::differential::needs::{Needs, may_wait};
use crate::differential::observer::{Held, Line, MARKER, Observer};
use crate::differential::session::{CLIENTS, Cut, Ending, Request, Session, Step};
use crate::differential::setting::Setting;
use crate::differential::state::{Moment, State};
use crate::support::{Conn, RedisServer, Reply};

/// Bytes that Redis writes to a client before it looks at others (`NET_MAX_WRITES_PER_EVENT`).
const WRITTEN_BYTES: usize = 64 * 1024;

/// What is to be done through narrows, and what is to come of it.
pub(crate) struct Script {
    pub(crate) steps: Vec<Expected>,
    pub(crate) digest: String,
    /// The clients' ids at the server, by their number, at the end.
    pub(crate) ids: Vec<Vec<String>>,
}

/// One step.
pub(crate) struct Expected {
    pub(crate) step: Step,
    /// The client is a new one.
    pub(crate) is_new: bool,
    pub(crate) heard: Vec<Heard>,
    /// What clients that may be silent are made to say behind that, one after the other.
    pub(crate) words: Vec<Word>,
    /// Those of them that may not say any.
    pub(crate) speechless: Vec<usize>,
    /// What all clients together hold at the server then.
    pub(crate) held: Held,
    /// See [`State::stood_for`], by client.
    pub(crate) stood_for: Vec<String>,
    /// Some client has tracked keys and does so no more.
    pub(crate) has_tracked: bool,
}

/// A word of one client.
pub(crate) struct Word {
    pub(crate) client: usize,
    pub(crate) text: String,
    pub(crate) heard: Vec<Heard>,
}

/// What one client hears in a step.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) replies: Vec<Reply>,
    /// Of all that it has read before it sees the end it may have dropped the replies that are not
    /// listed here: see `differences.rs`.
    pub(crate) is_cut_short: bool,
    pub(crate) ended: bool,
}

/// Why a session is not compared.
#[derive(Debug)]
pub(crate) struct Unclear(pub(crate) &'static str);

struct Direct<'a> {
    server: &'a RedisServer,
    observer: &'a mut Observer,
    setting: &'a Setting,
    brief: Vec<String>,
    conns: Vec<Option<Conn>>,
    states: Vec<State>,
    /// Each client's connection at the server as it stood after the last step.
    lines: Vec<Line>,
    ids: Vec<Vec<String>>,
    has_tracked: bool,
    words: usize,
}

/// Plays `session`.
pub(crate) fn run(
    session: &Session,
    server: &RedisServer,
    observer: &mut Observer,
    setting: &Setting,
) -> Result<Script, Unclear> {
    let mut brief: Vec<String> = session.brief.iter().map(|v| v.to_lowercase()).collect();
    brief.push("wait".to_owned());
    let mut direct = Direct {
        server,
        observer,
        setting,
        brief,
        conns: (0..CLIENTS).map(|_| None).collect(),
        states: vec![State::default(); CLIENTS],
        lines: vec![Line::default(); CLIENTS],
        ids: Vec::new(),
        has_tracked: false,
        words: 0,
    };
    let mut steps = Vec::new();
    let endings = (0..CLIENTS).map(|client| Step {
        client,
        requests: Vec::new(),
        cut: Cut::Whole,
        ending: Ending::HalfClose,
    });
    for client in 0..CLIENTS {
        let opening = Step {
            client,
            requests: Vec::new(),
            cut: Cut::Whole,
            ending: Ending::Open,
        };
        steps.extend(direct.step(&opening)?);
    }
    for step in session.steps.iter().cloned().chain(endings) {
        steps.extend(direct.step(&step)?);
    }
    Ok(Script {
        digest: direct.observer.digest(),
        steps,
        ids: direct.ids,
    })
}

impl Direct<'_> {
    /// `None`: the step is left out.
    fn step(&mut self, step: &Step) -> Result<Option<Expected>, Unclear> {
        let client = step.client;
        if step.ending != Ending::Open && self.conns[client].is_none() {
            return Ok(None);
        }
        let mut step = step.clone();
        let all = 0..step.requests.len();
        let chances: Vec<bool> = all.map(|at| self.is_chance(&step, at)).collect();
        let mut chances = chances.into_iter();
        (step.requests)
            .retain(|request| chances.next() == Some(false) && self.is_compared(request));
        if step.ending == Ending::HalfClose {
            step.requests.retain(|request| !self.is_brief(request));
            if step.requests.iter().any(may_wait) {
                step.cut = Cut::Whole;
            }
        }
        self.keep_in_order(&mut step);
        if !self.has_room(&step) {
            return Ok(None);
        }
        let is_new = self.conns[client].is_none();
        if is_new {
            self.connect(client);
        }
        let bytes = self.compose(&mut step);
        let was_blocked: Vec<bool> = self.lines.iter().map(Line::is_blocked).collect();
        if let Some(conn) = &mut self.conns[client] {
            let _ = match step.ending {
                Ending::HalfClose => conn.try_send_last(&bytes),
                Ending::Open | Ending::Leave => conn.try_send(&bytes),
            };
            if step.ending == Ending::Leave {
                self.conns[client] = None;
            }
        }
        let tracks = |line: &Line| line.flags.contains('t');
        let tracked: Vec<bool> = self.lines.iter().map(tracks).collect();
        let mut heard = self.settle(bytes.len(), &step)?;
        heard[client].is_cut_short &= step.ending == Ending::HalfClose;
        let mut lines = self.lines.iter().zip(tracked);
        self.has_tracked |= lines.any(|(line, tracked)| tracked && !tracks(line));
        let (words, speechless) = self.change(client, &was_blocked)?;
        if step.ending == Ending::Leave {
            self.states[client] = State::default();
        }
        Ok(Some(Expected {
            step,
            is_new,
            heard,
            words,
            speechless,
            held: Held::of(&self.lines),
            has_tracked: self.has_tracked,
            stood_for: self.states.iter().map(|s| s.stood_for.clone()).collect(),
        }))
    }

    /// What stands behind a wait runs when it ends, beside what is sent behind the request that ends
    /// it: only one client at a time has such requests, and others send one at a time then.
    fn keep_in_order(&self, step: &mut Step) {
        let client = step.client;
        let others = || (0..CLIENTS).filter(|other| *other != client);
        let is_blocked = |client: usize| self.lines[client].is_blocked();
        let has_backlog = |other: usize| is_blocked(other) && self.states[other].backlog > 1;
        if others().any(has_backlog) {
            step.requests.truncate(1);
            step.requests.retain(|request| !may_wait(request));
            // Its end would be seen beside it too.
            if step.ending != Ending::Open {
                step.requests.clear();
            }
        }
        if others().any(is_blocked) {
            if is_blocked(client) {
                step.requests.clear();
            } else if step.requests.iter().any(may_wait) {
                step.requests.truncate(1);
            }
        }
    }

    /// What is sent to the server for `step`, which keeps what is compared.
    fn compose(&mut self, step: &mut Step) -> Vec<u8> {
        let nature = &self.observer.nature;
        let line = &self.lines[step.client];
        let state = &mut self.states[step.client];
        let ids = self.ids.last().expect("somebody is there");
        let mut bytes = Vec::new();
        let mut kept = Vec::new();
        for request in step.requests.drain(..) {
            let moment = Moment {
                before: &kept,
                line,
                nature,
                setting: self.setting,
            };
            if !state.is_compared(&request, moment) {
                continue;
            }
            bytes.extend(state.sent_directly(&request, nature).bytes(ids));
            state.sent(&request);
            kept.push(request);
        }
        step.requests = kept;
        bytes
    }

    fn connect(&mut self, client: usize) {
        let mut conn = self.server.connect();
        let id = conn.call(&["CLIENT", "ID"]).text();
        let mut ids = self.ids.last().cloned().unwrap_or_default();
        ids.resize(CLIENTS, "999999999".to_owned());
        ids[client] = id;
        self.ids.push(ids);
        self.conns[client] = Some(conn);
        self.states[client] = State::default();
    }

    /// Waits until the server has done all that it will do, and takes what has come of it.
    fn settle(&mut self, bytes: usize, step: &Step) -> Result<Vec<Heard>, Unclear> {
        let deadline = Instant::now() + self.observer.patience;
        loop {
            self.look(bytes);
            let waits_briefly =
                |line: &Line| line.is_blocked() && self.brief.contains(&line.command);
            let is_leaving = step.ending != Ending::Open && !self.lines[step.client].id.is_empty();
            if !self.lines.iter().any(waits_briefly) && !is_leaving {
                break;
            }
            if Instant::now() > deadline {
                return Err(Unclear("who leaves or waits briefly is still there"));
            }
        }
        // What was seen last may have had consequences that are written only now.
        self.look(0);
        let heard = self.take_all();
        for (client, state) in self.states.iter_mut().enumerate() {
            if self.conns[client].is_some() && !state.seen(&self.lines[client]) {
                return Err(Unclear("a client does not stand as it is supposed to"));
            }
        }
        Ok(heard)
    }

    fn look(&mut self, bytes: usize) {
        let lines = self.observer.rest(bytes);
        let Some(ids) = self.ids.last() else { return };
        let line = |id: &String| lines.iter().find(|line| line.id == *id);
        self.lines = ids
            .iter()
            .map(|id| line(id).cloned().unwrap_or_default())
            .collect();
    }

    fn take_all(&mut self) -> Vec<Heard> {
        (0..CLIENTS).map(|client| self.take(client)).collect()
    }

    fn take(&mut self, client: usize) -> Heard {
        let mut heard = Heard::default();
        let Some(conn) = &mut self.conns[client] else {
            return heard;
        };
        let is_gone = self.lines[client].id.is_empty();
        let deadline = Instant::now() + self.observer.patience;
        loop {
            let arrived = conn.arrived();
            heard.replies.extend(arrived.replies);
            let whole: usize = heard.replies.iter().map(|reply| reply.raw().len()).sum();
            heard.is_cut_short = whole + arrived.partial >= WRITTEN_BYTES;
            heard.ended |= arrived.ended;
            // Its end may be some moments on its way.
            if heard.ended || !is_gone || Instant::now() > deadline {
                break;
            }
        }
        if heard.ended {
            self.conns[client] = None;
            self.lines[client] = Line::default();
        }
        heard
    }

    /// Clients that may be silent say a word that is heard at the server: all that they have sent is
    /// done then.
    fn change(
        &mut self,
        client: usize,
        was_blocked: &[bool],
    ) -> Result<(Vec<Word>, Vec<usize>), Unclear> {
        let (mut words, mut speechless) = (Vec::new(), Vec::new());
        for (silent, was_blocked) in was_blocked.iter().enumerate() {
            let (state, line) = (&self.states[silent], &self.lines[silent]);
            let is_due = silent == client || *was_blocked;
            if !is_due || !state.may_be_silent || line.is_blocked() {
                continue;
            }
            if !state.may_publish(line) {
                speechless.push(silent);
                continue;
            }
            let Some(conn) = &mut self.conns[silent] else {
                continue;
            };
            self.words += 1;
            let text = format!("word{}", self.words);
            conn.send(Request::of(&["PUBLISH", MARKER, &text]).bytes(&[]));
            if !self.observer.hears(&text) {
                return Err(Unclear("a word of one that may be silent is not heard"));
            }
            self.look(0);
            words.push(Word {
                client: silent,
                text,
                heard: self.take_all(),
            });
        }
        Ok((words, speechless))
    }

    /// Whether what comes of a request of `step` is a matter of chance, or of what narrows does at
    /// another time: see `differences.rs`.
    fn is_chance(&self, step: &Step, at: usize) -> bool {
        let before = &step.requests[..at];
        let is_count = |request: &Request| COUNTS_OF_LISTENERS.contains(&&*request.name().0);
        let killed = |request: &Request| ended(request, "KILL");
        if is_count(&step.requests[at]) {
            let mut killed = before.iter().filter_map(killed);
            return killed.any(|other| self.lines[other].listens());
        }
        let was_inside = self.states[step.client].multi;
        let is_inside = before.iter().fold(was_inside, |is_inside, request| {
            match request.name().0.as_str() {
                "MULTI" => true,
                "EXEC" | "DISCARD" | "RESET" => false,
                _ => is_inside,
            }
        });
        let request = &step.requests[at];
        let is_served =
            |other: usize| self.lines[other].listens() || self.lines[other].is_blocked();
        match killed(request) {
            Some(other) => is_inside || (at > 0 && is_served(other)),
            None => is_inside && ended(request, "UNBLOCK").is_some(),
        }
    }

    /// Whether `request` waits for some milliseconds only.
    fn is_brief(&self, request: &Request) -> bool {
        let (command, _) = request.name();
        may_wait(request) && self.brief.contains(&command.to_lowercase())
    }

    fn is_compared(&self, request: &Request) -> bool {
        let (command, argument) = request.name();
        // Who hears everything hears what narrows publishes in front of it.
        if command == "WAIT" && self.lines.iter().any(|line| line.subscriptions[1] > 0) {
            return false;
        }
        // A wait that is ended takes with it what its client watches, and one that listens.
        let ends_wait = command == "CLIENT" && argument == "UNBLOCK";
        let other = request.other().filter(|_| ends_wait);
        other.is_none_or(|other| {
            self.states[other].may_watch.is_none() && !self.lines[other].listens()
        })
    }

    /// Whether the connections that there are suffice for what clients hold.
    fn has_room(&self, step: &Step) -> bool {
        let others = (0..CLIENTS).filter(|other| *other != step.client);
        let holds = |other: &usize| self.states[*other].holds(&self.lines[*other]);
        let held = others.clone().filter(holds).count();
        let blocked = others.filter(|other| self.lines[*other].is_blocked());
        let blocked = blocked.count();
        let needs = Needs::of(&step.requests, step.cut, &self.observer.nature.arities);
        let is_full = held >= self.setting.leases;
        let opens_more = needs.leases && is_full;
        let waits_more = needs.waits && (blocked >= self.setting.waits || is_full);
        let stays_more = needs.stays && !self.setting.may_stay();
        !opens_more && !waits_more && !stays_more
    }
}

/// The client that `request`, `CLIENT KILL` or `CLIENT UNBLOCK`, ends or its wait, if it is one of the
/// session's.
fn ended(request: &Request, by: &str) -> Option<usize> {
    let (command, argument) = request.name();
    request
        .other()
        .filter(|_| command == "CLIENT" && argument == by)
}
