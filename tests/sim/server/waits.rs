//! `BLPOP`: a connection that waits executes nothing until an element is there or its time is up.
//! The tag of the request is one more key, which nobody pushes to.

use std::time::Duration;

use narrows::resp::{Protocol, write};

use super::Server;
use super::link::Link;
use crate::sim::ledger::{Execution, Ledger, Tag};
use crate::sim::slip::Asker;

pub const COMMAND: &str = "BLPOP";

pub const WRITES: &[&str] = &[COMMAND];

/// What a connection waits for.
#[derive(Debug)]
pub struct Waiting {
    tag: Tag,
    key: Vec<u8>,
    until: Duration,
}

impl Waiting {
    pub fn until(&self) -> Duration {
        self.until
    }
}

/// `BLPOP key tag milliseconds-as-seconds`
pub fn begin(link: &mut Link, args: &[&[u8]], server: &mut Server, ledger: &mut Ledger) {
    let seconds: Option<f64> = std::str::from_utf8(args[3])
        .ok()
        .and_then(|t| t.parse().ok());
    let (Some(tag), Some(seconds)) = (Tag::read(args[2]), seconds) else {
        return ledger.offend("a BLPOP that is none".to_owned());
    };
    if let Some(text) = server.refusal(COMMAND, true) {
        let mut reply = Vec::new();
        write::error(&mut reply, text);
        return over(link, tag, reply, server, ledger);
    }
    server.waiting.insert(link.id);
    link.waiting = Some(Waiting {
        tag,
        key: args[1].to_vec(),
        until: server.now + Duration::from_secs_f64(seconds),
    });
}

/// Whether the wait of `link` is over; its reply is given then.
pub fn go_on(link: &mut Link, server: &mut Server, ledger: &mut Ledger) -> bool {
    let Some(waiting) = &link.waiting else {
        return false;
    };
    if server.pause().is_some() {
        return false;
    }
    let (tag, db) = (waiting.tag, link.setting.db);
    let mut reply = Vec::new();
    let ended = server.unblocked.remove(&link.id);
    let element = match ended {
        true => None,
        false => server.keys.list(db, &waiting.key).pop_front(),
    };
    if let Some(element) = element {
        write::array_head(&mut reply, 2);
        write::bulk(&mut reply, &waiting.key);
        write::bulk(&mut reply, &element);
    } else if ended || server.now >= waiting.until {
        match link.setting.protocol {
            Protocol::Resp2 => reply.extend_from_slice(b"*-1\r\n"),
            Protocol::Resp3 => reply.extend_from_slice(b"_\r\n"),
        }
    } else {
        return false;
    }
    over(link, tag, reply, server, ledger);
    true
}

/// `CLIENT UNBLOCK id`: whether that connection waits.
pub fn unblock(id: &[u8], server: &mut Server) -> i64 {
    let id = std::str::from_utf8(id).ok().and_then(|id| id.parse().ok());
    let ends = id.is_some_and(|id| server.waiting.remove(&id) && server.unblocked.insert(id));
    i64::from(ends)
}

fn over(link: &mut Link, tag: Tag, reply: Vec<u8>, server: &mut Server, ledger: &mut Ledger) {
    link.waiting = None;
    server.waiting.remove(&link.id);
    ledger.executed(Execution {
        tag,
        write: true,
        setting: link.setting,
        reply: &reply,
        life: server.lives,
    });
    link.answer(reply, Asker::Client);
}
