//! What can happen, drawn from the input one small event at a time, and how everything ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use narrows::engine::{Accepted, AnswerTo, BackendId, Mail, Reply, WorkerQuery};

use super::actor::{Actor, TAG_BEGIN};
use super::rules;
use super::server::Link;
use super::world::World;

/// Clients at once.
const CLIENTS_MAX: usize = 6;

/// After the last event everything is over within this, and within so many rounds.
const END_MAX: Duration = Duration::from_secs(8);
const ROUNDS_MAX: usize = 20_000;

impl World {
    /// One event, and, but for every fourth, the engine's turn.
    pub fn event(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let kind: u8 = u.arbitrary()?;
        match kind % 32 {
            0..2 => self.connect(),
            2..8 => self.ask(u)?,
            8..10 => self.send(u)?,
            10 => self.leave(u)?,
            11 => self.push_stream(u)?,
            12..16 => self.end_dial(u)?,
            16..22 => self.serve(u)?,
            22 => self.lie(u)?,
            23 => self.fail(u)?,
            24 => self.squeeze(u)?,
            25..27 => self.now += Duration::from_micros(u.arbitrary::<u16>()?.into()),
            27 => self.jump(u)?,
            28 => {
                let endpoint = self.topology.endpoint();
                (self.engine).mail(Mail::Health(endpoint, u.arbitrary()?), self.now);
            }
            29 => self.post(u)?,
            30 => self.haunt(u)?,
            _ => self.operate(u)?,
        }
        if kind < 192 {
            self.pump();
        }
        Ok(())
    }

    fn connect(&mut self) {
        if self.actors.iter().filter(|actor| !actor.gone).count() >= CLIENTS_MAX {
            return;
        }
        let number = self.actors.len() as u32;
        let peer = ([127, 0, 0, 1], 1000 + number as u16).into();
        let local = SocketAddr::from(([127, 0, 0, 1], 6380));
        let accepted = Accepted::tcp(u64::from(number) + 1, peer, local);
        let key = self.engine.client_connected(accepted, self.now);
        self.actors.push(Actor::new(key, number));
    }

    fn some_actor(&self, u: &mut Unstructured<'_>) -> Result<Option<usize>> {
        let here = |at: &usize| !self.actors[*at].gone;
        let here: Vec<usize> = (0..self.actors.len()).filter(here).collect();
        Ok(match here.len() {
            0 => None,
            n => Some(here[usize::from(u.arbitrary::<u8>()?) % n]),
        })
    }

    fn some_conn(&self, u: &mut Unstructured<'_>) -> Result<Option<BackendId>> {
        let open: Vec<BackendId> = self
            .conns
            .iter()
            .filter_map(|(id, conn)| conn.link.is_some().then_some(*id))
            .collect();
        Ok(match open.len() {
            0 => None,
            n => Some(open[usize::from(u.arbitrary::<u8>()?) % n]),
        })
    }

    fn ask(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let Some(at) = self.some_actor(u)? else {
            self.connect();
            return Ok(());
        };
        if self.actors[at].half_closed || self.actors[at].unsent.len() > 300_000 {
            return Ok(());
        }
        self.actors[at].ask(u)?;
        let most = some_bytes(u)?;
        self.send_some(at, most);
        Ok(())
    }

    fn send(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if let Some(at) = self.some_actor(u)? {
            let most = some_bytes(u)?;
            self.send_some(at, most);
        }
        Ok(())
    }

    /// A client's bytes reach narrows, as far as the runtime reads it, and then its end.
    fn send_some(&mut self, at: usize, most: usize) -> bool {
        let actor = &mut self.actors[at];
        if actor.gone || !actor.readable {
            return false;
        }
        if !self.engine.may_read(actor.key) {
            actor.readable = false;
            return false;
        }
        let n = actor.unsent.len().min(most);
        if n > 0 {
            let bytes: Vec<u8> = actor.unsent.drain(..n).collect();
            self.engine.client_bytes(actor.key, &bytes, self.now);
        } else if actor.half_closed && actor.unsent.is_empty() {
            actor.readable = false;
            self.engine.client_eof(actor.key, self.now);
        }
        n > 0
    }

    fn leave(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if let Some(at) = self.some_actor(u)? {
            if u.arbitrary()? {
                self.actors[at].half_closed = true;
                self.send_some(at, usize::MAX);
                self.send_some(at, usize::MAX);
            } else {
                self.vanish(at);
            }
        }
        Ok(())
    }

    fn vanish(&mut self, at: usize) {
        let actor = &mut self.actors[at];
        if !actor.gone {
            actor.gone = true;
            self.engine.client_gone(actor.key, self.now);
        }
    }

    /// A client reads, or stops reading.
    fn push_stream(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if let Some(at) = self.some_actor(u)? {
            let actor = &mut self.actors[at];
            actor.appetite = *u.choose(&[0, 1, 100, 3000, usize::MAX])?;
            if actor.appetite > 0 && std::mem::take(&mut actor.blocked) {
                self.write_client(at);
            }
        }
        Ok(())
    }

    fn end_dial(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let dialling = |conn: &super::world::Conn| conn.link.is_none();
        let found = self.conns.iter().find(|(_, conn)| dialling(conn));
        let Some(id) = found.map(|(id, _)| *id) else {
            return Ok(());
        };
        match u.arbitrary::<u8>()? % 8 {
            0 => {
                self.conns.remove(&id);
                self.engine.dial_failed(id, "refused".to_owned(), self.now);
            }
            1 => {
                self.opened(id);
                let bytes = b"-ERR max number of clients reached\r\n";
                self.engine.backend_bytes(id, bytes, self.now);
                self.gone(id);
            }
            _ => self.opened(id),
        }
        Ok(())
    }

    fn opened(&mut self, id: BackendId) {
        if self.engine.survey().has_backend(id) {
            if let Some(conn) = self.conns.get_mut(&id) {
                conn.link = Some(Link::default());
            }
            self.engine.dialled(id, self.now);
        } else {
            self.conns.remove(&id);
        }
    }

    /// A server executes and answers, and some of it arrives.
    fn serve(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let Some(id) = self.some_conn(u)? else {
            return Ok(());
        };
        let (style, count): (u8, u8) = u.arbitrary()?;
        let most = some_bytes(u)?;
        self.execute(id, style, usize::from(count % 8));
        self.deliver(id, most);
        Ok(())
    }

    fn execute(&mut self, id: BackendId, style: u8, most: usize) {
        if let Some(link) = self.conns.get_mut(&id).and_then(|conn| conn.link.as_mut()) {
            for _ in 0..most {
                if !link.execute(&mut self.server, style) {
                    break;
                }
            }
        }
    }

    fn deliver(&mut self, id: BackendId, most: usize) -> bool {
        let link = self.conns.get_mut(&id).and_then(|conn| conn.link.as_mut());
        let Some(link) = link else {
            return false;
        };
        let n = link.out.len().min(most);
        let bytes: Vec<u8> = link.out.drain(..n).collect();
        if n > 0 {
            self.engine.backend_bytes(id, &bytes, self.now);
        }
        n > 0
    }

    /// A server sends bytes of its own.
    fn lie(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let Some(id) = self.some_conn(u)? else {
            return Ok(());
        };
        let len = u.int_in_range(1..=64_usize)?.min(u.len());
        let tagless = |byte: &u8| if *byte == TAG_BEGIN { b'.' } else { *byte };
        let bytes: Vec<u8> = u.bytes(len)?.iter().map(tagless).collect();
        if let Some(link) = self.conns.get_mut(&id).and_then(|conn| conn.link.as_mut()) {
            link.liar = true;
            // What it has answered honestly would be taken for answers to something else.
            link.out.clear();
            self.engine.backend_bytes(id, &bytes, self.now);
        }
        Ok(())
    }

    /// A server's connection is lost, some of what it has answered arriving first.
    fn fail(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if let Some(id) = self.some_conn(u)? {
            let most = match u.arbitrary()? {
                true => some_bytes(u)?,
                false => 0,
            };
            self.execute(id, 0, usize::from(u.arbitrary::<u8>()? % 4));
            self.deliver(id, most);
            self.gone(id);
        }
        Ok(())
    }

    fn gone(&mut self, id: BackendId) {
        if self.conns.remove(&id).is_some() {
            self.closed.push(id);
            self.engine.backend_gone(id, self.now);
        }
    }

    /// The socket of a backend takes so much more and then nothing.
    fn squeeze(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if let Some(id) = self.some_conn(u)? {
            let room = *u.choose(&[0, 1, 30, 500, usize::MAX])?;
            self.widen(id, room);
        }
        Ok(())
    }

    fn widen(&mut self, id: BackendId, room: usize) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.room = room;
            if room > 0 && std::mem::take(&mut conn.blocked) {
                self.write_backend(id);
            }
        }
    }

    /// The clock jumps to the next alarm, or past it, or far.
    fn jump(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let past = *u.choose(&[0, 1, 2_000_000, 86_400_000_000])?;
        let alarm = self.engine.survey().alarm().unwrap_or(self.now);
        self.now = self.now.max(alarm) + Duration::from_micros(past);
        Ok(())
    }

    /// Messages of the other worker and of the control thread.
    fn post(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let lost = u.ratio(1, 8)?;
        if let Some((ticket, question)) = self.questions.pop_front()
            && !lost
        {
            self.engine
                .mail(Mail::Answered(ticket, reply_to(&question)), self.now);
            // The same kind of question from the other side.
            let to = AnswerTo {
                worker: 1,
                ticket: 0,
            };
            self.engine.mail(Mail::Asked(to, question), self.now);
        }
        if std::mem::take(&mut self.commands_asked) {
            self.engine.mail(Mail::CommandsLearned, self.now);
        }
        Ok(())
    }

    /// Late news of what is gone find nothing.
    fn haunt(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let before = self.engine.survey().census();
        if let Some(id) = self.closed.last().copied() {
            self.engine.backend_bytes(id, b"+OK\r\n", self.now);
            self.engine.backend_wrote(id, 1, self.now);
            self.engine.backend_gone(id, self.now);
        }
        if let Some(actor) = self.actors.iter().rev().find(|actor| actor.gone) {
            self.engine.client_bytes(actor.key, b"PING\r\n", self.now);
            self.engine.client_wrote(actor.key, 1, self.now);
            self.engine.client_eof(actor.key, self.now);
            self.engine.client_gone(actor.key, self.now);
        }
        // Of a question that was never put.
        let ticket = u64::MAX - u64::from(u.arbitrary::<u8>()?);
        self.engine
            .mail(Mail::Answered(ticket, Reply::Killed(1)), self.now);
        let after = self.engine.survey().census();
        assert_eq!(
            (before.clients, before.backends, before.in_flight),
            (after.clients, after.backends, after.in_flight)
        );
        Ok(())
    }

    /// New rules, or the beginning of the end.
    fn operate(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if u.ratio(1, 8)? {
            self.engine.mail(Mail::Drain, self.now);
        } else {
            let rules = Arc::new(rules::draw(u)?);
            self.engine.mail(Mail::Rules(rules), self.now);
        }
        Ok(())
    }

    /// Everybody leaves, the servers are well, and nothing may be left.
    pub fn end(mut self) {
        for at in 0..self.actors.len() {
            self.vanish(at);
        }
        let open: Vec<BackendId> = self.conns.keys().copied().collect();
        for id in open {
            let link = self.conns.get(&id).and_then(|conn| conn.link.as_ref());
            if link.is_some_and(|link| link.liar) {
                self.gone(id);
            }
        }
        self.pump();
        self.settle();
        let census = self.engine.survey().census();
        let left = census.clients
            + census.in_flight
            + census.waiting_clients
            + census.lease_waiters
            + census.leases
            + census.uploads
            + census.buffered_bytes
            + census.fan_outs;
        assert_eq!(left, 0, "something is left: {census:?}");
        assert_eq!(census.backends, self.conns.len());
        self.engine.mail(Mail::CloseBackends, self.now);
        self.pump();
        assert_eq!(self.engine.survey().census().backends, 0);
        assert_eq!(self.budget.held(), 0, "a permit is not returned");
    }

    /// Goes on until nothing moves and the engine sleeps.
    fn settle(&mut self) {
        let until = self.now + END_MAX;
        for _ in 0..ROUNDS_MAX {
            let ids: Vec<BackendId> = self.conns.keys().copied().collect();
            let mut moved = false;
            for id in ids {
                if self.conns.get(&id).is_some_and(|conn| conn.link.is_none()) {
                    self.opened(id);
                    moved = true;
                }
                self.widen(id, usize::MAX);
                self.execute(id, 0, usize::MAX);
                moved |= self.deliver(id, usize::MAX);
            }
            self.questions.clear();
            if std::mem::take(&mut self.commands_asked) {
                self.engine.mail(Mail::CommandsLearned, self.now);
            }
            self.pump();
            let unread = |link: &Link| !link.input.is_empty();
            moved |= self
                .conns
                .values()
                .any(|conn| conn.link.as_ref().is_some_and(unread));
            match self.engine.survey().alarm() {
                _ if moved => {}
                Some(at) if at <= until => self.now = self.now.max(at),
                _ => return,
            }
        }
        panic!("an idle engine does not sleep");
    }
}

/// How many bytes pass at once: none, few, or all.
fn some_bytes(u: &mut Unstructured<'_>) -> Result<usize> {
    let choice: u8 = u.arbitrary()?;
    Ok(match choice {
        0..128 => usize::MAX,
        128..250 => usize::from(choice) - 128,
        _ => 1000 * usize::from(choice - 249),
    })
}

/// What the other worker answers.
fn reply_to(question: &WorkerQuery) -> Reply {
    match question {
        WorkerQuery::List(_) => Reply::List(vec![(900, b"id=900 addr=x\n".to_vec())]),
        WorkerQuery::Kill(_) | WorkerQuery::Unblock(..) => Reply::Killed(1),
        WorkerQuery::Figures => Reply::Figures(Box::default()),
        WorkerQuery::Each(questions) => Reply::Each(questions.iter().map(reply_to).collect()),
    }
}
