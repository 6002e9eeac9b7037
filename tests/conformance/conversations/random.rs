//! Random conversations: short sessions from a catalogue of commands over few keys, databases and
//! protocols, cut into pieces at random bytes. A seed decides all of one session.

use std::time::Duration;

use crate::differences::{KEEPS_SKIP, id_field, without_arguments};
use crate::rng::Rng;
use crate::support::{Conn, Flavor, command};

/// A session: its requests, and where their bytes are cut.
pub struct Session {
    pub requests: Vec<Vec<u8>>,
    /// Lengths of the pieces that are sent, and whether a pause follows.
    pieces: Vec<(usize, bool)>,
    closes: bool,
}

/// Requests with `K` for a key, `V` for a value, `N` for a small number.
const ON_DATA: &[&str] = &[
    "GET K",
    "SET K V",
    "SET K V NX GET",
    "SETNX K V",
    "GETDEL K",
    "APPEND K V",
    "STRLEN K",
    "GETRANGE K 0 N",
    "SETRANGE K N V",
    "INCR K",
    "INCRBY K N",
    "MGET K K K",
    "MSET K V K V",
    "DEL K K",
    "EXISTS K K",
    "TYPE K",
    "RENAME K K",
    "COPY K K",
    "DBSIZE",
    "MOVE K N",
    "LPUSH K V V",
    "RPUSH K V",
    "LPOP K",
    "RPOP K N",
    "LRANGE K 0 N",
    "LLEN K",
    "LMOVE K K LEFT RIGHT",
    "SADD K N N",
    "SREM K N",
    "SMEMBERS K",
    "SINTER K K",
    "HSET K V V",
    "HGET K V",
    "HGETALL K",
    "HDEL K V",
    "HINCRBY K V N",
    "ZADD K N V",
    "ZINCRBY K N V",
    "ZRANGE K 0 -1 WITHSCORES",
    "ZSCORE K V",
    "ZPOPMIN K",
    "XADD K N-1 f V",
    "XLEN K",
    "XRANGE K - +",
    "XREAD STREAMS K 0",
    "SETBIT K N 1",
    "BITCOUNT K",
    "PFADD K V",
    "PFCOUNT K",
    "OBJECT ENCODING K",
    "PERSIST K",
    "EVAL redis.call('SET',KEYS[1],ARGV[1]);return{1,KEYS[1],{true}} 1 K V",
    "EVAL redis.setresp(3);return{map={k={double=1.5}}} 0",
    "EVAL return{err='MYERROR'} 0",
    "FLUSHDB ASYNC",
];

/// No wrong password: see `differences.rs`.
const ON_THE_CONNECTION: &[&str] = &[
    "PING",
    "PING V",
    "ECHO V",
    "SELECT N",
    "SELECT N",
    "SELECT 99",
    "SELECT V",
    "HELLO",
    "HELLO 2",
    "HELLO 3",
    "HELLO 3 SETNAME V",
    "HELLO 4",
    "CLIENT REPLY ON",
    "CLIENT REPLY ON",
    "CLIENT REPLY OFF",
    "CLIENT REPLY SKIP",
    "CLIENT REPLY SKIP",
    "CLIENT REPLY V",
    "CLIENT SETNAME V",
    "CLIENT GETNAME",
    "CLIENT NOTHING V",
    "CLIENT UNBLOCK 999999",
    "CLIENT KILL ID 999999",
    "CLIENT LIST ID 999999",
    "CLIENT TRACKINGINFO",
    "CLIENT",
    "RESET",
    "AUTH V",
    "AUTH default V",
    "COMMAND COUNT",
    "CONFIG GET maxmemory",
    "NOTHING V",
    "GET",
    "GET K K",
    "SET K",
];

const WITHOUT_WORDS: [&[u8]; 2] = [b"\r\n", b"*0\r\n"];

impl Session {
    pub fn new(seed: u64, flavor: Flavor) -> Self {
        let mut rng = Rng::new(seed);
        let length = 1 + rng.below(40);
        let mut requests: Vec<Vec<u8>> = (0..length).map(|_| request(&mut rng)).collect();
        if KEEPS_SKIP.contains(&flavor) {
            requests.retain(|request| !WITHOUT_WORDS.contains(&request.as_slice()));
        }
        let length = requests.len();
        let closes = rng.below(8) == 0;
        if closes {
            // No HTTP: there Redis drops replies that it has not written yet.
            requests.push(match rng.below(3) {
                0 => b"*x\r\n".to_vec(),
                1 => b"PING \"\r\n".to_vec(),
                _ => b"*1\r\n+PING\r\n".to_vec(),
            });
            // What ends a session is not to be swallowed by silence or be read as a part of a request.
            requests.insert(length, command(&["CLIENT", "REPLY", "ON"]));
        }
        let total: usize = requests.iter().map(Vec::len).sum();
        let mut pieces = Vec::new();
        let mut left = total;
        // At most some 500 pieces and 40 pauses, so that no session takes long.
        let longest = [1, 7, 60, 400, 100_000][rng.below(5)].max(total / 250);
        let pause_each = 2 + total / longest / 20;
        while left > 0 {
            let length = (1 + rng.below(longest)).min(left);
            left -= length;
            pieces.push((length, rng.below(pause_each) == 0));
        }
        Self {
            requests,
            pieces,
            closes,
        }
    }

    /// Holds it; all that the client sees, replies one by one, with ids named away.
    pub fn hold(&self, conn: &mut Conn) -> Vec<String> {
        let all = self.requests.concat();
        let mut at = 0;
        for (length, pause) in &self.pieces {
            if conn.try_send(&all[at..at + length]).is_err() {
                break;
            }
            at += length;
            if *pause {
                std::thread::sleep(Duration::from_micros(300));
            }
        }
        if !self.closes {
            conn.send("CLIENT REPLY ON\r\nECHO that-is-all\r\n");
        }
        let mut seen = Vec::new();
        loop {
            match conn.try_reply() {
                Ok(reply) => {
                    let text = id_field(without_arguments(reply.raw()))
                        .escape_ascii()
                        .to_string();
                    let ends = text.contains("that-is-all") && text.starts_with('$');
                    seen.push(text);
                    if ends {
                        return seen;
                    }
                }
                Err(error) => {
                    let closed = error.kind() != std::io::ErrorKind::WouldBlock;
                    seen.push(if closed { "closed" } else { "no end" }.to_owned());
                    return seen;
                }
            }
        }
    }
}

fn request(rng: &mut Rng) -> Vec<u8> {
    let shape = match rng.below(3) {
        0 => rng.pick(ON_THE_CONNECTION),
        _ => rng.pick(ON_DATA),
    };
    let arguments: Vec<Vec<u8>> = shape
        .split(' ')
        .map(|word| match word {
            "K" => rng.pick(&["a", "b", "c", "k\r\n\0", ""]).into(),
            "V" => value(rng),
            "N" => rng.below(4).to_string().into_bytes(),
            "N-1" => format!("{}-1", 1 + rng.below(4)).into_bytes(),
            _ if rng.below(10) == 0 => word.to_lowercase().into_bytes(),
            _ => word.as_bytes().to_vec(),
        })
        .collect();
    let plain = |argument: &Vec<u8>| {
        !argument.is_empty() && argument.iter().all(|byte| byte.is_ascii_alphanumeric())
    };
    match rng.below(40) {
        at @ 0..=1 => WITHOUT_WORDS[at].to_vec(),
        2..=5 if arguments.iter().all(plain) => [arguments.join(&b' '), b"\r\n".to_vec()].concat(),
        _ => command(&arguments),
    }
}

fn value(rng: &mut Rng) -> Vec<u8> {
    match rng.below(12) {
        0 => Vec::new(),
        1 => b"\r\n+OK\r\n".to_vec(),
        // No NUL: it may become a name, see `differences.rs`.
        2 => vec![1 + rng.below(255) as u8; rng.below(3000)],
        3 => vec![b'x'; 20_000],
        _ => rng.pick(&["v", "w", "1", "7", "3.5", "-2"]).into(),
    }
}
