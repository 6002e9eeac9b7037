//! A server out of step: on one connection it gives a reply twice, or leaves one out, so that
//! every later reply stands in the wrong place. Where the kinds of reply differ that must be seen
//! at once; where they do not, clients may hear what is not theirs until narrows' own check comes
//! back, and not longer: the connection has to be closed by then.

use narrows::engine::BackendId;

use super::world::World;

/// What becomes of one reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Twice,
    LeftOut,
}

/// Whose request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requester {
    Client,
    /// narrows: its check.
    Check,
    /// narrows: a handshake, or a switch to another db.
    Handshake,
}

/// One connection that is out of step, or is going to be.
#[derive(Debug)]
pub struct Desync {
    pub kind: Kind,
    /// It has happened.
    pub done: bool,
    /// Bytes answered since the connection began.
    answered: usize,
    /// Bytes delivered since then.
    delivered: usize,
    /// A check was answered behind it, and its answer does not stand in its place.
    checked: bool,
    /// The last reply was an error, which answers a check as well.
    after_error: bool,
    /// Once so many bytes are delivered it must have been found out.
    found_by: Option<usize>,
}

impl Desync {
    /// `waiting` bytes are answered already and not delivered.
    pub fn new(kind: Kind, waiting: usize) -> Self {
        Self {
            kind,
            done: false,
            answered: waiting,
            delivered: 0,
            checked: false,
            after_error: false,
            found_by: None,
        }
    }

    /// The server answers: this is what it sends.
    pub fn answers(&mut self, reply: Vec<u8>, asker: Requester) -> Vec<u8> {
        let is_error = reply.starts_with(b"-");
        let begins = !self.done && asker == Requester::Client;
        let sent = match self.kind {
            _ if !begins => reply,
            Kind::Twice => [reply.as_slice(), &reply].concat(),
            Kind::LeftOut => Vec::new(),
        };
        self.answered += sent.len();
        if self.done && self.found_by.is_none() {
            self.watch(asker, is_error);
        }
        self.done |= begins;
        self.after_error = is_error;
        sent
    }

    /// With a reply too many, the check gets the one before its own; with one too few, the one
    /// behind. Either is found out, unless it is an error.
    fn watch(&mut self, asker: Requester, is_error: bool) {
        match (self.kind, asker) {
            (Kind::Twice, Requester::Check) if !self.after_error => {
                self.found_by = Some(self.answered);
            }
            (Kind::LeftOut, Requester::Check) => self.checked = true,
            (Kind::LeftOut, Requester::Client) if self.checked => {
                self.checked = false;
                self.found_by = (!is_error).then_some(self.answered);
            }
            _ => {}
        }
    }

    /// More of it has reached narrows. Whether it must have been found out.
    pub fn delivered(&mut self, bytes: usize) -> bool {
        self.delivered += bytes;
        self.found_by.is_some_and(|at| self.delivered >= at)
    }
}

impl World {
    /// A connection is going to be out of step.
    pub fn desync(&mut self, key: (usize, BackendId)) {
        let kind = match self.rng.hits(50) {
            true => Kind::Twice,
            false => Kind::LeftOut,
        };
        if let Some(link) = self.conns.get_mut(&key).and_then(|conn| conn.link.as_mut())
            && link.desync.is_none()
        {
            link.desync = Some(Desync::new(kind, link.out.len()));
            self.note("out of step", format!("{kind:?} {key:?}").as_bytes());
        }
    }

    pub fn excuse_if_desynced(&mut self, key: (usize, BackendId)) {
        let link = self.conns.get(&key).and_then(|conn| conn.link.as_ref());
        if link.is_some_and(|link| link.desync.as_ref().is_some_and(|desync| desync.done)) {
            self.excuse(key.0);
        }
    }

    /// What has not got out of step yet stays in step.
    pub fn stop_desyncs(&mut self) {
        let links = self
            .conns
            .values_mut()
            .filter_map(|conn| conn.link.as_mut());
        for link in links {
            link.desync = link.desync.take().filter(|desync| desync.done);
        }
    }

    /// Clients of this worker may hear what is not theirs, for all that they have asked so far.
    pub fn excuse(&mut self, w: usize) {
        for actor in self.actors.iter_mut().filter(|actor| actor.worker == w) {
            actor.excused = actor.next;
        }
    }

    /// All is over: nothing that is out of step may be in use.
    pub fn judge_desyncs(&self) -> Result<(), String> {
        let desynced =
            |link: &super::server::Link| link.desync.as_ref().is_some_and(|desync| desync.done);
        let left = self
            .conns
            .iter()
            .find(|(_, conn)| conn.link.as_ref().is_some_and(desynced));
        match left {
            Some((key, _)) => Err(format!("{key:?} is out of step and still there")),
            None => Ok(()),
        }
    }
}
