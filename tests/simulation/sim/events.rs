//! What can happen in a simulation, one small event at a time: on a connection, at a client, in
//! the mail between workers. What goes wrong on purpose is in `faults`.

use std::time::Duration;

use bytes::Bytes;
use narrows::admission::Permit;
use narrows::engine::{AnswerTo, BackendId, Mail, Received};
use narrows::topology::EndpointId;

use super::server::State;
use super::world::{Conn, Message, World};

/// How a dial ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialEnd {
    Open,
    Refused,
    /// The server greets with its error for `maxclients` and closes.
    Full,
}

impl World {
    /// A client's bytes reach narrows, as far as the runtime reads it.
    pub fn send_some(&mut self, at: usize, most: usize) -> bool {
        let actor = &mut self.actors[at];
        if actor.gone || !actor.readable {
            return false;
        }
        let (w, key) = (actor.worker, actor.key);
        if actor.unsent.is_empty() && (!actor.half_closed || actor.half_close_told) {
            return false;
        }
        let engine = &mut self.workers[w].engine;
        if !engine.may_read(key) {
            actor.readable = false;
            return false;
        }
        if actor.unsent.is_empty() {
            actor.half_close_told = true;
            engine.client_eof(key, self.now);
            return true;
        }
        let n = actor.sends(most.max(1));
        if n == 0 {
            return false;
        }
        let bytes: Vec<u8> = actor.unsent.drain(..n).collect();
        let number = actor.number;
        engine.client_bytes(key, &bytes, self.now);
        self.note(&format!("client {number} sends"), &bytes);
        true
    }

    /// A client's socket is gone.
    pub fn vanish(&mut self, at: usize) {
        let actor = &mut self.actors[at];
        if !actor.gone {
            actor.gone = true;
            let (w, key, number) = (actor.worker, actor.key, actor.number);
            let is_cut = !actor.unsent.is_empty() && self.rng.hits(50);
            let engine = &mut self.workers[w].engine;
            match engine.may_read(key) || is_cut {
                true => {
                    engine.client_gone(key, self.now);
                    self.history.leaves(number);
                }
                // Only its end is seen, which stands behind what is not read. What it has asked for
                // before still runs, as with the server itself, but for a wait that is under way.
                false => {
                    engine.client_hung_up(key, self.now);
                    let mut links = self.conns.values().filter_map(|conn| conn.link.as_ref());
                    if links.any(|link| link.waits_for(number)) {
                        self.history.leaves(number);
                    }
                }
            }
            self.note(&format!("client {number} vanishes"), b"");
        }
    }

    /// A client reads again what its socket did not take.
    pub fn push_stream(&mut self, at: usize, appetite: usize) -> bool {
        let actor = &mut self.actors[at];
        actor.appetite = appetite;
        if actor.gone || !actor.blocked || actor.takes_now() == 0 {
            return false;
        }
        actor.blocked = false;
        self.write_client(at);
        true
    }

    /// narrows dials.
    pub fn dial(&mut self, (w, id): (usize, BackendId), endpoint: EndpointId, permit: Permit) {
        assert_eq!(endpoint, self.topology.endpoint(), "nobody is there");
        let ends = [
            DialEnd::Open,
            DialEnd::Open,
            DialEnd::Open,
            DialEnd::Refused,
            DialEnd::Full,
        ];
        let is_quick = self.in_time_slices || self.focus.is_some();
        let end = match self.is_quiescent || is_quick {
            true => DialEnd::Open,
            false => self.rng.one_of(&ends),
        };
        let due = self.now + self.rng.micros(if is_quick { 2000 } else { 20_000 });
        let capacity = match self.in_time_slices {
            true => 1 << 20,
            false => self.rng.one_of(&[30, 500, 1 << 20, 1 << 20]),
        };
        let capacity = self.capacity_as_made().unwrap_or(capacity);
        let capacity = self.roomy(capacity);
        let conn = Conn {
            _permit: permit,
            end,
            due,
            link: None,
            to_server: Vec::new(),
            capacity,
            blocked: false,
            closes_after: None,
        };
        self.conns.insert((w, id), conn);
    }

    /// Which connections are not lost yet.
    pub fn count_the_living(&mut self) {
        let alive = self.conns.values().filter_map(|conn| {
            let link = conn.link.as_ref().filter(|_| conn.closes_after.is_none());
            link.map(|link| link.id)
        });
        self.history.push_streams.alive = alive.collect();
        self.server.hub.retain(&self.history.push_streams.alive);
    }

    /// The oldest dial that is due comes to its end.
    pub fn end_dial(&mut self) -> Option<usize> {
        let now = self.now;
        self.server.now = now;
        let due = |conn: &Conn| conn.link.is_none() && conn.due <= now;
        let (w, id) = self
            .conns
            .iter()
            .find(|(_, conn)| due(conn))
            .map(|(key, _)| *key)?;
        let conn = self.conns.get_mut(&(w, id))?;
        let engine = &mut self.workers[w].engine;
        if !engine.survey().has_backend(id) {
            self.conns.remove(&(w, id));
        } else if conn.end == DialEnd::Refused || !self.server.accepts() {
            self.conns.remove(&(w, id));
            engine.dial_failed(id, "refused".to_owned(), self.now);
        } else {
            let mut link = self.server.accept();
            if conn.end == DialEnd::Full {
                link.out
                    .extend_from_slice(b"-ERR max number of clients reached\r\n");
                conn.closes_after = Some(link.out.len());
            }
            conn.link = Some(link);
            engine.dialled(id, self.now);
        }
        self.note("dial ends", format!("{w} {id:?}").as_bytes());
        Some(w)
    }

    /// The server receives bytes, and narrows may write more.
    pub fn receive(&mut self, (w, id): (usize, BackendId), most: usize) -> bool {
        let Some(conn) = self.conns.get_mut(&(w, id)) else {
            return false;
        };
        let Some(link) = &mut conn.link else {
            return false;
        };
        let n = conn.to_server.len().min(most);
        if link.state == State::Deaf {
            return false;
        }
        if n == 0 || conn.closes_after.is_some() {
            return false;
        }
        link.input.extend(conn.to_server.drain(..n));
        if std::mem::take(&mut conn.blocked) {
            self.write_backend(w, id);
        }
        true
    }

    /// The server executes what it has received, up to `most` requests.
    pub fn execute(&mut self, key: (usize, BackendId), most: usize) -> bool {
        let Some(conn) = self.conns.get_mut(&key) else {
            return false;
        };
        let Some(link) = conn.link.as_mut().filter(|_| conn.closes_after.is_none()) else {
            return false;
        };
        link.is_left = self.workers[key.0].engine.survey().is_cleaning(key.1);
        self.server.now = self.now;
        let mut executed = 0;
        while executed < most && link.execute(&mut self.server, &mut self.history) {
            executed += 1;
        }
        if link.is_left {
            self.history.push_streams.left(link.id);
        }
        self.check_order_of_line();
        executed > 0
    }

    /// Replies reach narrows, or the end of the connection does.
    pub fn deliver(&mut self, (w, id): (usize, BackendId), most: usize) -> bool {
        if self.desyncs {
            self.excuse_if_desynced((w, id));
        }
        let Some(conn) = self.conns.get_mut(&(w, id)) else {
            return false;
        };
        let Some(link) = conn.link.as_mut() else {
            return false;
        };
        if conn.closes_after.is_none() {
            link.out.extend(self.server.hub.mail(link.id));
        }
        if link.state == State::Mute && conn.closes_after.is_none() {
            return false;
        }
        let left = conn.closes_after.unwrap_or(usize::MAX);
        let n = link.out.len().min(most).min(left);
        if n == 0 {
            if conn.closes_after.is_none() || (left > 0 && !link.out.is_empty()) {
                return false;
            }
            self.conns.remove(&(w, id));
            self.count_the_living();
            self.lost_at = self.step;
            self.workers[w].engine.backend_gone(id, self.now);
            self.note("backend gone", format!("{w} {id:?}").as_bytes());
            return true;
        }
        let bytes: Vec<u8> = link.out.drain(..n).collect();
        conn.closes_after = conn.closes_after.map(|left| left - n);
        let found_out = link
            .desync
            .as_mut()
            .is_some_and(|desync| desync.delivered(n));
        let read = Bytes::from(bytes);
        let lease_state = Received::lent(&read, 1 + self.step as usize % 60);
        self.workers[w]
            .engine
            .backend_bytes(id, lease_state, self.now);
        self.note(&format!("{w} {id:?} hears"), &read);
        self.reads.push((w, read));
        if found_out && self.workers[w].engine.survey().has_backend(id) {
            let text = format!("{w} {id:?} is out of step, and the check did not find it");
            self.history.offend(text);
        }
        true
    }

    /// What was written or not taken stands in no read any more.
    pub fn check_reads(&mut self, w: usize) {
        let (read, others) = self.reads.drain(..).partition(|(worker, _)| *worker == w);
        self.reads = others;
        let read: Vec<(usize, Bytes)> = read;
        if !read.iter().all(|(_, bytes)| bytes.is_unique()) {
            let text = format!("{w} has written all there was and holds a part of a read");
            self.history.offend(text);
        }
    }

    /// The first message that is due arrives. Where.
    pub fn deliver_mail(&mut self) -> Option<usize> {
        let now = self.now;
        let at = self.mail.iter().position(|(due, _, _)| *due <= now)?;
        let (_, w, mail) = self.mail.remove(at);
        let engine = &mut self.workers[w].engine;
        match mail {
            Message::Commands => engine.mail(Mail::CommandsLearned, now),
            Message::PlaceWanted => engine.mail(Mail::PlaceWanted, now),
            Message::Answer(ticket, reply) => engine.mail(Mail::Answered(ticket, reply), now),
            Message::WorkerQuery(asker, ticket, question) => {
                let to = AnswerTo {
                    worker: asker,
                    ticket,
                };
                engine.mail(Mail::Asked(to, question), now);
            }
        }
        Some(w)
    }

    /// When something will happen by itself.
    pub fn next_moment(&self) -> Option<Duration> {
        let alarms = self
            .workers
            .iter()
            .filter_map(|w| w.engine.survey().alarm());
        let mail = self.mail.iter().map(|(due, _, _)| *due);
        let dialling = |conn: &&Conn| conn.link.is_none();
        let dials = self.conns.values().filter(dialling).map(|conn| conn.due);
        let waits = self.conns.values().filter_map(|conn| {
            let waiting = conn.link.as_ref()?.waiting.as_ref()?;
            (waiting.until() > self.now).then(|| waiting.until())
        });
        let server = self.server.next_moment().filter(|_| !self.is_quiescent);
        alarms
            .chain(mail)
            .chain(dials)
            .chain(waits)
            .chain(server)
            .min()
    }
}
