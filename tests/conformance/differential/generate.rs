//! Draws sessions from a seed: every class of command, alone, in handfuls and in transactions whole
//! and piece by piece, by clients that subscribe, track, wait, fall silent, change their db,
//! protocol and user, break off, and say what is no request.

use crate::differential::session::{
    CLIENTS, Cut, Ending, Form, NO_REQUESTS, Request, Session, Step,
};
use crate::rng::Rng;
use crate::shapes;

/// Requests of one client in a session, at most.
const REQUESTS_MAX: usize = 40;

/// Commands that wait for an element. Each waits for a moment or for ever in a session.
pub(crate) const POPPING: &[&str] = &[
    "BLPOP",
    "BRPOP",
    "BLMOVE",
    "BRPOPLPUSH",
    "BLMPOP",
    "BZPOPMIN",
    "BZPOPMAX",
    "BZMPOP",
];

/// Commands that wait for an entry, where they say so.
const READING: &[&str] = &["XREAD", "XREADGROUP"];

/// Logins of the users that only some settings have.
const LOGINS: &[&str] = &[
    "AUTH alice alicepw",
    "AUTH alice alicepw",
    "AUTH bob bobpw",
    "AUTH carol carolpw",
    "AUTH alice wrong",
    "AUTH nobody x",
    "AUTH default V",
    "HELLO 3 AUTH alice alicepw",
    "HELLO 2 AUTH bob bobpw SETNAME F",
    "HELLO 3 AUTH carol wrong",
    "ACL WHOAMI",
    "RESET",
];

/// What silences a client, and what makes it speak again.
const SILENCE: &[&str] = &[
    "CLIENT REPLY OFF",
    "CLIENT REPLY SKIP",
    "CLIENT REPLY SKIP",
    "CLIENT REPLY ON",
    "CLIENT REPLY ON",
];

/// About others and oneself.
const CLIENTS_SEEN: &[&str] = &[
    "CLIENT ID",
    "CLIENT INFO",
    "CLIENT GETREDIR",
    "CLIENT TRACKINGINFO",
    "CLIENT LIST ID {id1}",
    "CLIENT LIST ID 999999999",
    "CLIENT KILL ID 999999999",
    "CLIENT UNBLOCK 999999999",
    "PUBSUB NUMSUB news sport",
    "PUBSUB CHANNELS ne*",
    "PUBSUB NUMPAT",
    "INFO clients",
    "INFO server",
    "WAIT 0 0",
    "READONLY",
    "ROLE",
];

/// The beginnings of requests that never come whole.
const BEGINNINGS: &[&[u8]] = &[
    b"*",
    b"*2\r\n$4\r\nECHO",
    b"*3\r\n$3\r\nSET\r\n$2\r\ns0\r\n$5\r\nab",
    b"PING",
    b"*1\r\n$4\r\nEXEC",
];

/// Requests that ask for nothing.
const NOTHING: &[&[u8]] = &[b"\r\n", b"*0\r\n", b"*-1\r\n"];

/// What an author knows of a client. It need not be so.
#[derive(Clone, Copy, Default)]
struct Supposed {
    requests: usize,
    multi: bool,
    listens: bool,
    silent: bool,
}

struct Author {
    rng: Rng,
    brief: Vec<&'static str>,
    supposed: [Supposed; CLIENTS],
    logs_in: bool,
}

/// The session of this seed.
pub(crate) fn session(seed: u64, logs_in: bool) -> Session {
    let mut rng = Rng::new(seed);
    let waiting = POPPING.iter().chain(READING).copied();
    let brief = waiting.filter(|_| rng.below(3) == 0);
    let brief = brief.collect();
    let mut author = Author {
        rng,
        brief,
        supposed: [Supposed::default(); CLIENTS],
        logs_in,
    };
    let length = 3 + author.rng.below(50);
    let steps = (0..length).filter_map(|_| author.step()).collect();
    Session {
        steps,
        brief: author.brief,
    }
}

fn waits(request: &Request) -> bool {
    let (name, _) = request.name();
    POPPING
        .iter()
        .chain(READING)
        .any(|command| *command == name)
}

/// Bytes that come in one piece with the end of their client: what lies there for a command that waits is its
/// own then, and otherwise goes back.
const ONE_PIECE: usize = 16 << 10;

/// Whether what a request brings its client is there before the end of that client is dealt with. What it
/// publishes comes back on the connection that it is subscribed on, which is not waited for.
fn is_dealt_with_before_the_end(request: &Request, listens: bool) -> bool {
    let (name, _) = request.name();
    let bytes: usize = request.words.iter().map(Vec::len).sum();
    bytes <= ONE_PIECE && !(listens && matches!(name.as_str(), "PUBLISH" | "SPUBLISH"))
}

impl Author {
    fn step(&mut self) -> Option<Step> {
        let client = self.rng.below(CLIENTS);
        if self.supposed[client].requests >= REQUESTS_MAX {
            return None;
        }
        let is_first = self.supposed[client].requests == 0;
        let requests = match self.rng.below(12) {
            0..=3 if is_first => vec![self.shaped("HELLO 3")],
            0..=2 => {
                let length = 2 + self.rng.below(7);
                (0..length).map(|_| self.request(client)).collect()
            }
            3 | 4 => self.transaction(client),
            _ => vec![self.request(client)],
        };
        let mut step = Step {
            client,
            requests,
            cut: match self.rng.below(3) {
                0 => Cut::Pieces(self.rng.below(1 << 20) as u64),
                _ => Cut::Whole,
            },
            ending: Ending::Open,
        };
        match self.rng.below(60) {
            0 => step.requests.push(self.raw(NO_REQUESTS)),
            1 => step.ending = Ending::HalfClose,
            2 => {
                step.requests.push(self.raw(BEGINNINGS));
                step.ending = Ending::HalfClose;
            }
            3 => {
                step.requests.clear();
                step.ending = Ending::Leave;
            }
            _ => {}
        }
        let mut has_waited = false;
        let silent = &mut self.supposed[client].silent;
        step.requests.retain(|request| {
            let (name, argument) = request.name();
            if name == "CLIENT" && argument == "REPLY" {
                *silent = !request.words.iter().any(|word| word == b"ON");
            }
            has_waited |= waits(request);
            // Whoever ends that wait may have been told so before it is killed for it, or not.
            let kills_who_serves = has_waited && name == "CLIENT" && argument == "KILL";
            // Nobody can see when that is over, and what stands behind it is done.
            let waits_in_silence = *silent && waits(request);
            !kills_who_serves && !waits_in_silence
        });
        if step.ending == Ending::HalfClose {
            let listens = self.supposed[client].listens;
            step.requests
                .retain(|request| is_dealt_with_before_the_end(request, listens));
        }
        self.supposed[client].requests += step.requests.len();
        if step.ending != Ending::Open {
            self.supposed[client].listens = false;
            self.supposed[client].multi = false;
            self.supposed[client].silent = false;
        }
        Some(step)
    }

    /// `MULTI` to `EXEC` in one piece, most of the time of what a whole block may hold.
    fn transaction(&mut self, client: usize) -> Vec<Request> {
        let mut requests = vec![self.shaped("MULTI")];
        let anything = self.rng.below(3) == 0;
        self.supposed[client].multi = true;
        for _ in 0..self.rng.below(6) {
            let hears_itself = self.supposed[client].listens && self.rng.below(3) == 0;
            let inner = if hears_itself {
                self.shaped("PUBLISH C V")
            } else if anything {
                self.request(client)
            } else {
                self.data()
            };
            requests.push(inner);
        }
        let closing = self
            .rng
            .pick(&["EXEC", "EXEC", "EXEC", "EXEC", "DISCARD", "RESET", "PING"]);
        self.supposed[client].multi = closing == "PING";
        requests.push(self.shaped(closing));
        // What follows in the same write.
        while self.rng.below(4) == 0 {
            requests.push(self.request(client));
        }
        requests
    }

    fn request(&mut self, client: usize) -> Request {
        let supposed = self.supposed[client];
        // Transactions are short more often than long.
        if supposed.multi && self.rng.below(5) == 0 {
            self.supposed[client].multi = false;
            let closing = self.rng.pick(shapes::CLOSING);
            return self.shaped(closing);
        }
        // A RESP2 client that listens may say few things.
        if supposed.listens && self.rng.below(3) == 0 {
            let shape = match self.rng.below(3) {
                0 => self
                    .rng
                    .pick(&["PUBLISH C V", "SPUBLISH C V", "SET S V", "PING V"]),
                _ => self.rng.pick(shapes::SUBSCRIBING),
            };
            return self.shaped(shape);
        }
        let shape = match self.rng.below(40) {
            0 => {
                self.supposed[client].multi = true;
                self.rng.pick(shapes::OPENING)
            }
            1 => self.rng.pick(shapes::CLOSING),
            2 | 3 => {
                let shape = self.rng.pick(shapes::WAITING);
                return self.timed(shape);
            }
            4 => {
                self.supposed[client].listens = true;
                self.rng.pick(shapes::SUBSCRIBING)
            }
            5 => return self.raw(NOTHING),
            6 => self.rng.pick(SILENCE),
            7 => self.rng.pick(CLIENTS_SEEN),
            8 => self.rng.pick(shapes::OUTSIDE),
            9 => return self.about_another(client),
            10 if self.logs_in => self.rng.pick(LOGINS),
            11 if self.rng.below(4) == 0 => "QUIT",
            12 => self.rng.pick(shapes::SERVER),
            13 => {
                let shape = self.rng.pick(shapes::WRONG);
                // A value may be a number, and then it is a timeout.
                if shape == "BLPOP L V" || shape == "XREAD BLOCK V STREAMS X 0" {
                    return self.data();
                }
                shape
            }
            14..=16 => self.rng.pick(shapes::CONNECTION),
            _ => return self.data(),
        };
        self.shaped(shape)
    }

    /// Commands on data.
    fn data(&mut self) -> Request {
        let shapes = match self.rng.below(12) {
            0..=3 => shapes::STRINGS,
            4..=7 => shapes::COLLECTIONS,
            8 => shapes::STREAMS,
            9 => shapes::KEYS,
            10 => shapes::SCRIPTS,
            _ => &["LPUSH L V", "RPUSH L V", "ZADD Z N V", "XADD X I F V"],
        };
        let shape = self.rng.pick(shapes);
        match shape.starts_with("XREAD") {
            true => self.timed(shape),
            false => self.shaped(shape),
        }
    }

    /// A command that may wait, for as long as those of its name do in this session.
    fn timed(&mut self, shape: &str) -> Request {
        let mut request = self.shaped(shape);
        let verb = shape.split(' ').next().unwrap_or_default();
        let block = request.words.iter().position(|word| word == b"BLOCK");
        let (at, brief): (Option<usize>, &[u8]) = match verb {
            "BLMPOP" | "BZMPOP" => (Some(1), b"0.005"),
            "XREAD" | "XREADGROUP" => (block.map(|at| at + 1), b"5"),
            _ => (request.words.len().checked_sub(1), b"0.005"),
        };
        if let Some(at) = at {
            let is_brief = self.brief.contains(&verb);
            request.words[at] = if is_brief { brief } else { b"0" }.to_vec();
        }
        request
    }

    fn about_another(&mut self, client: usize) -> Request {
        let other = (client + 1 + self.rng.below(CLIENTS - 1)) % CLIENTS + 1;
        let shape = match self.rng.below(8) {
            0 => format!("CLIENT KILL ID {{id{other}}}"),
            1 | 2 => format!("CLIENT UNBLOCK {{id{other}}} ERROR"),
            3 | 4 => format!("CLIENT UNBLOCK {{id{other}}}"),
            _ => format!("CLIENT LIST ID {{id{other}}}"),
        };
        self.shaped(&shape)
    }

    fn raw(&mut self, of: &[&'static [u8]]) -> Request {
        Request {
            words: Vec::new(),
            form: Form::Raw(of[self.rng.below(of.len())]),
        }
    }

    fn shaped(&mut self, shape: &str) -> Request {
        let words = shape.split(' ').map(|word| self.rng.word(word));
        let words: Vec<Vec<u8>> = words.collect();
        let plain = |word: &Vec<u8>| {
            (1..100).contains(&word.len()) && word.iter().all(u8::is_ascii_alphanumeric)
        };
        let is_inline = self.rng.below(12) == 0 && words.iter().all(plain);
        Request {
            words,
            form: if is_inline { Form::Inline } else { Form::Array },
        }
    }
}
