//! A fake Redis: a few commands over databases that all connections share, executed in order on
//! each connection, and the faults that one connection can have. What it executes goes into the
//! ledger. It knows nothing of narrows but the names of its handshake.

use std::collections::BTreeMap;

use narrows::resp::{Args, Limits, Protocol, RequestEvent, RequestScanner, write};

use super::chance::Chance;
use super::ledger::{Ledger, Setting, Tag};

/// Databases that the server has.
pub const DATABASES: u32 = 4;

/// What all connections share.
#[derive(Debug, Default)]
pub struct Server {
    /// Who wrote a key last.
    keys: BTreeMap<(u32, Vec<u8>), Tag>,
    connections: u64,
}

/// The server's side of one connection.
#[derive(Debug)]
pub struct Link {
    id: u64,
    pub setting: Setting,
    /// Bytes received and not executed.
    pub input: Vec<u8>,
    /// Bytes answered and not delivered.
    pub out: Vec<u8>,
    /// It answers nothing any more.
    pub stalled: bool,
}

impl Server {
    pub fn accept(&mut self) -> Link {
        self.connections += 1;
        Link {
            id: self.connections,
            setting: Setting::default(),
            input: Vec::new(),
            out: Vec::new(),
            stalled: false,
        }
    }
}

impl Link {
    /// Executes the next complete request. False when there is none.
    pub fn execute(&mut self, server: &mut Server, ledger: &mut Ledger) -> bool {
        if self.stalled || self.input.is_empty() {
            return false;
        }
        let limits = Limits::default().authenticated();
        match RequestScanner::default().advance(&self.input, &limits) {
            Ok(advance) => match advance.event {
                RequestEvent::Complete(_) => {
                    let frame: Vec<u8> = self.input.drain(..advance.consumed).collect();
                    let args: Vec<&[u8]> = Args::new(&frame).collect();
                    self.command(&args, server, ledger);
                    true
                }
                RequestEvent::NeedMore => false,
                RequestEvent::Inline { .. } | RequestEvent::Empty => {
                    ledger.offend("narrows sent something that is not canonical".to_owned());
                    false
                }
            },
            Err(error) => {
                ledger.offend(format!("narrows sent no request: {error:?}"));
                false
            }
        }
    }

    fn command(&mut self, args: &[&[u8]], server: &mut Server, ledger: &mut Ledger) {
        let name = String::from_utf8_lossy(args[0]).to_ascii_uppercase();
        let Some(tag) = args.last().and_then(|arg| Tag::read(arg)) else {
            return self.own_command(&name, args, ledger);
        };
        let args = &args[1..args.len() - 1];
        let mut reply = Vec::new();
        let write = self.tagged(&name, args, tag, server, &mut reply);
        ledger.executed(tag, write, self.setting, &reply);
        self.out.extend_from_slice(&reply);
    }

    /// Handshakes and health checks of narrows itself.
    fn own_command(&mut self, name: &str, args: &[&[u8]], ledger: &mut Ledger) {
        match name {
            "HELLO" => {
                self.setting.protocol = match args[1] {
                    b"3" => Protocol::Resp3,
                    _ => Protocol::Resp2,
                };
                write::map_head(&mut self.out, 2, self.setting.protocol);
                write::bulk(&mut self.out, b"server");
                write::bulk(&mut self.out, b"redis");
                write::bulk(&mut self.out, b"id");
                write::integer(&mut self.out, self.id as i64);
            }
            "SELECT" => match std::str::from_utf8(args[1]).unwrap().parse() {
                Ok(db) if db < DATABASES => {
                    self.setting.db = db;
                    write::status(&mut self.out, "OK");
                }
                _ => write::error(&mut self.out, "ERR DB index is out of range"),
            },
            "CLIENT" => write::status(&mut self.out, "OK"),
            "PING" => write::bulk(&mut self.out, args[1]),
            _ => ledger.offend(format!("an untagged {name} reached the server")),
        }
    }

    /// A client's command. True when it is a write.
    fn tagged(
        &self,
        name: &str,
        args: &[&[u8]],
        tag: Tag,
        server: &mut Server,
        out: &mut Vec<u8>,
    ) -> bool {
        let text = tag.text();
        let db = self.setting.db;
        let stored = |key: &[u8]| match server.keys.get(&(db, key.to_vec())) {
            Some(by) => format!("{text}|{}", by.text()),
            None => format!("{text}|-"),
        };
        match name {
            "GET" => write::bulk(out, stored(args[0]).as_bytes()),
            "MGET" => {
                write::array_head(out, args.len());
                for key in args {
                    write::bulk(out, stored(key).as_bytes());
                }
            }
            "GETRANGE" => {
                let len: usize = std::str::from_utf8(args[2]).unwrap().parse().unwrap();
                let mut value = text.into_bytes();
                value.resize(value.len().max(len), b'.');
                write::bulk(out, &value);
            }
            "HGETALL" if self.setting.protocol == Protocol::Resp3 => {
                out.extend_from_slice(b"|1\r\n+a\r\n+b\r\n");
                write::map_head(out, 1, Protocol::Resp3);
                write::bulk(out, text.as_bytes());
                out.extend_from_slice(b"#t\r\n");
            }
            "HGETALL" => {
                write::array_head(out, 1);
                write::bulk(out, text.as_bytes());
            }
            "ECHO" | "PING" => write::bulk(out, text.as_bytes()),
            "INFO" => {
                let info = format!("# Clients\r\nconnected_clients:3\r\ntag:{text}\r\n");
                write::verbatim(out, info.as_bytes(), self.setting.protocol);
            }
            "SET" => {
                server.keys.insert((db, args[0].to_vec()), tag);
                write::status(out, &format!("OK {text}"));
            }
            "INCR" => {
                let number = i64::from(tag.client) << 32 | i64::from(tag.request);
                write::integer(out, number);
            }
            "DEL" => write::error(out, &format!("ERR of {text}")),
            _ => write::error(out, &format!("ERR unexpected {name} of {text}")),
        }
        matches!(name, "SET" | "INCR" | "DEL")
    }

    /// Something that no reply may be, at a place where a reply may begin.
    pub fn misbehave(&mut self, chance: &mut Chance) {
        let junk: &[&[u8]] = &[
            b"?\r\n",
            b"$x\r\n",
            b"*1\r\n>1\r\n+a\r\n",
            b">2\r\n+message\r\n+x\r\n",
            b"+a\rb",
            b"*-7\r\n",
            b"HTTP/1.1 200 OK\r\n",
        ];
        self.out.extend_from_slice(chance.one_of(junk));
        self.stalled = true;
    }
}
