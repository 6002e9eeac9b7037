//! A fake Redis: databases that all connections share, commands executed in order on each
//! connection, and the states a whole server can be in: paused, restarting, loading, a replica.
//! What it executes goes into the history. It knows nothing of narrows but the names of its
//! handshake.
//!
//! `link` is one connection, `keyspace` the data, and each family of commands has a file.

mod connection;
mod counters;
mod keyspace;
mod link;
mod lists;
mod push_streams;
mod strings;
mod transactions;
mod users;
mod waits;

use std::collections::BTreeSet;
use std::time::Duration;

use keyspace::Keyspace;

pub use link::{Link, State};
pub use users::{NOPERM, RESTRICTED, USERS, Users, name as user_name};

/// Databases that the server has.
pub const DATABASES: u32 = 4;

/// Which commands an operator's `CLIENT PAUSE` holds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    All,
    Writes,
}

/// What all connections share.
#[derive(Debug, Default)]
pub struct Server {
    pub now: Duration,
    keys: Keyspace,
    pub users: Users,
    pub hub: push_streams::Hub,
    connections: u64,
    paused: Option<(Duration, Pause)>,
    refuses_until: Duration,
    loading_until: Duration,
    /// Connections that wait, and those of them whose waits narrows has ended.
    pub waiting: BTreeSet<u64>,
    pub unblocked: BTreeSet<u64>,
    /// It is a replica: writes are refused.
    pub replica: bool,
    /// How often it has lost its data.
    pub lives: u32,
}

impl Server {
    pub fn accept(&mut self) -> Link {
        self.connections += 1;
        let mut link = Link::new(self.connections);
        self.users.greet(&mut link);
        link
    }

    /// Whether it takes connections.
    pub fn accepts(&self) -> bool {
        self.now >= self.refuses_until
    }

    /// What is held up now.
    pub fn pause(&self) -> Option<Pause> {
        let (until, pause) = self.paused?;
        (self.now < until).then_some(pause)
    }

    /// An operator pauses it.
    pub fn pause_until(&mut self, until: Duration, pause: Pause) {
        self.paused = Some((until, pause));
    }

    /// It begins anew: no connection for a while, then an error to every command for a while.
    /// The caller ends its connections.
    pub fn restart(&mut self, down: Duration, loading: Duration, keeps_data: bool) {
        self.refuses_until = self.now + down;
        self.loading_until = self.now + down + loading;
        self.paused = None;
        if !keeps_data {
            self.lives += 1;
            self.keys.clear();
        }
    }

    /// All is well from now on.
    pub fn heal(&mut self) {
        self.paused = None;
        self.refuses_until = self.now;
        self.loading_until = self.now;
        self.replica = false;
    }

    /// When its state changes by itself.
    pub fn next_moment(&self) -> Option<Duration> {
        let pause = self.paused.map(|(until, _)| until);
        [pause, Some(self.refuses_until), Some(self.loading_until)]
            .into_iter()
            .flatten()
            .filter(|at| *at > self.now)
            .min()
    }

    /// The integer that a key of `db` holds.
    pub fn counter(&self, db: u32, key: &str) -> i64 {
        self.keys.number(db, key.as_bytes()).unwrap_or(0)
    }

    /// The elements of a list of `db`.
    pub fn list(&self, db: u32, key: &str) -> Vec<Vec<u8>> {
        self.keys.elements(db, key.as_bytes())
    }

    /// The error that every command of this kind gets now.
    fn refusal(&self, name: &str, writes: bool) -> Option<&'static str> {
        if self.now < self.loading_until && !connection::runs_while_loading(name) {
            return Some("LOADING Redis is loading the dataset in memory");
        }
        (self.replica && writes).then_some("READONLY You can't write against a read only replica.")
    }
}
