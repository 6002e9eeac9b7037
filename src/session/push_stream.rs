//! What a server pushes to one connection: messages of its subscriptions, `MONITOR`'s lines,
//! invalidations of tracked keys. Told apart from replies by their first bytes, and counted, since
//! a confirmation is the only proof of what a connection is subscribed to. Decides nothing about
//! backends or clients.

use crate::resp::{Args, Protocol, integer};

/// What a client subscribes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionKind {
    /// `SUBSCRIBE`.
    Channel,
    /// `PSUBSCRIBE`.
    Pattern,
    /// `SSUBSCRIBE`.
    Shard,
}

/// One of the six commands that change subscriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscribeVerb {
    /// What it is about.
    pub kind: SubscriptionKind,
    /// Whether it begins, or else ends, a subscription.
    pub begins: bool,
}

impl SubscribeVerb {
    /// The verb of this name, in lower case: a command's, or the one in a confirmation.
    pub fn named(name: &[u8]) -> Option<Self> {
        let (kind, begins) = match name {
            b"subscribe" => (SubscriptionKind::Channel, true),
            b"psubscribe" => (SubscriptionKind::Pattern, true),
            b"ssubscribe" => (SubscriptionKind::Shard, true),
            b"unsubscribe" => (SubscriptionKind::Channel, false),
            b"punsubscribe" => (SubscriptionKind::Pattern, false),
            b"sunsubscribe" => (SubscriptionKind::Shard, false),
            _ => return None,
        };
        Some(Self { kind, begins })
    }
}

/// How many subscriptions of each kind a connection has, as its confirmations tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Subscriptions {
    /// `sub=` of `CLIENT LIST`.
    pub channels: u32,
    /// `psub=`.
    pub patterns: u32,
    /// `ssub=`.
    pub shards: u32,
}

impl Subscriptions {
    /// Those of one kind.
    pub fn of(self, kind: SubscriptionKind) -> u32 {
        match kind {
            SubscriptionKind::Channel => self.channels,
            SubscriptionKind::Pattern => self.patterns,
            SubscriptionKind::Shard => self.shards,
        }
    }

    /// Whether there is one.
    pub fn any(self) -> bool {
        self != Self::default()
    }

    /// What the server counts for a confirmation of this kind: channels and patterns together,
    /// shard channels apart (`addReplyPubsubSubscribed`, pubsub.c).
    fn counted_with(self, kind: SubscriptionKind) -> u32 {
        match kind {
            SubscriptionKind::Channel | SubscriptionKind::Pattern => {
                self.channels.saturating_add(self.patterns)
            }
            SubscriptionKind::Shard => self.shards,
        }
    }

    /// A confirmation has come that counts `count` subscriptions behind it. False when that cannot
    /// follow on what was confirmed before: one was missed.
    #[must_use]
    pub fn confirmed(&mut self, verb: SubscribeVerb, count: u32) -> bool {
        let before = self.counted_with(verb.kind);
        if count == before {
            // It was subscribed before, or was not.
            return true;
        }
        let of_kind = match verb.kind {
            SubscriptionKind::Channel => &mut self.channels,
            SubscriptionKind::Pattern => &mut self.patterns,
            SubscriptionKind::Shard => &mut self.shards,
        };
        let after = match verb.begins {
            true => of_kind.checked_add(1),
            false => of_kind.checked_sub(1),
        };
        let step = match verb.begins {
            true => before.checked_add(1),
            false => before.checked_sub(1),
        };
        match after {
            Some(after) if step == Some(count) => {
                *of_kind = after;
                true
            }
            _ => false,
        }
    }

    /// How many confirmations a command with `named` channels gets: one for each, or if it names
    /// none one for each subscription that it ends, and at least one.
    pub fn confirmations(self, verb: SubscribeVerb, named: u32) -> u32 {
        match named {
            0 => self.of(verb.kind).max(1),
            named => named,
        }
    }
}

/// Whether a `CLIENT TRACKING` asks for invalidations on another connection. `args` are all of its
/// arguments (`clientCommand`, networking.c).
pub fn is_redirected(args: Args<'_>) -> bool {
    let mut options = args.skip(3);
    while let Some(option) = options.next() {
        if option.eq_ignore_ascii_case(b"redirect") {
            return true;
        }
        if option.eq_ignore_ascii_case(b"prefix") {
            options.next();
        }
    }
    false
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// The reply to the oldest request, or a part of it.
    Reply,
    /// A message of a subscription.
    Message,
    /// It confirms one channel of a command that changes subscriptions.
    Confirmation(SubscribeVerb),
    /// Tracked keys have changed.
    Invalidation,
    /// A line of `MONITOR`.
    MonitorLine,
    /// A push that nothing of this explains.
    UnknownPush,
}

impl FrameKind {
    /// Whether it tells its client something, and narrows nothing.
    pub fn is_told(self) -> bool {
        matches!(self, Self::Message | Self::Invalidation | Self::MonitorLine)
    }
}

/// What a connection may be sent, as its client has asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushContext {
    /// The connection's.
    pub protocol: Protocol,
    /// It is subscribed to something, or just being.
    pub subscribed: bool,
    /// `MONITOR` was confirmed.
    pub monitoring: bool,
}

/// Tells what a frame is that begins with `bytes`. `None`: more of it is needed, though never more
/// than [`PREFIX_BYTES_MAX`].
pub fn frame_kind(bytes: &[u8], listening: PushContext) -> Option<FrameKind> {
    let reply = Some(FrameKind::Reply);
    match (bytes.first()?, listening.protocol) {
        // No command but those of Pub/Sub has an array for its reply while RESP2 is subscribed.
        (b'*', Protocol::Resp2) if listening.subscribed => match first_word(bytes) {
            Word::Unfinished => None,
            Word::Is(b"message" | b"pmessage" | b"smessage") => Some(FrameKind::Message),
            Word::Is(word) => SubscribeVerb::named(word)
                .map(FrameKind::Confirmation)
                .or(reply),
            Word::None => reply,
        },
        (b'>', _) => match first_word(bytes) {
            Word::Unfinished => None,
            Word::Is(b"message" | b"pmessage" | b"smessage") => Some(FrameKind::Message),
            Word::Is(b"invalidate") => Some(FrameKind::Invalidation),
            Word::Is(word) => {
                let verb = SubscribeVerb::named(word).map(FrameKind::Confirmation);
                verb.or(Some(FrameKind::UnknownPush))
            }
            Word::None => Some(FrameKind::UnknownPush),
        },
        (b'+', _) if listening.monitoring => match is_monitor_line(bytes) {
            None => None,
            Some(true) => Some(FrameKind::MonitorLine),
            Some(false) => reply,
        },
        _ => reply,
    }
}

/// The count at the end of a confirmation, whole in `frame`.
pub fn confirmed_count(frame: &[u8]) -> Option<u32> {
    let line = frame.strip_suffix(b"\r\n")?;
    let colon = line.iter().rposition(|byte| *byte == b':')?;
    u32::try_from(integer(line.get(colon + 1..)?)?).ok()
}

enum Word<'a> {
    Unfinished,
    None,
    Is(&'a [u8]),
}

/// The string with which an array or push begins, if it is no longer than any that matters.
fn first_word(bytes: &[u8]) -> Word<'_> {
    let unfinished = match bytes.len() < PREFIX_BYTES_MAX {
        true => Word::Unfinished,
        false => Word::None,
    };
    let Some(end) = line_end(bytes) else {
        return unfinished;
    };
    let rest = bytes.get(end..).unwrap_or_default();
    let (Some(first), Some(end)) = (rest.first(), line_end(rest)) else {
        return match rest.first() {
            None | Some(b'$' | b'+') => unfinished,
            Some(_) => Word::None,
        };
    };
    let line = rest.get(1..end.saturating_sub(2)).unwrap_or_default();
    match first {
        b'+' => Word::Is(line),
        b'$' => {
            let Some(length) = integer(line).and_then(|length| usize::try_from(length).ok()) else {
                return Word::None;
            };
            match rest.get(end..end + length.min(WORD_BYTES_MAX)) {
                Some(word) if length <= WORD_BYTES_MAX => Word::Is(word),
                Some(_) => Word::None,
                None => unfinished,
            }
        }
        _ => Word::None,
    }
}

fn line_end(bytes: &[u8]) -> Option<usize> {
    let at = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    Some(at + 2)
}

/// `+1700000000.123456 [0 127.0.0.1:50000] "GET" "k"`: the time, a blank and a bracket
/// (`replicationFeedMonitors`, replication.c). No other line of the server's own begins so.
fn is_monitor_line(bytes: &[u8]) -> Option<bool> {
    let mut dots = 0;
    for (at, byte) in bytes.iter().enumerate().skip(1) {
        match byte {
            b'0'..=b'9' => {}
            b'.' if dots == 0 && at > 1 => dots += 1,
            b' ' if dots == 1 => return bytes.get(at + 1).map(|byte| *byte == b'['),
            _ => return Some(false),
        }
        if at >= PREFIX_BYTES_MAX {
            return Some(false);
        }
    }
    None
}

/// Bytes of a frame that always tell what it is: two lines with numbers of 64 bits and a word.
pub const PREFIX_BYTES_MAX: usize = 64;

/// Length of the longest word that matters, `punsubscribe`.
const WORD_BYTES_MAX: usize = 12;

#[cfg(test)]
mod tests;
