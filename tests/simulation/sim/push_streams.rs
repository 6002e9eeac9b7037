//! What servers have pushed to clients, frame by frame: each client must hear just that, in its
//! order, between its replies, and all of it as long as its connection lives.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a frame is to who hears it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A message or an invalidation: no reply.
    Push,
    /// One of the confirmations of a command that changes subscriptions.
    Confirmation { last: bool },
}

#[derive(Debug)]
struct Sent {
    /// By the clock of sending and hearing.
    at: u64,
    link: u64,
    frame: Vec<u8>,
    kind: Kind,
    /// See [`PushStreams::left`].
    may_be_missed: bool,
}

/// See the file's head.
#[derive(Debug, Default)]
pub struct PushStreams {
    by_client: BTreeMap<u32, VecDeque<Sent>>,
    /// Confirmations that nothing is subscribed, which name nobody.
    to_somebody: Vec<Vec<u8>>,
    /// What clients have heard last, and when, as if of a connection that was lost by then.
    lately: BTreeMap<u32, Vec<(u64, Vec<u8>)>>,
    /// Goes on with everything that is sent or heard.
    clock: u64,
    /// Connections over which something may still come.
    pub alive: BTreeSet<u64>,
    /// How many frames have been heard.
    pub heard: u64,
}

impl PushStreams {
    pub fn sent(&mut self, client: u32, link: u64, frame: Vec<u8>, kind: Kind) {
        self.clock += 1;
        let at = self.clock;
        let queue = self.by_client.entry(client).or_default();
        queue.push_back(Sent {
            at,
            link,
            frame,
            kind,
            may_be_missed: false,
        });
    }

    pub fn sent_to_somebody(&mut self, frame: Vec<u8>) {
        self.to_somebody.push(frame);
    }

    /// A client hears a frame that is no reply. What it is; `None` if it was not next.
    pub fn heard(&mut self, client: u32, frame: &[u8]) -> Option<Kind> {
        let to_somebody = self.to_somebody.iter().position(|sent| sent == frame);
        if let Some(at) = to_somebody {
            self.to_somebody.swap_remove(at);
            return Some(Kind::Confirmation { last: true });
        }
        self.clock += 1;
        let queue = self.by_client.get_mut(&client)?;
        let lately = self.lately.entry(client).or_default();
        while let Some(next) = queue.front() {
            if next.frame == frame {
                self.heard += 1;
                if !self.alive.contains(&next.link) {
                    lately.push((self.clock, frame.to_vec()));
                }
                return queue.pop_front().map(|sent| sent.kind);
            }
            if next.may_be_missed {
                queue.pop_front();
                continue;
            }
            let link = next.link;
            if self.alive.contains(&link) {
                return None;
            }
            queue.retain(|sent| sent.link != link);
            // What was taken for the lost connection's may have been the same of the next one.
            for (at, heard) in lately.drain(..) {
                let same = |sent: &Sent| sent.frame == heard && sent.at < at;
                if queue.front().is_some_and(same) {
                    queue.pop_front();
                }
            }
        }
        None
    }

    /// What was sent over a connection that its client has left may be on its way to it, or not.
    pub fn left(&mut self, link: u64) {
        let sent = self.by_client.values_mut().flatten();
        let of_it = sent.filter(|sent| sent.link == link);
        of_it.for_each(|sent| sent.may_be_missed = true);
    }

    /// What a client is to hear next.
    pub fn next(&self, client: u32) -> String {
        let next = self.by_client.get(&client).and_then(VecDeque::front);
        next.map_or_else(String::new, |next| next.frame.escape_ascii().to_string())
    }

    /// Something that a client should have heard by now, if its connection lives.
    pub fn missing(&self, client: u32) -> Option<String> {
        let queue = self.by_client.get(&client)?;
        let due = |sent: &&Sent| !sent.may_be_missed && self.alive.contains(&sent.link);
        let missing = queue.iter().find(due)?;
        Some(missing.frame.escape_ascii().to_string())
    }
}

/// Whether a frame is one that a server pushes, or a confirmation.
pub fn is_push_frame(frame: &[u8]) -> bool {
    let words: [&[u8]; 6] = [
        b"\r\nmessage\r\n",
        b"\r\npmessage\r\n",
        b"\r\nsubscribe\r\n",
        b"\r\nunsubscribe\r\n",
        b"\r\npsubscribe\r\n",
        b"\r\npunsubscribe\r\n",
    ];
    let head = frame.get(..24.min(frame.len())).unwrap_or(frame);
    let named = |word: &&[u8]| head.windows(word.len()).any(|window| window == *word);
    frame.starts_with(b">") || (frame.starts_with(b"*") && words.iter().any(named))
}
