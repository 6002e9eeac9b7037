//! What clients ask for: requests of every route, local ones, ones that are refused, huge ones, and
//! bytes that are none.

use arbitrary::{Result, Unstructured};
use narrows::resp::write;

use super::actor::{Actor, TAG_BEGIN};

/// Fixed requests: local answers, contexts, modes of reply, refusals.
const PLAIN: [&str; 32] = [
    "SELECT 0",
    "SELECT 1",
    "SELECT 3",
    "SELECT 16",
    "SELECT x",
    "HELLO",
    "HELLO 2",
    "HELLO 3",
    "HELLO 3 SETNAME n AUTH u p",
    "HELLO 4",
    "CLIENT ID",
    "CLIENT LIST",
    "CLIENT INFO",
    "CLIENT KILL ID 1",
    "CLIENT KILL ID 2 SKIPME no",
    "CLIENT KILL TYPE normal",
    "CLIENT REPLY OFF",
    "CLIENT REPLY ON",
    "CLIENT REPLY SKIP",
    "CLIENT SETNAME n",
    "CLIENT GETNAME",
    "CLIENT NOSUCH",
    "INFO",
    "INFO narrows",
    "RESET",
    "QUIT",
    "PING",
    "COMMAND",
    "AUTH p",
    "MULTI",
    "SUBSCRIBE c",
    "BLPOP q 0",
];

/// The longest value of a huge request.
const HUGE_BYTES_MAX: usize = 140_000;

impl Actor {
    /// Adds one request, or part of one, to what is to be sent.
    pub fn ask(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let kind: u8 = u.arbitrary()?;
        match kind % 16 {
            0..3 => self.tagged(&[b"GET", b"k"]),
            3..5 => self.tagged(&[b"SET", b"k", b"v"]),
            5 => self.tagged(&[b"INCR"]),
            6 => self.tagged(&[b"MGET", b"k", b"x"]),
            7 => self.tagged(&[b"NOSUCH"]),
            8 => {
                let tag = self.tag();
                let line = [b"get k ", &tag[..], b"\r\n"].concat();
                self.unsent.extend_from_slice(&line);
            }
            9 => {
                let len = usize::from(u.arbitrary::<u16>()?) * 2;
                self.tagged(&[b"SET", b"k", &vec![b'h'; len.min(HUGE_BYTES_MAX)]]);
            }
            10 => self.raw(u)?,
            _ => {
                let args: Vec<&[u8]> = u.choose(&PLAIN)?.split(' ').map(str::as_bytes).collect();
                write::request(&mut self.unsent, &args);
            }
        }
        Ok(())
    }

    fn tagged(&mut self, args: &[&[u8]]) {
        let tag = self.tag();
        let args: Vec<&[u8]> = args.iter().copied().chain([&tag[..]]).collect();
        write::request(&mut self.unsent, &args);
    }

    /// Bytes that mean nothing, or something.
    fn raw(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let len = u.int_in_range(1..=64_usize)?.min(u.len());
        let bytes = u.bytes(len)?;
        let tagless = |byte: &u8| if *byte == TAG_BEGIN { b'.' } else { *byte };
        self.unsent.extend(bytes.iter().map(tagless));
        Ok(())
    }
}
