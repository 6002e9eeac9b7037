//! Transactions: `WATCH`, `MULTI`, `EXEC` and their like, with what a connection holds for them.
//! What `EXEC` is about to run is held against what its client has put between `MULTI` and `EXEC`.

use narrows::resp::{Args, Protocol, write};

use super::link::{Link, is_write};
use super::{Server, waits};
use crate::sim::history::{History, Tag};

pub const COMMANDS: &[&str] = &["MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH"];

/// A key that a connection watches.
#[derive(Debug)]
struct Watch {
    tag: Tag,
    db: u32,
    key: Vec<u8>,
    version: u64,
}

/// What a connection holds.
#[derive(Debug, Default)]
pub struct Transaction {
    watches: Vec<Watch>,
    /// Requests queued since `MULTI`.
    queue: Option<Vec<Vec<u8>>>,
    aborted: bool,
}

impl Transaction {
    pub fn is_queueing(&self) -> bool {
        self.queue.is_some()
    }

    /// Whether it will write, so that a pause of writes holds up its `EXEC`.
    pub fn writes(&self) -> bool {
        let queue = self.queue.iter().flatten();
        queue
            .filter_map(|frame| Args::new(frame).next())
            .any(|name| is_write(&String::from_utf8_lossy(name).to_ascii_uppercase()))
    }

    /// A request inside `MULTI`: its reply.
    pub fn queue(&mut self, frame: &[u8], refusal: Option<&str>, reply: &mut Vec<u8>) {
        match (refusal, &mut self.queue) {
            (Some(text), _) => {
                self.aborted = true;
                write::error(reply, text);
            }
            (None, Some(queue)) => {
                queue.push(frame.to_vec());
                write::status(reply, "QUEUED");
            }
            (None, None) => {}
        }
    }

    /// Whether anything is watched.
    pub fn is_watching(&self) -> bool {
        !self.watches.is_empty()
    }

    /// Whether another client's keys are watched.
    pub fn watches_for_another(&self, client: u32) -> bool {
        self.watches.iter().any(|watch| watch.tag.client != client)
    }

    fn end(&mut self) -> Vec<Vec<u8>> {
        let queue = self.queue.take().unwrap_or_default();
        *self = Self::default();
        queue
    }
}

/// One of [`COMMANDS`]: its reply.
pub fn run(
    link: &mut Link,
    name: &str,
    args: &[&[u8]],
    server: &mut Server,
    history: &mut History,
) -> Vec<u8> {
    let mut reply = Vec::new();
    let queueing = link.transaction.is_queueing();
    match name {
        "MULTI" if queueing => write::error(&mut reply, "ERR MULTI calls can not be nested"),
        "MULTI" => {
            link.transaction.queue = Some(Vec::new());
            write::status(&mut reply, "OK");
        }
        // Neither is queued, and neither aborts what is.
        "WATCH" if queueing => write::error(&mut reply, "ERR WATCH inside MULTI is not allowed"),
        "WATCH" => {
            let (db, tag) = (link.setting.db, args.last().and_then(|arg| Tag::read(arg)));
            if let Some(tag) = tag.filter(|tag| link.transaction.watches_for_another(tag.client)) {
                history.offend(format!("{tag:?} is added to what another client watches"));
            }
            for key in &args[1..args.len() - 1] {
                let version = server.keys.version(db, key);
                link.transaction.watches.extend(tag.map(|tag| Watch {
                    tag,
                    db,
                    key: key.to_vec(),
                    version,
                }));
            }
            write::status(&mut reply, "OK");
        }
        "UNWATCH" => {
            link.transaction.watches.clear();
            write::status(&mut reply, "OK");
        }
        "DISCARD" if queueing => {
            link.transaction.end();
            write::status(&mut reply, "OK");
        }
        "EXEC" if queueing => exec(link, server, history, &mut reply),
        _ => write::error(&mut reply, &format!("ERR {name} without MULTI")),
    }
    reply
}

fn exec(link: &mut Link, server: &mut Server, history: &mut History, reply: &mut Vec<u8>) {
    let changed = |watch: &Watch| server.keys.version(watch.db, &watch.key) != watch.version;
    let dirty = link.transaction.watches.iter().any(changed);
    let watched: Vec<Tag> = link.transaction.watches.iter().map(|w| w.tag).collect();
    let aborted = link.transaction.aborted;
    let tag_of = |frame: &Vec<u8>| Args::new(frame).last().and_then(Tag::read);
    let owner = link.transaction.queue.iter().flatten().find_map(tag_of);
    if let Some(tag) = owner.filter(|tag| link.transaction.watches_for_another(tag.client)) {
        history.offend(format!(
            "what {tag:?} is in depends on what another client watches"
        ));
    }
    let queue = link.transaction.end();
    if aborted {
        let text = "EXECABORT Transaction discarded because of previous errors.";
        return write::error(reply, text);
    }
    if dirty {
        return match link.setting.protocol {
            Protocol::Resp2 => reply.extend_from_slice(b"*-1\r\n"),
            Protocol::Resp3 => reply.extend_from_slice(b"_\r\n"),
        };
    }
    let tags: Vec<Tag> = queue.iter().filter_map(tag_of).collect();
    history.transactions.runs(&tags, &watched);
    if let Some(text) = history.transactions.offence.take() {
        history.offend(text);
    }
    write::array_head(reply, queue.len());
    for frame in &queue {
        let args: Vec<&[u8]> = Args::new(frame).collect();
        let name = String::from_utf8_lossy(args[0]).to_ascii_uppercase();
        if name == waits::COMMAND {
            reply.extend_from_slice(&waits::at_once(link, &args, server, history));
        } else if tag_of(frame).is_none() {
            reply.extend_from_slice(&link.untagged(&name, &args, server, history));
        } else {
            reply.extend_from_slice(&link.tagged(&name, &args, server, history));
        }
    }
}
