//! Clients beside the load whose work must come out exactly, whatever breaks meanwhile: transactions
//! that count, queues whose elements are taken once, channels whose messages come in order, users who
//! never see each other's data. Each keeps an account of what was acknowledged, what certainly has
//! not run and what may have; at the end the accounts are held against the data.
#![allow(dead_code, reason = "the soak and the short tests use a part each")]

mod channel;
mod queue;
mod transactions;
mod users;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::chaos::system::{REQUEST_DEADLINE, System};
use crate::support::{Conn, Reply, Value, command};

pub(crate) use users::{CONFIGURATION, OF_THE_SERVER, PASSWORD};

/// Between two pieces of work of one checker.
const PACE: Duration = Duration::from_millis(10);

/// Before the next attempt to connect.
const REST: Duration = Duration::from_millis(20);

/// All of them, at work.
pub(crate) struct Checkers {
    stop: Arc<AtomicBool>,
    transactions: transactions::Work,
    queue: queue::Work,
    channel: channel::Work,
    users: users::Work,
}

/// What became of what was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Done,
    NotRun,
    MayHaveRun,
}

/// Pieces of work by their number, and what became of each.
#[derive(Default)]
struct Outcomes {
    of: BTreeMap<u64, Outcome>,
    offences: Vec<String>,
}

/// One client, connected again whenever its connection is lost.
struct Client {
    address: String,
    greeting: Vec<Vec<u8>>,
    conn: Option<Conn>,
    stop: Arc<AtomicBool>,
    hangs: u64,
}

impl Checkers {
    /// Until they are told to finish.
    pub(crate) fn start(address: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |greeting: &[&[&str]]| Client {
            address: address.to_owned(),
            greeting: greeting.iter().map(|request| command(request)).collect(),
            conn: None,
            stop: Arc::clone(&stop),
            hangs: 0,
        };
        Self {
            transactions: transactions::Work::start(&client),
            queue: queue::Work::start(&client),
            channel: channel::Work::start(&client),
            users: users::Work::start(&client),
            stop,
        }
    }

    /// Ends their work and holds it against the data; what is wrong, in words.
    pub(crate) fn finish(self, system: &System) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        let mut direct = system.direct();
        let mut offences = self.transactions.judge(&mut direct);
        offences.extend(self.queue.judge(&mut direct));
        offences.extend(self.channel.judge());
        offences.extend(self.users.judge());
        offences
    }
}

impl Client {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    /// A connection that has been greeted, unless none is to be had now.
    fn connected(&mut self) -> bool {
        if self.conn.is_some() {
            return true;
        }
        self.conn = self.greeted();
        if self.conn.is_none() {
            std::thread::sleep(REST);
        }
        self.conn.is_some()
    }

    fn greeted(&self) -> Option<Conn> {
        let mut conn = Conn::try_connect(&self.address).ok()?;
        for greeting in &self.greeting {
            conn.try_send(greeting).ok()?;
            let reply = conn.try_reply_within(REQUEST_DEADLINE).ok()?;
            (!reply.is_error()).then_some(())?;
        }
        Some(conn)
    }

    /// Sends all of it in one write and takes as many replies; `None` when the connection was lost
    /// on the way.
    fn ask(&mut self, requests: &[&[&str]]) -> Option<Vec<Reply>> {
        let bytes: Vec<u8> = requests.iter().flat_map(|words| command(words)).collect();
        let conn = self.conn.as_mut()?;
        let mut replies = Vec::new();
        let mut outcome = conn.try_send(bytes);
        while outcome.is_ok() && replies.len() < requests.len() {
            outcome = conn
                .try_reply_within(REQUEST_DEADLINE)
                .map(|reply| replies.push(reply));
        }
        if let Err(error) = outcome {
            self.lost(&error);
            return None;
        }
        Some(replies)
    }

    /// The next thing that is pushed, if it comes within `patience`.
    fn next(&mut self, patience: Duration) -> Option<Reply> {
        let outcome = self.conn.as_mut()?.try_reply_within(patience);
        match outcome {
            Ok(reply) => Some(reply),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => None,
            Err(_) => {
                self.conn = None;
                None
            }
        }
    }

    fn lost(&mut self, error: &std::io::Error) {
        self.hangs += u64::from(error.kind() == std::io::ErrorKind::WouldBlock);
        self.conn = None;
    }

    fn offence_of_hangs(&self, who: &str) -> Option<String> {
        (self.hangs > 0).then(|| format!("{who}: {} requests were not answered", self.hangs))
    }
}

impl Outcome {
    /// By the last reply of what was asked.
    fn of(replies: Option<&[Reply]>) -> Self {
        let Some(reply) = replies.and_then(<[Reply]>::last) else {
            return Self::MayHaveRun;
        };
        match reply.value() {
            Value::Error(text) if text.contains("may have run") => Self::MayHaveRun,
            Value::Error(_) | Value::Null => Self::NotRun,
            _ => Self::Done,
        }
    }
}

impl Outcomes {
    fn absorb(&mut self, other: Self) {
        self.of.extend(other.of);
        self.offences.extend(other.offences);
    }

    fn count(&self, outcome: Outcome) -> usize {
        self.of.values().filter(|found| **found == outcome).count()
    }

    /// Whether `found` is what these outcomes allow: all that was done once, what may have run at most
    /// once, nothing else.
    fn judge(&self, what: &str, found: &[u64], offences: &mut Vec<String>) {
        let mut times: BTreeMap<u64, usize> = BTreeMap::new();
        for number in found {
            *times.entry(*number).or_default() += 1;
        }
        for (number, times) in &times {
            if *times > 1 || !self.may_have_run(*number) {
                let outcome = self.of.get(number);
                offences.push(format!(
                    "{what}: {number} ({outcome:?}) is there {times} times"
                ));
            }
        }
        let done = self
            .of
            .iter()
            .filter(|(_, outcome)| **outcome == Outcome::Done);
        for (number, _) in done.filter(|(number, _)| !times.contains_key(number)) {
            offences.push(format!("{what}: {number} was acknowledged and is lost"));
        }
    }

    fn may_have_run(&self, number: u64) -> bool {
        matches!(
            self.of.get(&number),
            Some(Outcome::Done | Outcome::MayHaveRun)
        )
    }
}

/// Ends a thread, and takes what it has come to.
fn ended<T>(thread: JoinHandle<T>) -> T {
    thread.join().expect("a checker does not panic")
}

/// Elements of a list that are read at a time.
const PART: usize = 5000;

/// The numbers of a list.
fn numbers(direct: &mut Conn, key: &str) -> Vec<u64> {
    let mut found = Vec::new();
    loop {
        let [first, last] = [found.len(), found.len() + PART - 1].map(|at| at.to_string());
        let items = direct.call(&["LRANGE", key, &first, &last]).items();
        found.extend(items.iter().filter_map(number));
        if items.len() < PART {
            return found;
        }
    }
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Bulk(bytes) => std::str::from_utf8(bytes).ok()?.parse().ok(),
        _ => None,
    }
}
