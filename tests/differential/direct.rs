//! A session played with a server itself. What comes of it is a script: what is to be sent through
//! narrows, and what is to be heard there after each step.
//!
//! Where it is documented that narrows refuses what Redis does not, something that Redis refuses in
//! the same words is sent to the server in its place: what has been refused has not run, and
//! everything that follows is the same again.

use std::time::Instant;

use crate::known;
use crate::prompter::{Held, Line, MARKER, Prompter};
use crate::session::{CLIENTS, Cut, Ending, Request, Session, Step};
use crate::setting::Setting;
use crate::state::State;
use crate::support::{Conn, RedisServer, Reply};

/// What is to be done through narrows, and what is to come of it.
pub(crate) struct Script {
    pub(crate) scenes: Vec<Scene>,
    pub(crate) digest: String,
    /// The clients' ids at the server, by their number, at the end.
    pub(crate) ids: Vec<Vec<String>>,
}

/// One step.
pub(crate) struct Scene {
    pub(crate) step: Step,
    /// The client is a new one.
    pub(crate) is_new: bool,
    /// What clients that may be silent are made to say behind it, one after the other.
    pub(crate) words: Vec<(usize, String)>,
    pub(crate) heard: Vec<Heard>,
    /// What all clients together hold at the server then.
    pub(crate) held: Held,
}

/// What one client hears in a step.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) replies: Vec<Reply>,
    pub(crate) ended: bool,
}

/// Why a session is not compared.
#[derive(Debug)]
pub(crate) struct Unclear;

struct Direct<'a> {
    server: &'a RedisServer,
    prompter: &'a mut Prompter,
    setting: &'a Setting,
    brief: Vec<String>,
    conns: Vec<Option<Conn>>,
    states: Vec<State>,
    /// Each client's connection at the server as it stood after the last step.
    lines: Vec<Line>,
    ids: Vec<Vec<String>>,
    words: usize,
}

/// Plays `session`.
pub(crate) fn play(
    session: &Session,
    server: &RedisServer,
    prompter: &mut Prompter,
    setting: &Setting,
) -> Result<Script, Unclear> {
    let mut brief: Vec<String> = session.brief.iter().map(|v| v.to_lowercase()).collect();
    brief.push("wait".to_owned());
    let mut direct = Direct {
        server,
        prompter,
        setting,
        brief,
        conns: (0..CLIENTS).map(|_| None).collect(),
        states: vec![State::default(); CLIENTS],
        lines: vec![Line::default(); CLIENTS],
        ids: Vec::new(),
        words: 0,
    };
    let mut scenes = Vec::new();
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
        scenes.extend(direct.step(&opening)?);
    }
    for step in session.steps.iter().cloned().chain(endings) {
        scenes.extend(direct.step(&step)?);
    }
    Ok(Script {
        digest: direct.prompter.digest(),
        scenes,
        ids: direct.ids,
    })
}

impl Direct<'_> {
    /// `None`: the step is left out.
    fn step(&mut self, step: &Step) -> Result<Option<Scene>, Unclear> {
        let client = step.client;
        if step.ending != Ending::Open && self.conns[client].is_none() {
            return Ok(None);
        }
        let mut step = step.clone();
        step.requests.retain(|request| self.is_compared(request));
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
            let _ = conn.try_send(&bytes);
            match step.ending {
                Ending::Open => {}
                Ending::HalfClose => {
                    let _ = conn.try_finish_sending();
                }
                Ending::Leave => self.conns[client] = None,
            }
        }
        let mut heard: Vec<Heard> = (0..CLIENTS).map(|_| Heard::default()).collect();
        self.settle(bytes.len(), &step, &mut heard)?;
        let words = self.mark(client, &was_blocked, &mut heard)?;
        if step.ending == Ending::Leave {
            self.states[client] = State::default();
        }
        Ok(Some(Scene {
            step,
            is_new,
            words,
            heard,
            held: Held::of(&self.lines),
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
            let waits = |request: &Request| State::waits(request);
            step.requests.retain(|request| !waits(request));
        }
        if others().any(is_blocked) {
            if is_blocked(client) {
                step.requests.clear();
            } else if step.requests.iter().any(State::waits) {
                step.requests.truncate(1);
            }
        }
    }

    /// What is sent to the server for `step`, which keeps what is compared.
    fn compose(&mut self, step: &mut Step) -> Vec<u8> {
        let flavor = self.server.flavor();
        let line = &self.lines[step.client];
        let state = &mut self.states[step.client];
        let ids = self.ids.last().expect("somebody is there");
        let mut bytes = Vec::new();
        let mut kept = Vec::new();
        for request in step.requests.drain(..) {
            let moment = known::Moment {
                before: &kept,
                ending: step.ending,
                holds: state.may_hold(line),
            };
            let is_compared = state.is_compared(&request, &kept, line, flavor);
            if moment.is_broken(&request) || !is_compared {
                continue;
            }
            bytes.extend(state.sent_directly(&request, flavor).bytes(ids));
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
    fn settle(&mut self, bytes: usize, step: &Step, heard: &mut [Heard]) -> Result<(), Unclear> {
        let deadline = Instant::now() + self.prompter.patience;
        loop {
            self.look(bytes);
            let waits_briefly =
                |line: &Line| line.is_blocked() && self.brief.contains(&line.command);
            let is_leaving = step.ending != Ending::Open && !self.lines[step.client].id.is_empty();
            if !self.lines.iter().any(waits_briefly) && !is_leaving {
                break;
            }
            if Instant::now() > deadline {
                return Err(Unclear);
            }
        }
        // What was seen last may have had consequences that are written only now.
        self.look(0);
        for (client, heard) in heard.iter_mut().enumerate() {
            self.take(client, heard);
        }
        for (client, state) in self.states.iter_mut().enumerate() {
            let line = &self.lines[client];
            state.seen(line);
            let is_open = self.conns[client].is_some() && !line.is_blocked();
            if is_open && line.multi != state.multi {
                return Err(Unclear);
            }
        }
        Ok(())
    }

    fn look(&mut self, bytes: usize) {
        let lines = self.prompter.rest(bytes);
        let Some(ids) = self.ids.last() else { return };
        let line = |id: &String| lines.iter().find(|line| line.id == *id);
        self.lines = ids
            .iter()
            .map(|id| line(id).cloned().unwrap_or_default())
            .collect();
    }

    fn take(&mut self, client: usize, heard: &mut Heard) {
        let Some(conn) = &mut self.conns[client] else {
            return;
        };
        let is_gone = self.lines[client].id.is_empty();
        let deadline = Instant::now() + self.prompter.patience;
        loop {
            let arrived = conn.arrived();
            heard.replies.extend(arrived.replies);
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
    }

    /// Clients that may be silent say a word that is heard at the server: all that they have sent is
    /// done then.
    fn mark(
        &mut self,
        client: usize,
        was_blocked: &[bool],
        heard: &mut [Heard],
    ) -> Result<Vec<(usize, String)>, Unclear> {
        let mut words = Vec::new();
        for silent in 0..CLIENTS {
            let (state, line) = (&self.states[silent], &self.lines[silent]);
            let is_due = silent == client || was_blocked[silent];
            if !is_due || !state.may_be_silent || !state.may_publish(line) {
                continue;
            }
            let Some(conn) = &mut self.conns[silent] else {
                continue;
            };
            self.words += 1;
            let word = format!("word{}", self.words);
            conn.send(Request::of(&["PUBLISH", MARKER, &word]).bytes(&[]));
            if !self.prompter.hears(&word) {
                return Err(Unclear);
            }
            self.look(0);
            self.take(silent, &mut heard[silent]);
            words.push((silent, word));
        }
        Ok(words)
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
        let wants = State::wants(&step.requests, step.cut);
        let is_full = held >= self.setting.leases;
        let opens_more = wants.leases && is_full;
        let waits_more = wants.waits && (blocked >= self.setting.waits || is_full);
        let stays_more = wants.stays && !self.setting.may_stay();
        !opens_more && !waits_more && !stays_more
    }
}
