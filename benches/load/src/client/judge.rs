//! Whether a reply is the one to its request: by its kind, by whose value it carries, and by what
//! the client knows of its keys.

use super::Client;
use crate::ask::{Ask, LIST, NONCE, is_shared};
use crate::model::{Contradiction, Counter};
use crate::offence::OffenceKind;
use crate::outcome::{self, Outcome};
use crate::plan::Data;
use crate::tag::{Tag, TagFault};
use crate::target::Protocol;
use crate::wire::{self, Reply};

/// What a client makes of a reply.
#[derive(Debug)]
pub(crate) enum Heard {
    /// The right one; the sequence or number that it held, for the history.
    Right(u64),
    /// An error that may come in bad weather.
    Trouble(Outcome),
    /// None that this request can have.
    Wrong(Wrong),
}

/// Why a reply is wrong.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) kind: OffenceKind,
    /// What was expected or found, in words.
    pub(crate) why: String,
    /// The client whose tag it carries.
    pub(crate) of: Option<u32>,
}

type Judged = Result<u64, Wrong>;

impl Client {
    /// Judges the whole reply `raw` to `ask`.
    pub(crate) fn judge(&mut self, ask: Ask, raw: &[u8]) -> Heard {
        let (reply, rest) = wire::read(raw);
        if let Reply::Error(text) = reply
            && let Some(heard) = self.judge_error(ask, text)
        {
            return heard;
        }
        match self.judge_value(ask, reply, rest) {
            Ok(held) => Heard::Right(held),
            Err(mut wrong) => {
                wrong.of = wrong.of.or_else(|| whose(raw));
                if wrong.of.is_some_and(|client| client != self.names.client) {
                    wrong.kind = OffenceKind::Foreign;
                }
                Heard::Wrong(wrong)
            }
        }
    }

    /// `None`: the error is the reply that was asked for.
    fn judge_error(&mut self, ask: Ask, text: &[u8]) -> Option<Heard> {
        let wrong_type = text.starts_with(b"WRONGTYPE ");
        match ask {
            // Servers before 7.2 do not know it; nothing depends on it.
            Ask::SetInfo => return None,
            Ask::WrongType { .. } if wrong_type => return None,
            _ => {}
        }
        if outcome::is_offence(text) {
            return Some(Heard::Wrong(Wrong {
                kind: OffenceKind::Error,
                why: "no error, or one that bad weather explains".to_owned(),
                of: None,
            }));
        }
        let outcome = outcome::of_error(text);
        self.settle(ask, outcome);
        Some(Heard::Trouble(outcome))
    }

    fn judge_value(&mut self, ask: Ask, reply: Reply, rest: &[u8]) -> Judged {
        let data = self.rules.plan.data;
        match ask {
            Ask::SetName | Ask::Select { .. } => ok(reply),
            Ask::SetInfo => Ok(0),
            Ask::Hello(protocol) => self.judge_hello(protocol, reply, rest),
            Ask::SharedSet { .. } => ok(reply),
            Ask::Set { slot, sequence } => {
                ok(reply)?;
                if let Some(key) = self.string(slot) {
                    key.written(sequence);
                }
                Ok(0)
            }
            Ask::Get { slot, .. } => self.judge_read(slot, reply),
            Ask::GetSet { slot, sequence } => {
                let found = self.judge_read(slot, reply)?;
                if let Some(key) = self.string(slot) {
                    key.written(sequence);
                }
                Ok(found)
            }
            Ask::Mget => self.judge_mget(reply, rest),
            Ask::CounterStart => {
                ok(reply)?;
                self.counter.started();
                Ok(0)
            }
            Ask::Incr | Ask::CounterRead => self.judge_counter(ask, reply),
            Ask::Push { .. } | Ask::Pop | Ask::ListRead => self.judge_list(ask, reply, rest),
            Ask::Exists { times, .. } => match reply {
                Reply::Integer(count) if count == i64::from(times) => Ok(u64::from(times)),
                Reply::Integer(0) => match data {
                    Data::MayVanish => Ok(0),
                    Data::Kept => Err(stale(Contradiction(format!(":{times}: it was written")))),
                },
                _ => Err(shape(format!(":{times}"))),
            },
            Ask::Echo { sequence } | Ask::Ping { sequence } => {
                match self.value(NONCE, reply, "the value that was sent")? {
                    Some(found) if found == sequence => Ok(found),
                    _ => Err(stale(Contradiction(format!("write {sequence:#x}")))),
                }
            }
            Ask::Missing => match reply {
                reply if self.is_null(reply) => Ok(0),
                _ => Err(shape("a null of this protocol".to_owned())),
            },
            Ask::SharedGet { slot } => Ok(self.value(slot, reply, "a value")?.unwrap_or(0)),
            Ask::ClientId => self.judge_connection_id(reply),
            Ask::ClientName => match reply {
                Reply::Bulk(name) if name == self.names.own() => Ok(0),
                _ => Err(shape(
                    String::from_utf8_lossy(&self.names.own()).into_owned(),
                )),
            },
            Ask::WrongType { .. } => match reply {
                Reply::Error(_) => Ok(0),
                reply if self.is_null(reply) => match data {
                    Data::MayVanish => Ok(0),
                    Data::Kept => Err(stale(Contradiction("-WRONGTYPE: it was written".into()))),
                },
                _ => Err(shape("-WRONGTYPE".to_owned())),
            },
            Ask::Delete | Ask::DeleteAway => match reply {
                Reply::Integer(_) => Ok(0),
                _ => Err(shape("a number".to_owned())),
            },
        }
    }

    fn judge_read(&mut self, slot: u16, reply: Reply) -> Judged {
        let found = self.value(slot, reply, "a value")?;
        let data = self.rules.plan.data;
        if let Some(key) = self.string(slot) {
            key.read(found, data).map_err(stale)?;
        }
        Ok(found.unwrap_or(0))
    }

    fn judge_mget(&mut self, reply: Reply, mut rest: &[u8]) -> Judged {
        let keys = self.names.string_keys();
        match reply {
            Reply::Array(count, _) if count == usize::from(keys) => {}
            _ => return Err(shape(format!("an array of {keys}"))),
        }
        for slot in 0..keys {
            let (element, after) = wire::read(rest);
            self.judge_read(slot, element)?;
            rest = after;
        }
        Ok(0)
    }

    fn judge_counter(&mut self, ask: Ask, reply: Reply) -> Judged {
        let data = self.rules.plan.data;
        let (found, judged) = match (ask, reply) {
            (Ask::Incr, Reply::Integer(number)) => {
                (Some(number), self.counter.raised(number, data))
            }
            (Ask::CounterRead, Reply::Bulk(text)) => {
                let number = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
                if number.is_none() {
                    return Err(shape("a number".to_owned()));
                }
                (number, self.counter.read(number, data))
            }
            (Ask::CounterRead, reply) if self.is_null(reply) => {
                (None, self.counter.read(None, data))
            }
            _ => return Err(shape("a number".to_owned())),
        };
        judged.map_err(|contradiction| Wrong {
            of: found.and_then(|number| self.counter_owner(number)),
            ..stale(contradiction)
        })?;
        Ok(found.unwrap_or(0) as u64)
    }

    fn judge_list(&mut self, ask: Ask, reply: Reply, mut rest: &[u8]) -> Judged {
        let data = self.rules.plan.data;
        match (ask, reply) {
            (Ask::Push { sequence }, Reply::Integer(length)) => {
                self.list.pushed(sequence, length, data).map_err(stale)?;
                Ok(sequence)
            }
            (Ask::Pop, reply) => {
                let found = self.value(LIST, reply, "an element")?;
                self.list.popped(found, data).map_err(stale)?;
                Ok(found.unwrap_or(0))
            }
            (Ask::ListRead, Reply::Array(count, _)) => {
                let mut found = Vec::with_capacity(count);
                for _ in 0..count {
                    let (element, after) = wire::read(rest);
                    found.extend(self.value(LIST, element, "an element")?);
                    rest = after;
                }
                self.list.read(&found, data).map_err(stale)?;
                Ok(count as u64)
            }
            _ => Err(shape("a length, an element or a list".to_owned())),
        }
    }

    fn judge_hello(&mut self, protocol: Protocol, reply: Reply, mut rest: &[u8]) -> Judged {
        let fields = match (protocol, reply) {
            (Protocol::Resp2, Reply::Array(count, _)) => count / 2,
            (Protocol::Resp3, Reply::Map(count, _)) => count,
            _ => return Err(shape(format!("the fields of HELLO {}", protocol.number()))),
        };
        for _ in 0..fields {
            let (name, after) = wire::read(rest);
            let (value, after) = skip_array(wire::read(after));
            rest = after;
            match (name, value) {
                (Reply::Bulk(b"proto"), value) if value != Reply::Integer(protocol.number()) => {
                    return Err(shape(format!("proto {}", protocol.number())));
                }
                (Reply::Bulk(b"id"), value) => {
                    self.judge_connection_id(value)?;
                }
                _ => {}
            }
        }
        Ok(0)
    }

    /// The server's id of this connection: the same as long as it lasts.
    fn judge_connection_id(&mut self, reply: Reply) -> Judged {
        match (reply, self.connection_id) {
            (Reply::Integer(id), None) if id > 0 => {
                self.connection_id = Some(id);
                Ok(id as u64)
            }
            (Reply::Integer(id), Some(known)) if id == known => Ok(id as u64),
            (_, Some(known)) => Err(shape(format!("the connection's id {known}"))),
            _ => Err(shape("an id".to_owned())),
        }
    }

    /// The sequence number of the value of `slot` in `reply`, `None` for a null.
    fn value(&self, slot: u16, reply: Reply, wanted: &str) -> Result<Option<u64>, Wrong> {
        let bytes = match reply {
            Reply::Bulk(bytes) => bytes,
            reply if self.is_null(reply) => return Ok(None),
            _ => return Err(shape(format!("{wanted}, or a null of this protocol"))),
        };
        let tag = Tag::check(bytes).map_err(|fault| torn(fault, bytes))?;
        let wrong = |kind, why: String| Wrong {
            kind,
            why,
            of: (tag.run == self.names.run).then_some(tag.client),
        };
        if tag.run != self.names.run {
            return Err(wrong(
                OffenceKind::Foreign,
                format!("run {:#x}", self.names.run),
            ));
        }
        if tag.client != self.names.client && !is_shared(slot) {
            let why = format!("a value of client {}", self.names.client);
            return Err(wrong(OffenceKind::Foreign, why));
        }
        if tag.slot != slot || tag.db != self.names.db_of(slot) {
            let why = format!("a value of slot {slot:#x} in db {}", self.names.db_of(slot));
            return Err(wrong(OffenceKind::Misplaced, why));
        }
        Ok(Some(tag.sequence))
    }

    fn is_null(&self, reply: Reply) -> bool {
        match self.protocol {
            Protocol::Resp2 => reply == Reply::NullBulk,
            Protocol::Resp3 => reply == Reply::Null,
        }
    }

    fn counter_owner(&self, number: i64) -> Option<u32> {
        let clients = self.rules.plan.connections;
        Counter::client_of(number).filter(|client| (*client as usize) < clients)
    }
}

/// The client whose tag occurs in bytes that should not hold it, as far as that can be told.
pub(crate) fn whose(raw: &[u8]) -> Option<u32> {
    let tags = (0..raw.len()).filter(|at| raw.get(*at..*at + 2) == Some(b"nl"));
    tags.take(TAGS_LOOKED_AT)
        .filter_map(|at| Tag::head(raw.get(at..)?))
        .map(|(tag, _)| tag.client)
        .next()
}

fn ok(reply: Reply) -> Judged {
    match reply {
        Reply::Simple(b"OK") => Ok(0),
        _ => Err(shape("+OK".to_owned())),
    }
}

fn shape(why: String) -> Wrong {
    let (kind, of) = (OffenceKind::Shape, None);
    Wrong { kind, why, of }
}

fn stale(Contradiction(why): Contradiction) -> Wrong {
    let (kind, of) = (OffenceKind::Stale, None);
    Wrong { kind, why, of }
}

fn torn(fault: TagFault, bytes: &[u8]) -> Wrong {
    Wrong {
        kind: OffenceKind::Torn,
        why: format!("a whole value; {fault}"),
        of: Tag::head(bytes).map(|(tag, _)| tag.client),
    }
}

/// `HELLO` has one field that is an array (of modules): its elements are passed over.
fn skip_array<'a>((reply, rest): (Reply<'a>, &'a [u8])) -> (Reply<'a>, &'a [u8]) {
    let Reply::Array(count, mut rest) = reply else {
        return (reply, rest);
    };
    for _ in 0..count {
        if let wire::Scan::Whole(bytes) = wire::scan(rest) {
            rest = rest.get(bytes..).unwrap_or_default();
        }
    }
    (reply, rest)
}

const TAGS_LOOKED_AT: usize = 1000;
