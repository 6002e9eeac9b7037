//! The course of one simulation: random events and faults, step by step, and then
//! the quiescent phase of `quiesce`.

use narrows::engine::{BackendId, Mail};

use super::actor::Actor;
use super::models::LISTS;
use super::replay::Plan;
use super::server::Pause;
use super::world::World;

/// Clients of one simulation at once.
const CLIENTS_MAX: usize = 8;

/// The same where contexts take turns: more of them than connections.
const CLIENTS_IN_TURNS_MAX: usize = 14;

/// What a simulation came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Report {
    pub trace: u64,
    pub executions: u64,
    pub requests: u64,
    pub crossed: u64,
}

/// Plays a simulation, or some of its steps.
pub fn play(plan: &Plan) -> Result<Report, String> {
    let mut world = World::new(plan);
    let outcome = course(&mut world, plan);
    if outcome.is_err() {
        // Half a simulation holds slots, which must not be dropped.
        std::mem::forget(world);
    }
    outcome
}

fn course(world: &mut World, plan: &Plan) -> Result<Report, String> {
    let left_out = |step: &u64| plan.steps.as_ref().is_some_and(|kept| !kept.contains(step));
    for step in 1..=world.steps {
        if !left_out(&step) {
            world.begin_step(step);
            world.run_with_faults();
            world.check()?;
        }
    }
    world.begin_quiescence();
    if world.rng.hits(10) {
        world.begin_drain();
    }
    world.quiesce()?;
    if world.in_time_slices && !world.draining {
        world.run_time_slices()?;
    }
    if !world.draining {
        world.serve_everyone()?;
    }
    if world.draining || world.rng.hits(20) {
        world.drain()?;
    }
    world.leave()?;
    Ok(Report {
        trace: world.trace,
        executions: world.history.executions,
        requests: world.history.requests,
        crossed: world.history.crossed,
    })
}

impl World {
    pub fn check(&mut self) -> Result<(), String> {
        self.history.offence.take().map_or(Ok(()), Err)
    }

    pub fn some_conn(&mut self) -> Option<(usize, BackendId)> {
        let n = self.conns.len();
        let at = self.rng.below(n);
        self.conns.keys().nth(at).copied()
    }

    fn some_actor(&mut self) -> Option<usize> {
        let here: Vec<usize> = (0..self.actors.len())
            .filter(|at| !self.actors[*at].gone)
            .collect();
        (!here.is_empty()).then(|| here[self.rng.below(here.len())])
    }

    /// One random event.
    fn run_with_faults(&mut self) {
        let here = self.actors.iter().filter(|a| !a.gone).count();
        let most = match self.in_time_slices {
            true => CLIENTS_IN_TURNS_MAX,
            false => CLIENTS_MAX,
        };
        match self.rng.below(100) {
            _ if self.happens_as_made() => {}
            0..6 if here < most => self.connect(),
            0..26 => self.ask_some(),
            26..36 => {
                let most = self.rng.one_of(&[1, 7, 60, 100_000]);
                if let Some(at) = self.some_actor() {
                    self.send_some(at, most);
                }
            }
            36..41 => {
                let appetite = self.rng.one_of(&[0, 1, 100, 3000, usize::MAX, usize::MAX]);
                if let Some(at) = self.some_actor() {
                    self.push_stream(at, appetite);
                }
            }
            41..43 => self.leave_somehow(),
            43..74 => self.serve(),
            74..80 => {
                self.end_dial();
            }
            80..84 => {
                self.deliver_mail();
            }
            84..88 => self.now += self.rng.micros(8000),
            88..90 => self.jump(),
            90 if self.rng.hits(20) => self.new_rules(),
            90 => self.check_health(),
            _ => {
                if self.rng.below(20) < self.faults {
                    self.go_wrong();
                }
            }
        }
        self.reload_users();
        if self.rng.hits(70) {
            for w in 0..self.workers.len() {
                self.pump(w);
            }
        }
    }

    /// Something fails: one connection, or the whole server.
    fn go_wrong(&mut self) {
        if self.rng.hits(15) {
            self.server_fault();
        } else if self.rng.hits(15) {
            self.say_something_to_nobody();
        } else if let Some(key) = self.some_conn() {
            if self.desyncs && self.rng.hits(70) {
                return self.desync(key);
            }
            self.fault(key);
        }
    }

    /// Control tells a worker whether the server answers it.
    fn check_health(&mut self) {
        self.server.now = self.now;
        let up = self.server.pause() != Some(Pause::All) && self.server.accepts();
        let answering = up && self.rng.hits(60);
        if answering {
            // It has looked at the server's figures, too.
            self.budget.stop_growth(false);
        }
        let w = self.rng.below(self.workers.len());
        let endpoint = self.topology.endpoint();
        (self.workers[w].engine).mail(Mail::Health(endpoint, answering), self.now);
    }

    /// The operator changes the settings, but for those that the oracle goes by.
    fn new_rules(&mut self) {
        let mut rules = super::rules::draw(&mut self.rng);
        let (new, old) = (&mut rules.settings.clients, &self.rules.settings.clients);
        new.request_timeout = old.request_timeout;
        new.output_bytes_max = old.output_bytes_max;
        new.memory_bytes_max = old.memory_bytes_max;
        new.output_subscriber_bytes_max = old.output_subscriber_bytes_max;
        new.output_subscriber_soft_bytes = old.output_subscriber_soft_bytes;
        new.output_subscriber_soft_time = old.output_subscriber_soft_time;
        rules.settings.pool.check_kinds = self.rules.settings.pool.check_kinds;
        if self.in_time_slices {
            super::rules::for_time_slices(&mut rules);
        }
        if let Some(focus) = self.focus {
            let output_bytes_max = rules.settings.clients.output_bytes_max;
            focus.bend(&mut rules, &mut self.rng);
            rules.settings.clients.output_bytes_max = output_bytes_max;
        }
        rules.access = self.rules.access.clone();
        rules.settings.backend.presents_certificate =
            self.rules.settings.backend.presents_certificate;
        rules.settings.clients.handshake_timeout = self.rules.settings.clients.handshake_timeout;
        self.rules = std::sync::Arc::new(rules);
        for w in 0..self.workers.len() {
            let rules = std::sync::Arc::clone(&self.rules);
            self.workers[w].engine.mail(Mail::Rules(rules), self.now);
        }
        self.note("new rules", b"");
    }

    /// The clock jumps to the next alarm, or past it.
    fn jump(&mut self) {
        if let Some(at) = self.next_moment() {
            self.now = self.now.max(at);
            if self.rng.hits(20) {
                self.now += self.rng.micros(2_000_000);
            }
        }
    }

    /// A client asks a few things at once, and sends some of it.
    fn ask_some(&mut self) {
        self.history.now = self.now;
        let Some(at) = self.some_actor() else {
            return;
        };
        let others: Vec<u64> = self
            .actors
            .iter()
            .filter(|a| !a.gone)
            .map(|a| a.id)
            .collect();
        let count = self.rng.one_of(&[1, 1, 2, 6, 12]);
        for _ in 0..count {
            let actor = &mut self.actors[at];
            if actor.done || actor.half_closed || actor.pending.len() > 40 {
                break;
            }
            if actor.is_content() {
                actor.waits_since = self.step;
            }
            if self.users && (actor.must_log_in(&self.server.users) || self.rng.hits(8)) {
                actor.log_in(&mut self.rng, &self.server.users);
                continue;
            }
            let victim = actor.ask(&mut self.rng, &others, &mut self.history);
            for actor in &mut self.actors {
                actor.doomed |= Some(actor.id) == victim;
            }
        }
        let most = self.rng.one_of(&[1, 20, 100, 100_000]);
        self.send_some(at, most);
    }

    pub fn leave_somehow(&mut self) {
        let Some(at) = self.some_actor() else {
            return;
        };
        // Who is not read leaves in a way of its own.
        let unread = |a: &Actor| !a.gone && !a.readable;
        let unread = self.actors.iter().position(unread);
        if let Some(at) = unread.filter(|_| self.waits_much()) {
            self.vanish(at);
            return self.push_behind(at);
        }
        if self.rng.hits(40) {
            self.vanish(at);
        } else if self.rng.hits(30) {
            self.actors[at].half_closed = true;
        }
    }

    /// What a client that has just left may have waited for comes.
    pub fn push_behind(&mut self, left: usize) {
        let db = self.actors[left].setting.db;
        let free = |a: &Actor| !a.gone && !a.done && !a.half_closed && a.is_content();
        let pusher = (self.actors.iter()).position(|a| free(a) && a.setting.db == db);
        if let Some(at) = pusher {
            let actor = &mut self.actors[at];
            actor.waits_since = self.step;
            for list in LISTS {
                let tag = actor.next_tag();
                actor.push_to(list, &mut self.rng, tag, &mut self.history);
            }
            self.send_some(at, 100_000);
        }
    }

    /// Something happens on one connection.
    fn serve(&mut self) {
        let Some(key) = self.some_conn() else {
            return;
        };
        let most = self.rng.one_of(&[1, 15, 200, 1 << 20]);
        let part = match self.focus {
            Some(_) if self.rng.hits(70) => 3,
            _ => self.rng.below(4),
        };
        match part {
            0 => {
                self.receive(key, most);
            }
            1 => {
                let most = self.rng.between(1, 6);
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
}
