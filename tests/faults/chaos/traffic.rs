//! The verifying load of the load generator's library, as this strain needs it: web clients, deep
//! pipelines, large values, clients that leak connections and clients that come in waves and
//! vanish, in both protocols and several dbs. Errors and lost connections are expected; a wrong
//! reply, a lost write, a command that ran twice and a hang are not.
#![allow(dead_code, reason = "the soak and the short tests use a part each")]

use std::time::Duration;

use narrows_load::{
    Data, OnTrouble, Percentiles, Persona, Phase, Plan, Protocol, Report, Running, Target,
};

use crate::chaos::system::REQUEST_DEADLINE;

/// How much is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Volume {
    pub(crate) connections: usize,
    pub(crate) threads: usize,
    /// Requests a second over all connections.
    pub(crate) rate: f64,
}

/// A running load.
pub(crate) struct Traffic {
    running: Running,
}

impl Traffic {
    /// Until it is told to finish.
    pub(crate) fn start(address: &str, volume: Volume, data: Data, seed: u64) -> Self {
        let plan = Plan {
            connections: volume.connections,
            threads: volume.threads,
            rate: Some(volume.rate),
            pipeline: 4,
            duration: Duration::from_secs(24 * 60 * 60),
            personas: vec![
                (Persona::Web, 0.65),
                (Persona::Pipeline, 0.1),
                (Persona::Storm, 0.14),
                (Persona::Leak, 0.1),
                (Persona::Bulk, 0.01),
            ],
            databases: vec![0, 3],
            protocols: vec![Protocol::Resp2, Protocol::Resp3],
            on_trouble: OnTrouble::Endure,
            data,
            request_deadline: REQUEST_DEADLINE,
            dump_folder: Some(env!("CARGO_TARGET_TMPDIR").into()),
            seed,
            ..Plan::new(Target::Tcp(address.parse().unwrap()))
        };
        plan.check().unwrap();
        Self {
            running: narrows_load::start(plan),
        }
    }

    /// Replies that were verified so far.
    pub(crate) fn verified(&self) -> u64 {
        self.running.snapshot().counts.verified
    }

    /// Requests that were not answered within their deadline.
    pub(crate) fn hangs(&self) -> u64 {
        self.running.snapshot().counts.hangs
    }

    /// Whether it has found an offence: it ends by itself for no other reason.
    pub(crate) fn ended(&self) -> bool {
        self.running.snapshot().phase > Phase::Running
    }

    /// Latencies since this was last asked.
    pub(crate) fn take_latencies(&self) -> Percentiles {
        self.running.take_window()
    }

    /// Ends it, reads all that was written, and tells what was seen; the error is an offence, told
    /// with the recent history of both clients.
    pub(crate) fn finish(self) -> Result<Report, String> {
        self.running.stop();
        self.running.wait().map_err(|offence| offence.to_string())
    }
}
