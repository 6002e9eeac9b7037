//! What clients ask for: requests of every route, in both forms, with what each must be answered.

use narrows::resp::{Protocol, write};

use super::actor::{Actor, Expect, Mode, Pending};
use super::history::{History, Tag, Told};
use super::models::{COUNTERS, LISTS};
use super::rng::Rng;
use super::server::DATABASES;

/// How long a huge value is at least: the engine wants 64 KiB of a request before it streams it.
const HUGE_BYTES: usize = 66 << 10;

/// A value that streams, and ends with its tag.
pub fn huge_value(rng: &mut Rng, tag: &str) -> String {
    let filling = "h".repeat(rng.between(HUGE_BYTES, 4 * HUGE_BYTES));
    format!("{filling}|{tag}")
}

impl Actor {
    /// Adds one request to what is to be sent. `others` are `CLIENT ID`s that may be killed.
    /// Returns the one that is going to be.
    pub fn ask(&mut self, rng: &mut Rng, others: &[u64], history: &mut History) -> Option<u64> {
        let tag = Tag {
            client: self.number,
            request: self.next,
        };
        self.next += 1;
        if self.subscribing || (self.subscribes && rng.hits(self.subscribes_percent)) {
            match self.subscribing && rng.hits(50) {
                true => self.ask_meanwhile(rng, tag),
                false => self.subscribe(rng, tag),
            }
            return None;
        }
        let what = self.waits_much.then(|| rng.below(100));
        match what {
            Some(0..10) => return self.unblock_some(rng, tag, others, history),
            Some(10..35) => return self.push(rng, tag, history),
            _ => {}
        }
        if self.transacts && rng.hits(self.transacts_percent) {
            match rng.hits(if self.waits_much { 15 } else { 70 }) {
                true => self.transact(rng, tag, history),
                false => self.wait(rng, tag, history),
            }
            return None;
        }
        let text = tag.text();
        let key = rng.below(3) as u8;
        let name = format!("c{}k{key}", self.number);
        match rng.below(100) {
            0..18 => self.send(rng, tag, &["GET", &name, &text], Expect::Read(key)),
            18..34 => {
                let expect = Expect::Written(key);
                self.send(rng, tag, &["SET", &name, &text, &text], expect);
            }
            34..41 => self.count(rng, tag, history),
            41..51 => self.use_list(rng, tag, history),
            51..53 => self.send(rng, tag, &["STRLEN", &name, &text], Expect::Served),
            53..57 => self.send(rng, tag, &["MGET", &name, "x", &text], Expect::Served),
            57..59 => self.send(rng, tag, &["ECHO", &text], Expect::Served),
            59..61 => self.send(rng, tag, &["DEL", &name, &text], Expect::Served),
            61..63 => self.send(rng, tag, &["HGETALL", "h", &text], Expect::Served),
            63..66 => {
                let len = rng.one_of(&[10, 400, 3000, 12_000]).to_string();
                let args = ["GETRANGE", "k", "0", &len, &text];
                self.send(rng, tag, &args, Expect::Served);
            }
            66..69 => self.send(rng, tag, &["INFO", &text], Expect::Info),
            69..78 => self.move_on(rng, tag),
            78..90 => self.ask_locally(rng, tag),
            90..92 if self.huge => {
                let value = huge_value(rng, &text);
                self.send(
                    rng,
                    tag,
                    &["SET", &name, &value, &text],
                    Expect::Written(key),
                );
            }
            // Where the server judges rights, it may not be there to allow silence.
            92..95 if !self.users => self.silence_next(rng, tag),
            95..98 => return self.kill(rng, tag, others, history),
            98 => self.say_last_word(rng, tag, history),
            _ if rng.hits(60) => {
                self.send(rng, tag, &["SCRIPT", "KILL"], Expect::Beginning("-"));
            }
            _ => self.send(rng, tag, &["PING", &text], Expect::Served),
        }
        None
    }

    /// Whether a silent request that a later one has been answered behind has never run.
    pub fn was_dropped(&self, pending: &Pending, history: &History) -> bool {
        let reaches = matches!(
            pending.expect,
            Expect::Written(_) | Expect::Read(_) | Expect::Served | Expect::Popped
        );
        // A wait may have found nothing without a place on the server.
        let ran = history.reply(pending.tag).is_some();
        // What stood in line was told that there is nothing, in silence.
        let ended = pending.expect.is_wait() && history.unblocked.contains(&self.id);
        reaches && !ran && !ended && !self.users && pending.tag.request >= self.excused
    }

    /// A counter that all clients share.
    fn count(&mut self, rng: &mut Rng, tag: Tag, history: &mut History) {
        let counter = rng.one_of(&COUNTERS);
        let (name, by) = rng.one_of(&[("INCR", 1), ("INCR", 1), ("DECR", -1)]);
        history.models.counts(tag, counter, by);
        self.send(rng, tag, &[name, counter, &tag.text()], Expect::Served);
    }

    /// A list that all clients share.
    fn use_list(&mut self, rng: &mut Rng, tag: Tag, history: &mut History) {
        let list = rng.one_of(&LISTS);
        let text = tag.text();
        match rng.below(10) {
            0..4 => self.push_to(list, rng, tag, history),
            4..8 => {
                let name = rng.one_of(&["LPOP", "RPOP"]);
                history.models.pops(tag, list);
                self.send(rng, tag, &[name, list, &text], Expect::Popped);
            }
            8 => self.send(rng, tag, &["LLEN", list, &text], Expect::Served),
            _ => {
                let args = ["LRANGE", list, "0", "-1", &text];
                self.send(rng, tag, &args, Expect::Served);
            }
        }
    }

    fn push(&mut self, rng: &mut Rng, tag: Tag, history: &mut History) -> Option<u64> {
        let list = rng.one_of(&LISTS);
        self.push_to(list, rng, tag, history);
        None
    }

    pub fn push_to(&mut self, list: &'static str, rng: &mut Rng, tag: Tag, history: &mut History) {
        let text = tag.text();
        let name = rng.one_of(&["LPUSH", "RPUSH"]);
        history.models.pushes(tag, list);
        self.send(rng, tag, &[name, list, &text, &text], Expect::Served);
    }

    /// Asks for an echo, if it is in a state to hear it. What it asked.
    pub fn ask_plainly(&mut self) -> Option<Tag> {
        // A password that was changed ends those who had it, when connections are gone.
        let hears = self.is_idle()
            && self.pending.is_empty()
            && self.mode == Mode::On
            && (!self.users || self.setting.user == 0 && !self.unauthenticated);
        if self.gone || self.done || !hears {
            return None;
        }
        let tag = Tag {
            client: self.number,
            request: self.next,
        };
        self.next += 1;
        write::request(&mut self.unsent, &[b"ECHO", tag.text().as_bytes()]);
        self.pending.push_back(Pending {
            tag,
            silent: false,
            expect: Expect::Served,
        });
        Some(tag)
    }

    /// `SELECT` and `HELLO`: only where their outcome can be heard.
    fn move_on(&mut self, rng: &mut Rng, tag: Tag) {
        if self.mode != Mode::On {
            return self.send(rng, tag, &["ECHO", &tag.text()], Expect::Served);
        }
        if rng.hits(70) {
            let db = rng.below(DATABASES as usize + 1) as u32;
            let db = if rng.hits(3) { db + 1000 } else { db };
            self.send(rng, tag, &["SELECT", &db.to_string()], Expect::Select(db));
        } else {
            let (version, protocol) = rng.one_of(&[("2", Protocol::Resp2), ("3", Protocol::Resp3)]);
            self.send(rng, tag, &["HELLO", version], Expect::Hello(protocol));
        }
    }

    fn ask_locally(&mut self, rng: &mut Rng, tag: Tag) {
        match rng.below(8) {
            0 | 1 => {
                let id = format!(":{}\r\n", self.id).into_bytes();
                self.send(rng, tag, &["CLIENT", "ID"], Expect::Exactly(id));
            }
            2 => {
                self.name = format!("n{}", tag.request);
                let name = self.name.clone();
                let ok = b"+OK\r\n".to_vec();
                self.send(rng, tag, &["CLIENT", "SETNAME", &name], Expect::Exactly(ok));
            }
            3 if !self.name.is_empty() => {
                let mut reply = Vec::new();
                write::bulk(&mut reply, self.name.as_bytes());
                // Whether a name was set may have been the server's to say.
                let expect = match self.users {
                    true => Expect::Beginning(""),
                    false => Expect::Exactly(reply),
                };
                self.send(rng, tag, &["client", "getname"], expect);
            }
            4 => self.send(rng, tag, &["CLIENT", "LIST"], Expect::List),
            // Nobody knows what it does: it is lent a connection for good, if there is one.
            5 if rng.hits(10) && !self.transacts && !self.desyncs => {
                self.loose = true;
                self.send(rng, tag, &["NOSUCH", &tag.text()], Expect::Served);
            }
            6 => self.send(
                rng,
                tag,
                &["CLIENT", "ID", "x"],
                Expect::Beginning("-ERR wrong number"),
            ),
            // Nobody may go back to what may do nothing.
            _ if self.unauthenticated => {
                self.send(rng, tag, &["ECHO", &tag.text()], Expect::Served);
            }
            _ => {
                self.name.clear();
                // Only a SKIP outlives a RESET, and only for the RESET itself.
                if self.mode == Mode::Off {
                    self.mode = Mode::On;
                }
                self.send(rng, tag, &["RESET"], Expect::Reset);
            }
        }
    }

    fn silence_next(&mut self, rng: &mut Rng, tag: Tag) {
        let mode = rng.one_of(&["OFF", "SKIP", "SKIP", "ON", "ON"]);
        let mut frame = Vec::new();
        write::request(&mut frame, &[b"CLIENT", b"REPLY", mode.as_bytes()]);
        self.unsent.extend_from_slice(&frame);
        self.mode = match mode {
            "ON" => {
                let expect = Expect::Exactly(b"+OK\r\n".to_vec());
                self.pending.push_back(Pending {
                    tag,
                    silent: false,
                    expect,
                });
                Mode::On
            }
            "SKIP" if self.mode != Mode::Off => Mode::Skip,
            _ => Mode::Off,
        };
    }

    fn kill(
        &mut self,
        rng: &mut Rng,
        tag: Tag,
        others: &[u64],
        history: &mut History,
    ) -> Option<u64> {
        if others.is_empty() || !rng.hits(25) || self.mode != Mode::On {
            self.send(rng, tag, &["PING", &tag.text()], Expect::Served);
            return None;
        }
        if rng.hits(50) {
            return self.unblock_some(rng, tag, others, history);
        }
        let victim = others[rng.below(others.len())];
        let args = ["CLIENT", "KILL", "ID", &victim.to_string(), "SKIPME", "no"];
        self.send(rng, tag, &args, Expect::Beginning(":"));
        Some(victim)
    }

    /// Ends a wait, if that client waits.
    pub fn unblock_some(
        &mut self,
        rng: &mut Rng,
        tag: Tag,
        others: &[u64],
        history: &mut History,
    ) -> Option<u64> {
        let victim = others[rng.below(others.len())];
        history.unblocked.insert(victim);
        let reason = rng.one_of(&["TIMEOUT", "ERROR"]);
        let args = ["CLIENT", "UNBLOCK", &victim.to_string(), reason];
        self.send(rng, tag, &args, Expect::Beginning(":"));
        None
    }

    /// The connection ends here; what comes behind must not run.
    pub fn say_last_word(&mut self, rng: &mut Rng, tag: Tag, history: &mut History) {
        match rng.below(4) {
            0 | 1 => self.send(rng, tag, &["QUIT"], Expect::Exactly(b"+OK\r\n".to_vec())),
            2 => {
                let silent = self.begin();
                self.unsent.extend_from_slice(b"*1\r\n$x\r\n");
                let expect = Expect::Beginning("-ERR Protocol error");
                self.pending.push_back(Pending {
                    tag,
                    silent,
                    expect,
                });
            }
            _ => self
                .unsent
                .extend_from_slice(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n"),
        }
        self.done = true;
        let after = Tag {
            request: tag.request + 1,
            ..tag
        };
        self.next += 1;
        history.told(after, Told::NotRun, self.setting);
        write::request(
            &mut self.unsent,
            &[b"SET", b"late", b"v", after.text().as_bytes()],
        );
    }

    /// Whether the request that is made now stays silent.
    pub fn begin(&mut self) -> bool {
        let silent = self.mode != Mode::On;
        if self.mode == Mode::Skip {
            self.mode = Mode::On;
        }
        silent
    }

    fn send(&mut self, rng: &mut Rng, tag: Tag, args: &[&str], expect: Expect) {
        let silent = self.begin();
        let short = args.iter().all(|arg| arg.len() < 100);
        if short && rng.hits(8) {
            self.unsent.extend_from_slice(args.join("  ").as_bytes());
            self.unsent.extend_from_slice(b"\r\n");
        } else {
            let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
            write::request(&mut self.unsent, &args);
        }
        if rng.hits(1) {
            self.unsent.extend_from_slice(b"*0\r\n");
        }
        self.pending.push_back(Pending {
            tag,
            silent,
            expect,
        });
    }
}
