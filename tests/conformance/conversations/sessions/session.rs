//! A session: who asks what, in which order, drawn from a seed. What goes over the wire
//! is decided here; what comes of it is the runner's matter.

use crate::rng::Rng;
use crate::shapes;
use crate::support::command;

/// As many clients take part in each.
pub(crate) const CLIENTS: usize = 3;

/// A session of several clients with one endpoint.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) steps: Vec<Step>,
}

/// Requests of one client that leave in one write.
#[derive(Clone)]
pub(crate) struct Step {
    pub(crate) client: usize,
    pub(crate) requests: Vec<Request>,
}

#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) words: Vec<Vec<u8>>,
    /// It may have no reply until somebody else has pushed.
    pub(crate) may_wait: bool,
    /// It may be followed by what nobody has asked for.
    pub(crate) subscribes: bool,
    /// It is refused inside a transaction.
    is_outside: bool,
}

/// What a client may have open, as far as can be told without its replies.
#[derive(Clone, Copy, Default)]
struct Open {
    multi: bool,
    watch: bool,
    /// Until its end: what it hears is told apart by a word at the end of each step, which would
    /// become a part of a transaction and come after a wait.
    subscribes: bool,
}

struct Generator {
    rng: Rng,
    open: [Open; CLIENTS],
}

impl Session {
    pub(crate) fn new(seed: u64) -> Self {
        let mut generator = Generator {
            rng: Rng::new(seed),
            open: [Open::default(); CLIENTS],
        };
        let length = 5 + generator.rng.below(45);
        let steps = (0..length).map(|_| generator.step()).collect();
        Self { steps }
    }

    /// Whether nothing stands inside a transaction that is refused there. One that is drawn is so; a
    /// part of it need not be.
    pub(crate) fn is_sound(&self) -> bool {
        let mut in_multi = [false; CLIENTS];
        self.steps.iter().all(|step| {
            step.requests.iter().all(|request| {
                let in_multi = &mut in_multi[step.client];
                match request.words.as_slice() {
                    [word] if word == b"MULTI" => *in_multi = true,
                    [word] if word == b"EXEC" || word == b"DISCARD" => *in_multi = false,
                    _ => {}
                }
                !(request.is_outside && *in_multi)
            })
        })
    }

    /// For people, and for the one who plays it again.
    pub(crate) fn lines(&self) -> String {
        let mut text = String::new();
        for step in &self.steps {
            let line = |request: &Request| {
                let words: Vec<String> = request.words.iter().map(|word| quoted(word)).collect();
                words.join(" ")
            };
            let requests: Vec<String> = step.requests.iter().map(line).collect();
            text.push_str(&format!(
                "  {}> {}\n",
                step.client + 1,
                requests.join("  |  ")
            ));
        }
        text
    }
}

fn quoted(word: &[u8]) -> String {
    let text = word.escape_ascii().to_string();
    let plain = !text.is_empty() && !text.contains([' ', '"', '\\', '|']);
    match text.char_indices().nth(100) {
        _ if plain && text.len() <= 100 => text,
        None => format!("\"{text}\""),
        Some((at, _)) => format!("\"{}...\" ({} bytes)", &text[..at], word.len()),
    }
}

impl Request {
    /// As it goes over the wire, with the clients' ids in it.
    pub(crate) fn bytes(&self, ids: &[String]) -> Vec<u8> {
        let fill = |word: &Vec<u8>| match word.as_slice() {
            b"{id1}" => ids[0].clone().into_bytes(),
            b"{id2}" => ids[1].clone().into_bytes(),
            b"{id3}" => ids[2].clone().into_bytes(),
            _ => word.clone(),
        };
        let words: Vec<Vec<u8>> = self.words.iter().map(fill).collect();
        command(&words)
    }

    /// The client that it names by its id.
    pub(crate) fn other(&self) -> Option<usize> {
        let word = self.words.get(2)?.strip_prefix(b"{id")?;
        Some(usize::from(word.first()?.checked_sub(b'1')?))
    }

    /// Whether keys may be watched behind it. An `UNWATCH` may have been queued.
    pub(crate) fn leaves_watches(&self, before: bool) -> bool {
        match self.words.as_slice() {
            [word] => before && ![b"EXEC".as_slice(), b"DISCARD", b"RESET"].contains(&&word[..]),
            [word, ..] => before || word == b"WATCH",
            [] => before,
        }
    }

    /// For naming away.
    pub(crate) fn text(&self) -> String {
        let words = self
            .words
            .iter()
            .take(2)
            .map(|word| String::from_utf8_lossy(word));
        words.collect::<Vec<_>>().join(" ")
    }
}

impl Generator {
    fn step(&mut self) -> Step {
        let client = self.rng.below(CLIENTS);
        // Alone, in a handful, or a transaction as a whole.
        let requests = match self.rng.below(10) {
            0 | 1 => {
                let length = 2 + self.rng.below(6);
                (0..length).map(|_| self.request(client, false)).collect()
            }
            2 if !self.open[client].multi && !self.open[client].subscribes => {
                self.whole_transaction(client)
            }
            _ => vec![self.request(client, true)],
        };
        Step { client, requests }
    }

    /// `MULTI` to `EXEC` in one piece.
    fn whole_transaction(&mut self, client: usize) -> Vec<Request> {
        let mut requests = vec![self.shaped("MULTI")];
        self.open[client].multi = true;
        for _ in 0..self.rng.below(6) {
            requests.push(self.inner(client));
        }
        let closing = self.rng.pick(&["EXEC", "EXEC", "EXEC", "DISCARD"]);
        requests.push(self.shaped(closing));
        self.open[client] = Open::default();
        requests
    }

    fn request(&mut self, client: usize, may_wait: bool) -> Request {
        let open = self.open[client];
        // Transactions are short more often than long.
        if (open.multi || open.watch) && self.rng.below(4) == 0 {
            let closing = self.rng.pick(shapes::CLOSING);
            return self.close(client, closing);
        }
        match self.rng.below(20) {
            0 if !open.subscribes => {
                let opening = self.rng.pick(shapes::OPENING);
                self.open[client].multi |= opening == "MULTI";
                self.open[client].watch |= opening != "MULTI";
                self.shaped(opening)
            }
            1 if !open.multi => {
                let shape = self.rng.pick(shapes::OUTSIDE);
                if shape == "RESET" {
                    self.open[client].watch = false;
                }
                Request {
                    is_outside: true,
                    ..self.shaped(shape)
                }
            }
            2 if !open.multi && !open.watch => self.other_client(client),
            3 if may_wait && !open.multi && !open.subscribes => {
                let shape = self.rng.pick(shapes::WAITING);
                Request {
                    may_wait: true,
                    ..self.shaped(shape)
                }
            }
            4 => {
                let shape = self.rng.pick(shapes::WAITING_BRIEFLY);
                self.shaped(shape)
            }
            5 if !open.subscribes && self.rng.below(3) == 0 => {
                let closing = self.rng.pick(shapes::CLOSING);
                self.close(client, closing)
            }
            6 if !open.multi && !open.watch && (open.subscribes || self.rng.below(4) == 0) => {
                self.open[client].subscribes = true;
                let shape = self.rng.pick(shapes::SUBSCRIBING);
                Request {
                    subscribes: true,
                    is_outside: true,
                    ..self.shaped(shape)
                }
            }
            _ => self.inner(client),
        }
    }

    fn close(&mut self, client: usize, closing: &str) -> Request {
        // An `UNWATCH` in a transaction is queued.
        let open = &mut self.open[client];
        open.multi &= closing == "UNWATCH";
        open.watch &= open.multi;
        self.shaped(closing)
    }

    /// What may stand anywhere.
    fn inner(&mut self, client: usize) -> Request {
        let shapes = match self.rng.below(24) {
            0..=4 => shapes::STRINGS,
            5..=11 => shapes::COLLECTIONS,
            12..=14 => shapes::STREAMS,
            15 | 16 => shapes::KEYS,
            17 | 18 => shapes::SCRIPTS,
            19 => shapes::SERVER,
            20 => shapes::WRONG,
            21 if self.open[client].multi => shapes::WAITING,
            _ => shapes::CONNECTION,
        };
        let shape = self.rng.pick(shapes);
        self.shaped(shape)
    }

    /// What one client does to another one, which has nothing open.
    fn other_client(&mut self, client: usize) -> Request {
        let other = (client + 1 + self.rng.below(CLIENTS - 1)) % CLIENTS;
        let shape = match self.rng.below(8) {
            0 => format!("CLIENT KILL ID {{id{}}}", other + 1),
            1 | 2 if !self.open[other].watch => format!("CLIENT UNBLOCK {{id{}}} ERROR", other + 1),
            3 | 4 if !self.open[other].watch => format!("CLIENT UNBLOCK {{id{}}}", other + 1),
            _ => format!("CLIENT LIST ID {{id{}}}", other + 1),
        };
        Request {
            is_outside: true,
            ..self.shaped(&shape)
        }
    }

    fn shaped(&mut self, shape: &str) -> Request {
        let words = shape.split(' ').map(|word| self.rng.word(word)).collect();
        Request {
            words,
            may_wait: false,
            subscribes: false,
            is_outside: false,
        }
    }
}
