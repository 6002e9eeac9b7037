//! The line of those who have found no place to wait on the server: who has come first for a list is
//! served first of those that stand there. Who waits on the server already is not in it, nor who waits on
//! a connection that it holds for something else.

use std::collections::BTreeMap;

use narrows::engine::Engine;

use super::actor::{Actor, Expect};
use super::history::{History, Tag};
use super::world::World;

/// Requests that wait, as clients have made them and servers have served them.
#[derive(Debug, Default)]
pub struct WaitLine {
    /// Goes on with everything below.
    clock: u64,
    /// When each was made, and for which list.
    asked: BTreeMap<Tag, (u64, &'static str)>,
    /// Those that stand in line, since when that was seen.
    in_line: BTreeMap<Tag, u64>,
    /// What servers have taken elements for, in which db and from which list, and nobody has looked at.
    served: Vec<(Tag, u32, Vec<u8>)>,
}

impl WaitLine {
    /// A client makes a request that waits for an element of this list.
    pub fn asks(&mut self, tag: Tag, list: &'static str) {
        self.clock += 1;
        self.asked.insert(tag, (self.clock, list));
    }

    /// A server has taken an element of this list for it.
    pub fn serves(&mut self, tag: Tag, db: u32, list: &[u8]) {
        self.served.push((tag, db, list.to_vec()));
    }

    fn sees(&mut self, tag: Tag, in_line: bool) {
        if !in_line {
            self.in_line.remove(&tag);
        } else if !self.in_line.contains_key(&tag) {
            self.clock += 1;
            self.in_line.insert(tag, self.clock);
        }
    }
}

/// The request that a client waits with, where all before it are answered as far as it has heard.
fn waits_with(actor: &Actor) -> Option<Tag> {
    let first = actor.pending.front().filter(|_| !actor.gone)?;
    matches!(first.expect, Expect::Awaited).then_some(first.tag)
}

/// Whether it is this request for which its client stands in line, and not another behind it: what has
/// been answered is not heard yet.
fn stands_with(engine: &Engine, actor: &Actor, tag: Tag) -> bool {
    let (text, request) = (tag.text(), engine.survey().stands_in_line_with(actor.key));
    request.is_some_and(|request| {
        let mut words = request.split(|byte| *byte == b'\n');
        words.any(|word| word.trim_ascii_end() == text.as_bytes())
    })
}

/// Whether it may hold a connection of its own already.
fn may_hold_one(actor: &Actor) -> bool {
    actor.watching
        || actor.loose
        || actor.tracks
        || actor.subscribing
        || actor.subscribed
        || actor.is_in_transaction()
}

impl World {
    /// A turn of a worker is over.
    pub fn look_at_line(&mut self, w: usize) {
        let engine = &self.workers[w].engine;
        for actor in self.actors.iter().filter(|a| a.worker == w && a.transacts) {
            if let Some(tag) = waits_with(actor) {
                let stands = stands_with(engine, actor, tag);
                self.history.wait_line.sees(tag, stands);
            }
        }
    }

    /// A server has executed something.
    pub fn check_order_of_line(&mut self) {
        for (tag, db, list) in std::mem::take(&mut self.history.wait_line.served) {
            if let Some(first) = self.overtaken(tag, db, &list) {
                let list = String::from_utf8_lossy(&list).into_owned();
                self.history.offend(format!(
                    "{tag:?} is served from {list} before {first:?}, who has come first"
                ));
            }
        }
    }

    /// Who stands in line for this list, and did before `tag` was asked for.
    fn overtaken(&self, tag: Tag, db: u32, list: &[u8]) -> Option<Tag> {
        let History { wait_line, .. } = &self.history;
        let (asked, _) = wait_line.asked.get(&tag)?;
        let served = self.actors.iter().find(|a| a.number == tag.client)?;
        // Users take turns.
        if self.users || self.draining || may_hold_one(served) {
            return None;
        }
        let others = self
            .actors
            .iter()
            .filter(|a| a.worker == served.worker && a.setting.db == db);
        let mut waiting = others.filter_map(|a| Some((a, waits_with(a)?)));
        let first = waiting.find(|(actor, first)| {
            let since = wait_line.in_line.get(first).filter(|since| *since < asked);
            let wants = wait_line
                .asked
                .get(first)
                .is_some_and(|(_, of)| of.as_bytes() == list);
            let engine = &self.workers[actor.worker].engine;
            since.is_some() && wants && stands_with(engine, actor, *first)
        });
        first.map(|(_, tag)| tag)
    }
}
