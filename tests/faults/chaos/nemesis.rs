//! What can be done to a system: each nemesis is a value with a name, a beginning and an end. It
//! says what it does to the oracles, and how soon service must have recovered from it.
#![allow(dead_code, reason = "the soak and the short tests use a part each")]

mod network;
mod process;
mod server;

use std::time::Duration;

use crate::chaos::system::System;

/// One way to break things.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nemesis {
    pub(crate) name: &'static str,
    /// From the beginning to the end.
    pub(crate) lasts: Duration,
    begin: fn(&mut System),
    end: fn(&mut System),
    /// It is begun again this often while it lasts.
    pub(crate) again: Option<Duration>,
    /// The server may count connections that narrows has closed: it was not told, or did not look.
    pub(crate) blinds_server: bool,
    /// It ends the process of narrows.
    pub(crate) ends_narrows: bool,
    /// From the end of the fault to service.
    pub(crate) recovery_max: Duration,
}

impl Nemesis {
    /// One that does something and leaves nothing behind.
    const fn new(name: &'static str, lasts_ms: u64, begin: fn(&mut System)) -> Self {
        Self {
            name,
            lasts: Duration::from_millis(lasts_ms),
            begin,
            end: |_| {},
            again: None,
            blinds_server: false,
            ends_narrows: false,
            recovery_max: Duration::from_secs(5),
        }
    }

    const fn ending(mut self, end: fn(&mut System)) -> Self {
        self.end = end;
        self
    }

    const fn again_ms(mut self, every_ms: u64) -> Self {
        self.again = Some(Duration::from_millis(every_ms));
        self
    }

    const fn blinding(mut self) -> Self {
        self.blinds_server = true;
        self
    }

    const fn ending_narrows(mut self) -> Self {
        self.ends_narrows = true;
        self
    }

    pub(crate) fn begin(&self, system: &mut System) {
        (self.begin)(system);
    }

    pub(crate) fn end(&self, system: &mut System) {
        (self.end)(system);
    }

    /// All there are.
    pub(crate) fn all() -> Vec<Self> {
        [server::ALL, network::ALL, process::ALL].concat()
    }

    /// Those of these names.
    #[track_caller]
    pub(crate) fn named(names: &[&str]) -> Vec<Self> {
        let all = Self::all();
        let find = |name: &&str| {
            let found = all.iter().find(|nemesis| nemesis.name == *name);
            *found.unwrap_or_else(|| panic!("no nemesis is called {name:?}"))
        };
        names.iter().map(find).collect()
    }
}
