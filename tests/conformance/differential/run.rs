//! Sessions one after another in one setting, with the servers and narrows started once: between two
//! of them the server is emptied, and nothing may be left of the one before. Where many are held,
//! several threads do so side by side (`NARROWS_SIDE_BY_SIDE`), each with a server and a narrows of its
//! own: most of the time of a session goes by in waiting. With `NARROWS_GO_ON` one that goes differently
//! is told and the next is held; `NARROWS_SERVERS` names the servers that are wanted.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use crate::differential::direct::{self, Script, Unclear};
use crate::differential::generate;
use crate::differential::observer::{Held, Observer};
use crate::differential::session::Session;
use crate::differential::setting::{Setting, Users};
use crate::differential::shrink::smaller;
use crate::differential::through::{self, Difference};
use crate::support::{Conn, Flavor, Narrows, RedisServer};

/// Sessions in each setting and with each server, unless told otherwise.
const SESSIONS: u64 = 40;

/// Of a hundred sessions as many may come to what is not compared.
const UNCLEAR_MAX: u64 = 10;

/// Steps that are told before the one in which a session went differently, but not every time.
const STEPS_BEFORE: usize = 6;

/// A server, and narrows in front of it.
pub(crate) struct Fixture<'a> {
    server: RedisServer,
    narrows: Narrows,
    neighbour: Conn,
    pub(crate) observer: Observer,
    setting: &'a Setting,
}

/// How a session went.
pub(crate) enum Verdict {
    Same,
    Unclear(Unclear),
    Differs { script: Script, what: Difference },
}

/// The sessions of one setting with one server, which several threads take one after another.
struct Work<'a> {
    setting: &'a Setting,
    flavor: Flavor,
    count: u64,
    /// What goes differently is told and does not end it.
    goes_on: bool,
    next: AtomicU64,
    end: u64,
    unclear: AtomicU64,
    differ: Mutex<Vec<u64>>,
}

/// Holds sessions in `setting`.
pub(crate) fn sessions(setting: &Setting) {
    let number = |name| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().expect("a number"))
    };
    let first = number("NARROWS_SEED").unwrap_or(1);
    let count = number("NARROWS_SESSIONS").unwrap_or(SESSIONS);
    let threads = number("NARROWS_SIDE_BY_SIDE").unwrap_or(1);
    let goes_on = std::env::var_os("NARROWS_GO_ON").is_some();
    let mut found = Vec::new();
    for flavor in setting.flavors() {
        let work = Work {
            setting,
            flavor,
            count,
            goes_on,
            next: AtomicU64::new(first),
            end: first + count,
            unclear: AtomicU64::new(0),
            differ: Mutex::new(Vec::new()),
        };
        let begin = Instant::now();
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| work.take());
            }
        });
        let unclear = work.unclear.into_inner();
        println!(
            "{}, {flavor:?}: {count} sessions from {first} on in {:.1} s, {unclear} not clear",
            setting.name,
            begin.elapsed().as_secs_f64()
        );
        assert!(unclear * 100 <= UNCLEAR_MAX * count.max(100), "{unclear}");
        let differ = work.differ.into_inner().unwrap();
        found.extend(differ.into_iter().map(|seed| (flavor, seed)));
    }
    assert!(found.is_empty(), "{found:?}");
}

impl Work<'_> {
    fn take(&self) {
        let mut fixture = Fixture::new(self.setting, self.flavor);
        loop {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            if seed >= self.end {
                return;
            }
            let session = generate::session(seed, self.setting.users == Users::OfTheServer);
            match fixture.compare(&session) {
                Verdict::Same => {}
                Verdict::Unclear(Unclear(why)) => {
                    println!("NARROWS_SEED={seed} is not clear: {why}");
                    if self.count == 1 {
                        println!("{}", session.lines());
                    }
                    self.unclear.fetch_add(1, Ordering::Relaxed);
                }
                Verdict::Differs { script, what } => {
                    let text = fixture.report(session, seed, (&script, &what));
                    if !self.goes_on {
                        self.next.store(self.end, Ordering::Relaxed);
                        panic!("{text}");
                    }
                    println!("{text}");
                    self.differ.lock().unwrap().push(seed);
                    fixture = Fixture::new(self.setting, self.flavor);
                }
            }
        }
    }
}

impl<'a> Fixture<'a> {
    pub(crate) fn new(setting: &'a Setting, flavor: Flavor) -> Self {
        let server = setting.server(flavor);
        let narrows = setting.narrows(&server);
        Self {
            neighbour: narrows.connect(),
            observer: Observer::new(&server),
            server,
            narrows,
            setting,
        }
    }

    pub(crate) fn compare(&mut self, session: &Session) -> Verdict {
        self.observer.empty();
        let script = direct::run(session, &self.server, &mut self.observer, self.setting);
        let script = match script {
            Ok(script) => script,
            Err(unclear) => return Verdict::Unclear(unclear),
        };
        self.observer.empty();
        let (neighbour, observer) = (&mut self.neighbour, &mut self.observer);
        let what = through::run(&script, &self.narrows, neighbour, observer);
        match what.or_else(|| self.left_over(&script)) {
            None => Verdict::Same,
            Some(what) => Verdict::Differs { script, what },
        }
    }

    /// narrows' connections hold nothing more of anybody.
    fn left_over(&mut self, script: &Script) -> Option<Difference> {
        let left = self.observer.until_held(Held::default()).err();
        let lines = left.unwrap_or_else(|| self.observer.lines());
        let holds =
            |line: &&crate::differential::observer::Line| line.listens() || line.is_blocked();
        let text = format!("{:?}", lines.iter().find(holds)?);
        Some(Difference {
            at: script.steps.len(),
            text: format!("is left over: {text}"),
        })
    }

    fn report(
        &mut self,
        session: Session,
        seed: u64,
        (first_script, first): (&Script, &Difference),
    ) -> String {
        let flavor = self.server.flavor();
        let (session, verdict) = smaller(self.setting, flavor, session);
        let mut text = format!(
            "NARROWS_SEED={seed} on {flavor:?} with {} goes differently:\n{}",
            self.setting.name,
            session.lines()
        );
        let Verdict::Differs { script, what } = verdict else {
            let at = first.at;
            text.push_str("not every time; at first:\n");
            text.push_str(&told(first_script, at.saturating_sub(STEPS_BEFORE), first));
            return text;
        };
        text.push_str(&told(&script, 0, &what));
        text
    }
}

/// What was said and heard from one step on, to where it went differently.
fn told(script: &Script, from: usize, what: &Difference) -> String {
    let mut text = String::new();
    let steps = script.steps.iter().enumerate();
    for (at, expected) in steps.take(what.at + 1).skip(from) {
        text.push_str(&format!("{at:>3}{}", expected.step.line()));
        let said = expected
            .words
            .iter()
            .flat_map(|word| word.heard.iter().enumerate());
        for (client, heard) in expected.heard.iter().enumerate().chain(said) {
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
