//! The quiescent phase, which follows the faults: every request has to be answered in it, and after its
//! end nothing may be left and the data must be what clients were told.

use narrows::engine::Mail;
use std::time::Duration;

use narrows::telemetry::Undelivered;

use super::rng::{Part, Rng};
use super::server::State;
use super::world::World;

/// Without faults everything is over within this: who reads nothing and has sent all it may is closed
/// within a minute.
const QUIESCE_MAX: Duration = Duration::from_secs(120);

/// What a connection's socket holds then at least.
const QUIESCENT_CAPACITY: usize = 3000;

/// And within this many rounds.
const SWEEPS_MAX: u64 = 100_000;

/// More rounds than this in 20 idle seconds are no rest.
const RESTLESS: u64 = 40_000;

impl World {
    /// Everybody does what can be done now. False when nothing could.
    pub fn sweep(&mut self) -> bool {
        self.step += 1;
        self.count_the_living();
        let before = self.trace;
        let mut moved = false;
        for at in 0..self.actors.len() {
            moved |= self.push_stream(at, usize::MAX);
            let most = self.rng.one_of(&[5, 100, 1 << 20]);
            moved |= self.send_some(at, most);
        }
        moved |= self.end_dial().is_some();
        moved |= self.deliver_mail().is_some();
        let keys: Vec<_> = self.conns.keys().copied().collect();
        for key in keys {
            let most = self.rng.one_of(&[9, 300, 1 << 20, 1 << 20]);
            moved |= self.receive(key, 1 << 20);
            moved |= self.execute(key, 1000);
            moved |= self.deliver(key, most);
        }
        for w in 0..self.workers.len() {
            self.pump(w);
        }
        moved || self.trace != before
    }

    /// Goes on without faults until `over`, or until nothing can happen any more.
    pub fn settle(&mut self, over: impl Fn(&Self) -> bool) -> Result<bool, String> {
        let until = self.now + QUIESCE_MAX;
        let (mut idle, began) = (0, self.step);
        loop {
            if self.step - began > SWEEPS_MAX {
                return Err(format!(
                    "it never ends: {:?}",
                    self.workers[0].engine.survey().census()
                ));
            }
            if over(self) {
                return Ok(true);
            }
            let moved = self.sweep();
            self.check()?;
            if moved {
                idle = 0;
                continue;
            }
            match self.next_moment() {
                Some(at) if at > until => return Ok(over(self)),
                None => return Ok(over(self)),
                Some(at) if at > self.now => {
                    self.now = at;
                    idle = 0;
                }
                Some(_) => idle += 1,
            }
            if idle > 10 {
                return Err(format!("the engine spins at {:?}", self.now));
            }
        }
    }

    /// Faults stop.
    pub fn begin_quiescence(&mut self) {
        self.is_quiescent = true;
        self.rng = Rng::of(self.seed, Part::Quiescence);
        self.server.now = self.now;
        self.server.heal();
        self.stop_desyncs();
        // A huge request takes its time, and not that of thousands of rounds.
        for conn in self.conns.values_mut() {
            conn.capacity = conn.capacity.max(QUIESCENT_CAPACITY);
        }
        self.find_dead_waits();
        self.budget.stop_growth(false);
        self.note("quiescence", b"");
        for w in 0..self.workers.len() {
            let endpoint = self.topology.endpoint();
            (self.workers[w].engine).mail(Mail::Health(endpoint, true), self.now);
        }
    }

    /// What a connection's socket holds, without faults at least so much.
    pub fn roomy(&self, capacity: usize) -> usize {
        match self.is_quiescent {
            true => capacity.max(QUIESCENT_CAPACITY),
            false => capacity,
        }
    }

    /// A client that waits for ever on a dead connection is told by TCP.
    fn find_dead_waits(&mut self) {
        if self.desyncs || self.in_time_slices {
            return;
        }
        for conn in self.conns.values_mut() {
            if conn
                .link
                .as_ref()
                .is_some_and(|link| link.state != State::Well)
            {
                conn.closes_after = Some(0);
            }
        }
    }

    /// Every request has to be answered.
    pub fn quiesce(&mut self) -> Result<(), String> {
        let answered = |world: &Self| {
            let is_done = |a: &super::actor::Actor| {
                a.gone
                    || (a.is_content()
                        && world.history.push_streams.missing(a.number).is_none()
                        && a.unsent.is_empty()
                        && a.dropped.is_none()
                        && (!a.half_closed || a.half_close_told))
            };
            world.actors.iter().all(is_done)
        };
        if self.settle(answered)? {
            return self.judge_push_streams();
        }
        if let Some(a) = self.actors.iter().find(|a| !a.gone)
            && let Some(frame) = self.history.push_streams.missing(a.number)
        {
            return Err(format!("client {} never hears {frame}", a.number));
        }
        if let Some(tag) = self
            .actors
            .iter()
            .filter(|a| !a.gone)
            .find_map(|a| a.dropped)
        {
            return Err(format!("{tag:?} was dropped, and its client cannot know"));
        }
        let stuck = self.actors.iter().find(|a| !a.gone && !a.is_content());
        Err(match stuck {
            Some(a) => format!(
                "client {} waits for ever for {:?}: {}; {:?}",
                a.number,
                a.pending.front(),
                self.workers[a.worker].engine.survey().how_it_stands(a.key),
                self.workers[a.worker].engine.survey().census()
            ),
            None => "somebody is not read any more".to_owned(),
        })
    }

    /// Who has lost what it is subscribed to must know that.
    fn judge_push_streams(&mut self) -> Result<(), String> {
        self.count_the_living();
        let here = self.actors.iter().filter(|a| !a.gone && a.subscribed);
        let mut deceived = here.filter(|a| !self.server.hub.is_subscribed(a.number));
        match deceived.next() {
            Some(a) => Err(format!("client {} believes itself subscribed", a.number)),
            None => Ok(()),
        }
    }

    /// With every server well again, every client is served, whatever db it is in.
    pub fn serve_everyone(&mut self) -> Result<(), String> {
        let pool = &self.rules.settings.pool;
        let patient =
            pool.queue_timeout >= Duration::from_millis(400) && pool.queue_clients_max > 8;
        if !patient || self.history.timeouts {
            return Ok(());
        }
        for conn in self.conns.values_mut() {
            let ill =
                |link: &super::server::Link| link.state != State::Well || link.desync.is_some();
            if conn.link.as_ref().is_some_and(ill) {
                conn.closes_after = Some(0);
            }
        }
        self.settle(|world| world.conns.values().all(|conn| conn.closes_after.is_none()))?;
        // A refused db is asked for again after a second.
        self.now += Duration::from_millis(1100);
        let mut asked = Vec::new();
        for actor in self.actors.iter_mut() {
            asked.extend(actor.ask_plainly());
        }
        self.settle(|world| world.actors.iter().all(|a| a.gone || a.is_content()))?;
        match asked.iter().find(|tag| !self.history.was_answered(**tag)) {
            Some(tag) => Err(format!("{tag:?} is not served while nothing is wrong")),
            None => Ok(()),
        }
    }

    pub fn begin_drain(&mut self) {
        self.draining = true;
        for w in 0..self.workers.len() {
            self.workers[w].engine.mail(Mail::Drain, self.now);
        }
    }

    /// The workers end: clients that owe and are owed nothing are closed.
    pub fn drain(&mut self) -> Result<(), String> {
        self.begin_drain();
        match self.settle(|world| world.actors.iter().all(|a| a.gone || !a.is_idle()))? {
            true => Ok(()),
            false => Err("a drained client is still there".to_owned()),
        }
    }

    /// Everybody leaves: nothing may be left.
    pub fn leave(&mut self) -> Result<(), String> {
        for at in 0..self.actors.len() {
            self.vanish(at);
            let (w, key) = (self.actors[at].worker, self.actors[at].key);
            self.workers[w].engine.client_gone(key, self.now);
        }
        let unanswered = |world: &Self| {
            let in_flight = |w: &super::world::Worker| w.engine.survey().census().in_flight;
            world.workers.iter().map(in_flight).sum::<usize>()
        };
        self.settle(|_| false)?;
        // A ping may be under way.
        for _ in 0..50 {
            if unanswered(self) == 0 {
                break;
            }
            self.sweep();
        }
        let mut backends = 0;
        for worker in &self.workers {
            let census = worker.engine.survey().census();
            backends += census.backends;
            let left = census.clients
                + census.in_flight
                + census.waiting_clients
                + census.lease_waiters
                + census.in_line
                + census.leases
                + census.uploads
                + census.buffered_bytes
                + census.fan_outs
                + census.logins;
            if left > 0 || !census.totals_agree {
                return Err(format!("something is left: {census:?}"));
            }
        }
        if backends != self.conns.len() || backends != self.budget.held() as usize {
            return Err(format!(
                "{backends} backends, {} sockets, {} permits",
                self.conns.len(),
                self.budget.held()
            ));
        }
        self.judge_desyncs()?;
        self.judge_suspicions()?;
        self.history.models.counted = self.counted();
        self.history.models.judge(&self.history, &self.server)?;
        self.rest()
    }

    /// Every connection, open or being dialled, has a permit of its own; one more is control's.
    pub fn check_permits(&mut self) {
        let (open, held) = (self.conns.len() as u32, self.budget.held());
        if open != held || open >= self.budget.total() {
            let total = self.budget.total();
            self.history
                .offend(format!("{open} connections with {held} of {total} permits"));
        }
    }

    /// Elements that narrows says it has lost, or may have.
    fn counted(&self) -> usize {
        let counters = self.workers.iter().map(|w| w.engine.survey().counters());
        let lost = |counters: &narrows::telemetry::Counters| {
            let [put_back, lost @ ..] = Undelivered::ALL;
            debug_assert_eq!(put_back, Undelivered::PutBack);
            lost.iter()
                .map(|what| counters.undeliverable(*what))
                .sum::<u64>()
        };
        counters.map(lost).sum::<u64>() as usize
    }

    /// Where nothing goes wrong with servers, none is closed for what it did.
    fn judge_suspicions(&self) -> Result<(), String> {
        if self.faults > 0 || self.desyncs {
            return Ok(());
        }
        let losses = self
            .workers
            .iter()
            .flat_map(|w| &w.engine.survey().counters().losses);
        let mut bad = losses
            .filter(|(_, times)| **times > 0)
            .filter(|(cause, _)| {
                cause.contains("unsolicited")
                    || cause.contains("wrong")
                    || cause.contains("out_of_step")
            });
        match bad.next() {
            Some((cause, _)) => Err(format!("a connection was closed for nothing: {cause}")),
            None => Ok(()),
        }
    }

    /// An idle engine sleeps: its only work is an alarm for a ping or a retirement now and then.
    fn rest(&mut self) -> Result<(), String> {
        let until = self.now + Duration::from_secs(20);
        let began = self.step;
        while let Some(at) = self.next_moment().filter(|at| *at < until) {
            self.now = self.now.max(at);
            while self.sweep() && self.step - began <= RESTLESS {}
            if self.step - began > RESTLESS {
                return Err("an idle engine does not sleep".to_owned());
            }
        }
        self.check()
    }
}
