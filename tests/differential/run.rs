//! Sessions one after another in one setting, with the servers and narrows started once: between two
//! of them the server is emptied, and nothing may be left of the one before.

use std::time::Instant;

use crate::direct::{self, Script};
use crate::draw;
use crate::prompter::{Held, Prompter};
use crate::session::Session;
use crate::setting::{Setting, Users};
use crate::shrink::smaller;
use crate::support::{Conn, Flavor, Narrows, RedisServer};
use crate::through::{self, Difference};

/// Sessions in each setting and with each server, unless told otherwise.
const SESSIONS: u64 = 40;

/// Of a hundred sessions as many may come to what is not compared.
const UNCLEAR_MAX: u64 = 10;

/// A server, and narrows in front of it.
pub(crate) struct Ground<'a> {
    server: RedisServer,
    narrows: Narrows,
    neighbour: Conn,
    pub(crate) prompter: Prompter,
    setting: &'a Setting,
}

/// How a session went.
pub(crate) enum Verdict {
    Same,
    Unclear,
    Differs { script: Script, what: Difference },
}

/// Holds sessions in `setting`.
pub(crate) fn sessions(setting: &Setting) {
    let number = |name| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().expect("a number"))
    };
    let first = number("NARROWS_SEED").unwrap_or(1);
    let count = number("NARROWS_SESSIONS").unwrap_or(SESSIONS);
    let goes_on = std::env::var_os("NARROWS_GO_ON").is_some();
    let mut found = Vec::new();
    for flavor in flavors() {
        let mut ground = Ground::new(setting, flavor);
        let (begin, mut unclear) = (Instant::now(), 0);
        for seed in first..first + count {
            let session = draw::session(seed, setting.users == Users::OfTheServer);
            match ground.compare(&session) {
                Verdict::Same => {}
                Verdict::Unclear => unclear += 1,
                Verdict::Differs { what, .. } => {
                    let text = ground.report(session, seed, &what);
                    assert!(goes_on, "{text}");
                    println!("{text}");
                    found.push((flavor, seed));
                    ground = Ground::new(setting, flavor);
                }
            }
        }
        println!(
            "{}, {flavor:?}: {count} sessions from {first} on in {:.1} s, {unclear} not clear",
            setting.name,
            begin.elapsed().as_secs_f64()
        );
        assert!(unclear * 100 <= UNCLEAR_MAX * count.max(100), "{unclear}");
    }
    assert!(found.is_empty(), "{found:?}");
}

fn flavors() -> Vec<Flavor> {
    let wanted = std::env::var("NARROWS_FLAVOR").unwrap_or_default();
    let mut flavors = Flavor::installed();
    flavors.retain(|flavor| wanted.is_empty() || format!("{flavor:?}") == wanted);
    flavors
}

impl<'a> Ground<'a> {
    pub(crate) fn new(setting: &'a Setting, flavor: Flavor) -> Self {
        let server = setting.server(flavor);
        let narrows = setting.narrows(&server);
        Self {
            neighbour: narrows.connect(),
            prompter: Prompter::new(&server),
            server,
            narrows,
            setting,
        }
    }

    pub(crate) fn compare(&mut self, session: &Session) -> Verdict {
        self.prompter.empty();
        let script = direct::play(session, &self.server, &mut self.prompter, self.setting);
        let Ok(script) = script else {
            return Verdict::Unclear;
        };
        self.prompter.empty();
        let (neighbour, prompter) = (&mut self.neighbour, &mut self.prompter);
        let what = through::play(&script, &self.narrows, neighbour, prompter);
        match what.or_else(|| self.left_over(&script)) {
            None => Verdict::Same,
            Some(what) => Verdict::Differs { script, what },
        }
    }

    /// narrows' connections hold nothing more of anybody.
    fn left_over(&mut self, script: &Script) -> Option<Difference> {
        let left = self.prompter.until_held(Held::default()).err();
        let lines = left.unwrap_or_else(|| self.prompter.lines());
        let holds = |line: &&crate::prompter::Line| line.listens() || line.is_blocked();
        let text = format!("{:?}", lines.iter().find(holds)?);
        Some(Difference {
            at: script.scenes.len(),
            text: format!("is left over: {text}"),
        })
    }

    fn report(&mut self, session: Session, seed: u64, first: &Difference) -> String {
        let flavor = self.server.flavor();
        let (session, verdict) = smaller(self.setting, flavor, session);
        let mut text = format!(
            "NARROWS_SEED={seed} on {flavor:?} with {} goes differently:\n{}",
            self.setting.name,
            session.lines()
        );
        let Verdict::Differs { script, what } = verdict else {
            let (at, what) = (first.at, &first.text);
            text.push_str(&format!(
                "not every time; at first from step {at} on:\n     {what}\n"
            ));
            return text;
        };
        for (at, scene) in script.scenes.iter().enumerate().take(what.at + 1) {
            text.push_str(&format!("{at:>3}{}", scene.step.line()));
            for (client, heard) in scene.heard.iter().enumerate() {
                for reply in &heard.replies {
                    let reply: String = format!("{reply:?}").chars().take(300).collect();
                    text.push_str(&format!("     {}< {reply}\n", client + 1));
                }
                if heard.ended {
                    text.push_str(&format!("     {}< (the end)\n", client + 1));
                }
            }
        }
        text.push_str(&format!("from step {} on:\n     {}\n", what.at, what.text));
        text
    }
}
