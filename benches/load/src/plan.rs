//! What a run does: the whole of its settings, their defaults, and the check that they fit together
//! and fit this machine. Plain data; it opens no socket.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use crate::machine;
use crate::mix::Mix;
use crate::persona::{Opens, Persona};
use crate::sizes::ValueSizes;
use crate::target::{Protocol, Target};

/// A run of the load generator.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// Where the load goes.
    pub target: Target,
    /// How many clients; each has one connection at a time.
    pub connections: usize,
    /// How many threads share them.
    pub threads: usize,
    /// Requests per second over all connections, on a schedule of their own (open loop). `None`:
    /// each client asks again as soon as it has its replies (closed loop).
    pub rate: Option<f64>,
    /// How the scheduled instants are spaced.
    pub arrivals: Arrivals,
    /// Requests that a client sends in one go.
    pub pipeline: usize,
    /// Closed loop: mean pause of a client between its requests, exponentially distributed.
    pub think: Duration,
    /// How long requests are made, warm-up included; the audit at the end comes on top.
    pub duration: Duration,
    /// From the beginning, this long, latencies are not recorded.
    pub warm_up: Duration,
    /// Sizes of the values.
    pub values: ValueSizes,
    /// Sizes of the values of [`Persona::Bulk`].
    pub bulk_values: ValueSizes,
    /// Which requests, by weight.
    pub mix: Mix,
    /// Which kinds of client, by weight. Must not be empty.
    pub personas: Vec<(Persona, f64)>,
    /// The dbs, over which the clients are spread evenly. Must not be empty.
    pub databases: Vec<u32>,
    /// The protocols, likewise. Must not be empty.
    pub protocols: Vec<Protocol>,
    /// Local addresses to connect from, in turn; empty: the system's choice.
    pub sources: Vec<IpAddr>,
    /// Decides what is asked, by whom, in what order.
    pub seed: u64,
    /// What errors and lost connections mean.
    pub on_trouble: OnTrouble,
    /// Whether the server keeps its data.
    pub data: Data,
    /// A request unanswered this long is a hang: its connection is given up.
    pub request_deadline: Duration,
    /// New connections per second, over all threads, apart from storms.
    pub connects_per_s: f64,
    /// A wave of [`Persona::Storm`] comes this often.
    pub storm_interval: Duration,
    /// A new connection of [`Persona::Leak`] comes this often, per thread.
    pub leak_interval: Duration,
    /// String keys of each client.
    pub keys: usize,
    /// String keys that all clients share, per db; 0 turns the `shared` requests off.
    pub shared_keys: usize,
    /// How long the check of all counters, lists and strings at the end may take.
    pub audit_patience: Duration,
    /// Whether the clients delete their keys at the end.
    pub clean_up: bool,
    /// Where an offence is written to; `None`: the folder for temporary files.
    pub dump_folder: Option<std::path::PathBuf>,
}

/// How scheduled instants are spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Arrivals {
    /// Exponential gaps: clients that know nothing of each other.
    Exponential,
    /// Equal gaps.
    Uniform,
}

/// What errors, refused and lost connections and hangs mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OnTrouble {
    /// The first one ends the run.
    Fail,
    /// They are expected: counted, and the client connects again, with backoff and jitter.
    Endure,
}

/// Whether the server keeps what it has acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Data {
    /// It does: an acknowledged write that is gone is an offence.
    Kept,
    /// It may restart empty: a key may be gone, but never hold what was never or no longer there.
    MayVanish,
}

impl Plan {
    /// A short, closed-loop run of a hundred web clients against `target`.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            connections: 100,
            threads: 1,
            rate: None,
            arrivals: Arrivals::Exponential,
            pipeline: 1,
            think: Duration::ZERO,
            duration: Duration::from_secs(10),
            warm_up: Duration::from_secs(1),
            values: ValueSizes::fixed(64),
            bulk_values: ValueSizes::between(16 * 1024, 1024 * 1024),
            mix: Mix::default(),
            personas: vec![(Persona::Web, 1.0)],
            databases: vec![0],
            protocols: vec![Protocol::Resp2],
            sources: Vec::new(),
            seed: 1,
            on_trouble: OnTrouble::Fail,
            data: Data::Kept,
            request_deadline: Duration::from_secs(30),
            connects_per_s: 5_000.0,
            storm_interval: Duration::from_secs(1),
            leak_interval: Duration::from_millis(20),
            keys: 4,
            shared_keys: 64,
            audit_patience: Duration::from_secs(30),
            clean_up: true,
            dump_folder: None,
        }
    }

    /// Whether the settings fit together and this machine can carry them. Raises this process'
    /// limit of descriptors as far as it may go.
    ///
    /// # Errors
    /// All mistakes at once, a sentence each.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let mut mistakes = Vec::new();
        self.check_numbers(&mut mistakes);
        self.check_choices(&mut mistakes);
        self.check_machine(&mut mistakes);
        if mistakes.is_empty() {
            Ok(())
        } else {
            Err(mistakes)
        }
    }

    fn check_numbers(&self, mistakes: &mut Vec<String>) {
        let mut within = |name: &str, value: usize, least: usize, most: usize| {
            if !(least..=most).contains(&value) {
                mistakes.push(format!("{name} is {value}: it must be {least} to {most}"));
            }
        };
        within("connections", self.connections, 1, CONNECTIONS_MAX);
        within("threads", self.threads, 1, 64);
        within("pipeline", self.pipeline, 1, PIPELINE_MAX);
        within("keys", self.keys, 1, KEYS_MAX);
        within("shared keys", self.shared_keys, 0, SHARED_KEYS_MAX);
        let mut positive = |name: &str, value: f64| {
            if !(value.is_finite() && value > 0.0) {
                mistakes.push(format!("{name} is {value}: it must be above 0"));
            }
        };
        positive("duration", self.duration.as_secs_f64());
        positive("request deadline", self.request_deadline.as_secs_f64());
        positive("connects per second", self.connects_per_s);
        positive("storm interval", self.storm_interval.as_secs_f64());
        positive("leak interval", self.leak_interval.as_secs_f64());
        if let Some(rate) = self.rate {
            positive("rate", rate);
        }
        if self.warm_up >= self.duration {
            mistakes.push("the warm-up must be shorter than the duration".to_owned());
        }
    }

    fn check_choices(&self, mistakes: &mut Vec<String>) {
        if self.databases.is_empty() || self.protocols.is_empty() {
            mistakes.push("at least one db and one protocol are needed".to_owned());
        }
        if self.databases.iter().any(|&db| db > u32::from(u16::MAX)) {
            mistakes.push("a db above 65535".to_owned());
        }
        if self.mix.is_empty() {
            mistakes.push("the mix has no request of a weight above 0".to_owned());
        }
        let shares: f64 = self.personas.iter().map(|(_, share)| *share).sum();
        let odd = self.personas.iter().any(|(_, share)| *share < 0.0);
        if odd || !shares.is_finite() || shares <= 0.0 {
            mistakes.push("the personas need shares of at least 0, one above 0".to_owned());
        }
        let scheduled = |persona: &Persona| persona.opens() == Opens::AtStart;
        let counts = self.population();
        if self.rate.is_some() && !counts.iter().any(|(persona, _)| scheduled(persona)) {
            mistakes.push("a rate needs clients of web, pipeline or bulk to keep it".to_owned());
        }
    }

    fn check_machine(&self, mistakes: &mut Vec<String>) {
        let needed = self.connections as u64 + DESCRIPTORS_BESIDE;
        match machine::raise_descriptor_limit() {
            limit if limit < needed => mistakes.push(format!(
                "{} connections need {needed} descriptors, this process may have {limit}: raise \
                 its hard limit (ulimit -Hn) or share the connections between processes",
                self.connections
            )),
            _ => {}
        }
        if let Target::Tcp(address) = &self.target {
            let sources = self.sources.len().max(1);
            if self.connections.div_ceil(sources) > PORTS_PER_SOURCE {
                mistakes.push(format!(
                    "{} connections from {sources} address(es): one carries {PORTS_PER_SOURCE}, \
                     name more sources",
                    self.connections
                ));
            }
            let other = |source: &&IpAddr| source.is_ipv4() != address.is_ipv4();
            if let Some(source) = self.sources.iter().find(other) {
                mistakes.push(format!("{source} cannot connect to {address}"));
            }
        }
    }

    /// How many clients of each persona: the shares, rounded so that they make up `connections`.
    pub fn population(&self) -> BTreeMap<Persona, usize> {
        let mut counts = BTreeMap::new();
        let total: f64 = self.personas.iter().map(|(_, share)| share).sum();
        let (mut share_before, mut placed) = (0.0, 0);
        for (persona, share) in &self.personas {
            share_before += share;
            let until = (self.connections as f64 * share_before / total).round() as usize;
            let count = until.min(self.connections).saturating_sub(placed);
            if count > 0 {
                *counts.entry(*persona).or_insert(0) += count;
            }
            placed += count;
        }
        counts
    }
}

/// Far beyond what one process can carry; the machine's own limits are told by name.
const CONNECTIONS_MAX: usize = 1_000_000;
/// Connections from one local address, well below its range of ephemeral ports.
const PORTS_PER_SOURCE: usize = 19_000;
/// Deeper pipelines only measure buffers.
const PIPELINE_MAX: usize = 4096;
/// A client's keys are numbered from 0; what lies above has other uses.
const KEYS_MAX: usize = 1024;
const SHARED_KEYS_MAX: usize = 4096;
/// Standard streams, epoll instances, timers, files.
const DESCRIPTORS_BESIDE: u64 = 100;
