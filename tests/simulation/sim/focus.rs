//! Worlds that are focused on what few of the others come to: in each of them clients do little but that,
//! and what has to go wrong for it goes wrong often. A search for a bug that only this can show does not
//! depend on which seeds happen to.

use std::time::Duration;

use narrows::engine::Rules;
use narrows::engine::settings::EngineSettings;

use super::actor::{Actor, Mode};
use super::rng::Rng;
use super::server::Link;
use super::world::{Conn, World};

/// Workers and connections of each: so many that something comes of what clients ask.
pub const CONNECTIONS: (usize, u32) = (1, 5);

/// What a world is focused on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Focus {
    /// Clients send whole transactions at once, and connections are lost in the middle of them.
    WholeTransactions,
    /// Clients watch what others write and take their time, lose their connections, and leave.
    Watching,
    /// Clients wait, end each other's waits, are not read, and leave; connections are well.
    Waiting,
    /// Clients watch, and change their db, while reloads make them another user of the server.
    Reloading,
    /// Clients write all before they read.
    WritingFirst,
    /// The server takes longer than clients' requests may.
    Late,
}

impl Focus {
    pub const ALL: [Self; 6] = [
        Self::WholeTransactions,
        Self::Watching,
        Self::Waiting,
        Self::Reloading,
        Self::WritingFirst,
        Self::Late,
    ];

    /// The one of this name, as a failure tells it.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|focus| format!("{focus:?}") == name)
    }

    pub fn is_transacting(self) -> bool {
        matches!(
            self,
            Self::WholeTransactions | Self::Watching | Self::Waiting
        )
    }

    /// How often something goes wrong, in parts of 20.
    pub fn faults(self) -> usize {
        match self {
            Self::WholeTransactions | Self::Watching => 2,
            Self::Late => 2,
            Self::Waiting | Self::Reloading | Self::WritingFirst => 0,
        }
    }

    /// Nobody is refused or closed for what has nothing to do with it.
    pub fn bend(self, rules: &mut Rules, rng: &mut Rng) {
        let defaults = EngineSettings::default();
        let settings = &mut rules.settings;
        settings.pool.queue_timeout = Duration::from_secs(3);
        settings.pool.queue_clients_max = defaults.pool.queue_clients_max;
        settings.pool.leases_max = rng.between(2, 4);
        settings.pool.blocking_max = rng.between(1, 3);
        settings.clients.request_timeout = match self {
            Self::Late => Duration::from_millis(30),
            _ => Duration::ZERO,
        };
        settings.clients.on_unknown_outcome = defaults.clients.on_unknown_outcome;
        settings.clients.output_subscriber_bytes_max = defaults.clients.output_subscriber_bytes_max;
        settings.clients.output_subscriber_soft_bytes =
            defaults.clients.output_subscriber_soft_bytes;
        settings.clients.output_subscriber_soft_time = defaults.clients.output_subscriber_soft_time;
        settings.clients.output_bytes_max = match self {
            // What a client sends behind its wait soon stops it from being read.
            Self::Waiting => 70_000,
            _ => defaults.clients.output_bytes_max,
        };
        settings.clients.memory_bytes_max = defaults.clients.memory_bytes_max;
        if self == Self::WritingFirst {
            settings.clients.output_pause_bytes = 50;
        }
    }

    /// What a client of such a world is like.
    pub fn shape(self, actor: &mut Actor) {
        actor.focus = Some(self);
        actor.subscribes = false;
        actor.transacts = !matches!(self, Self::WritingFirst | Self::Late);
        actor.transacts_percent = match self {
            Self::WholeTransactions | Self::Waiting => 80,
            _ => 60,
        };
        actor.watches_percent = match self {
            Self::WholeTransactions => 0,
            Self::Watching | Self::Reloading => 90,
            Self::Waiting | Self::WritingFirst | Self::Late => 50,
        };
        actor.huge = match self {
            Self::WholeTransactions => false,
            // What goes over a connection of its own, behind a watch that is lost.
            Self::Watching => !actor.id.is_multiple_of(3),
            _ => actor.huge,
        };
        actor.writes_first = self == Self::WritingFirst;
    }
}

impl World {
    /// What happens in such a world and hardly in others. Whether something did.
    pub fn happens_as_made(&mut self) -> bool {
        match self.focus {
            Some(Focus::WholeTransactions) if self.rng.hits(6) => self.lose(|_| true),
            Some(Focus::Watching) if self.rng.hits(4) => {
                self.lose(|link| link.transaction.is_watching());
            }
            Some(Focus::Watching) if self.rng.hits(4) => self.watcher_leaves(),
            Some(Focus::Waiting) if self.rng.hits(5) => self.unread_leaves(),
            Some(Focus::Waiting) if self.rng.hits(5) => self.unblock_and_push(),
            Some(Focus::Late) if self.rng.hits(12) => self.now += self.rng.micros(15_000),
            _ => return false,
        }
        true
    }

    /// One of these connections is lost, and what it has answered arrives in part.
    fn lose(&mut self, is_meant: impl Fn(&Link) -> bool) {
        let lives = |conn: &Conn| {
            let link = conn.link.as_ref().filter(|_| conn.closes_after.is_none());
            link.is_some_and(&is_meant)
        };
        let meant = self.conns.iter().filter(|(_, conn)| lives(conn));
        let meant: Vec<_> = meant.map(|(key, _)| *key).collect();
        if meant.is_empty() {
            return;
        }
        let key = self.rng.one_of(&meant);
        if let Some(conn) = self.conns.get_mut(&key) {
            let answered = conn.link.as_ref().map_or(0, |link| link.out.len());
            conn.closes_after = Some(self.rng.below(answered + 1));
            self.note("loses", format!("{key:?}").as_bytes());
        }
    }

    /// A client leaves that watches something, and has not sent what is to follow.
    fn watcher_leaves(&mut self) {
        let leaves = |a: &Actor| !a.gone && a.watching && !a.unsent.is_empty();
        if let Some(at) = self.actors.iter().position(leaves) {
            self.vanish(at);
        }
    }

    /// A client that waits on the server, by the server itself.
    fn one_that_waits(&self) -> Option<usize> {
        let links = self.conns.values().filter_map(|conn| conn.link.as_ref());
        let links: Vec<&Link> = links.collect();
        let waits = |a: &Actor| !a.gone && links.iter().any(|link| link.waits_for(a.number));
        self.actors.iter().position(waits)
    }

    /// A client leaves that waits and has sent more behind that than is read, and what it has waited for
    /// comes.
    fn unread_leaves(&mut self) {
        if let Some(at) = self.one_that_waits() {
            while self.send_some(at, 100_000) {}
            if !self.actors[at].readable {
                self.vanish(at);
                self.push_behind(at);
            }
        }
    }

    /// A wait is ended by another client when what it is for has come.
    fn unblock_and_push(&mut self) {
        let Some(waits) = self.one_that_waits() else {
            return;
        };
        let id = self.actors[waits].id;
        let free = |a: &Actor| {
            !a.gone && !a.done && !a.half_closed && a.is_content() && a.mode == Mode::On
        };
        let Some(ends) = self.actors.iter().rposition(free) else {
            return;
        };
        self.push_behind(waits);
        for w in 0..self.workers.len() {
            self.pump(w);
        }
        let keys: Vec<_> = self.conns.keys().copied().collect();
        for key in keys {
            self.receive(key, 1 << 20);
            self.execute(key, 10);
        }
        let actor = &mut self.actors[ends];
        if actor.is_content() {
            actor.waits_since = self.step;
        }
        let tag = actor.next_tag();
        actor.unblock_some(&mut self.rng, tag, &[id], &mut self.history);
        self.send_some(ends, 100_000);
    }

    /// How much a connection's socket holds where that matters.
    pub fn capacity_as_made(&mut self) -> Option<usize> {
        match self.focus {
            Some(Focus::WholeTransactions) => Some(self.rng.one_of(&[30, 60, 120, 500])),
            _ => None,
        }
    }
}
