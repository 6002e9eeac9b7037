//! A queue of jobs: every one that was pushed is taken once, or is still there. One whose worker's
//! connection was lost while it waited may be gone with it: as many may be missing as waits ended
//! without an answer, and none of those that are moved from list to list.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use super::{Client, Outcome, Outcomes, PACE, ended, number, numbers};
use crate::support::{Conn, Value};

const QUEUE: &str = "checkers:jobs";
const MOVED: &str = "checkers:jobs:moved";

/// The most jobs that lie in wait: past them the producer pauses.
const JOBS_MAX: u64 = 200;

/// Two workers at a time, of these ways to wait.
const WAITS: &[&[&str]] = &[
    &["BLPOP", QUEUE, "1"],
    &["BLMOVE", QUEUE, MOVED, "LEFT", "RIGHT", "1"],
    &["BRPOP", QUEUE, "0.2"],
];

#[derive(Default)]
struct Level {
    pushed: AtomicU64,
    taken: AtomicU64,
}

pub(super) struct Work {
    producer: JoinHandle<Outcomes>,
    workers: Vec<JoinHandle<Taken>>,
}

#[derive(Default)]
struct Taken {
    popped: Vec<u64>,
    moved: Vec<u64>,
    /// Pops of which it is not known what they took.
    unanswered: usize,
    offences: Vec<String>,
}

impl Work {
    pub(super) fn start(client: &dyn Fn(&[&[&str]]) -> Client) -> Self {
        let producer = client(&[]);
        let level = Arc::new(Level::default());
        let workers = ["2", "3"].map(|version| {
            let (client, level) = (client(&[&["HELLO", version]]), Arc::clone(&level));
            std::thread::spawn(move || take(client, &level))
        });
        Self {
            producer: std::thread::spawn(move || push(producer, &level)),
            workers: workers.into(),
        }
    }

    pub(super) fn judge(self, direct: &mut Conn) -> Vec<String> {
        let mut pushed = ended(self.producer);
        let mut offences = std::mem::take(&mut pushed.offences);
        let mut all = Taken::default();
        for worker in self.workers {
            let taken = ended(worker);
            all.popped.extend(taken.popped);
            all.moved.extend(taken.moved);
            all.unanswered += taken.unanswered;
            offences.extend(taken.offences);
        }
        let moved = numbers(direct, MOVED);
        let there: HashSet<u64> = moved.iter().copied().collect();
        for number in all.moved.iter().filter(|number| !there.contains(number)) {
            offences.push(format!("jobs: {number} was moved and is not there"));
        }
        println!(
            "  jobs: {} pushed, {} popped, {} moved, {} pops unanswered",
            pushed.count(Outcome::Done),
            all.popped.len(),
            moved.len(),
            all.unanswered
        );
        let found = [all.popped, moved, numbers(direct, QUEUE)].concat();
        // What was acknowledged and is nowhere may have been taken by a pop without an answer.
        let (mut lost, mut others) = (Vec::new(), Vec::new());
        pushed.judge("jobs", &found, &mut others);
        others.retain(|offence| {
            let is_lost = offence.ends_with("is lost");
            lost.extend(is_lost.then(|| offence.clone()));
            !is_lost
        });
        offences.append(&mut others);
        if lost.len() > all.unanswered {
            offences.push(format!(
                "{} jobs are lost, {} pops were not answered: {:?}",
                lost.len(),
                all.unanswered,
                &lost[..lost.len().min(5)]
            ));
        }
        offences
    }
}

fn push(mut client: Client, level: &Level) -> Outcomes {
    let mut outcomes = Outcomes::default();
    let mut at = 0;
    while client.goes_on() {
        std::thread::sleep(PACE);
        // A job may be taken before its push is known to be done.
        let taken = level.taken.load(Ordering::Relaxed);
        let waiting = level.pushed.load(Ordering::Relaxed).saturating_sub(taken);
        if waiting > JOBS_MAX || !client.connected() {
            continue;
        }
        at += 1;
        let replies = client.ask(&[&["RPUSH", QUEUE, &at.to_string()]]);
        let outcome = Outcome::of(replies.as_deref());
        if outcome == Outcome::Done {
            level.pushed.fetch_add(1, Ordering::Relaxed);
        }
        outcomes.of.insert(at, outcome);
    }
    outcomes.offences.extend(client.offence_of_hangs("push"));
    outcomes
}

fn take(mut client: Client, level: &Level) -> Taken {
    let mut taken = Taken::default();
    let mut at = 0;
    while client.goes_on() {
        if !client.connected() {
            continue;
        }
        at += 1;
        let wait = WAITS[at % WAITS.len()];
        let replies = client.ask(&[wait]);
        let outcome = Outcome::of(replies.as_deref());
        let is_pop = wait[0] != "BLMOVE";
        if outcome == Outcome::MayHaveRun && is_pop {
            taken.unanswered += 1;
        }
        let value = replies.map(|replies| replies[0].value());
        let job = match &value {
            Some(Value::Array(items)) => items.get(1).and_then(number),
            Some(value) => number(value),
            None => None,
        };
        if let Some(job) = job {
            level.taken.fetch_add(1, Ordering::Relaxed);
            match is_pop {
                true => taken.popped.push(job),
                false => taken.moved.push(job),
            }
        } else if outcome == Outcome::NotRun && value.is_some_and(|value| value != Value::Null) {
            // Refused: no place to wait in.
            std::thread::sleep(PACE);
        }
    }
    taken.offences.extend(client.offence_of_hangs("take"));
    taken
}
