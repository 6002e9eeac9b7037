//! A script played through narrows: after each step everything is waited for that came of it at the
//! server itself, and compared.

use std::time::Instant;

use crate::differential::direct::{Expected, Heard, Script};
use crate::differential::equivalence::{Names, same};
use crate::differential::observer::{Held, MARKER, Observer};
use crate::differential::session::{CLIENTS, Cut, Ending, Request};
use crate::rng::Rng;
use crate::support::{Conn, Narrows};

/// Pieces into which the bytes of a step are cut, at most.
const PIECES_MAX: usize = 12;

/// How the news begin that a key has changed that was read.
const INVALIDATION: &[u8] = b">2\r\n$10\r\ninvalidate\r\n";

/// How a session went differently.
pub(crate) struct Difference {
    pub(crate) at: usize,
    pub(crate) text: String,
}

struct Through<'a> {
    narrows: &'a Narrows,
    /// Asks narrows, beside what is compared.
    neighbour: &'a mut Conn,
    observer: &'a mut Observer,
    conns: Vec<Option<Conn>>,
    ids: Vec<String>,
    held: Held,
}

/// Plays `script`; the first difference, if there is one.
pub(crate) fn run(
    script: &Script,
    narrows: &Narrows,
    neighbour: &mut Conn,
    observer: &mut Observer,
) -> Option<Difference> {
    let mut through = Through {
        narrows,
        neighbour,
        observer,
        conns: (0..CLIENTS).map(|_| None).collect(),
        ids: vec!["999999999".to_owned(); CLIENTS],
        held: Held::default(),
    };
    let mut news = 0;
    for (at, expected) in script.steps.iter().enumerate() {
        news += usize::from(expected.is_new);
        let ids = &script.ids[news - 1];
        if let Err(text) = through.replay(expected, ids) {
            return Some(Difference { at, text });
        }
    }
    let at = script.steps.len();
    if through.observer.digest() != script.digest {
        let text = "the data differs".to_owned();
        return Some(Difference { at, text });
    }
    None
}

impl Through<'_> {
    fn replay(&mut self, expected: &Expected, direct_ids: &[String]) -> Result<(), String> {
        let client = expected.step.client;
        if expected.is_new {
            let mut conn = self.narrows.connect();
            self.ids[client] = conn.call(&["CLIENT", "ID"]).text();
            self.conns[client] = Some(conn);
        }
        self.send(expected)?;
        self.hear_all(expected, &expected.heard, direct_ids)?;
        if expected.held != self.held || expected.held.blocked > 0 {
            self.observer.until_held(expected.held).map_err(|lines| {
                let held = Held::of(&lines);
                format!(
                    "directly clients hold {:?}, through narrows {held:?}: {lines:#?}",
                    expected.held
                )
            })?;
            self.held = expected.held;
        }
        for speechless in &expected.speechless {
            self.until_listed(*speechless, |line| {
                line.is_empty() || line.contains(" qbuf=0 ")
            })?;
        }
        for word in &expected.words {
            if let Some(conn) = &mut self.conns[word.client] {
                let request = Request::of(&["PUBLISH", MARKER, &word.text]);
                let _ = conn.try_send(request.bytes(&[]));
            }
            if !self.observer.hears(&word.text) {
                return Err(format!(
                    "{}> is stuck before {}",
                    word.client + 1,
                    word.text
                ));
            }
            self.hear_all(expected, &word.heard, direct_ids)?;
        }
        Ok(())
    }

    fn send(&mut self, expected: &Expected) -> Result<(), String> {
        let client = expected.step.client;
        let requests = expected.step.requests.iter();
        let bytes: Vec<u8> = requests
            .flat_map(|request| request.bytes(&self.ids))
            .collect();
        let Some(conn) = &mut self.conns[client] else {
            return Ok(());
        };
        let last = match expected.step.cut {
            Cut::Whole => &bytes[..],
            Cut::Pieces(seed) => send_cut(conn, self.neighbour, &bytes, seed)?,
        };
        let _ = match expected.step.ending {
            Ending::HalfClose => conn.try_send_last(last),
            Ending::Open | Ending::Leave => conn.try_send(last),
        };
        if expected.step.ending == Ending::Leave {
            self.conns[client] = None;
            self.until_listed(client, str::is_empty)?;
        }
        Ok(())
    }

    /// narrows lists the client like this.
    fn until_listed(&mut self, client: usize, is_so: impl Fn(&str) -> bool) -> Result<(), String> {
        let deadline = Instant::now() + self.observer.patience;
        let request = ["CLIENT", "LIST", "ID", &self.ids[client]];
        loop {
            let line = self.neighbour.call(&request).text();
            if is_so(&line) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("{}> is still listed: {line}", client + 1));
            }
        }
    }

    fn hear_all(
        &mut self,
        expected: &Expected,
        all: &[Heard],
        ids: &[String],
    ) -> Result<(), String> {
        for (client, heard) in all.iter().enumerate() {
            self.hear(client, heard, ids, expected)?;
        }
        Ok(())
    }

    fn hear(
        &mut self,
        client: usize,
        direct: &Heard,
        ids: &[String],
        expected: &Expected,
    ) -> Result<(), String> {
        let patience = self.observer.patience;
        let Some(conn) = &mut self.conns[client] else {
            return Ok(());
        };
        let names = Names {
            direct: ids,
            through: &self.ids,
            stood_for: &expected.stood_for,
        };
        let mut next = |direct: Option<&[u8]>| loop {
            let reply = conn.try_reply_within(patience)?;
            let is_told = reply.raw().starts_with(INVALIDATION);
            let is_expected = direct.is_some_and(|direct| same(&names, direct, reply.raw()));
            // One before it on the same connection has read the key: see `differences.rs`.
            if !is_told || is_expected || !expected.has_tracked {
                return Ok::<_, std::io::Error>(reply);
            }
        };
        let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
        for reply in &direct.replies {
            let through = match next(Some(reply.raw())) {
                Ok(through) => through.raw().to_vec(),
                Err(error) => format!("({error})").into_bytes(),
            };
            if !same(&names, reply.raw(), &through) {
                let more = conn.arrived().replies;
                return Err(format!(
                    "{}< directly: {}\n     through:  {}\n     behind it: {more:?}",
                    client + 1,
                    shown(reply.raw()),
                    shown(&through)
                ));
            }
        }
        while direct.is_cut_short && next(None).is_ok() {}
        if direct.ended {
            match next(None) {
                Ok(reply) => {
                    return Err(format!(
                        "{}< directly: the end\n     through:  {}",
                        client + 1,
                        shown(reply.raw())
                    ));
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    return Err(format!("{}< is not closed", client + 1));
                }
                Err(_) => self.conns[client] = None,
            }
        }
        Ok(())
    }
}

/// Sends all but the last piece, which is left. Between some of them somebody else gets an answer:
/// narrows has had time to read the piece.
fn send_cut<'a>(
    conn: &mut Conn,
    neighbour: &mut Conn,
    bytes: &'a [u8],
    seed: u64,
) -> Result<&'a [u8], String> {
    let mut rng = Rng::new(seed);
    let pieces = 1 + rng.below(PIECES_MAX);
    let mut cuts: Vec<usize> = (0..pieces).map(|_| rng.below(bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let mut at = 0;
    for cut in cuts {
        if conn.try_send(&bytes[at..cut]).is_err() {
            return Ok(&[]);
        }
        at = cut;
        if rng.below(2) == 0 {
            neighbour.send("PING\r\n");
            match neighbour.try_reply() {
                Ok(reply) if reply.raw() == b"+PONG\r\n" => {}
                other => return Err(format!("a neighbour is told {other:?}")),
            }
        }
    }
    Ok(&bytes[at..])
}
