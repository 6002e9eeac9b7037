//! A session held with an endpoint: after each step it is waited until the server has come to
//! rest, so that what a client sees depends on the order of the steps alone.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::session::{CLIENTS, Request, Session, Step};
use crate::differences::name_away;
use crate::support::{Conn, RedisServer, command};

/// All that was seen: for each step, by whom and what.
pub(crate) type Seen = Vec<Vec<(usize, String)>>;

/// How long the server may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much later than at rest a reply may come that is not expected of the server itself.
const LATE: Duration = Duration::from_secs(2);

struct Actor {
    conn: Conn,
    /// Requests whose replies have not come.
    waits: VecDeque<Request>,
    /// It may hear what it has not asked for.
    subscribes: bool,
    /// It may watch keys.
    watches: bool,
    is_closed: bool,
}

struct Runner<'a> {
    actors: Vec<Actor>,
    ids: Vec<String>,
    /// Asks the server itself.
    observer: Conn,
    seen: Seen,
    connect: &'a dyn Fn() -> Conn,
    /// What was seen when it was played before.
    before: Option<&'a Seen>,
}

/// Holds `session` with clients that `connect` makes; `server` stands behind them. What was seen
/// `before` is waited for: it may come later here than the server comes to rest.
pub(crate) fn run(
    session: &Session,
    server: &RedisServer,
    connect: &dyn Fn() -> Conn,
    before: Option<&Seen>,
) -> Seen {
    let mut actors: Vec<Actor> = (0..CLIENTS).map(|_| Actor::new(connect())).collect();
    let id = |actor: &mut Actor| actor.conn.call(&["CLIENT", "ID"]).integer().to_string();
    let ids = actors.iter_mut().map(id).collect();
    let mut runner = Runner {
        actors,
        ids,
        observer: server.connect(),
        seen: Vec::new(),
        connect,
        before,
    };
    for step in &session.steps {
        runner.step(step);
    }
    runner.end();
    runner.seen
}

impl Actor {
    fn new(conn: Conn) -> Self {
        Self {
            conn,
            waits: VecDeque::new(),
            subscribes: false,
            watches: false,
            is_closed: false,
        }
    }

    /// All that has come before the answer to a word of its own.
    fn hear_to_the_end(&mut self) -> Vec<String> {
        const WORD: &[u8] = b"that-is-all-for-now";
        if self.is_closed {
            return Vec::new();
        }
        let _ = self.conn.try_send(command(&[b"PING".as_slice(), WORD]));
        let mut heard = Vec::new();
        loop {
            match self.conn.try_reply_within(PATIENCE) {
                Ok(reply) if reply.raw().windows(WORD.len()).any(|part| part == WORD) => break,
                Ok(reply) => {
                    let is_list = reply.raw().windows(6).any(|part| part == b" addr=");
                    let request = if is_list { "CLIENT LIST" } else { "HELLO" };
                    let text = name_away(request, reply.raw());
                    heard.push(text.escape_ascii().to_string());
                }
                Err(error) => {
                    self.is_closed = error.kind() != std::io::ErrorKind::WouldBlock;
                    heard.push(if self.is_closed { "closed" } else { "no end" }.to_owned());
                    break;
                }
            }
        }
        heard
    }

    /// What has come or comes within `patience`.
    fn hear(&mut self, patience: Duration) -> Option<String> {
        let reply = match self.conn.try_reply_within(patience) {
            Ok(reply) => reply,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return None,
            Err(_) => {
                self.is_closed = true;
                self.waits.clear();
                return Some("closed".to_owned());
            }
        };
        let request = self.waits.pop_front();
        let text = request.map_or("pushed".to_owned(), |request| request.text());
        Some(name_away(&text, reply.raw()).escape_ascii().to_string())
    }
}

impl Runner<'_> {
    fn step(&mut self, step: &Step) {
        self.seen.push(Vec::new());
        let actor = &mut self.actors[step.client];
        if actor.is_closed || !actor.waits.is_empty() {
            return;
        }
        actor.subscribes |= step.requests.iter().any(|request| request.subscribes);
        let requests = step.requests.iter();
        let requests: VecDeque<Request> = requests
            .filter(|request| self.may_be_compared(step.client, request))
            .cloned()
            .collect();
        let bytes = requests.iter().flat_map(|request| request.bytes(&self.ids));
        let bytes: Vec<u8> = bytes.collect();
        let actor = &mut self.actors[step.client];
        let _ = actor.conn.try_send(bytes);
        for request in &requests {
            actor.watches = request.leaves_watches(actor.watches);
        }
        if !actor.subscribes {
            actor.waits = requests;
        }
        self.settle();
        self.hear_what_was_heard_before();
        self.take_pushes();
        if self.has_killed(step) {
            self.settle_the_killed();
        }
        // Whose replies of a step came first is a matter of who was listened to first.
        if let Some(seen) = self.seen.last_mut() {
            seen.sort_by_key(|(client, _)| *client);
        }
    }

    fn may_be_compared(&self, client: usize, request: &Request) -> bool {
        match request.text().as_str() {
            // Whose id it is cannot be told among what is heard.
            "CLIENT ID" => !self.actors[client].subscribes,
            // A wait that is ended takes what its client watches with it.
            "CLIENT UNBLOCK" => request
                .other()
                .is_none_or(|other| !self.actors[other].watches),
            _ => true,
        }
    }

    /// Takes what has come to those who may hear what they have not asked for.
    fn take_pushes(&mut self) {
        for client in 0..CLIENTS {
            if self.actors[client].subscribes {
                for text in self.actors[client].hear_to_the_end() {
                    self.see(client, text);
                }
            }
        }
    }

    /// Takes what comes until every client that still waits does so at the server.
    fn settle(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            for client in 0..CLIENTS {
                self.hear_all(client);
            }
            let waiting = self.actors.iter().filter(|a| !a.waits.is_empty()).count();
            if waiting == 0 || waiting == self.blocked() {
                return;
            }
            if Instant::now() > deadline {
                let missing = format!("{waiting} wait, {} at the server", self.blocked());
                self.see(CLIENTS, missing);
                self.actors.iter_mut().for_each(|actor| actor.waits.clear());
                return;
            }
        }
    }

    fn hear_what_was_heard_before(&mut self) {
        let Some(before) = self.before.and_then(|seen| seen.get(self.seen.len() - 1)) else {
            return;
        };
        for client in 0..CLIENTS {
            let by = |seen: &[(usize, String)]| seen.iter().filter(|(by, _)| *by == client).count();
            while !self.actors[client].waits.is_empty()
                && by(self.seen.last().unwrap()) < by(before)
            {
                let Some(text) = self.actors[client].hear(LATE) else {
                    break;
                };
                self.see(client, text);
            }
        }
    }

    /// All replies up to one that may be long in coming.
    fn hear_all(&mut self, client: usize) {
        while let Some(next) = self.actors[client].waits.front() {
            let patience = if next.may_wait {
                Duration::from_millis(1)
            } else {
                PATIENCE
            };
            let Some(text) = self.actors[client].hear(patience) else {
                return;
            };
            self.see(client, text);
        }
    }

    fn blocked(&mut self) -> usize {
        let info = self.observer.call(&["INFO", "clients"]).text();
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix("blocked_clients:"));
        line.unwrap().parse().unwrap()
    }

    fn see(&mut self, client: usize, text: String) {
        self.seen.last_mut().unwrap().push((client, text));
    }

    fn has_killed(&self, step: &Step) -> bool {
        step.requests
            .iter()
            .any(|request| request.text() == "CLIENT KILL")
            && self.seen.last().is_some_and(|seen| {
                seen.iter()
                    .any(|(client, text)| *client == step.client && text == ":1\\r\\n")
            })
    }

    /// Whoever was killed hears of it, and somebody new takes the place.
    fn settle_the_killed(&mut self) {
        for client in 0..CLIENTS {
            let actor = &mut self.actors[client];
            // A client that lives answers; one that waits is silent.
            let is_waiting = !actor.waits.is_empty();
            let text = if actor.is_closed || actor.subscribes {
                // What it heard has been seen, its end as well.
                let heard = actor.hear_to_the_end();
                heard.into_iter().next()
            } else if is_waiting {
                actor.hear(Duration::from_millis(200))
            } else {
                let _ = actor.conn.try_send("PING\r\n");
                actor.hear(PATIENCE)
            };
            let closed = self.actors[client].is_closed;
            if let Some(text) = text.filter(|_| closed || is_waiting) {
                self.see(client, text);
            }
            if closed {
                let mut actor = Actor::new((self.connect)());
                self.ids[client] = actor.conn.call(&["CLIENT", "ID"]).integer().to_string();
                self.actors[client] = actor;
            }
        }
    }

    /// Whoever still waits is released, and nothing more may come to anybody.
    fn end(&mut self) {
        self.seen.push(Vec::new());
        self.take_pushes();
        let mut releasing = (self.connect)();
        for client in 0..CLIENTS {
            if !self.actors[client].waits.is_empty() {
                let released = releasing.call(&["CLIENT", "UNBLOCK", &self.ids[client]]);
                self.see(client, released.raw().escape_ascii().to_string());
                let text = self.actors[client].hear(PATIENCE);
                self.see(client, text.unwrap_or_else(|| "nothing".to_owned()));
            }
            if self.actors[client].subscribes {
                continue;
            }
            // In an open transaction this is queued: the same on both sides.
            let _ = self.actors[client].conn.try_send("ECHO that-is-all\r\n");
            let text = self.actors[client].hear(PATIENCE);
            self.see(client, text.unwrap_or_else(|| "nothing".to_owned()));
        }
    }
}
