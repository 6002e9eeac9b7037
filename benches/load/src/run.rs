//! The beginning and the end of a run: its threads, and what they have to tell.

use std::sync::Arc;
use std::thread::JoinHandle;

use crate::client::Rules;
use crate::gauge::{Event, Percentiles, Shared, Snapshot};
use crate::machine;
use crate::offence::Offence;
use crate::persona::Persona;
use crate::plan::Plan;
use crate::report::Report;
use crate::shard::{Shard, ShardEnd};
use crate::tag::mix;

/// A run that has been started.
pub struct Running {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Result<ShardEnd, String>>>,
}

/// Starts the threads of a plan and returns at once. A plan should have passed [`Plan::check`]:
/// what cannot be done all the same is told as trouble by [`Running::wait`].
pub fn start(plan: Plan) -> Running {
    machine::raise_descriptor_limit();
    let personas = assign(&plan);
    let run = number_of_run(plan.seed);
    let count = plan.threads;
    let shared = Arc::new(Shared::new(Arc::new(Rules { plan, run })));
    let mut threads = Vec::with_capacity(count);
    for index in 0..count {
        let (shared, personas) = (Arc::clone(&shared), Arc::clone(&personas));
        threads.push(std::thread::spawn(move || {
            match Shard::new(index, &personas, &shared) {
                Ok(shard) => Ok(shard.run()),
                Err(error) => {
                    shared.stop();
                    Err(error.to_string())
                }
            }
        }));
    }
    Running { shared, threads }
}

impl Running {
    /// How it goes.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }

    /// Latencies since this was last called, or since the beginning, warm-up included.
    pub fn take_window(&self) -> Percentiles {
        self.shared.take_window()
    }

    /// The last few hundred things out of the ordinary, the oldest first.
    pub fn history(&self) -> Vec<Event> {
        self.shared.events()
    }

    /// Ends the load before its time. The replies that are due and the audit still come.
    pub fn stop(&self) {
        self.shared.stop();
    }

    /// Whether all threads have ended: [`Running::wait`] returns at once.
    pub fn is_over(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// The first reply that its request cannot have.
    pub fn wait(self) -> Result<Report, Box<Offence>> {
        let mut ends = Vec::new();
        let mut failure = None;
        for thread in self.threads {
            match thread.join() {
                Ok(Ok(end)) => ends.push(end),
                Ok(Err(why)) => failure = Some(why),
                Err(_) => failure = Some("a thread of the load generator panicked".to_owned()),
            }
        }
        let offence = self.shared.offence.lock().take();
        if let Some(mut offence) = offence {
            offence.other = ends
                .iter_mut()
                .find_map(|end| end.party.take())
                .filter(|other| other.client != offence.hearer.client);
            let rules = &self.shared.rules;
            let folder = rules.plan.dump_folder.clone();
            offence.dump(&folder.unwrap_or_else(std::env::temp_dir), rules.run);
            return Err(Box::new(offence));
        }
        let mut report = Report::of(&self.shared, &ends);
        report.trouble = report.trouble.or(failure);
        Ok(report)
    }
}

/// The persona of each client, spread so that every thread gets its share of each.
fn assign(plan: &Plan) -> Arc<[Persona]> {
    let mut personas = Vec::with_capacity(plan.connections);
    for (persona, count) in plan.population() {
        personas.extend(std::iter::repeat_n(persona, count));
    }
    fastrand::Rng::with_seed(plan.seed).shuffle(&mut personas);
    personas.into()
}

/// A number that no other run on the same server has, whatever its seed.
fn number_of_run(seed: u64) -> u32 {
    let time = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64);
    (mix(mix(seed ^ u64::from(std::process::id())) ^ time) >> 32) as u32
}
