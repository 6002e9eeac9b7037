//! A fake Redis on one connection. Honest, it answers each request with the tag that the request
//! ends with, in one of many forms. It keeps no data.

use std::collections::BTreeSet;

use narrows::resp::{Args, Limits, Protocol, RequestEvent, RequestScanner, write};

use super::actor::tag_in;

/// What all connections share.
#[derive(Debug, Default)]
pub struct Server {
    /// Tags of writes that have run.
    written: BTreeSet<Vec<u8>>,
}

/// The server's side of one connection.
#[derive(Debug, Default)]
pub struct Link {
    /// Bytes received and not executed.
    pub input: Vec<u8>,
    /// Bytes answered and not delivered.
    pub out: Vec<u8>,
    /// It has sent something of its own: from now on nobody can say whose a reply is, and none
    /// carries a tag.
    pub liar: bool,
}

impl Link {
    /// Executes the next complete request and answers in the way that `style` decides. False when
    /// there is none.
    pub fn execute(&mut self, server: &mut Server, style: u8) -> bool {
        if self.input.is_empty() {
            return false;
        }
        let limits = Limits::default().authenticated();
        let advance = match RequestScanner::default().advance(&self.input, &limits) {
            Ok(advance) => advance,
            Err(error) => panic!("the engine sent no request: {error}"),
        };
        match advance.event {
            RequestEvent::NeedMore => return false,
            RequestEvent::Complete(_) => {}
            other => panic!("the engine sent what is not canonical: {other:?}"),
        }
        let frame: Vec<u8> = self.input.drain(..advance.consumed).collect();
        let args: Vec<&[u8]> = Args::new(&frame).collect();
        match args.last().and_then(|last| tag_in(last)) {
            Some(tag) => {
                let name = args[0].to_ascii_uppercase();
                if matches!(&name[..], b"SET" | b"INCR") {
                    assert!(server.written.insert(tag.to_vec()), "a write ran twice");
                }
                let tag = if self.liar { b"lie" } else { tag };
                answer(&mut self.out, &name, tag, style);
            }
            None => own(&mut self.out, &args, style),
        }
        true
    }
}

/// An answer to a tagged request: mostly of a shape that the command may have, sometimes of one
/// that no server in step would send.
fn answer(out: &mut Vec<u8>, name: &[u8], tag: &[u8], style: u8) {
    let head = match (name, style % 16) {
        (_, 0) => "-ERR ",
        (_, 1) => "*3\r\n:1\r\n*-1\r\n+",
        (b"MGET", 2) => "|1\r\n+a\r\n+b\r\n*1\r\n+",
        (b"MGET", _) => "*3\r\n:1\r\n*-1\r\n+",
        (b"INCR", _) => return write::integer(out, i64::from(style)),
        (b"SET", _) => "+",
        (b"NOSUCH", _) => "-ERR unknown command ",
        (_, 3..6) => {
            let mut value = tag.to_vec();
            value.resize(tag.len() + 40 * usize::from(style), b'.');
            return write::bulk(out, &value);
        }
        _ => return write::bulk(out, tag),
    };
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(tag);
    out.extend_from_slice(b"\r\n");
}

/// An answer to what narrows asks itself, or a client without a tag.
fn own(out: &mut Vec<u8>, args: &[&[u8]], style: u8) {
    if style % 16 == 15 {
        return write::error(out, "LOADING Redis is loading the dataset in memory");
    }
    match &args[0].to_ascii_uppercase()[..] {
        b"HELLO" => {
            let resp3 = args.get(1) == Some(&&b"3"[..]);
            let protocol = if resp3 {
                Protocol::Resp3
            } else {
                Protocol::Resp2
            };
            write::map_head(out, 2, protocol);
            write::bulk(out, b"server");
            write::bulk(out, b"redis");
            write::bulk(out, b"id");
            write::integer(out, 7);
        }
        b"SELECT" if style % 4 == 3 => write::error(out, "ERR DB index is out of range"),
        b"PING" => match args.get(1) {
            Some(word) => write::bulk(out, word),
            None => write::status(out, "PONG"),
        },
        b"INFO" => write::bulk(
            out,
            b"# Clients\r\nconnected_clients:3\r\nmaxclients:10000\r\n",
        ),
        _ => write::status(out, "OK"),
    }
}
