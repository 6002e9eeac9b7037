//! Transactions and waits, as a client asks for them and judges what it hears.

use std::time::Duration;

use narrows::resp::{Limits, ReplyScanner, write};

use super::actor::{Actor, Expect, Mode, Pending};
use super::focus::Focus;
use super::history::{History, Setting, Tag, Told};
use super::models::{COUNTERS, LISTS};
use super::requests::huge_value;
use super::rng::Rng;
use super::server::DATABASES;
use super::world::EARLY;

/// A request inside a transaction, and what its element of `EXEC`'s reply has to be.
#[derive(Debug)]
pub struct Part {
    tag: Tag,
    expect: Expect,
}

impl Actor {
    /// How many bytes it reads now. One that writes all first does so up to where it thinks.
    pub fn takes_now(&self) -> usize {
        let thinks_now = matches!(self.thinks, Some((0, _)));
        match self.writes_first && !thinks_now && !self.unsent.is_empty() {
            true => 0,
            false => self.appetite,
        }
    }

    pub fn next_tag(&mut self) -> Tag {
        self.next += 1;
        Tag {
            client: self.number,
            request: self.next - 1,
        }
    }

    pub fn say(&mut self, tag: Tag, args: &[&str], expect: Expect) {
        let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
        write::request(&mut self.unsent, &args);
        self.pending.push_back(Pending {
            tag,
            silent: false,
            expect,
        });
    }

    /// A transaction, perhaps watched, perhaps given up.
    pub fn transact(&mut self, rng: &mut Rng, tag: Tag, history: &mut History) {
        if self.mode != Mode::On {
            return;
        }
        let mut watch = None;
        if rng.hits(self.watches_percent) {
            let key = format!("c{}k{}", rng.below(4), rng.below(3));
            self.say(tag, &["WATCH", &key, &tag.text()], Expect::Watch);
            watch = Some(tag);
            if self.thinks.is_none() && rng.hits(self.thinks_percent()) {
                self.thinks = Some((self.unsent.len(), tag));
            }
            self.do_meanwhile(rng);
        }
        let multi = self.next_tag();
        self.say(multi, &["MULTI"], Expect::Multi);
        let runs = rng.hits(85);
        // With its tag a counter has an argument too many for narrows: not a whole transaction for a pipe.
        // What narrows itself carries out makes it none either.
        let kinds = match self.focus {
            Some(Focus::WholeTransactions) => 3,
            _ => rng.one_of(&[3, 3, 4, 6]),
        };
        let parts: Vec<Part> = (0..rng.below(5))
            .map(|_| self.part(rng, kinds, history))
            .collect();
        if kinds == 6 && rng.hits(20) {
            // Refused, and neither queued nor the end of it.
            let tag = self.next_tag();
            self.say(tag, &["WATCH", "x", &tag.text()], Expect::WatchRefused);
        }
        let refused = kinds > 3 && rng.hits(15);
        if refused {
            // By narrows itself: nothing of it runs, and whatever follows it does.
            let tag = self.next_tag();
            self.say(tag, &["AUTH", "inside"], Expect::Refused);
        }
        let reaches = |part: &&Part| !matches!(part.expect, Expect::Select(_) | Expect::Exactly(_));
        let tags = parts.iter().filter(reaches).map(|part| part.tag).collect();
        history.transactions.declare(tags, watch, runs && !refused);
        let end = self.next_tag();
        match runs {
            true => self.say(end, &["EXEC"], Expect::Exec(parts)),
            false => self.say(end, &["DISCARD"], Expect::Discard(parts)),
        }
        if rng.hits(30) {
            let next = self.next_tag();
            self.transact(rng, next, history);
        }
    }

    /// How often it takes its time behind a `WATCH`.
    fn thinks_percent(&self) -> usize {
        match self.focus {
            Some(Focus::Watching) => 70,
            _ => 40,
        }
    }

    /// How many of so many bytes it sends now.
    pub fn sends(&mut self, most: usize) -> usize {
        let n = self.unsent.len().min(most);
        let pending = &self.pending;
        let waits = |tag: Tag| pending.iter().any(|pending| pending.tag == tag);
        self.thinks = self.thinks.filter(|(_, tag)| waits(*tag));
        match &mut self.thinks {
            None => n,
            Some((left, _)) => {
                let n = n.min(*left);
                *left -= n;
                n
            }
        }
    }

    /// What ends no `WATCH`, between one and its `MULTI`.
    fn do_meanwhile(&mut self, rng: &mut Rng) {
        let what = match self.focus {
            Some(Focus::Watching) => rng.one_of(&[0, 1, 2, 2, 2, 9, 9, 9]),
            Some(Focus::Reloading) => 7,
            _ => rng.below(10),
        };
        if what > 7 {
            return;
        }
        let tag = self.next_tag();
        let (key, text) = (rng.below(3) as u8, tag.text());
        let name = format!("c{}k{key}", self.number);
        match what {
            // Goes elsewhere, and its client comes back from there with what it watches.
            0 | 5 | 6 => self.say(tag, &["SCRIPT", "KILL"], Expect::Beginning("-")),
            1 => self.say(tag, &["DISCARD"], Expect::Beginning("-")),
            7 => {
                let db = rng.below(DATABASES as usize + 1) as u32;
                self.say(tag, &["SELECT", &db.to_string()], Expect::Select(db));
            }
            2 if self.huge => {
                let value = huge_value(rng, &text);
                self.say(tag, &["SET", &name, &value, &text], Expect::Written(key));
            }
            _ => self.say(tag, &["GET", &name, &text], Expect::Read(key)),
        }
    }

    fn part(&mut self, rng: &mut Rng, kinds: usize, history: &mut History) -> Part {
        let tag = self.next_tag();
        let text = tag.text();
        let key = rng.below(3) as u8;
        let name = format!("c{}k{key}", self.number);
        let expect = match rng.below(kinds) {
            0 => {
                self.say(tag, &["MGET", &name, "x", &text], Expect::Queued);
                Expect::Served
            }
            1 => {
                let huge = self.huge && rng.hits(40);
                let value = if huge {
                    huge_value(rng, &text)
                } else {
                    text.clone()
                };
                self.say(tag, &["SET", &name, &value, &text], Expect::Queued);
                Expect::Written(key)
            }
            4 => {
                let db = rng.below(DATABASES as usize + 1) as u32;
                self.say(tag, &["SELECT", &db.to_string()], Expect::Queued);
                Expect::Select(db)
            }
            5 => {
                self.say(tag, &["CLIENT", "ID"], Expect::Queued);
                Expect::Exactly(format!(":{}\r\n", self.id).into_bytes())
            }
            3 => {
                let counter = rng.one_of(&COUNTERS);
                history.models.counts(tag, counter, 1);
                self.say(tag, &["INCR", counter, &text], Expect::Queued);
                Expect::Served
            }
            _ => {
                let list = rng.one_of(&LISTS);
                history.models.pops(tag, list);
                self.say(tag, &["LPOP", list, &text], Expect::Queued);
                Expect::Popped
            }
        };
        Part { tag, expect }
    }

    /// `BLPOP`, with the tag as a further key.
    pub fn wait(&mut self, rng: &mut Rng, tag: Tag, history: &mut History) {
        let list = rng.one_of(&LISTS);
        let seconds = match self.focus {
            Some(_) => rng.one_of(&["0.1", "0.7", "5"]),
            None => rng.one_of(&["0.01", "0.1", "0.7"]),
        };
        history.models.pops(tag, list);
        history.models.waits(tag);
        history.wait_line.asks(tag, list);
        let span = Duration::from_secs_f64(seconds.parse().unwrap_or(0.0));
        history.waits_until.insert(tag, history.now + span);
        let silent = self.begin();
        self.say(tag, &["BLPOP", list, &tag.text(), seconds], Expect::Awaited);
        if let Some(pending) = self.pending.back_mut() {
            pending.silent = silent;
        }
        let behind = match self.focus {
            Some(_) => 50,
            None => 30,
        };
        if self.waits_much && self.mode == Mode::On && rng.hits(behind) {
            // More than narrows keeps of what stands behind a wait.
            let tag = self.next_tag();
            let value = huge_value(rng, &tag.text());
            let name = format!("c{}k0", self.number);
            self.say(
                tag,
                &["SET", &name, &value, &tag.text()],
                Expect::Written(0),
            );
        }
    }

    /// Nothing has come for a wait, by what is heard of it: in its time, and nothing was taken.
    pub fn waited_in_vain(
        &mut self,
        tag: Tag,
        frame: &[u8],
        history: &mut History,
    ) -> Result<(), &'static str> {
        let until = history.waits_until.get(&tag).copied().unwrap_or_default();
        match frame {
            b"*-1\r\n" | b"_\r\n" if history.now < until => {
                return Err("nothing has come, and its time is not over");
            }
            b"*-1\r\n" | b"_\r\n" => {}
            error if is_refusal(error) => {}
            _ => return Err("no answer to a wait"),
        }
        // Where it had no place on the server it has not run.
        if history
            .reply(tag)
            .is_some_and(|reply| reply.starts_with(b"*2"))
        {
            return Err("something was taken for it");
        }
        history.told(tag, Told::Done, self.setting);
        Ok(())
    }

    /// Whether it is in the middle of a transaction, as far as it knows.
    pub fn is_in_transaction(&self) -> bool {
        let ends = |expect: &Expect| matches!(expect, Expect::Exec(_) | Expect::Discard(_));
        self.pending.iter().any(|pending| ends(&pending.expect))
    }

    /// What is heard of a transaction.
    pub fn judge_transaction(
        &mut self,
        pending: &Pending,
        frame: &[u8],
        history: &mut History,
    ) -> Result<(), &'static str> {
        let failed = frame.starts_with(b"-TRYAGAIN narrows:")
            || frame.starts_with(b"-ERR narrows:")
            || frame == EARLY;
        match &pending.expect {
            Expect::Watch if frame == EARLY => {
                // The server itself has refused it, and its client knows.
                self.loose = true;
                history.transactions.unwatched(pending.tag);
                Ok(())
            }
            Expect::Watch | Expect::Multi if failed => {
                // Either all of it fails, or narrows closes the connection.
                (self.loose, self.flawed, self.refused) = (true, true, false);
                Ok(())
            }
            Expect::Watch if frame == b"+OK\r\n" => {
                self.watching = true;
                Ok(())
            }
            Expect::Watch if frame.starts_with(b"-") => {
                history.transactions.unwatched(pending.tag);
                Ok(())
            }
            Expect::Multi if frame == b"+OK\r\n" => {
                (self.flawed, self.refused) = (false, false);
                Ok(())
            }
            Expect::WatchRefused if failed || frame.starts_with(b"-ERR WATCH inside MULTI") => {
                Ok(())
            }
            Expect::Queued if frame == b"+QUEUED\r\n" => Ok(()),
            Expect::Queued if failed || is_refusal(frame) => {
                (self.flawed, self.refused) = (true, self.refused || !failed);
                Ok(())
            }
            Expect::Refused if failed || frame.starts_with(b"-ERR Command not allowed inside") => {
                (self.flawed, self.refused) = (true, self.refused || !failed);
                Ok(())
            }
            Expect::Discard(_) if failed || frame == b"+OK\r\n" => {
                // One that may have been refused has not ended what is watched.
                self.watching &= failed;
                self.parts_end(pending, Told::NotRun, history)
            }
            Expect::Exec(parts) => self.judge_exec((pending, parts), frame, failed, history),
            _ => Err("no answer to this step of a transaction"),
        }
    }

    /// What is heard of an `EXEC`.
    fn judge_exec(
        &mut self,
        (pending, parts): (&Pending, &[Part]),
        frame: &[u8],
        failed: bool,
        history: &mut History,
    ) -> Result<(), &'static str> {
        let (nil, aborted) = (
            matches!(frame, b"*-1\r\n" | b"_\r\n"),
            frame.starts_with(b"-EXECABORT "),
        );
        let not_run = frame.starts_with(b"-TRYAGAIN narrows:");
        if failed {
            // Of one that was refused a part nothing runs, whatever becomes of what was sent for its end.
            let told = match not_run || self.refused {
                true => Told::NotRun,
                false => Told::Unknown,
            };
            return self.parts_end(pending, told, history);
        }
        let watched = std::mem::take(&mut self.watching);
        let lost = frame.ends_with(b"backend connection lost\r\n");
        match frame.first() {
            _ if nil && watched => self.parts_end(pending, Told::NotRun, history),
            _ if nil => Err("nothing was watched"),
            _ if aborted && (self.flawed || lost) => self.parts_end(pending, Told::NotRun, history),
            _ if aborted => Err("aborted, and nothing of it was refused"),
            Some(b'*') => self.judge_parts(parts, frame, history),
            _ => Err("no answer to an EXEC"),
        }
    }

    /// What `EXEC` has run.
    fn judge_parts(
        &mut self,
        parts: &[Part],
        frame: &[u8],
        history: &mut History,
    ) -> Result<(), &'static str> {
        let elements = elements(frame).ok_or("no array")?;
        if elements.len() != parts.len() {
            return Err("another number of replies than commands");
        }
        for (part, element) in parts.iter().zip(elements) {
            if let Expect::Exactly(_) | Expect::Select(_) = part.expect {
                self.judge_place(&part.expect, element)?;
                continue;
            }
            let expect = part.expect.plain();
            let pending = Pending {
                tag: part.tag,
                silent: false,
                expect,
            };
            self.served(&pending, element, history)?;
        }
        Ok(())
    }

    /// An element of `EXEC`'s reply that narrows itself has filled, or that moves its client.
    fn judge_place(&mut self, expect: &Expect, element: &[u8]) -> Result<(), &'static str> {
        match expect {
            Expect::Exactly(bytes) if element == bytes => Ok(()),
            Expect::Select(db) if *db < DATABASES && element == b"+OK\r\n" => {
                self.setting.db = *db;
                Ok(())
            }
            Expect::Select(db) if *db >= DATABASES && element.starts_with(b"-ERR DB index") => {
                Ok(())
            }
            _ => Err("another element than its own"),
        }
    }

    fn parts_end(
        &mut self,
        pending: &Pending,
        told: Told,
        history: &mut History,
    ) -> Result<(), &'static str> {
        let (Expect::Exec(parts) | Expect::Discard(parts)) = &pending.expect else {
            return Ok(());
        };
        // Behind a SELECT that may have run the others may have run there.
        let before = self.setting;
        let moves = |part: &Part| matches!(part.expect, Expect::Select(db) if db < DATABASES);
        for part in parts {
            match (&part.expect, told) {
                (Expect::Written(key), Told::Unknown) => self.wrote(*key, part.tag, false),
                (Expect::Select(db), Told::Unknown) if *db < DATABASES => self.setting.db = *db,
                _ => {}
            }
            let setting = self.setting_of(part.tag, history);
            history.told(part.tag, told, setting);
        }
        self.setting = before;
        self.moved |= told == Told::Unknown && parts.iter().any(moves);
        Ok(())
    }

    /// The setting that a request of unknown outcome had to run in: any, if a transaction may have
    /// moved it.
    pub fn setting_of(&self, tag: Tag, history: &History) -> Setting {
        let ran = history
            .entry(tag)
            .filter(|entry| self.moved && entry.times > 0);
        ran.map_or(self.setting, |entry| entry.setting)
    }
}

impl Expect {
    pub fn is_wait(&self) -> bool {
        matches!(self, Self::Awaited)
    }

    /// What the element of one part has to be.
    fn plain(&self) -> Self {
        match self {
            Self::Read(key) => Self::Read(*key),
            Self::Written(key) => Self::Written(*key),
            Self::Popped => Self::Popped,
            _ => Self::Served,
        }
    }
}

/// The server's own refusals at queue time.
fn is_refusal(frame: &[u8]) -> bool {
    [&b"-NOPERM"[..], b"-LOADING", b"-READONLY"]
        .iter()
        .any(|code| frame.starts_with(code))
}

/// The elements of an array reply.
fn elements(frame: &[u8]) -> Option<Vec<&[u8]>> {
    let end = frame.iter().position(|byte| *byte == b'\n')? + 1;
    let mut rest = frame.get(end..)?;
    let mut elements = Vec::new();
    while !rest.is_empty() {
        let advance = ReplyScanner::default()
            .advance(rest, &Limits::default())
            .ok()?;
        let (element, after) = rest.split_at(advance.consumed);
        elements.push(element);
        rest = after;
    }
    Some(elements)
}
