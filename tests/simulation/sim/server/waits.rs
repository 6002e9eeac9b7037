//! `BLPOP`: a connection that waits executes nothing until an element is there or its time is up.
//! The tag of the request is one more key, which nobody pushes to.

use std::time::Duration;

use narrows::resp::{Protocol, write};

use super::Server;
use super::link::Link;
use crate::sim::desync::Requester;
use crate::sim::history::{Execution, History, Tag};

pub const COMMAND: &str = "BLPOP";

pub const WRITES: &[&str] = &[COMMAND];

/// What a connection waits for.
#[derive(Debug)]
pub struct Waiting {
    tag: Tag,
    keys: Vec<Vec<u8>>,
    until: Duration,
}

impl Waiting {
    pub fn until(&self) -> Duration {
        self.until
    }
}

/// Keys, one of them a tag, and seconds. narrows may ask for some of the keys alone.
fn parse(args: &[&[u8]], history: &mut History) -> Option<(Tag, Vec<Vec<u8>>, f64)> {
    let (seconds, keys) = args.get(1..)?.split_last()?;
    let seconds = std::str::from_utf8(seconds).ok()?.parse().ok()?;
    let tag = keys.iter().find_map(|key| Tag::read(key))?;
    let served = |reply: &[u8]| reply.starts_with(b"*2");
    if history.reply(tag).is_some_and(served) {
        history.offend(format!("{tag:?} is asked for again, and was served"));
    }
    let keys = keys.iter().map(|key| key.to_vec()).collect();
    Some((tag, keys, seconds))
}

impl Link {
    /// Whether it waits with a request of this client.
    pub fn waits_for(&self, client: u32) -> bool {
        let waiting = self.waiting.as_ref();
        waiting.is_some_and(|waiting| waiting.tag.client == client)
    }
}

/// `BLPOP`
pub fn begin(link: &mut Link, args: &[&[u8]], server: &mut Server, history: &mut History) {
    let Some((tag, keys, seconds)) = parse(args, history) else {
        return history.offend("a BLPOP that is none".to_owned());
    };
    if let Some(text) = server.refusal(COMMAND, true) {
        let mut reply = Vec::new();
        write::error(&mut reply, text);
        return over(link, tag, reply, server, history);
    }
    server.waiting.insert(link.id);
    link.waiting = Some(Waiting {
        tag,
        keys,
        until: server.now + Duration::from_secs_f64(seconds),
    });
}

/// Inside a transaction it does not wait, and an element is all that it says: a nil is the answer to
/// what narrows asks on its own.
pub fn at_once(
    link: &mut Link,
    args: &[&[u8]],
    server: &mut Server,
    history: &mut History,
) -> Vec<u8> {
    let Some((tag, keys, _)) = parse(args, history) else {
        history.offend("a BLPOP that is none".to_owned());
        return Vec::new();
    };
    let mut reply = Vec::new();
    if let Some(text) = server.refusal(COMMAND, true) {
        write::error(&mut reply, text);
        return reply;
    }
    if !pop(link, (tag, &keys), server, history, &mut reply) {
        return nil(link);
    }
    history.executed(Execution {
        tag,
        write: true,
        setting: link.setting,
        reply: &reply,
        life: server.lives,
    });
    reply
}

fn nil(link: &Link) -> Vec<u8> {
    match link.setting.protocol {
        Protocol::Resp2 => b"*-1\r\n".to_vec(),
        Protocol::Resp3 => b"_\r\n".to_vec(),
    }
}

/// Takes the first element that there is.
fn pop(
    link: &Link,
    (tag, keys): (Tag, &[Vec<u8>]),
    server: &mut Server,
    history: &mut History,
    reply: &mut Vec<u8>,
) -> bool {
    let db = link.setting.db;
    for key in keys {
        if let Some(element) = server.keys.list(db, key).pop_front() {
            write::array_head(reply, 2);
            write::bulk(reply, key);
            write::bulk(reply, &element);
            history.wait_line.serves(tag, db, key);
            return true;
        }
    }
    false
}

/// Whether the wait of `link` is over; its reply is given then.
pub fn go_on(link: &mut Link, server: &mut Server, history: &mut History) -> bool {
    let Some(waiting) = &link.waiting else {
        return false;
    };
    if server.pause().is_some() {
        return false;
    }
    let (tag, until, mut reply) = (waiting.tag, waiting.until, Vec::new());
    let ended = server.unblocked.remove(&link.id);
    let keys = waiting.keys.clone();
    if !ended && pop(link, (tag, &keys), server, history, &mut reply) {
        // It is served.
    } else if ended || server.now >= until {
        reply = nil(link);
    } else {
        return false;
    }
    over(link, tag, reply, server, history);
    true
}

/// `CLIENT UNBLOCK id`: whether that connection waits.
pub fn unblock(id: &[u8], server: &mut Server) -> i64 {
    let id = std::str::from_utf8(id).ok().and_then(|id| id.parse().ok());
    let ends = id.is_some_and(|id| server.waiting.remove(&id) && server.unblocked.insert(id));
    i64::from(ends)
}

fn over(link: &mut Link, tag: Tag, reply: Vec<u8>, server: &mut Server, history: &mut History) {
    link.waiting = None;
    server.waiting.remove(&link.id);
    history.executed(Execution {
        tag,
        write: true,
        setting: link.setting,
        reply: &reply,
        life: server.lives,
    });
    link.answer(reply, Requester::Client);
}
