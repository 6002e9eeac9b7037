//! Plays one seed, whole or some of its steps only; makes a failure small by leaving out steps
//! as long as it still fails; and says how to play that again.
#![allow(
    dead_code,
    reason = "two tests share this file, and each leaves something unused"
)]

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::process::Command;
use std::rc::Rc;
use std::sync::Once;
use std::time::{Duration, Instant};

use super::focus::Focus;
use super::play::{Report, play};
use super::world::World;

/// Most simulations that are played to make one failure small.
const RUNS_MAX: usize = 1500;

/// Longest that this may take.
const SEARCH_MAX: Duration = Duration::from_secs(20);

/// Most lines of a trace that are printed.
const LINES_MAX: usize = 150;

/// The events of a simulation, one a line.
pub type TraceLog = Rc<RefCell<Vec<String>>>;

/// What is to be played.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub seed: u64,
    /// What its world is focused on, if that is not left to the seed.
    pub focus: Option<Focus>,
    /// The steps with faults that happen; all of them where it is `None`.
    pub steps: Option<BTreeSet<u64>>,
    /// Where the events are written down.
    pub trace_log: Option<TraceLog>,
    /// Each event is printed as it happens.
    pub told: bool,
}

/// How a simulation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub text: String,
    /// The step at which it did, or the last one.
    pub step: u64,
}

impl Plan {
    pub fn of(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    /// The same in a world with this focus.
    pub fn focused(focus: Focus, seed: u64) -> Self {
        Self {
            focus: Some(focus),
            ..Self::of(seed)
        }
    }

    /// How it is named in a list.
    pub fn name(&self) -> String {
        format!("{}seed {}", self.world(), self.seed)
    }

    /// How its world is named to whoever plays it again.
    fn world(&self) -> String {
        let named = |focus| format!("NARROWS_SIM_WORLD={focus:?} ");
        self.focus.map(named).unwrap_or_default()
    }
}

thread_local! {
    /// Panics of this thread say nothing: they are caught and judged.
    static QUIET: Cell<bool> = const { Cell::new(false) };
    /// The step that is being played.
    pub static STEP: Cell<u64> = const { Cell::new(0) };
}

/// Worlds of a kind, for bugs that only they can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worlds {
    All,
    /// Servers get out of step.
    OutOfStep,
    /// Clients log in.
    WithUsers,
    /// Clients do little else than transactions, and wait.
    Transacting,
    /// Clients do little else than subscribe and publish.
    Subscribing,
    /// They are focused on something.
    Focused(Focus),
}

impl World {
    /// Whether clients wait more often than not, and nothing goes wrong with connections.
    pub fn waits_much(&self) -> bool {
        self.transacting && self.faults == 0 && !self.users
    }
}

/// Whether the world of this seed is of this kind.
pub fn is_of(worlds: Worlds, seed: u64) -> bool {
    if let Worlds::All | Worlds::Focused(_) = worlds {
        return true;
    }
    let world = World::new(&Plan::of(seed));
    match worlds {
        Worlds::OutOfStep => world.desyncs,
        Worlds::WithUsers => world.users,
        Worlds::Transacting => world.transacting && world.faults > 0 && !world.users,
        Worlds::Subscribing => world.subscribing,
        Worlds::All | Worlds::Focused(_) => true,
    }
}

/// Plays one seed; a panic in the engine is a failure like any other.
pub fn outcome(plan: &Plan) -> Result<Report, Failure> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = take_hook();
        set_hook(Box::new(move |info| {
            if !QUIET.get() {
                loud(info);
            }
        }));
    });
    QUIET.set(true);
    let played = catch_unwind(AssertUnwindSafe(|| play(plan)));
    QUIET.set(false);
    let played = played.unwrap_or_else(|panic| Err(format!("panic: {}", words(&*panic))));
    played.map_err(|text| Failure {
        text,
        step: STEP.get(),
    })
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
    text.unwrap_or_default()
}

/// One seed and the steps that the environment names, if it does.
pub fn from_environment() -> Option<Plan> {
    let seed = std::env::var("NARROWS_SIM_SEED").ok()?;
    let steps = std::env::var("NARROWS_SIM_STEPS").ok();
    Some(Plan {
        seed: seed.parse().expect("NARROWS_SIM_SEED is a number"),
        focus: world_from_environment(),
        steps: steps.map(|text| read_steps(&text)),
        trace_log: None,
        told: std::env::var_os("NARROWS_SIM_TRACE").is_some(),
    })
}

/// The world that the environment names.
pub fn world_from_environment() -> Option<Focus> {
    let name = std::env::var("NARROWS_SIM_WORLD").ok()?;
    Some(Focus::named(&name).expect("NARROWS_SIM_WORLD names a focus"))
}

/// What a text of [`explain`] says is to be played.
pub fn replays(text: &str) -> Option<Plan> {
    let (_, rest) = text.split_once("NARROWS_SIM_SEED=")?;
    let (seed, rest) = rest.split_once(" NARROWS_SIM_STEPS=")?;
    let steps = rest.split_whitespace().next()?;
    let focus = text.split_once("NARROWS_SIM_WORLD=");
    let focus = focus.and_then(|(_, rest)| Focus::named(rest.split_whitespace().next()?));
    Some(Plan {
        seed: seed.parse().ok()?,
        focus,
        steps: Some(read_steps(steps)),
        ..Plan::default()
    })
}

/// A failure, made small and told with all that is needed to see it again.
pub fn explain(plan: &Plan, failure: &Failure) -> String {
    let (steps, runs) = minimise(plan, failure);
    let trace_log = TraceLog::default();
    let small = Plan {
        steps: Some(steps.clone()),
        trace_log: Some(Rc::clone(&trace_log)),
        ..plan.clone()
    };
    let ends = match outcome(&small) {
        Err(failure) => failure.text,
        Ok(_) => "nothing: the failure does not replay".to_owned(),
    };
    let trace_log = trace_log.borrow();
    let skipped = trace_log.len().saturating_sub(LINES_MAX);
    let mut text = format!(
        "{}seed {} at commit {}: {}\nwith {} of its steps only ({runs} runs): {ends}\n",
        plan.world(),
        plan.seed,
        commit(),
        failure.text,
        steps.len(),
    );
    if skipped > 0 {
        text.push_str(&format!("  ({skipped} earlier events left out)\n"));
    }
    for line in trace_log.iter().skip(skipped) {
        text.push_str(&format!("  {line}\n"));
    }
    text.push_str(&format!(
        "replay it: {}NARROWS_SIM_SEED={} NARROWS_SIM_STEPS={} cargo nextest run --test simulation seeds\n",
        plan.world(),
        plan.seed,
        write_steps(&steps)
    ));
    text
}

/// Leaves out steps, many at once and then one by one, as long as the simulation still fails.
/// What is left, and how many simulations that took.
fn minimise(plan: &Plan, failure: &Failure) -> (BTreeSet<u64>, usize) {
    let all = (1..=failure.step).collect();
    let mut kept: Vec<u64> = plan.steps.clone().unwrap_or(all).into_iter().collect();
    kept.retain(|step| *step <= failure.step);
    let fails = |steps: &[u64]| {
        let steps = Some(steps.iter().copied().collect());
        let trace_log = None;
        outcome(&Plan {
            steps,
            trace_log,
            told: false,
            focus: plan.focus,
            seed: plan.seed,
        })
        .is_err()
    };
    let began = Instant::now();
    let mut runs = 0;
    let mut chunk = kept.len().div_ceil(2);
    while chunk > 0 {
        let before = kept.len();
        let mut at = 0;
        while at < kept.len() {
            if runs >= RUNS_MAX || began.elapsed() > SEARCH_MAX {
                return (kept.into_iter().collect(), runs);
            }
            let end = (at + chunk).min(kept.len());
            let fewer: Vec<u64> = [&kept[..at], &kept[end..]].concat();
            runs += 1;
            match fails(&fewer) {
                true => kept = fewer,
                false => at = end,
            }
        }
        // Single steps are tried again until none can be left out any more.
        chunk = match chunk {
            1 if kept.len() < before => 1,
            _ => chunk / 2,
        };
    }
    (kept.into_iter().collect(), runs)
}

/// `3,9,14-20`.
fn write_steps(steps: &BTreeSet<u64>) -> String {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for step in steps {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *step => *last = *step,
            _ => ranges.push((*step, *step)),
        }
    }
    let text = |(first, last): &(u64, u64)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(",")
}

fn read_steps(text: &str) -> BTreeSet<u64> {
    let number = |text: &str| text.trim().parse::<u64>().expect("steps: 3,9,14-20");
    let parts = text.split(',').filter(|part| !part.trim().is_empty());
    parts
        .flat_map(|part| match part.split_once('-') {
            Some((first, last)) => number(first)..=number(last),
            None => number(part)..=number(part),
        })
        .collect()
}

/// The commit that is being tested.
fn commit() -> String {
    let git = Command::new("git")
        .args(["-C", env!("CARGO_MANIFEST_DIR"), "rev-parse", "--short=12"])
        .arg("HEAD")
        .output();
    match git {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        _ => "unknown".to_owned(),
    }
}

#[test]
fn steps_are_read_as_they_are_written() {
    for text in ["", "3", "3,9,14-20", "1-2,4-5,7"] {
        assert_eq!(write_steps(&read_steps(text)), text);
    }
}
