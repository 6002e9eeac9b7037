//! Pipelined requests are sent in stretches, judged once for many of them. Whether there is one
//! makes no difference: where each waits for the reply to the one before it, there is none.

use std::fmt::Write as _;

use narrows::engine::{BackendId, ClientId};
use narrows::resp::{Limits, RequestEvent, RequestScanner, write};
use narrows::telemetry::Way;

use super::harness::{Harness, without_alarms};

const CASES: u64 = 250;
const REQUESTS_MAX: usize = 24;

fn canonical(words: &str) -> String {
    let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
    let mut request = Vec::new();
    write::request(&mut request, &words);
    String::from_utf8(request).unwrap()
}

/// Mostly plain ones; now and then one of everything that is not.
fn any_request(random: &mut fastrand::Rng) -> String {
    const PLAIN: [&str; 8] = [
        "GET k",
        "get k",
        "SET k v",
        "INCR n",
        "MGET a b c",
        "SCRIPT EXISTS x",
        "OBJECT ENCODING k",
        "PUBLISH c m",
    ];
    const OTHER: [&str; 24] = [
        "SCRIPT KILL",
        "SCRIPT NONE",
        "SCRIPT",
        "CLIENT REPLY SKIP",
        "CLIENT REPLY OFF",
        "CLIENT REPLY ON",
        "CLIENT GETNAME",
        "CLIENT ID",
        "SELECT 1",
        "SELECT 0",
        "MULTI",
        "EXEC",
        "WATCH k",
        "UNWATCH",
        "BLPOP q 0",
        "INFO",
        "AUTH nobody nothing",
        "HELLO 3",
        "RESET",
        "GET",
        "SHUTDOWN",
        "NOSUCH",
        "SUBSCRIBE c",
        "QUIT",
    ];
    match random.u32(0..40) {
        0..32 => canonical(random.choice(PLAIN).unwrap()),
        32..37 => canonical(random.choice(OTHER).unwrap()),
        37 => "GET inline\r\n".into(),
        38 => "\r\n".into(),
        _ => "*0\r\n".into(),
    }
}

fn harness(random: &mut fastrand::Rng) -> Harness {
    let in_flight = random.choice([1, 2, 5, 1000]).unwrap();
    let in_pipe = random.choice([2, 7, 1000]).unwrap();
    let pipe_bytes = random.choice([40, 150, 1 << 20]).unwrap();
    let kinds = random.bool();
    Harness::new(2, |settings| {
        without_alarms(settings);
        settings.clients.in_flight_max = in_flight;
        settings.pool.pipe_in_flight_max = in_pipe;
        settings.pool.pipe_bytes_max = pipe_bytes;
        settings.pool.check_kinds = kinds;
    })
}

/// A server that greets, changes the db, and answers all else with an error that repeats it.
#[derive(Default)]
struct Server {
    db: String,
}

impl Server {
    fn answer(&mut self, mut written: &[u8]) -> String {
        let mut replies = String::new();
        while !written.is_empty() {
            let advance = RequestScanner::default().advance(written, &Limits::default());
            let advance = advance.expect("canonical");
            assert!(matches!(advance.event, RequestEvent::Complete(_)));
            let (request, rest) = written.split_at(advance.consumed);
            written = rest;
            let request = String::from_utf8_lossy(request);
            let words: Vec<&str> = request.split("\r\n").skip(2).step_by(2).collect();
            let _ = match words[..] {
                ["HELLO", ..] => write!(replies, "*2\r\n$2\r\nid\r\n:9\r\n"),
                ["SELECT", db] => {
                    self.db = db.into();
                    write!(replies, "+OK\r\n")
                }
                ["CLIENT", ..] => write!(replies, "+OK\r\n"),
                _ => write!(replies, "-ERR {} {}\r\n", self.db, words.join(" ")),
            };
        }
        replies
    }
}

/// A client, its engine and the servers that this has dialled.
struct Play {
    harness: Harness,
    client: ClientId,
    open: Vec<(BackendId, Server)>,
    heard: String,
    written: String,
}

impl Play {
    fn new(harness: Harness) -> Self {
        let mut play = Self {
            client: ClientId::default(),
            harness,
            open: Vec::new(),
            heard: String::new(),
            written: String::new(),
        };
        play.client = play.harness.client();
        // So that there is a pipe, and what follows finds it.
        play.send(&canonical("GET first"));
        play.until_all_is_quiet();
        play
    }

    fn send(&mut self, bytes: &str) {
        let now = self.harness.now;
        self.harness
            .engine
            .client_bytes(self.client, bytes.as_bytes(), now);
    }

    fn until_all_is_quiet(&mut self) {
        for _ in 0..200 {
            self.harness.turn();
            for id in self.harness.permits.iter().map(|(id, _)| *id) {
                if !self.open.iter().any(|(known, _)| *known == id) {
                    self.open.push((id, Server::default()));
                    self.harness.engine.dialled(id, self.harness.now);
                }
            }
            let mut moved = false;
            for (number, (id, server)) in self.open.iter_mut().enumerate() {
                let written = self.harness.written(*id);
                if !written.is_empty() {
                    let replies = server.answer(written.as_bytes());
                    let _ = writeln!(self.written, "to {number}: {written:?}");
                    self.harness.reply(*id, replies.as_bytes());
                    moved = true;
                }
            }
            let heard = self.harness.received(self.client);
            self.heard += &heard;
            if !moved && heard.is_empty() && self.harness.permits.len() <= self.open.len() {
                return;
            }
        }
        panic!("it goes on and on: {}", self.written);
    }
}

#[test]
fn a_pipeline_goes_the_same_way_however_it_is_cut() {
    let mut many = 0;
    for seed in 0..CASES {
        let mut random = fastrand::Rng::with_seed(seed);
        let requests: Vec<String> = (0..random.usize(2..REQUESTS_MAX))
            .map(|_| any_request(&mut random))
            .collect();
        let setting = random.u64(..);
        let played = |pieces: &[&str], apart: bool| {
            let mut play = Play::new(harness(&mut fastrand::Rng::with_seed(setting)));
            for piece in pieces {
                play.send(piece);
                if apart {
                    play.until_all_is_quiet();
                }
            }
            play.until_all_is_quiet();
            let counters = play.harness.engine.survey().snapshot().counters;
            let ways = [Way::Shared, Way::Local, Way::Refused].map(|way| counters.ways(way));
            (play.heard, ways, play.written)
        };
        let pieces: Vec<&str> = requests.iter().map(String::as_str).collect();
        let all = requests.concat();
        let (front, back) = all.split_at(random.usize(..all.len()));
        let at_once = played(&[&all], false);
        assert_eq!(at_once, played(&[front, back], false), "seed {seed}");
        assert_eq!(at_once, played(&pieces, false), "seed {seed}: {pieces:?}");
        // There is no batch where each waits for the reply to the one before it.
        let apart = played(&pieces, true);
        assert_eq!(at_once.0, apart.0, "seed {seed}: {pieces:?}");
        many += usize::from(at_once.2.contains("GET\\r\\n$1\\r\\nk\\r\\n*"));
    }
    assert!(many > CASES as usize / 10, "{many} pipelines got through");
}

#[test]
fn a_subcommand_is_not_taken_for_the_one_before_it() {
    let mut harness = Harness::new(2, without_alarms);
    let client = harness.client();
    harness.send(client, &canonical("GET first"));
    let pipe = harness.connect();
    harness.written(pipe);
    harness.reply(pipe, b"$-1\r\n");
    harness.received(client);
    let exists = canonical("SCRIPT EXISTS x");
    harness.send(
        client,
        &[&*exists, &exists, &canonical("SCRIPT KILL"), &exists].concat(),
    );
    // A kill goes neither down a pipe nor before the replies to what came before it.
    assert_eq!(harness.written(pipe), exists.repeat(2));
}
