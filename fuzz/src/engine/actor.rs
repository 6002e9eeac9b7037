//! A client: what it has still to send, and what it may hear. Each of its requests that reaches the
//! server ends with a tag; honest servers answer with it.

use narrows::engine::ClientId;

/// Before a tag; taken out of whatever else clients and servers send.
pub const TAG_BEGIN: u8 = 0x02;
const TAG_END: u8 = 0x03;

/// No tag is longer.
const TAG_BYTES_MAX: usize = 24;

/// See the file's head.
#[derive(Debug)]
pub struct Actor {
    pub key: ClientId,
    pub number: u32,
    /// Bytes that have not reached narrows.
    pub unsent: Vec<u8>,
    pub half_closed: bool,
    pub gone: bool,
    /// narrows reads it.
    pub readable: bool,
    /// Its socket takes no more.
    pub blocked: bool,
    /// Bytes that its socket still takes.
    pub appetite: usize,
    tags: u32,
    /// The next tag that it may hear.
    due: u32,
    /// The end of what it has heard, if a tag may have begun there.
    heard: Vec<u8>,
}

impl Actor {
    pub fn new(key: ClientId, number: u32) -> Self {
        Self {
            key,
            number,
            unsent: Vec::new(),
            half_closed: false,
            gone: false,
            readable: true,
            blocked: false,
            appetite: usize::MAX,
            tags: 0,
            due: 0,
            heard: Vec::new(),
        }
    }

    /// The tag of its next request.
    pub fn tag(&mut self) -> Vec<u8> {
        let text = format!("{}.{}", self.number, self.tags);
        self.tags += 1;
        [&[TAG_BEGIN], text.as_bytes(), &[TAG_END]].concat()
    }

    /// Checks that the tags in what it hears are its own and come in order, each once.
    pub fn hear(&mut self, bytes: &[u8]) {
        self.heard.extend_from_slice(bytes);
        let mut rest = &self.heard[..];
        while let Some(begin) = rest.iter().position(|byte| *byte == TAG_BEGIN) {
            rest = &rest[begin..];
            let Some(end) = rest.iter().position(|byte| *byte == TAG_END) else {
                break;
            };
            let text = String::from_utf8_lossy(&rest[1..end]).into_owned();
            rest = &rest[end..];
            let parts = text.split_once('.');
            let number = |text: &str| text.parse::<u32>();
            let numbers = parts.map(|(client, tag)| (number(client), number(tag)));
            let Some((Ok(client), Ok(tag))) = numbers else {
                continue;
            };
            assert_eq!(self.number, client, "a reply reached another client");
            assert!(self.due <= tag, "a reply came late or twice");
            self.due = tag + 1;
        }
        let keep = match rest.first() {
            Some(&TAG_BEGIN) if rest.len() <= TAG_BYTES_MAX => rest.to_vec(),
            _ => Vec::new(),
        };
        self.heard = keep;
    }
}

/// The argument, if it is a tag as a whole.
pub fn tag_in(argument: &[u8]) -> Option<&[u8]> {
    let whole = argument.first() == Some(&TAG_BEGIN) && argument.last() == Some(&TAG_END);
    (whole && argument.len() <= TAG_BYTES_MAX).then_some(argument)
}
