//! A script played through narrows: after each step everything is waited for that came of it at the
//! server itself, and compared.

use crate::direct::{Heard, Scene, Script};
use crate::prompter::{Held, MARKER, Prompter};
use crate::same::{Names, same};
use crate::session::{CLIENTS, Cut, Ending, Request};
use crate::support::{Conn, Narrows};
use crate::words::Dice;

/// Pieces into which the bytes of a step are cut, at most.
const PIECES_MAX: usize = 12;

/// How a session went differently.
pub(crate) struct Difference {
    pub(crate) at: usize,
    pub(crate) text: String,
}

struct Through<'a> {
    narrows: &'a Narrows,
    /// Asks narrows, beside what is compared.
    neighbour: &'a mut Conn,
    prompter: &'a mut Prompter,
    conns: Vec<Option<Conn>>,
    ids: Vec<String>,
    held: Held,
}

/// Plays `script`; the first difference, if there is one.
pub(crate) fn play(
    script: &Script,
    narrows: &Narrows,
    neighbour: &mut Conn,
    prompter: &mut Prompter,
) -> Option<Difference> {
    let mut through = Through {
        narrows,
        neighbour,
        prompter,
        conns: (0..CLIENTS).map(|_| None).collect(),
        ids: vec!["999999999".to_owned(); CLIENTS],
        held: Held::default(),
    };
    let mut news = 0;
    for (at, scene) in script.scenes.iter().enumerate() {
        news += usize::from(scene.is_new);
        let ids = &script.ids[news - 1];
        if let Err(text) = through.scene(scene, ids) {
            return Some(Difference { at, text });
        }
    }
    let at = script.scenes.len();
    if through.prompter.digest() != script.digest {
        let text = "the data differs".to_owned();
        return Some(Difference { at, text });
    }
    None
}

impl Through<'_> {
    fn scene(&mut self, scene: &Scene, direct_ids: &[String]) -> Result<(), String> {
        let client = scene.step.client;
        if scene.is_new {
            let mut conn = self.narrows.connect();
            self.ids[client] = conn.call(&["CLIENT", "ID"]).text();
            self.conns[client] = Some(conn);
        }
        self.send(scene)?;
        for (silent, word) in &scene.words {
            if let Some(conn) = &mut self.conns[*silent] {
                let request = Request::of(&["PUBLISH", MARKER, word]);
                let _ = conn.try_send(request.bytes(&[]));
            }
            if !self.prompter.hears(word) {
                return Err(format!("{}> is stuck before {word}", silent + 1));
            }
        }
        for (client, heard) in scene.heard.iter().enumerate() {
            self.hear(client, heard, direct_ids)?;
        }
        if scene.held != self.held || scene.held.blocked > 0 {
            self.prompter.until_held(scene.held).map_err(|lines| {
                let held = Held::of(&lines);
                format!(
                    "directly clients hold {:?}, through narrows {held:?}: {lines:#?}",
                    scene.held
                )
            })?;
            self.held = scene.held;
        }
        Ok(())
    }

    fn send(&mut self, scene: &Scene) -> Result<(), String> {
        let client = scene.step.client;
        let requests = scene.step.requests.iter();
        let bytes: Vec<u8> = requests
            .flat_map(|request| request.bytes(&self.ids))
            .collect();
        let Some(conn) = &mut self.conns[client] else {
            return Ok(());
        };
        match scene.step.cut {
            Cut::Whole => {
                let _ = conn.try_send(&bytes);
            }
            Cut::Pieces(seed) => send_cut(conn, self.neighbour, &bytes, seed)?,
        }
        match scene.step.ending {
            Ending::Open => {}
            Ending::HalfClose => {
                let _ = conn.try_finish_sending();
            }
            Ending::Leave => self.conns[client] = None,
        }
        Ok(())
    }

    fn hear(&mut self, client: usize, direct: &Heard, ids: &[String]) -> Result<(), String> {
        let patience = self.prompter.patience;
        let Some(conn) = &mut self.conns[client] else {
            return Ok(());
        };
        let names = Names {
            direct: ids,
            through: &self.ids,
        };
        let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
        for reply in &direct.replies {
            let through = match conn.try_reply_within(patience) {
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
        if direct.ended {
            match conn.try_reply_within(patience) {
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

/// Between some of the pieces somebody else gets an answer: narrows has had time to read the piece.
fn send_cut(conn: &mut Conn, neighbour: &mut Conn, bytes: &[u8], seed: u64) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    let pieces = 1 + dice.roll(PIECES_MAX);
    let mut cuts: Vec<usize> = (0..pieces).map(|_| dice.roll(bytes.len() + 1)).collect();
    cuts.push(bytes.len());
    cuts.sort_unstable();
    let mut at = 0;
    for cut in cuts {
        if conn.try_send(&bytes[at..cut]).is_err() {
            return Ok(());
        }
        at = cut;
        if dice.roll(2) == 0 {
            neighbour.send("PING\r\n");
            match neighbour.try_reply() {
                Ok(reply) if reply.raw() == b"+PONG\r\n" => {}
                other => return Err(format!("a neighbour is told {other:?}")),
            }
        }
    }
    Ok(())
}
