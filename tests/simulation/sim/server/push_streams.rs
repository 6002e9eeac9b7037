//! What the server pushes: messages of channels and patterns, invalidations of keys by
//! prefix. Each connection that subscribes has mail, which stands between its replies as soon as it
//! executes or delivers anything.

use std::collections::{BTreeMap, BTreeSet};

use narrows::resp::{Protocol, write};

use super::link::Link;
use super::{Server, connection};
use crate::sim::desync::Requester;
use crate::sim::history::{Execution, History, Tag};
use crate::sim::push_streams::Kind;

pub const COMMANDS: &[&str] = &["SUBSCRIBE", "UNSUBSCRIBE", "PSUBSCRIBE", "PUNSUBSCRIBE"];

/// What one connection subscribes to.
#[derive(Debug, Default)]
struct Subscriber {
    owner: u32,
    protocol: Protocol,
    channels: BTreeSet<Vec<u8>>,
    patterns: BTreeSet<Vec<u8>>,
    /// Prefixes of keys that are tracked.
    prefixes: BTreeSet<Vec<u8>>,
    mail: Vec<u8>,
}

/// Who subscribes to what, by connection.
#[derive(Debug, Default)]
pub struct Hub(BTreeMap<u64, Subscriber>);

impl Subscriber {
    fn is_subscribed(&self) -> bool {
        !self.channels.is_empty() || !self.patterns.is_empty()
    }

    fn head(&self, len: usize) -> Vec<u8> {
        match self.protocol {
            Protocol::Resp2 => format!("*{len}\r\n").into_bytes(),
            Protocol::Resp3 => format!(">{len}\r\n").into_bytes(),
        }
    }
}

impl Hub {
    /// These connections are gone.
    pub fn retain(&mut self, alive: &BTreeSet<u64>) {
        self.0.retain(|link, _| alive.contains(link));
    }

    /// The bytes that a connection has not been given yet.
    pub fn mail(&mut self, link: u64) -> Vec<u8> {
        let listener = self.0.get_mut(&link);
        listener
            .map(|l| std::mem::take(&mut l.mail))
            .unwrap_or_default()
    }

    pub fn set_protocol(&mut self, link: u64, protocol: Protocol) {
        if let Some(listener) = self.0.get_mut(&link) {
            listener.protocol = protocol;
        }
    }

    /// Whether a connection has ever listened.
    pub fn subscribes(&self, link: u64) -> bool {
        self.0.contains_key(&link)
    }

    /// Whether a connection may ask for little else.
    pub fn is_restricted(&self, link: u64) -> bool {
        let listener = self.0.get(&link);
        listener.is_some_and(|l| l.protocol == Protocol::Resp2 && l.is_subscribed())
    }

    /// Whether a client subscribes.
    pub fn is_subscribed(&self, client: u32) -> bool {
        let mut all = self.0.values();
        all.any(|listener| listener.owner == client && listener.is_subscribed())
    }

    /// Whether a client subscribes on another connection than this.
    pub fn subscribes_elsewhere(&self, client: u32, link: u64) -> bool {
        let live = |l: &Subscriber| l.is_subscribed() || !l.prefixes.is_empty();
        let mut all = self.0.iter();
        all.any(|(id, l)| *id != link && l.owner == client && live(l))
    }

    /// How many have got the message.
    pub fn publish(&mut self, channel: &[u8], payload: &[u8], history: &mut History) -> i64 {
        let mut count = 0;
        for (link, listener) in &mut self.0 {
            let pattern = |p: &&Vec<u8>| channel.starts_with(&p[..p.len() - 1]);
            let mut frames = Vec::new();
            if listener.channels.contains(channel) {
                let mut frame = listener.head(3);
                for part in [&b"message"[..], channel, payload] {
                    write::bulk(&mut frame, part);
                }
                frames.push(frame);
            }
            for pattern in listener.patterns.iter().filter(pattern) {
                let mut frame = listener.head(4);
                for part in [&b"pmessage"[..], pattern, channel, payload] {
                    write::bulk(&mut frame, part);
                }
                frames.push(frame);
            }
            for frame in frames {
                count += 1;
                listener.mail.extend_from_slice(&frame);
                history
                    .push_streams
                    .sent(listener.owner, *link, frame, Kind::Push);
            }
        }
        count
    }

    /// A key is written to.
    pub fn written(&mut self, key: &[u8], history: &mut History) {
        for (link, listener) in &mut self.0 {
            let tracked = listener.prefixes.iter().any(|p| key.starts_with(p));
            if !tracked || listener.protocol == Protocol::Resp2 {
                continue;
            }
            let mut frame = b">2\r\n$10\r\ninvalidate\r\n*1\r\n".to_vec();
            write::bulk(&mut frame, key);
            listener.mail.extend_from_slice(&frame);
            history
                .push_streams
                .sent(listener.owner, *link, frame, Kind::Push);
        }
    }

    /// `CLIENT TRACKING ON BCAST PREFIX prefix PREFIX tag`, or `OFF`.
    pub fn track(&mut self, link: u64, protocol: Protocol, args: &[&[u8]]) {
        let Some(tag) = args.last().and_then(|arg| Tag::read(arg)) else {
            if let Some(listener) = self.0.get_mut(&link) {
                listener.prefixes.clear();
            }
            return;
        };
        let listener = self.0.entry(link).or_default();
        (listener.owner, listener.protocol) = (tag.client, protocol);
        listener.prefixes.insert(args[5].to_vec());
    }
}

/// One of the commands that change subscriptions; the last channel named is the tag.
pub fn run(
    link: &mut Link,
    name: &str,
    args: &[&[u8]],
    server: &mut Server,
    history: &mut History,
) {
    let tag = args.last().and_then(|arg| Tag::read(arg));
    if let Some(tag) = tag {
        executes(tag, link, server, history);
    }
    let listener = server.hub.0.entry(link.id).or_default();
    listener.protocol = link.setting.protocol;
    if let Some(tag) = tag {
        listener.owner = tag.client;
    }
    let begins = !name.contains("UNSUB");
    let patterns = name.starts_with('P');
    let mut named: Vec<Option<Vec<u8>>> = args[1..].iter().map(|arg| Some(arg.to_vec())).collect();
    if named.is_empty() {
        let all = match patterns {
            true => &listener.patterns,
            false => &listener.channels,
        };
        named = all.iter().cloned().map(Some).collect();
        if named.is_empty() {
            named.push(None);
        }
    }
    let count = named.len();
    for (at, channel) in named.into_iter().enumerate() {
        let of_kind = match patterns {
            true => &mut listener.patterns,
            false => &mut listener.channels,
        };
        let mut frame = Vec::new();
        if let Some(channel) = &channel {
            match begins {
                true => of_kind.insert(channel.clone()),
                false => of_kind.remove(channel),
            };
        }
        frame.extend_from_slice(&listener.head(3));
        write::bulk(&mut frame, name.to_ascii_lowercase().as_bytes());
        match &channel {
            Some(channel) => write::bulk(&mut frame, channel),
            None => write::null_bulk(&mut frame, link.setting.protocol),
        }
        let total = listener.channels.len() + listener.patterns.len();
        write::integer(&mut frame, total as i64);
        let last = at + 1 == count;
        let kind = Kind::Confirmation { last };
        match channel {
            // It is to nobody.
            _ if link.is_left => {}
            Some(_) => history
                .push_streams
                .sent(listener.owner, link.id, frame.clone(), kind),
            // Nothing tells whose it is.
            None => history.push_streams.sent_to_somebody(frame.clone()),
        }
        link.answer(frame, Requester::Client);
    }
}

/// A command that changes subscriptions has run.
fn executes(tag: Tag, link: &Link, server: &Server, history: &mut History) {
    if server.hub.subscribes_elsewhere(tag.client, link.id) {
        history.offend(format!(
            "{tag:?} ran beside what its client has subscribed to"
        ));
    }
    history.executed(Execution {
        tag,
        write: false,
        setting: link.setting,
        reply: b"",
        life: server.lives,
    });
}

/// What a connection that is subscribed in RESP2 answers to everything else.
pub fn restricted(
    link: &mut Link,
    name: &str,
    args: &[&[u8]],
    server: &Server,
    history: &mut History,
) {
    let mut reply = Vec::new();
    match name {
        "PING" => {
            write::array_head(&mut reply, 2);
            write::bulk(&mut reply, b"pong");
            write::bulk(&mut reply, args.get(1).copied().unwrap_or_default());
        }
        _ => write::error(&mut reply, &format!("ERR Can't execute '{name}'")),
    }
    match args.last().and_then(|arg| Tag::read(arg)) {
        Some(tag) => history.executed(Execution {
            tag,
            write: false,
            setting: link.setting,
            reply: &reply,
            life: server.lives,
        }),
        None if connection::is_own(name) => {}
        None => history.offend(format!("an untagged {name} of a subscriber")),
    }
    link.answer(reply, Requester::Client);
}
