//! One request: what it is, how it is written, how a dump names it.

use std::fmt::Write as _;

use crate::model::Counter;
use crate::tag::{Tag, push_hex};
use crate::target::Protocol;
use crate::wire::{push_bulk, push_command, push_header};

/// A request on its way, with what is needed to judge its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Hello(Protocol),
    SetName,
    SetInfo,
    Select { db: u16 },
    Set { slot: u16, sequence: u64 },
    Get { slot: u16, form: Form },
    GetSet { slot: u16, sequence: u64 },
    Mget,
    CounterStart,
    CounterRead,
    Incr,
    Push { sequence: u64 },
    Pop,
    ListRead,
    Exists { slot: u16, times: u8 },
    Echo { sequence: u64 },
    Ping { sequence: u64 },
    Missing,
    SharedSet { slot: u16, sequence: u64 },
    SharedGet { slot: u16 },
    ClientId,
    ClientName,
    WrongType { slot: u16 },
    Delete,
    DeleteAway,
}

/// How a request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// An array of bulk strings.
    Array,
    /// A line.
    Inline,
}

impl Ask {
    /// The command it sends, as the report counts it.
    pub(crate) fn command(self) -> &'static str {
        COMMANDS
            .get(self.command_index())
            .copied()
            .unwrap_or_default()
    }

    /// Its place in [`COMMANDS`].
    pub(crate) fn command_index(self) -> usize {
        match self {
            Self::Get { .. } | Self::CounterRead | Self::Missing | Self::SharedGet { .. } => 0,
            Self::Set { .. } | Self::CounterStart | Self::SharedSet { .. } => 1,
            Self::GetSet { .. } => 2,
            Self::Mget => 3,
            Self::Incr => 4,
            Self::Push { .. } => 5,
            Self::Pop | Self::WrongType { .. } => 6,
            Self::ListRead => 7,
            Self::Exists { .. } => 8,
            Self::Echo { .. } => 9,
            Self::Ping { .. } => 10,
            Self::ClientId => 11,
            Self::ClientName => 12,
            Self::SetName => 13,
            Self::SetInfo => 14,
            Self::Hello(_) => 15,
            Self::Select { .. } => 16,
            Self::Delete | Self::DeleteAway => 17,
        }
    }

    /// Whether an error in place of its reply leaves the connection's context in doubt.
    pub(crate) fn sets_context(self) -> bool {
        matches!(self, Self::Hello(_) | Self::Select { .. })
    }

    /// In a dump: the command and what it is about.
    pub(crate) fn describe(self, names: &Names) -> String {
        let mut text = self.command().to_owned();
        if let Some(slot) = self.slot() {
            let _ = write!(text, " {}", String::from_utf8_lossy(&names.key(slot)));
        }
        let _ = match self {
            Self::Hello(protocol) => write!(text, " {}", protocol.number()),
            Self::Select { db } => write!(text, " {db}"),
            Self::Exists { times, .. } => write!(text, " ({times} times)"),
            Self::Get {
                form: Form::Inline, ..
            } => write!(text, " (inline)"),
            Self::Set { sequence, .. }
            | Self::GetSet { sequence, .. }
            | Self::SharedSet { sequence, .. }
            | Self::Push { sequence }
            | Self::Echo { sequence }
            | Self::Ping { sequence } => write!(text, " = write {sequence:#x}"),
            _ => Ok(()),
        };
        text
    }

    fn slot(self) -> Option<u16> {
        match self {
            Self::Set { slot, .. }
            | Self::Get { slot, .. }
            | Self::GetSet { slot, .. }
            | Self::SharedSet { slot, .. }
            | Self::SharedGet { slot }
            | Self::Exists { slot, .. }
            | Self::WrongType { slot } => Some(slot),
            Self::CounterStart | Self::CounterRead | Self::Incr => Some(COUNTER),
            Self::Push { .. } | Self::Pop | Self::ListRead => Some(LIST),
            Self::Missing => Some(MISSING),
            _ => None,
        }
    }
}

/// What a client calls its keys and itself.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) run: u32,
    pub(crate) client: u32,
    pub(crate) db: u16,
    /// The db of a detour.
    pub(crate) away_db: u16,
    /// The generation of each string key, then of the key of detours, the counter, the list.
    pub(crate) generations: Vec<u16>,
}

impl Names {
    /// The db that the key of a slot lives in.
    pub(crate) fn db_of(&self, slot: u16) -> u16 {
        if slot == AWAY { self.away_db } else { self.db }
    }

    pub(crate) fn key(&self, slot: u16) -> Vec<u8> {
        let mut key = Vec::with_capacity(KEY_BYTES);
        self.push_key_text(slot, &mut key);
        key
    }

    /// What the client calls itself by `CLIENT SETNAME`.
    pub(crate) fn own(&self) -> Vec<u8> {
        let mut name = b"nl-".to_vec();
        push_hex(&mut name, u64::from(self.run), 8);
        name.push(b'-');
        push_hex(&mut name, u64::from(self.client), 8);
        name
    }

    pub(crate) fn tag(&self, slot: u16, sequence: u64, bytes: u32) -> Tag {
        Tag {
            run: self.run,
            client: self.client,
            db: self.db_of(slot),
            slot,
            sequence,
            bytes,
        }
    }

    /// Appends the request. `bytes`: the length of the value, where it has one.
    pub(crate) fn write(&self, ask: Ask, bytes: u32, out: &mut Vec<u8>) {
        match ask {
            Ask::Hello(Protocol::Resp2) => push_command(out, &[b"HELLO", b"2"]),
            Ask::Hello(Protocol::Resp3) => push_command(out, &[b"HELLO", b"3"]),
            Ask::SetName => push_command(out, &[b"CLIENT", b"SETNAME", &self.own()]),
            Ask::SetInfo => push_command(out, &[b"CLIENT", b"SETINFO", b"LIB-NAME", b"load"]),
            Ask::Select { db } => {
                let mut digits = itoa::Buffer::new();
                push_command(out, &[b"SELECT", digits.format(db).as_bytes()]);
            }
            Ask::Set { slot, sequence } => self.push_write(b"SET", slot, sequence, bytes, out),
            Ask::SharedSet { slot, sequence } => {
                // Nobody knows when the last client has read it: it goes by itself.
                push_header(out, b'*', 5);
                push_bulk(out, b"SET");
                self.push_key(slot, out);
                self.push_value(slot, sequence, bytes, out);
                push_bulk(out, b"EX");
                push_bulk(out, SHARED_SECONDS);
            }
            Ask::GetSet { slot, sequence } => {
                self.push_write(b"GETSET", slot, sequence, bytes, out);
            }
            Ask::Push { sequence } => self.push_write(b"RPUSH", LIST, sequence, bytes, out),
            Ask::Get {
                slot,
                form: Form::Inline,
            } => {
                out.extend_from_slice(b"GET ");
                self.push_key_text(slot, out);
                out.extend_from_slice(b"\r\n");
            }
            Ask::Get { slot, .. } | Ask::SharedGet { slot } => self.push_ask(b"GET", slot, out),
            Ask::CounterRead => self.push_ask(b"GET", COUNTER, out),
            Ask::Missing => self.push_ask(b"GET", MISSING, out),
            Ask::Incr => self.push_ask(b"INCR", COUNTER, out),
            Ask::Pop => self.push_ask(b"LPOP", LIST, out),
            Ask::WrongType { slot } => self.push_ask(b"LPOP", slot, out),
            Ask::CounterStart => {
                let mut digits = itoa::Buffer::new();
                let first = digits.format(Counter::first_of(self.client));
                push_command(out, &[b"SET", &self.key(COUNTER), first.as_bytes()]);
            }
            Ask::ListRead => push_command(out, &[b"LRANGE", &self.key(LIST), b"0", b"-1"]),
            Ask::Mget => self.push_keys(b"MGET", 0..self.string_keys(), out),
            Ask::Exists { slot, times } => {
                self.push_keys(b"EXISTS", (0..times).map(|_| slot), out);
            }
            Ask::Echo { sequence } | Ask::Ping { sequence } => {
                push_header(out, b'*', 2);
                push_bulk(out, ask.command().as_bytes());
                self.push_value(NONCE, sequence, bytes, out);
            }
            Ask::ClientId => push_command(out, &[b"CLIENT", b"ID"]),
            Ask::ClientName => push_command(out, &[b"CLIENT", b"GETNAME"]),
            Ask::DeleteAway => self.push_ask(b"DEL", AWAY, out),
            Ask::Delete => {
                let all = (0..self.string_keys()).chain([COUNTER, LIST]);
                self.push_keys(b"DEL", all, out);
            }
        }
    }

    pub(crate) fn string_keys(&self) -> u16 {
        (self.generations.len() as u16).saturating_sub(GENERATIONS_BESIDE)
    }

    fn push_ask(&self, command: &[u8], slot: u16, out: &mut Vec<u8>) {
        self.push_keys(command, std::iter::once(slot), out);
    }

    fn push_keys(
        &self,
        command: &[u8],
        slots: impl Iterator<Item = u16> + Clone,
        out: &mut Vec<u8>,
    ) {
        push_header(out, b'*', 1 + slots.clone().count());
        push_bulk(out, command);
        for slot in slots {
            self.push_key(slot, out);
        }
    }

    fn push_write(&self, command: &[u8], slot: u16, sequence: u64, bytes: u32, out: &mut Vec<u8>) {
        push_header(out, b'*', 3);
        push_bulk(out, command);
        self.push_key(slot, out);
        self.push_value(slot, sequence, bytes, out);
    }

    fn push_value(&self, slot: u16, sequence: u64, bytes: u32, out: &mut Vec<u8>) {
        push_header(out, b'$', bytes as usize);
        self.tag(slot, sequence, bytes).write(out);
        out.extend_from_slice(b"\r\n");
    }

    fn push_key(&self, slot: u16, out: &mut Vec<u8>) {
        push_header(out, b'$', KEY_BYTES);
        self.push_key_text(slot, out);
        out.extend_from_slice(b"\r\n");
    }

    fn push_key_text(&self, slot: u16, out: &mut Vec<u8>) {
        out.extend_from_slice(b"nl:");
        push_hex(out, u64::from(self.run), 8);
        out.push(b':');
        if is_shared(slot) {
            out.extend_from_slice(b"everyone");
        } else {
            push_hex(out, u64::from(self.client), 8);
        }
        out.push(b':');
        push_hex(out, u64::from(slot), 4);
        out.push(b':');
        push_hex(out, u64::from(self.generation(slot)), 4);
    }

    fn generation(&self, slot: u16) -> u16 {
        let place = match slot {
            AWAY => Some(self.string_keys()),
            COUNTER => Some(self.string_keys() + 1),
            LIST => Some(self.string_keys() + 2),
            _ if slot < AWAY => Some(slot),
            _ => None,
        };
        let known = place.and_then(|place| self.generations.get(usize::from(place)));
        known.copied().unwrap_or_default()
    }
}

pub(crate) fn is_shared(slot: u16) -> bool {
    slot & 0xf000 == SHARED
}

/// Slots below are the client's string keys.
pub(crate) const AWAY: u16 = 0x0fff;
/// From here on: the keys that all clients share.
pub(crate) const SHARED: u16 = 0x1000;
pub(crate) const COUNTER: u16 = 0x2000;
pub(crate) const LIST: u16 = 0x3000;
pub(crate) const NONCE: u16 = 0x4000;
const MISSING: u16 = 0x5000;
/// Beside the string keys: detour, counter, list.
pub(crate) const GENERATIONS_BESIDE: u16 = 3;

const KEY_BYTES: usize = 30;
/// How long a shared key stays after its last write.
const SHARED_SECONDS: &[u8] = b"600";

/// The commands that the load sends.
pub(crate) const COMMANDS: [&str; 18] = [
    "GET",
    "SET",
    "GETSET",
    "MGET",
    "INCR",
    "RPUSH",
    "LPOP",
    "LRANGE",
    "EXISTS",
    "ECHO",
    "PING",
    "CLIENT ID",
    "CLIENT GETNAME",
    "CLIENT SETNAME",
    "CLIENT SETINFO",
    "HELLO",
    "SELECT",
    "DEL",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let (run, client, db, away_db) = (1, 2, 3, 4);
        Names {
            run,
            client,
            db,
            away_db,
            generations: vec![0, 5, 6, 7, 8],
        }
    }

    #[test]
    fn keys_name_run_client_slot_and_generation() {
        let text = |slot| String::from_utf8(names().key(slot)).unwrap();
        assert_eq!(text(1), "nl:00000001:00000002:0001:0005");
        assert_eq!(text(AWAY), "nl:00000001:00000002:0fff:0006");
        assert_eq!(text(COUNTER), "nl:00000001:00000002:2000:0007");
        assert_eq!(text(LIST), "nl:00000001:00000002:3000:0008");
        assert_eq!(text(SHARED + 9), "nl:00000001:everyone:1009:0000");
        assert_eq!(text(MISSING).len(), KEY_BYTES);
    }

    #[test]
    fn requests_are_arrays_of_bulk_strings_or_lines() {
        let text = |ask| {
            let mut out = Vec::new();
            names().write(ask, 48, &mut out);
            String::from_utf8_lossy(&out).into_owned()
        };
        let key = "$30\r\nnl:00000001:00000002:0000:0000\r\n";
        let (slot, form) = (0, Form::Array);
        assert_eq!(
            text(Ask::Get { slot, form }),
            format!("*2\r\n$3\r\nGET\r\n{key}")
        );
        let form = Form::Inline;
        assert_eq!(
            text(Ask::Get { slot, form }),
            "GET nl:00000001:00000002:0000:0000\r\n"
        );
        assert!(text(Ask::Mget).starts_with(&format!("*3\r\n$4\r\nMGET\r\n{key}")));
        let times = 2;
        assert_eq!(
            text(Ask::Exists { slot, times }),
            format!("*3\r\n$6\r\nEXISTS\r\n{key}{key}")
        );
    }
}
