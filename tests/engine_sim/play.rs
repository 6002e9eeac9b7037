//! The course of one simulation: a storm of random events and faults, then calm in which every
//! request has to be answered, then the end, after which nothing may be left.

use std::time::Duration;

use narrows::engine::BackendId;

use super::world::World;

/// In calm weather everything is over within this.
const CALM_MAX: Duration = Duration::from_secs(60);

/// And within this many rounds.
const SWEEPS_MAX: u64 = 100_000;

/// More rounds than this in 20 idle seconds are no rest.
const RESTLESS: u64 = 10_000;

/// What a simulation came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Report {
    pub trace: u64,
    pub executions: u64,
}

/// Plays the simulation of `seed`.
pub fn play(seed: u64) -> Result<Report, String> {
    let mut world = World::new(seed);
    let outcome = course(&mut world);
    if outcome.is_err() {
        // Half a simulation holds slots, which must not be dropped.
        std::mem::forget(world);
    }
    outcome
}

fn course(world: &mut World) -> Result<Report, String> {
    let steps = world.chance.between(100, 500);
    let faults = world.chance.one_of(&[0, 1, 4, 10]);
    for _ in 0..steps {
        world.storm(faults);
        world.check()?;
    }
    if world.chance.hits(10) {
        world.begin_drain();
    }
    world.calm_down()?;
    if !world.draining {
        world.serve_everyone()?;
    }
    if world.draining || world.chance.hits(20) {
        world.drain()?;
    }
    world.leave()?;
    Ok(Report {
        trace: world.trace,
        executions: world.ledger.executions,
    })
}

impl World {
    pub fn check(&mut self) -> Result<(), String> {
        self.ledger.offence.take().map_or(Ok(()), Err)
    }

    fn some_conn(&mut self) -> Option<(usize, BackendId)> {
        let n = self.conns.len();
        let at = self.chance.below(n);
        self.conns.keys().nth(at).copied()
    }

    fn some_actor(&mut self) -> Option<usize> {
        let here: Vec<usize> = (0..self.actors.len())
            .filter(|at| !self.actors[*at].gone)
            .collect();
        (!here.is_empty()).then(|| here[self.chance.below(here.len())])
    }

    /// One random event.
    fn storm(&mut self, faults: usize) {
        self.step += 1;
        let here = self.actors.iter().filter(|a| !a.gone).count();
        match self.chance.below(100) {
            0..6 if here < 8 => self.connect(),
            0..26 => self.ask_some(),
            26..36 => {
                let most = self.chance.one_of(&[1, 7, 60, 100_000]);
                if let Some(at) = self.some_actor() {
                    self.send_some(at, most);
                }
            }
            36..41 => {
                let appetite = self
                    .chance
                    .one_of(&[0, 1, 100, 3000, usize::MAX, usize::MAX]);
                if let Some(at) = self.some_actor() {
                    self.feed(at, appetite);
                }
            }
            41..43 => self.leave_somehow(),
            43..76 => self.serve(),
            76..82 => {
                self.end_dial();
            }
            82..87 => {
                self.post();
            }
            87..92 => self.now += self.chance.micros(8000),
            92..94 => self.jump(),
            94 if self.chance.hits(20) => self.new_rules(),
            94 => {
                let answering = self.chance.hits(60);
                let w = self.chance.below(self.workers.len());
                self.workers[w].engine.health_checked(answering, self.now);
            }
            _ => {
                if self.chance.below(20) < faults
                    && let Some(key) = self.some_conn()
                {
                    self.fault(key);
                }
            }
        }
        if self.chance.hits(70) {
            for w in 0..self.workers.len() {
                self.pump(w);
            }
        }
    }

    /// The operator changes the settings, but for those that the oracle goes by.
    fn new_rules(&mut self) {
        let mut rules = super::rules::draw(&mut self.chance);
        let (new, old) = (&mut rules.settings.clients, &self.rules.settings.clients);
        new.request_timeout = old.request_timeout;
        new.output_bytes_max = old.output_bytes_max;
        new.memory_bytes_max = old.memory_bytes_max;
        self.rules = std::sync::Arc::new(rules);
        for w in 0..self.workers.len() {
            let rules = std::sync::Arc::clone(&self.rules);
            self.workers[w].engine.rules_changed(rules, self.now);
        }
        self.note("new rules", b"");
    }

    /// The clock jumps to the next alarm, or past it.
    fn jump(&mut self) {
        if let Some(at) = self.next_moment() {
            self.now = self.now.max(at);
            if self.chance.hits(20) {
                self.now += self.chance.micros(2_000_000);
            }
        }
    }

    /// A client asks a few things at once, and sends some of it.
    fn ask_some(&mut self) {
        let Some(at) = self.some_actor() else {
            return;
        };
        let others: Vec<u64> = self
            .actors
            .iter()
            .filter(|a| !a.gone)
            .map(|a| a.id)
            .collect();
        let count = self.chance.one_of(&[1, 1, 2, 6, 12]);
        for _ in 0..count {
            let actor = &mut self.actors[at];
            if actor.done || actor.half_closed || actor.pending.len() > 40 {
                break;
            }
            if actor.is_content() {
                actor.waits_since = self.step;
            }
            let victim = actor.ask(&mut self.chance, &others, &mut self.ledger);
            for actor in &mut self.actors {
                actor.doomed |= Some(actor.id) == victim;
            }
        }
        let most = self.chance.one_of(&[1, 20, 100, 100_000]);
        self.send_some(at, most);
    }

    fn leave_somehow(&mut self) {
        let Some(at) = self.some_actor() else {
            return;
        };
        if self.chance.hits(40) {
            self.vanish(at);
        } else if self.chance.hits(30) {
            self.actors[at].half_closed = true;
        }
    }

    /// Something happens on one connection.
    fn serve(&mut self) {
        let Some(key) = self.some_conn() else {
            return;
        };
        let most = self.chance.one_of(&[1, 15, 200, 1 << 20]);
        match self.chance.below(4) {
            0 => {
                self.receive(key, most);
            }
            1 => {
                let most = self.chance.between(1, 6);
                self.execute(key, most);
            }
            2 => {
                self.deliver(key, most);
            }
            _ => {
                self.receive(key, 1 << 20);
                self.execute(key, 1000);
                self.deliver(key, most);
            }
        }
    }

    /// Everybody does what can be done now. False when nothing could.
    fn sweep(&mut self) -> bool {
        self.step += 1;
        let before = self.trace;
        let mut moved = false;
        for at in 0..self.actors.len() {
            moved |= self.feed(at, usize::MAX);
            let most = self.chance.one_of(&[5, 100, 1 << 20]);
            moved |= self.send_some(at, most);
        }
        moved |= self.end_dial().is_some();
        moved |= self.post().is_some();
        let keys: Vec<_> = self.conns.keys().copied().collect();
        for key in keys {
            let most = self.chance.one_of(&[9, 300, 1 << 20, 1 << 20]);
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
    fn settle(&mut self, over: impl Fn(&Self) -> bool) -> Result<bool, String> {
        let until = self.now + CALM_MAX;
        let (mut idle, began) = (0, self.step);
        loop {
            if self.step - began > SWEEPS_MAX {
                return Err(format!(
                    "it never ends: {:?}",
                    self.workers[0].engine.census()
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

    /// Faults stop: every request has to be answered.
    fn calm_down(&mut self) -> Result<(), String> {
        self.calm = true;
        self.note("calm", b"");
        for w in 0..self.workers.len() {
            self.workers[w].engine.health_checked(true, self.now);
        }
        let answered = |world: &Self| {
            let is_done = |a: &super::actor::Actor| {
                a.gone
                    || (a.is_content()
                        && a.unsent.is_empty()
                        && (!a.half_closed || a.half_close_told))
            };
            world.actors.iter().all(is_done)
        };
        if self.settle(answered)? {
            return Ok(());
        }
        let stuck = self.actors.iter().find(|a| !a.gone && !a.is_content());
        Err(match stuck {
            Some(a) => format!(
                "client {} waits for ever for {:?}; {:?}",
                a.number,
                a.pending.front(),
                self.workers[a.worker].engine.census()
            ),
            None => "somebody is not read any more".to_owned(),
        })
    }

    /// With every server well again, every client is served, whatever db it is in.
    fn serve_everyone(&mut self) -> Result<(), String> {
        let pool = &self.rules.settings.pool;
        let patient =
            pool.queue_timeout >= Duration::from_millis(400) && pool.queue_clients_max > 8;
        if !patient || self.ledger.timeouts {
            return Ok(());
        }
        for conn in self.conns.values_mut() {
            if conn.link.as_ref().is_some_and(|link| link.stalled) {
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
        match asked.iter().find(|tag| !self.ledger.was_answered(**tag)) {
            Some(tag) => Err(format!("{tag:?} is not served in calm weather")),
            None => Ok(()),
        }
    }

    fn begin_drain(&mut self) {
        self.draining = true;
        for w in 0..self.workers.len() {
            self.workers[w].engine.drain(self.now);
        }
    }

    /// The workers end: clients that owe and are owed nothing are closed.
    fn drain(&mut self) -> Result<(), String> {
        self.begin_drain();
        match self.settle(|world| world.actors.iter().all(|a| a.gone || !a.is_idle()))? {
            true => Ok(()),
            false => Err("a drained client is still there".to_owned()),
        }
    }

    /// Everybody leaves: nothing may be left.
    fn leave(&mut self) -> Result<(), String> {
        for at in 0..self.actors.len() {
            self.vanish(at);
        }
        let unanswered = |world: &Self| {
            let in_flight = |w: &super::world::Worker| w.engine.census().in_flight;
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
            let census = worker.engine.census();
            backends += census.backends;
            let left = census.clients
                + census.in_flight
                + census.waiting_clients
                + census.lease_waiters
                + census.leases
                + census.uploads
                + census.buffered_bytes
                + census.gathers;
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
        self.rest()
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
