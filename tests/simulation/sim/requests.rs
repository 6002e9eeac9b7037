//! What clients ask for: requests of every route, in both forms, with what each must be answered.

use narrows::resp::{Protocol, write};

use super::actor::{Actor, Expect, Mode, Pending};
use super::chance::Chance;
use super::ledger::{Ledger, Tag, Told};
use super::models::{COUNTERS, LISTS};
use super::server::DATABASES;

/// How long a huge value is at least: the engine wants 64 KiB of a request before it streams it.
const HUGE_BYTES: usize = 66 << 10;

/// A value that streams, and ends with its tag.
pub fn huge_value(chance: &mut Chance, tag: &str) -> String {
    let filling = "h".repeat(chance.between(HUGE_BYTES, 4 * HUGE_BYTES));
    format!("{filling}|{tag}")
}

impl Actor {
    /// Adds one request to what is to be sent. `others` are `CLIENT ID`s that may be killed.
    /// Returns the one that is going to be.
    pub fn ask(&mut self, chance: &mut Chance, others: &[u64], ledger: &mut Ledger) -> Option<u64> {
        let tag = Tag {
            client: self.number,
            request: self.next,
        };
        self.next += 1;
        if self.listening || (self.listens && chance.hits(self.listens_percent)) {
            match self.listening && chance.hits(50) {
                true => self.ask_meanwhile(chance, tag),
                false => self.listen(chance, tag),
            }
            return None;
        }
        let what = self.waits_much.then(|| chance.below(100));
        match what {
            Some(0..10) => return self.unblock_some(chance, tag, others, ledger),
            Some(10..35) => return self.push(chance, tag, ledger),
            _ => {}
        }
        if self.transacts && chance.hits(self.transacts_percent) {
            match chance.hits(if self.waits_much { 15 } else { 70 }) {
                true => self.transact(chance, tag, ledger),
                false => self.wait(chance, tag, ledger),
            }
            return None;
        }
        let text = tag.text();
        let key = chance.below(3) as u8;
        let name = format!("c{}k{key}", self.number);
        match chance.below(100) {
            0..18 => self.send(chance, tag, &["GET", &name, &text], Expect::Read(key)),
            18..34 => {
                let expect = Expect::Written(key);
                self.send(chance, tag, &["SET", &name, &text, &text], expect);
            }
            34..41 => self.count(chance, tag, ledger),
            41..51 => self.use_list(chance, tag, ledger),
            51..53 => self.send(chance, tag, &["STRLEN", &name, &text], Expect::Served),
            53..57 => self.send(chance, tag, &["MGET", &name, "x", &text], Expect::Served),
            57..59 => self.send(chance, tag, &["ECHO", &text], Expect::Served),
            59..61 => self.send(chance, tag, &["DEL", &name, &text], Expect::Served),
            61..63 => self.send(chance, tag, &["HGETALL", "h", &text], Expect::Served),
            63..66 => {
                let len = chance.one_of(&[10, 400, 3000, 12_000]).to_string();
                let args = ["GETRANGE", "k", "0", &len, &text];
                self.send(chance, tag, &args, Expect::Served);
            }
            66..69 => self.send(chance, tag, &["INFO", &text], Expect::Info),
            69..78 => self.move_on(chance, tag),
            78..90 => self.ask_locally(chance, tag),
            90..92 if self.huge => {
                let value = huge_value(chance, &text);
                self.send(
                    chance,
                    tag,
                    &["SET", &name, &value, &text],
                    Expect::Written(key),
                );
            }
            // Where the server judges rights, it may not be there to allow silence.
            92..95 if !self.users => self.silence_next(chance, tag),
            95..98 => return self.kill(chance, tag, others, ledger),
            98 => self.say_last_word(chance, tag, ledger),
            _ if chance.hits(60) => {
                self.send(chance, tag, &["SCRIPT", "KILL"], Expect::Beginning("-"));
            }
            _ => self.send(chance, tag, &["PING", &text], Expect::Served),
        }
        None
    }

    /// Whether a silent request that a later one has been answered behind has never run.
    pub fn was_dropped(&self, pending: &Pending, ledger: &Ledger) -> bool {
        let reaches = matches!(
            pending.expect,
            Expect::Written(_) | Expect::Read(_) | Expect::Served | Expect::Popped
        );
        // A wait may have found nothing without a place on the server.
        let ran = ledger.reply(pending.tag).is_some();
        // What stood in line was told that there is nothing, in silence.
        let ended = pending.expect.is_wait() && ledger.unblocked.contains(&self.id);
        reaches && !ran && !ended && !self.users && pending.tag.request >= self.excused
    }

    /// A counter that all clients share.
    fn count(&mut self, chance: &mut Chance, tag: Tag, ledger: &mut Ledger) {
        let counter = chance.one_of(&COUNTERS);
        let (name, by) = chance.one_of(&[("INCR", 1), ("INCR", 1), ("DECR", -1)]);
        ledger.models.counts(tag, counter, by);
        self.send(chance, tag, &[name, counter, &tag.text()], Expect::Served);
    }

    /// A list that all clients share.
    fn use_list(&mut self, chance: &mut Chance, tag: Tag, ledger: &mut Ledger) {
        let list = chance.one_of(&LISTS);
        let text = tag.text();
        match chance.below(10) {
            0..4 => self.push_to(list, chance, tag, ledger),
            4..8 => {
                let name = chance.one_of(&["LPOP", "RPOP"]);
                ledger.models.pops(tag, list);
                self.send(chance, tag, &[name, list, &text], Expect::Popped);
            }
            8 => self.send(chance, tag, &["LLEN", list, &text], Expect::Served),
            _ => {
                let args = ["LRANGE", list, "0", "-1", &text];
                self.send(chance, tag, &args, Expect::Served);
            }
        }
    }

    fn push(&mut self, chance: &mut Chance, tag: Tag, ledger: &mut Ledger) -> Option<u64> {
        let list = chance.one_of(&LISTS);
        self.push_to(list, chance, tag, ledger);
        None
    }

    pub fn push_to(
        &mut self,
        list: &'static str,
        chance: &mut Chance,
        tag: Tag,
        ledger: &mut Ledger,
    ) {
        let text = tag.text();
        let name = chance.one_of(&["LPUSH", "RPUSH"]);
        ledger.models.pushes(tag, list);
        self.send(chance, tag, &[name, list, &text, &text], Expect::Served);
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
    fn move_on(&mut self, chance: &mut Chance, tag: Tag) {
        if self.mode != Mode::On {
            return self.send(chance, tag, &["ECHO", &tag.text()], Expect::Served);
        }
        if chance.hits(70) {
            let db = chance.below(DATABASES as usize + 1) as u32;
            let db = if chance.hits(3) { db + 1000 } else { db };
            self.send(
                chance,
                tag,
                &["SELECT", &db.to_string()],
                Expect::Select(db),
            );
        } else {
            let (version, protocol) =
                chance.one_of(&[("2", Protocol::Resp2), ("3", Protocol::Resp3)]);
            self.send(chance, tag, &["HELLO", version], Expect::Hello(protocol));
        }
    }

    fn ask_locally(&mut self, chance: &mut Chance, tag: Tag) {
        match chance.below(8) {
            0 | 1 => {
                let id = format!(":{}\r\n", self.id).into_bytes();
                self.send(chance, tag, &["CLIENT", "ID"], Expect::Exactly(id));
            }
            2 => {
                self.name = format!("n{}", tag.request);
                let name = self.name.clone();
                let ok = b"+OK\r\n".to_vec();
                self.send(
                    chance,
                    tag,
                    &["CLIENT", "SETNAME", &name],
                    Expect::Exactly(ok),
                );
            }
            3 if !self.name.is_empty() => {
                let mut reply = Vec::new();
                write::bulk(&mut reply, self.name.as_bytes());
                // Whether a name was set may have been the server's to say.
                let expect = match self.users {
                    true => Expect::Beginning(""),
                    false => Expect::Exactly(reply),
                };
                self.send(chance, tag, &["client", "getname"], expect);
            }
            4 => self.send(chance, tag, &["CLIENT", "LIST"], Expect::List),
            // Nobody knows what it does: it is lent a connection for good, if there is one.
            5 if chance.hits(10) && !self.transacts && !self.slips => {
                self.loose = true;
                self.send(chance, tag, &["NOSUCH", &tag.text()], Expect::Served);
            }
            6 => self.send(
                chance,
                tag,
                &["CLIENT", "ID", "x"],
                Expect::Beginning("-ERR wrong number"),
            ),
            // Nobody may go back to what may do nothing.
            _ if self.unauthenticated => {
                self.send(chance, tag, &["ECHO", &tag.text()], Expect::Served);
            }
            _ => {
                self.name.clear();
                // Only a SKIP outlives a RESET, and only for the RESET itself.
                if self.mode == Mode::Off {
                    self.mode = Mode::On;
                }
                self.send(chance, tag, &["RESET"], Expect::Reset);
            }
        }
    }

    fn silence_next(&mut self, chance: &mut Chance, tag: Tag) {
        let mode = chance.one_of(&["OFF", "SKIP", "SKIP", "ON", "ON"]);
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
        chance: &mut Chance,
        tag: Tag,
        others: &[u64],
        ledger: &mut Ledger,
    ) -> Option<u64> {
        if others.is_empty() || !chance.hits(25) || self.mode != Mode::On {
            self.send(chance, tag, &["PING", &tag.text()], Expect::Served);
            return None;
        }
        if chance.hits(50) {
            return self.unblock_some(chance, tag, others, ledger);
        }
        let victim = others[chance.below(others.len())];
        let args = ["CLIENT", "KILL", "ID", &victim.to_string(), "SKIPME", "no"];
        self.send(chance, tag, &args, Expect::Beginning(":"));
        Some(victim)
    }

    /// Ends a wait, if that client waits.
    pub fn unblock_some(
        &mut self,
        chance: &mut Chance,
        tag: Tag,
        others: &[u64],
        ledger: &mut Ledger,
    ) -> Option<u64> {
        let victim = others[chance.below(others.len())];
        ledger.unblocked.insert(victim);
        let reason = chance.one_of(&["TIMEOUT", "ERROR"]);
        let args = ["CLIENT", "UNBLOCK", &victim.to_string(), reason];
        self.send(chance, tag, &args, Expect::Beginning(":"));
        None
    }

    /// The connection ends here; what comes behind must not run.
    pub fn say_last_word(&mut self, chance: &mut Chance, tag: Tag, ledger: &mut Ledger) {
        match chance.below(4) {
            0 | 1 => self.send(chance, tag, &["QUIT"], Expect::Exactly(b"+OK\r\n".to_vec())),
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
        ledger.told(after, Told::NotRun, self.setting);
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

    fn send(&mut self, chance: &mut Chance, tag: Tag, args: &[&str], expect: Expect) {
        let silent = self.begin();
        let short = args.iter().all(|arg| arg.len() < 100);
        if short && chance.hits(8) {
            self.unsent.extend_from_slice(args.join("  ").as_bytes());
            self.unsent.extend_from_slice(b"\r\n");
        } else {
            let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
            write::request(&mut self.unsent, &args);
        }
        if chance.hits(1) {
            self.unsent.extend_from_slice(b"*0\r\n");
        }
        self.pending.push_back(Pending {
            tag,
            silent,
            expect,
        });
    }
}
