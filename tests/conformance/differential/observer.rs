//! What the server itself says: that it has come to rest, and how each of its connections stands. It
//! is asked on connections of the test's own, beside all that is compared.

use std::time::{Duration, Instant};

use crate::differences::{KEEPS_SKIP, LOOKS_LATE};
use crate::differential::needs::Arities;
use crate::support::{Conn, RedisServer, Reply};

/// Enough on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where those that are silent say that they have come so far.
pub(crate) const MARKER: &str = "{marker}";

/// Bytes that the server reads of one connection at a time (`PROTO_IOBUF_LEN`).
const READ_BYTES: usize = 16 * 1024;

/// What a server is, and stays.
pub(crate) struct Nature {
    /// Redis since 7.2, and Valkey, which has come of that.
    pub(crate) is_since_7_2: bool,
    /// See `differences.rs`.
    pub(crate) keeps_skip: bool,
    /// See `differences.rs`.
    pub(crate) looks_late: bool,
    pub(crate) arities: Arities,
}

pub(crate) struct Observer {
    pub(crate) nature: Nature,
    /// What must come comes within this.
    pub(crate) patience: Duration,
    conn: Conn,
    listener: Conn,
}

/// A connection as `CLIENT LIST` shows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) flags: String,
    pub(crate) subscriptions: [usize; 3],
    pub(crate) multi: bool,
    pub(crate) command: String,
    pub(crate) resp3: bool,
}

/// What connections hold at the server, all together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Held {
    pub(crate) subscriptions: [usize; 3],
    pub(crate) blocked: usize,
    pub(crate) tracking: usize,
    /// Transactions that are open.
    pub(crate) open: usize,
}

impl Observer {
    pub(crate) fn new(server: &RedisServer) -> Self {
        let [mut conn, mut listener] = [server.connect(), server.connect()];
        conn.expect(&["CLIENT", "SETNAME", "observer"], "+OK\r\n");
        listener.expect(&["CLIENT", "SETNAME", "observer"], "+OK\r\n");
        let confirmed = format!(
            "*3\r\n$9\r\nsubscribe\r\n${}\r\n{MARKER}\r\n:1\r\n",
            MARKER.len()
        );
        listener.expect(&["SUBSCRIBE", MARKER], confirmed);
        let arities = Arities::of_server(&mut conn);
        Self {
            nature: Nature {
                keeps_skip: KEEPS_SKIP.contains(&server.flavor()),
                looks_late: LOOKS_LATE.contains(&server.flavor()),
                is_since_7_2: arities.know("CLIENT|NO-TOUCH"),
                arities,
            },
            patience: PATIENCE,
            conn,
            listener,
        }
    }

    /// The server is as it was when it started, as far as a client can see.
    pub(crate) fn empty(&mut self) {
        const REQUESTS: [&str; 5] = [
            "FLUSHALL\r\n",
            "SCRIPT FLUSH\r\n",
            "FUNCTION FLUSH\r\n",
            "CONFIG RESETSTAT\r\n",
            "SLOWLOG RESET\r\n",
        ];
        self.conn.send(REQUESTS.concat());
        for _ in REQUESTS {
            self.conn.expect_reply("+OK\r\n");
        }
    }

    pub(crate) fn digest(&mut self) -> String {
        self.conn.call(&["DEBUG", "DIGEST"]).text()
    }

    /// When this returns the server has read `bytes` that were sent to it before, has done what they
    /// ask for and has written what it answers: it serves one connection after another, and answers
    /// before it reads again.
    pub(crate) fn rest(&mut self, bytes: usize) -> Vec<Line> {
        for _ in 0..1 + bytes / READ_BYTES {
            self.conn.expect(&["PING"], "+PONG\r\n");
        }
        self.lines()
    }

    /// All connections but the test's own.
    pub(crate) fn lines(&mut self) -> Vec<Line> {
        let list = self.conn.call(&["CLIENT", "LIST"]).text();
        let lines = list.lines().map(Line::of);
        lines.filter(|line| line.name != "observer").collect()
    }

    /// Takes the next word of one that is silent; false when it does not come.
    pub(crate) fn hears(&mut self, word: &str) -> bool {
        let message = |reply: Reply| reply.raw().ends_with(format!("\r\n{word}\r\n").as_bytes());
        self.listener
            .try_reply_within(self.patience)
            .is_ok_and(message)
    }

    /// Waits until narrows' connections hold `held` in all; else what they hold.
    pub(crate) fn until_held(&mut self, held: Held) -> Result<(), Vec<Line>> {
        let deadline = Instant::now() + self.patience;
        loop {
            let lines = self.lines();
            if Held::of(&lines) == held {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(lines);
            }
        }
    }
}

impl Held {
    pub(crate) fn of(lines: &[Line]) -> Self {
        let mut held = Self::default();
        for line in lines {
            for (all, of_line) in held.subscriptions.iter_mut().zip(line.subscriptions) {
                *all += of_line;
            }
            held.blocked += usize::from(line.is_blocked());
            held.tracking += usize::from(line.flags.contains('t'));
            held.open += usize::from(line.multi);
        }
        held
    }
}

impl Line {
    fn of(line: &str) -> Self {
        let mut found = Self::default();
        for (name, value) in line.split(' ').filter_map(|pair| pair.split_once('=')) {
            let number = || value.parse().unwrap_or(0);
            match name {
                "id" => found.id = value.to_owned(),
                "name" => found.name = value.to_owned(),
                "flags" => {
                    found.flags = value.to_owned();
                    found.multi = value.contains('x');
                }
                "sub" => found.subscriptions[0] = number(),
                "psub" => found.subscriptions[1] = number(),
                "ssub" => found.subscriptions[2] = number(),
                "cmd" => found.command = value.to_owned(),
                "resp" => found.resp3 = value == "3",
                _ => {}
            }
        }
        found
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.flags.contains('b')
    }

    pub(crate) fn listens(&self) -> bool {
        self.subscriptions != [0; 3] || self.flags.contains('t')
    }
}
