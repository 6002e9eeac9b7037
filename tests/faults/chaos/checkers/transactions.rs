//! Transactions that count: whole blocks, and check-and-set step by step. Each adds one to a counter
//! and its own number to a list. One that ran in part, twice, without its `WATCH`, or that was
//! acknowledged and is lost leaves a counter that is not the length of its list, or a list that is
//! not what was acknowledged.

use std::thread::JoinHandle;

use super::{Client, Outcome, Outcomes, PACE, ended, number, numbers};
use crate::support::{Conn, Value};

/// Clients of each kind: enough for check-and-set to meet.
const CLIENTS: u64 = 2;

/// Numbers of one client.
const NUMBERS: u64 = 1 << 40;

pub(super) struct Work {
    blocks: Vec<JoinHandle<Outcomes>>,
    sets: Vec<JoinHandle<Outcomes>>,
}

impl Work {
    pub(super) fn start(client: &dyn Fn(&[&[&str]]) -> Client) -> Self {
        let spawn = |protocol: u64, work: fn(Client, u64) -> Outcomes| {
            let version = (2 + protocol % 2).to_string();
            let client = client(&[&["HELLO", &version]]);
            std::thread::spawn(move || work(client, protocol * NUMBERS))
        };
        Self {
            blocks: (0..CLIENTS).map(|at| spawn(at, blocks)).collect(),
            sets: (0..CLIENTS).map(|at| spawn(at, sets)).collect(),
        }
    }

    pub(super) fn judge(self, direct: &mut Conn) -> Vec<String> {
        let mut offences = Vec::new();
        for (name, threads) in [("blocks", self.blocks), ("sets", self.sets)] {
            let mut outcomes = Outcomes::default();
            for thread in threads {
                outcomes.absorb(ended(thread));
            }
            println!(
                "  {name}: {} done, {} not run, {} may have run",
                outcomes.count(Outcome::Done),
                outcomes.count(Outcome::NotRun),
                outcomes.count(Outcome::MayHaveRun)
            );
            offences.append(&mut outcomes.offences);
            let list = numbers(direct, &format!("checkers:{name}:list"));
            outcomes.judge(name, &list, &mut offences);
            let count = direct.call(&["GET", &format!("checkers:{name}:count")]);
            let count = number(&count.value()).unwrap_or(0);
            if count != list.len() as u64 {
                offences.push(format!("{name}: counted {count}, {} are there", list.len()));
            }
        }
        offences
    }
}

/// `MULTI` to `EXEC` in one write.
fn blocks(mut client: Client, first: u64) -> Outcomes {
    let mut outcomes = Outcomes::default();
    let mut at = first;
    while client.goes_on() {
        std::thread::sleep(PACE);
        if !client.connected() {
            continue;
        }
        at += 1;
        let id = at.to_string();
        let replies = client.ask(&[
            &["MULTI"],
            &["INCR", "checkers:blocks:count"],
            &["RPUSH", "checkers:blocks:list", &id],
            &["EXEC"],
        ]);
        outcomes.of.insert(at, Outcome::of(replies.as_deref()));
    }
    outcomes.offences.extend(client.offence_of_hangs("blocks"));
    outcomes
}

/// `WATCH`, `GET`, and a `SET` of one more in a transaction, each a write of its own.
fn sets(mut client: Client, first: u64) -> Outcomes {
    let mut outcomes = Outcomes::default();
    let mut at = first;
    while client.goes_on() {
        std::thread::sleep(PACE);
        if client.connected() {
            at += 1;
            let outcome = set(&mut client, at).unwrap_or(Outcome::NotRun);
            outcomes.of.insert(at, outcome);
        }
    }
    outcomes.offences.extend(client.offence_of_hangs("sets"));
    outcomes
}

/// `None`: it did not come to the `EXEC`.
fn set(client: &mut Client, at: u64) -> Option<Outcome> {
    const COUNT: &str = "checkers:sets:count";
    let watched = client.ask(&[&["WATCH", COUNT], &["GET", COUNT]])?;
    if watched[0].is_error() || watched[1].is_error() {
        // narrows closes who cannot have a connection: what it says next must not run alone.
        client.conn = None;
        return None;
    }
    let next = number(&watched[1].value()).unwrap_or(0) + 1;
    let queued = client.ask(&[
        &["MULTI"],
        &["SET", COUNT, &next.to_string()],
        &["RPUSH", "checkers:sets:list", &at.to_string()],
    ])?;
    if queued[0].is_error() {
        client.conn = None;
        return None;
    }
    let replies = client.ask(&[&["EXEC"]]);
    let outcome = Outcome::of(replies.as_deref());
    // Some of it was not queued: nothing of it has run.
    let is_array = |value: Value| matches!(value, Value::Array(items) if items.len() == 2);
    let ran = replies.is_some_and(|replies| is_array(replies[0].value()));
    (outcome != Outcome::Done || ran).then_some(outcome)
}
