//! A verifying load: clients that tag what they write with their own name, know which values each
//! of their keys may have, and count how often each `INCR` can have run. It knows what narrows
//! promises when a backend breaks, and nothing of how it is broken.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::{Conn, Reply, Value};

/// What a client is told whose command may or may not have run, byte for byte.
pub(crate) const UNKNOWN: &str = "ERR narrows: backend connection lost; the command may have run";

/// What a client is told whose command has not run begins with this.
pub(crate) const NOT_EXECUTED: &str = "TRYAGAIN narrows: ";

/// Keys of one client.
const KEYS: usize = 4;

/// Requests that one client sends at once, at most.
const PIPELINE_MAX: u64 = 6;

/// What became of the data while the load ran.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dataset {
    Kept,
    /// The server may have come back empty.
    Lost,
}

/// What all clients together have seen.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tally {
    pub(crate) done: u64,
    pub(crate) unknown: u64,
    pub(crate) not_executed: u64,
    /// Connections that ended in the middle of a reply.
    pub(crate) cut_off: u64,
    /// The longest that one batch of requests took.
    pub(crate) slowest: Duration,
    /// Per client: INCRs that are known to have run, and those that may have.
    pub(crate) counters: Vec<(u64, u64)>,
}

/// A running load.
pub(crate) struct Load {
    threads: Vec<JoinHandle<Tally>>,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
}

impl Load {
    /// `clients` threads against the endpoint at `address`.
    pub(crate) fn start(address: &str, clients: u64, dataset: Dataset) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicU64::new(0));
        let threads = (0..clients)
            .map(|id| {
                let client = Client::new(id, address, dataset);
                let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
                std::thread::spawn(move || client.run(&stop, &done))
            })
            .collect();
        Self {
            threads,
            stop,
            done,
        }
    }

    /// Requests that have been carried out so far.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Waits until `more` further requests have been carried out.
    #[track_caller]
    pub(crate) fn progress(&self, more: u64, patience: Duration) {
        let goal = self.done() + more;
        crate::support::wait_until("progress of the load", patience, || {
            self.done() >= goal || self.threads.iter().any(JoinHandle::is_finished)
        });
    }

    /// Lets every client finish what it has begun.
    #[track_caller]
    pub(crate) fn finish(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Tally::default();
        for thread in self.threads {
            let tally = thread.join().expect("a client saw what must not be");
            all.done += tally.done;
            all.unknown += tally.unknown;
            all.not_executed += tally.not_executed;
            all.cut_off += tally.cut_off;
            all.slowest = all.slowest.max(tally.slowest);
            all.counters.extend(tally.counters);
        }
        all
    }
}

/// The server's counters are within what the clients know: no INCR was lost or ran twice.
#[track_caller]
pub(crate) fn expect_counters(tally: &Tally, conn: &mut Conn) {
    for (id, (sure, perhaps)) in tally.counters.iter().enumerate() {
        let value = match conn.call(&["GET", &counter_key(id as u64)]).value() {
            Value::Null => 0,
            Value::Bulk(text) => String::from_utf8(text).unwrap().parse::<u64>().unwrap(),
            other => panic!("a counter is {other:?}"),
        };
        assert!(
            (*sure..=sure + perhaps).contains(&value),
            "client {id}: {value} is not within {sure} and {perhaps} more"
        );
    }
}

fn counter_key(client: u64) -> String {
    format!("load:{client}:counter")
}

enum Op {
    Set { key: usize, seq: u64 },
    Get { key: usize },
    Incr,
    Echo { seq: u64 },
}

struct Client {
    id: u64,
    address: String,
    conn: Conn,
    dataset: Dataset,
    random: u64,
    seq: u64,
    /// The values that each key may have; 0 is none.
    possible: [BTreeSet<u64>; KEYS],
    /// Sets whose outcome is unknown: a server that was stopped may still carry them out.
    floating: [BTreeSet<u64>; KEYS],
    sure: u64,
    perhaps: u64,
    tally: Tally,
}

impl Client {
    fn new(id: u64, address: &str, dataset: Dataset) -> Self {
        Self {
            id,
            address: address.to_owned(),
            conn: Conn::connect(address),
            dataset,
            random: (id + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15),
            seq: 0,
            possible: std::array::from_fn(|_| BTreeSet::from([0])),
            floating: Default::default(),
            sure: 0,
            perhaps: 0,
            tally: Tally::default(),
        }
    }

    fn run(mut self, stop: &AtomicBool, done: &AtomicU64) -> Tally {
        while !stop.load(Ordering::Relaxed) {
            let before = self.tally.done;
            self.batch();
            done.fetch_add(self.tally.done - before, Ordering::Relaxed);
            // Some tens of clients are to exercise narrows, not to heat the machine.
            std::thread::sleep(Duration::from_millis(1));
        }
        self.tally.counters = vec![(self.sure, self.perhaps)];
        self.tally
    }

    fn batch(&mut self) {
        let ops: Vec<Op> = (0..=self.below(PIPELINE_MAX - 1))
            .map(|_| self.op())
            .collect();
        let bytes: Vec<u8> = ops.iter().flat_map(|op| self.request(op)).collect();
        let begin = Instant::now();
        let mut alive = self.conn.try_send(&bytes).is_ok();
        for op in &ops {
            let reply = alive.then(|| self.next_reply()).flatten();
            assert!(
                begin.elapsed() < Conn::READ_PATIENCE,
                "client {}: a reply did not come in time",
                self.id
            );
            alive = reply.is_some();
            self.outcome(op, reply);
        }
        self.tally.slowest = self.tally.slowest.max(begin.elapsed());
        if !alive {
            self.tally.cut_off += 1;
            self.conn = Conn::connect(&self.address);
        }
    }

    /// `None` when the connection has ended.
    fn next_reply(&mut self) -> Option<Reply> {
        match self.conn.try_reply() {
            Ok(reply) => Some(reply),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                panic!("client {}: {error}", self.id)
            }
            Err(_) => None,
        }
    }

    fn op(&mut self) -> Op {
        self.seq += 1;
        let key = self.below(KEYS as u64 - 1) as usize;
        match self.below(3) {
            0 => Op::Set { key, seq: self.seq },
            1 => Op::Get { key },
            2 => Op::Incr,
            _ => Op::Echo { seq: self.seq },
        }
    }

    fn request(&self, op: &Op) -> Vec<u8> {
        let words = match op {
            Op::Set { key, seq } => vec!["SET".to_owned(), self.key(*key), self.value(*key, *seq)],
            Op::Get { key } => vec!["GET".to_owned(), self.key(*key)],
            Op::Incr => vec!["INCR".to_owned(), counter_key(self.id)],
            Op::Echo { seq } => vec!["ECHO".to_owned(), self.value(KEYS, *seq)],
        };
        crate::support::command(&words)
    }

    fn key(&self, key: usize) -> String {
        format!("load:{}:{key}", self.id)
    }

    /// Tagged, and of a length that differs, up to some kilobytes.
    fn value(&self, key: usize, seq: u64) -> String {
        let padding = (seq * 7919 % 97) * (seq % 31);
        format!(
            "{}/{key}/{seq}/{}",
            self.id,
            "x".repeat(usize::try_from(padding).unwrap())
        )
    }

    /// Checks one reply against all that this client knows.
    fn outcome(&mut self, op: &Op, reply: Option<Reply>) {
        let value = reply.as_ref().map(Reply::value);
        let unknown = match &value {
            None => true,
            Some(Value::Error(text)) if text == UNKNOWN => true,
            Some(Value::Error(text)) if text.starts_with(NOT_EXECUTED) => {
                self.tally.not_executed += 1;
                return;
            }
            Some(_) => false,
        };
        if unknown {
            self.tally.unknown += 1;
            match op {
                Op::Set { key, seq } => {
                    self.floating[*key].insert(*seq);
                }
                Op::Incr => self.perhaps += 1,
                Op::Get { .. } | Op::Echo { .. } => {}
            }
            return;
        }
        self.tally.done += 1;
        self.verify(op, value.unwrap());
    }

    fn verify(&mut self, op: &Op, value: Value) {
        let id = self.id;
        match (op, value) {
            (Op::Set { key, seq }, Value::Status(text)) if text == "OK" => {
                self.possible[*key] = BTreeSet::from([*seq]);
            }
            (Op::Get { key }, Value::Null) => assert!(
                self.possible[*key].contains(&0) || self.dataset == Dataset::Lost,
                "client {id}: key {key} has vanished"
            ),
            (Op::Get { key }, Value::Bulk(bytes)) => {
                let text = String::from_utf8(bytes).unwrap();
                let seq: u64 = text.split('/').nth(2).unwrap().parse().unwrap();
                assert_eq!(
                    text,
                    self.value(*key, seq),
                    "client {id}: not its own value"
                );
                let known = [&self.possible[*key], &self.floating[*key]];
                assert!(
                    known.iter().any(|set| set.contains(&seq)),
                    "client {id}: key {key} is {seq}, it may be {known:?}"
                );
            }
            (Op::Incr, Value::Integer(n)) => {
                let n = u64::try_from(n).unwrap();
                self.sure += 1;
                let least = match self.dataset {
                    Dataset::Kept => self.sure,
                    Dataset::Lost => 1,
                };
                let most = self.sure + self.perhaps;
                assert!(
                    (least..=most).contains(&n),
                    "client {id}: INCR gives {n}, not within {least} and {most}"
                );
            }
            (Op::Echo { seq }, Value::Bulk(bytes)) => {
                assert_eq!(
                    String::from_utf8(bytes).unwrap(),
                    self.value(KEYS, *seq),
                    "client {id}: not its own echo"
                );
            }
            (_, other) => panic!("client {id}: unexpected reply {other:?}"),
        }
    }

    /// A number from 0 to `max`, from a sequence that is the same in every run.
    fn below(&mut self, max: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % (max + 1)
    }
}
