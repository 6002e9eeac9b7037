//! What counters and lists must hold when all is over, judged by what clients were told and not
//! by what the server did: a counter is what was acknowledged, give or take what has an unknown
//! end; an element that was pushed is delivered once, or is still there.

use std::collections::{BTreeMap, BTreeSet};

use super::history::{Entry, History, Tag, Told};
use super::server::{DATABASES, Server};

/// Counters that all clients share, in each db.
pub const COUNTERS: [&str; 2] = ["n0", "n1"];

/// Lists that all clients share, in each db.
pub const LISTS: [&str; 2] = ["l0", "l1"];

/// What clients have asked of shared keys, and what they got.
#[derive(Debug, Default)]
pub struct Models {
    counts: Vec<(Tag, &'static str, i64)>,
    pushes: Vec<(Tag, &'static str)>,
    pops: Vec<(Tag, &'static str)>,
    /// Elements that clients got, and for which request.
    delivered: BTreeMap<Tag, Tag>,
    /// Pops whose clients had asked for silence.
    silent: BTreeSet<Tag>,
    /// Those that wait.
    waits: BTreeSet<Tag>,
    /// Elements that narrows has counted as lost, or may have lost.
    pub counted: usize,
}

/// What is known of a request's effect on the data that the server has now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Sure(u32),
    Possible(u32),
    None,
}

impl Models {
    pub fn counts(&mut self, tag: Tag, counter: &'static str, by: i64) {
        self.counts.push((tag, counter, by));
    }

    pub fn pushes(&mut self, tag: Tag, list: &'static str) {
        self.pushes.push((tag, list));
    }

    pub fn pops(&mut self, tag: Tag, list: &'static str) {
        self.pops.push((tag, list));
    }

    /// The pop is one that waits.
    pub fn waits(&mut self, tag: Tag) {
        self.waits.insert(tag);
    }

    /// A client asked for silence: it does not get what it pops.
    pub fn popped_silently(&mut self, tag: Tag) {
        self.silent.insert(tag);
    }

    /// Whether this reply of the server's holds an element.
    pub fn takes(&self, reply: Option<&[u8]>) -> bool {
        reply.is_some_and(|reply| element_of(reply).is_some())
    }

    /// A client got `frame` for its pop.
    pub fn popped(&mut self, tag: Tag, frame: &[u8]) -> Result<(), String> {
        let Some(element) = element_of(frame) else {
            return Ok(());
        };
        match self.delivered.insert(element, tag) {
            Some(first) => Err(format!(
                "{element:?} was delivered to {first:?} and to {tag:?}"
            )),
            None => Ok(()),
        }
    }

    /// All is over: does the server hold what it must?
    pub fn judge(&self, history: &History, server: &Server) -> Result<(), String> {
        for db in 0..DATABASES {
            for counter in COUNTERS {
                self.judge_counter(history, server, (db, counter))?;
            }
            for list in LISTS {
                self.judge_list(history, server, (db, list))?;
            }
        }
        self.judge_leavers(history, server)
    }

    /// What was taken for a client that narrows knew to have left is where it came from, was given to
    /// another, or is counted as lost.
    fn judge_leavers(&self, history: &History, server: &Server) -> Result<(), String> {
        let mut takers: BTreeMap<Tag, (u64, Tag)> = BTreeMap::new();
        for (tag, _) in &self.pops {
            let entry = history.entry(*tag).filter(|e| e.life == server.lives);
            let element = history.reply(*tag).and_then(element_of);
            if let Some((entry, element)) = entry.zip(element) {
                let last = takers.entry(element).or_insert((entry.at, *tag));
                *last = (*last).max((entry.at, *tag));
            }
        }
        let places = (0..DATABASES).flat_map(|db| LISTS.map(|list| (db, list)));
        let here = places.flat_map(|(db, list)| server.list(db, list));
        let here: BTreeSet<Tag> = here.filter_map(|element| Tag::read(&element)).collect();
        let lost = takers.into_iter().filter(|(element, (_, tag))| {
            let is_here = here.contains(element) || self.delivered.contains_key(element);
            self.waits.contains(tag) && history.is_kept_for_others(*tag) && !is_here
        });
        let lost: Vec<(Tag, (u64, Tag))> = lost.collect();
        match lost.first() {
            Some((element, (_, tag))) if lost.len() > self.counted => Err(format!(
                "{element:?} was taken for {tag:?}, whose client had left, and is gone"
            )),
            _ => Ok(()),
        }
    }

    fn judge_counter(
        &self,
        history: &History,
        server: &Server,
        (db, counter): (u32, &'static str),
    ) -> Result<(), String> {
        let (mut low, mut high) = (0, 0);
        for (tag, _, by) in self.counts.iter().filter(|(_, key, _)| *key == counter) {
            match effect(history.entry(*tag), server.lives) {
                Effect::Sure(here) if here == db => {
                    low += by;
                    high += by;
                }
                Effect::Possible(here) if here == db => {
                    low += (*by).min(0);
                    high += (*by).max(0);
                }
                _ => {}
            }
        }
        let number = server.counter(db, counter);
        match (low..=high).contains(&number) {
            true => Ok(()),
            false => Err(format!(
                "{counter} of db {db} is {number}, by what clients were told {low} to {high}"
            )),
        }
    }

    /// Elements are tags of the requests that pushed them.
    fn judge_list(
        &self,
        history: &History,
        server: &Server,
        (db, list): (u32, &'static str),
    ) -> Result<(), String> {
        let left: Vec<Tag> = server
            .list(db, list)
            .iter()
            .filter_map(|element| Tag::read(element))
            .collect();
        let once: BTreeSet<Tag> = left.iter().copied().collect();
        if once.len() != left.len() {
            return Err(format!("{list} of db {db} holds an element twice"));
        }
        if let Some(element) = left.iter().find(|tag| self.delivered.contains_key(tag)) {
            return Err(format!("{element:?} was delivered and is still in {list}"));
        }
        let mut missing = 0;
        for (tag, _) in self.pushes.iter().filter(|(_, key)| *key == list) {
            let here = once.contains(tag) || self.delivered.contains_key(tag);
            match effect(history.entry(*tag), server.lives) {
                Effect::Sure(at) if at == db && !here => missing += 1,
                Effect::None if once.contains(tag) => {
                    return Err(format!("{tag:?} is in {list} and was not pushed"));
                }
                _ => {}
            }
        }
        let pops = self.pops.iter().filter(|(_, key)| *key == list);
        let unheard = pops
            .filter(|(tag, _)| match effect(history.entry(*tag), server.lives) {
                Effect::Possible(_)
                    if self.waits.contains(tag) && history.is_kept_for_others(*tag) =>
                {
                    false
                }
                Effect::Possible(at) => at == db,
                Effect::Sure(at) => at == db && self.silent.contains(tag),
                Effect::None => false,
            })
            .count();
        match missing <= unheard + self.counted {
            true => Ok(()),
            false => Err(format!(
                "{missing} elements of {list} in db {db} are gone, {unheard} pops are unheard of"
            )),
        }
    }
}

fn effect(entry: Option<&Entry>, life: u32) -> Effect {
    let Some(entry) = entry else {
        return Effect::None;
    };
    let lost = entry.times > 0 && entry.life != life;
    let refused = entry.times > 0 && entry.was_refused();
    match entry.told {
        _ if lost || refused => Effect::None,
        Some((Told::Done, setting)) if entry.times > 0 => Effect::Sure(setting.db),
        // It asked for silence, and was refused in silence.
        Some((Told::Done, _)) => Effect::None,
        Some((Told::Unknown, setting)) => Effect::Possible(setting.db),
        Some((Told::NotRun, _)) => Effect::None,
        // Its client left before it was told.
        None if entry.times > 0 => Effect::Possible(entry.setting.db),
        None => Effect::None,
    }
}

/// The tag in a bulk reply, or in the second of two.
fn element_of(frame: &[u8]) -> Option<Tag> {
    let frame = match frame.strip_prefix(b"*2\r\n") {
        Some(pair) => {
            let second = pair.iter().rposition(|byte| *byte == b'$')?;
            pair.get(second..)?
        }
        None => frame,
    };
    let text = frame.strip_prefix(b"$")?.strip_suffix(b"\r\n")?;
    let start = text.iter().position(|byte| *byte == b'\n')? + 1;
    Tag::read(text.get(start..)?)
}
