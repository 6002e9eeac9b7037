//! One client: what it asks next, and what errors and lost connections do to what it knows of its
//! keys. It knows no socket; `judge.rs` decides whether a reply is right.

mod judge;

use std::sync::Arc;

use crate::ask::{AWAY, Ask, Form, GENERATIONS_BESIDE, Names, SHARED};
use crate::history::History;
use crate::mix::Kind;
use crate::model::{Counter, CounterNext, List, StringKey};
use crate::outcome::Outcome;
use crate::persona::{Conduct, Persona};
use crate::plan::Plan;
use crate::sizes::ValueSizes;
use crate::tag::TAG_BYTES;
use crate::target::Protocol;

pub(crate) use judge::{Heard, Wrong, whose};

/// What all clients of a run have in common.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) plan: Plan,
    /// Tells this run's keys from those of any other.
    pub(crate) run: u32,
}

/// A client of the run, over all of its connections.
#[derive(Debug)]
pub(crate) struct Client {
    rules: Arc<Rules>,
    pub(crate) persona: Persona,
    pub(crate) protocol: Protocol,
    pub(crate) names: Names,
    pub(crate) history: History,
    chance: fastrand::Rng,
    /// Counts everything that carries a value.
    sequence: u64,
    strings: Box<[StringKey]>,
    away: StringKey,
    counter: Counter,
    list: List,
    /// The id that the server gave to the present connection.
    connection_id: Option<i64>,
}

/// Where requests are written, and what they are.
pub(crate) struct Batch<'a> {
    pub(crate) out: &'a mut Vec<u8>,
    /// Each with the instant that it was due.
    pub(crate) asks: &'a mut Vec<(Ask, u64)>,
    /// The instant that what is asked next is due.
    pub(crate) due: u64,
}

impl Client {
    pub(crate) fn new(number: u32, persona: Persona, rules: &Arc<Rules>) -> Self {
        let plan = &rules.plan;
        let db = |place: usize| {
            let db = plan.databases.get(place % plan.databases.len().max(1));
            db.copied().unwrap_or_default() as u16
        };
        let dbs = plan.databases.len().max(1);
        let at = number as usize;
        // Protocols change fastest, dbs next: every combination occurs.
        let protocols = plan.protocols.len().max(1);
        let protocol = plan.protocols.get(at % protocols);
        let names = Names {
            run: rules.run,
            client: number,
            db: db(at / protocols),
            away_db: db(at / protocols + 1 + at % dbs.saturating_sub(1).max(1)),
            generations: vec![0; plan.keys + usize::from(GENERATIONS_BESIDE)],
        };
        Self {
            rules: Arc::clone(rules),
            persona,
            protocol: protocol.copied().unwrap_or(Protocol::Resp2),
            names,
            history: History::default(),
            chance: fastrand::Rng::with_seed(crate::tag::mix(
                plan.seed ^ (u64::from(number) << 20),
            )),
            sequence: 0,
            strings: (0..plan.keys).map(|_| StringKey::default()).collect(),
            away: StringKey::default(),
            counter: Counter::new(number),
            list: List::default(),
            connection_id: None,
        }
    }

    /// What is said at the beginning of every connection.
    pub(crate) fn introduce(&mut self, batch: &mut Batch) {
        self.connection_id = None;
        // A client of RESP2 may say so, or nothing.
        if self.protocol == Protocol::Resp3 || self.names.client.is_multiple_of(2) {
            self.push(Ask::Hello(self.protocol), 0, batch);
        }
        self.push(Ask::SetName, 0, batch);
        if self.persona == Persona::Leak {
            self.push(Ask::SetInfo, 0, batch);
        }
        if self.names.db != 0 {
            self.push(Ask::Select { db: self.names.db }, 0, batch);
        }
    }

    /// The next request of the mix; a detour is four.
    pub(crate) fn ask(&mut self, conduct: &Conduct, batch: &mut Batch) {
        let kind = conduct.mix.pick(&mut self.chance);
        let slot = self.chance.u16(0..self.names.string_keys().max(1));
        let value = |client: &mut Self| conduct.values.pick(&mut client.chance);
        match kind {
            Kind::Set => {
                let bytes = value(self);
                let sequence = self.advance();
                self.push(Ask::Set { slot, sequence }, bytes, batch);
            }
            Kind::GetSet => {
                let bytes = value(self);
                let sequence = self.advance();
                self.push(Ask::GetSet { slot, sequence }, bytes, batch);
            }
            Kind::Push if !self.list.is_full() => {
                let bytes = value(self);
                let sequence = self.advance();
                self.push(Ask::Push { sequence }, bytes, batch);
            }
            Kind::Pop | Kind::Push => self.push(Ask::Pop, 0, batch),
            Kind::Echo => {
                let bytes = value(self);
                self.push_echo(bytes, batch);
            }
            Kind::SharedSet if self.rules.plan.shared_keys > 0 => {
                let bytes = value(self);
                let (slot, sequence) = (self.shared(), self.advance());
                self.push(Ask::SharedSet { slot, sequence }, bytes, batch);
            }
            Kind::Detour if self.names.away_db != self.names.db => {
                self.detour(&conduct.values, batch);
            }
            other => self.ask_small(other, slot, batch),
        }
    }

    /// Requests that carry no value of the plan's sizes.
    fn ask_small(&mut self, kind: Kind, slot: u16, batch: &mut Batch) {
        let held = self.string(slot).is_some_and(|key| key.is_held());
        let ask = match kind {
            Kind::Mget => Ask::Mget,
            Kind::Incr => match self.counter.next() {
                CounterNext::Start => Ask::CounterStart,
                CounterNext::Raise => Ask::Incr,
                CounterNext::Wait => return self.push_echo(TAG_BYTES as u32, batch),
            },
            Kind::Exists if held => {
                let times = self.chance.u8(1..=EXISTS_TIMES_MAX);
                Ask::Exists { slot, times }
            }
            Kind::WrongType if held => Ask::WrongType { slot },
            Kind::Ping => {
                let sequence = self.advance();
                Ask::Ping { sequence }
            }
            Kind::Missing => Ask::Missing,
            Kind::SharedGet if self.rules.plan.shared_keys > 0 => {
                let slot = self.shared();
                Ask::SharedGet { slot }
            }
            Kind::ClientId => Ask::ClientId,
            Kind::ClientName => Ask::ClientName,
            _ => {
                let inline = self.chance.u8(0..16) == 0;
                let form = if inline { Form::Inline } else { Form::Array };
                Ask::Get { slot, form }
            }
        };
        self.push(ask, TAG_BYTES as u32, batch);
    }

    /// Reads of all that the client knows about, for the end.
    pub(crate) fn audit(&mut self, batch: &mut Batch) {
        self.push(Ask::Mget, 0, batch);
        if self.has_counter() {
            self.push(Ask::CounterRead, 0, batch);
        }
        self.push(Ask::ListRead, 0, batch);
        if self.away.is_touched() {
            self.go_away(batch);
            let (slot, form) = (AWAY, Form::Array);
            self.push(Ask::Get { slot, form }, 0, batch);
            self.come_back(batch);
        }
    }

    /// Removes the client's keys.
    pub(crate) fn clean_up(&mut self, batch: &mut Batch) {
        self.push(Ask::Delete, 0, batch);
        if self.away.is_touched() {
            self.go_away(batch);
            self.push(Ask::DeleteAway, 0, batch);
            self.come_back(batch);
        }
    }

    /// A request has ended without its reply: by an error, or with its connection.
    pub(crate) fn settle(&mut self, ask: Ask, outcome: Outcome) {
        let unknown = outcome == Outcome::Unknown;
        match ask {
            Ask::CounterStart if unknown => self.counter.start_in_doubt(),
            Ask::CounterStart => self.counter.not_started(),
            _ if !unknown => {}
            Ask::Set { slot, sequence } | Ask::GetSet { slot, sequence } => {
                if let Some(key) = self.string(slot) {
                    key.doubt(sequence);
                }
            }
            Ask::Incr => self.counter.doubt(),
            Ask::Push { sequence } => self.list.push_in_doubt(sequence),
            Ask::Pop => self.list.pop_in_doubt(),
            _ => {}
        }
    }

    /// Whether there is anything to audit.
    pub(crate) fn has_written(&self) -> bool {
        self.sequence > 0 || self.has_counter()
    }

    /// Whether it has a counter.
    pub(crate) fn has_counter(&self) -> bool {
        self.counter.is_live()
    }

    /// Nothing of this client is on its way: keys that too much may still happen to get new names.
    pub(crate) fn at_rest(&mut self) {
        for key in self.strings.iter_mut().chain([&mut self.away]) {
            key.renew();
        }
        self.list.renew();
        self.counter.renew();
        let strings = self.strings.iter().chain([&self.away]);
        let beside = [self.counter.generation, self.list.generation];
        let now = strings.map(|key| key.generation).chain(beside);
        for (generation, now) in self.names.generations.iter_mut().zip(now) {
            *generation = now;
        }
    }

    /// How long this client pauses, where the mean is `mean_s`.
    pub(crate) fn pause_s(&mut self, mean_s: f64) -> f64 {
        -mean_s * (1.0 - self.chance.f64()).ln()
    }

    /// A random number of this client's own.
    pub(crate) fn chance(&mut self) -> &mut fastrand::Rng {
        &mut self.chance
    }

    fn detour(&mut self, values: &ValueSizes, batch: &mut Batch) {
        self.go_away(batch);
        let bytes = values.pick(&mut self.chance);
        let (slot, sequence) = (AWAY, self.advance());
        self.push(Ask::Set { slot, sequence }, bytes, batch);
        let form = Form::Array;
        self.push(Ask::Get { slot, form }, 0, batch);
        self.come_back(batch);
    }

    fn go_away(&mut self, batch: &mut Batch) {
        let db = self.names.away_db;
        self.push(Ask::Select { db }, 0, batch);
    }

    fn come_back(&mut self, batch: &mut Batch) {
        let db = self.names.db;
        self.push(Ask::Select { db }, 0, batch);
    }

    fn push_echo(&mut self, bytes: u32, batch: &mut Batch) {
        let sequence = self.advance();
        self.push(Ask::Echo { sequence }, bytes, batch);
    }

    fn push(&mut self, ask: Ask, bytes: u32, batch: &mut Batch) {
        self.names.write(ask, bytes, batch.out);
        batch.asks.push((ask, batch.due));
    }

    fn advance(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    fn shared(&mut self) -> u16 {
        SHARED
            + self
                .chance
                .u16(0..self.rules.plan.shared_keys.max(1) as u16)
    }

    fn string(&mut self, slot: u16) -> Option<&mut StringKey> {
        if slot == AWAY {
            return Some(&mut self.away);
        }
        self.strings.get_mut(usize::from(slot))
    }
}

/// How often `EXISTS` names the key at most.
const EXISTS_TIMES_MAX: u8 = 7;
