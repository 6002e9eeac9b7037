//! Where a conversation is held twice: with a server directly, and with the same server, emptied
//! again, through narrows. The same one, because each process of Redis has its own hash seed, and
//! with it its own order of `KEYS` and `SMEMBERS`.

use super::conversation::{Conversation, Ending, Step};
use crate::differences::{has_other_words, name_away};
use crate::support::setup;
use crate::support::{Conn, Flavor, Narrows, RedisServer};

/// A server, and narrows in front of it.
pub struct Fixture {
    pub server: RedisServer,
    pub narrows: Narrows,
}

/// What a client sees of one step, with everything named away that may differ.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Seen {
    Reply(Vec<u8>),
    Nothing,
    /// The connection's end, after these bytes.
    Closed(Vec<u8>),
    /// The connection is still open, and says this instead of closing.
    Open(String),
}

/// How the requests are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// Each after the reply to the one before.
    OneByOne,
    /// All in one write.
    Pipelined,
}

impl Fixture {
    pub fn new(flavor: Flavor) -> Self {
        Self::with(flavor, &[])
    }

    /// With further flags for narrows.
    pub fn with(flavor: Flavor, flags: &[&str]) -> Self {
        // `DEBUG DIGEST` is ours to ask; narrows does not let it through.
        let server = RedisServer::start_flavor(flavor, &["--enable-debug-command", "yes"]);
        settle_tables(&server);
        // Logins that fail are part of what is compared.
        let narrows = setup::narrows(&server.url(), "[auth]\nfailures_max = 0\n", flags);
        Self { server, narrows }
    }

    pub fn flavor(&self) -> Flavor {
        self.server.flavor()
    }

    /// Brings the server back to how it was when it started, as far as a client can see.
    pub fn empty(&self) {
        let mut conn = self.server.connect();
        for request in [
            &["FLUSHALL"][..],
            &["SCRIPT", "FLUSH"],
            &["FUNCTION", "FLUSH"],
            &["CONFIG", "RESETSTAT"],
            &["SLOWLOG", "RESET"],
        ] {
            conn.expect(request, "+OK\r\n");
        }
    }

    /// A digest of all data.
    pub fn digest(&self) -> String {
        self.server.connect().call(&["DEBUG", "DIGEST"]).text()
    }

    /// Holds `conversations` directly and through narrows, one request at a time and, where only one client
    /// speaks, all at once; in RESP2 and in RESP3. Fails with all that differs.
    #[track_caller]
    pub fn compare(&self, conversations: &[Conversation]) {
        let both = conversations
            .iter()
            .flat_map(|conversation| [conversation.clone(), conversation.in_resp3()]);
        self.compare_as_they_are(&both.collect::<Vec<_>>());
    }

    /// The same, in the protocol that each of them chooses for itself.
    #[track_caller]
    pub fn compare_as_they_are(&self, conversations: &[Conversation]) {
        let mut differing = Vec::new();
        for conversation in conversations {
            self.compare_one(conversation, &mut differing);
        }
        assert!(
            differing.is_empty(),
            "{} on {:?}:\n{}",
            differing.len(),
            self.flavor(),
            differing.join("\n")
        );
    }

    fn compare_one(&self, conversation: &Conversation, differing: &mut Vec<String>) {
        let mut conversation = conversation.clone();
        let is_compared = |step: &Step| !has_other_words(self.flavor(), &step.request);
        conversation.steps.retain(is_compared);
        let conversation = &conversation;
        self.empty();
        let direct = hold(conversation, Pace::OneByOne, || self.server.connect());
        let data = self.digest();
        let mut paces = vec![Pace::OneByOne];
        if conversation.clients() == 1 && !conversation.has_places() {
            paces.push(Pace::Pipelined);
        }
        for pace in paces {
            self.empty();
            let through = hold(conversation, pace, || self.narrows.connect());
            for ((step, direct), through) in conversation.steps.iter().zip(&direct).zip(&through) {
                if direct != through {
                    differing.push(format!(
                        "{} ({pace:?}): {}\n    direct:  {}\n    through: {}",
                        conversation.name,
                        step.request,
                        shown(direct),
                        shown(through)
                    ));
                }
            }
            if self.digest() != data {
                differing.push(format!(
                    "{} ({pace:?}): the data differs",
                    conversation.name
                ));
            }
        }
    }
}

/// A fresh server is still moving its tables of commands to their full size, a step with each
/// look-up, and until it has done so `COMMAND` lists them in a changing order.
fn settle_tables(server: &RedisServer) {
    let mut conn = server.connect();
    for _ in 0..1500 {
        conn.call(&["PING"]);
    }
    for container in [
        "ACL", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "FUNCTION", "LATENCY", "MEMORY", "MODULE",
        "OBJECT", "PUBSUB", "SCRIPT", "SLOWLOG", "XGROUP", "XINFO",
    ] {
        for _ in 0..64 {
            conn.call(&[container, "NONE"]);
        }
    }
}

/// What each step of `conversation` leads to.
pub fn hold(conversation: &Conversation, pace: Pace, connect: impl Fn() -> Conn) -> Vec<Seen> {
    let mut conns: Vec<Conn> = (0..conversation.clients()).map(|_| connect()).collect();
    let places = if conversation.has_places() {
        places(&mut conns)
    } else {
        Vec::new()
    };
    let fill = |text: &str| {
        places.iter().fold(text.to_owned(), |text, (name, value)| {
            text.replace(name, value)
        })
    };
    if pace == Pace::Pipelined {
        let all: Vec<u8> = conversation
            .steps
            .iter()
            .flat_map(|s| s.bytes(fill))
            .collect();
        // It may close before it has read all.
        let _ = conns[0].try_send(all);
    }
    let see = |step: &Step| {
        let conn = &mut conns[step.client];
        if pace == Pace::OneByOne {
            let _ = conn.try_send(step.bytes(fill));
        }
        match step.ending {
            Ending::Silence => Seen::Nothing,
            Ending::Reply => match conn.try_reply() {
                Ok(reply) => Seen::Reply(name_away(&step.request, reply.raw())),
                Err(_) => Seen::Closed(Vec::new()),
            },
            Ending::Close => until_closed(conn),
        }
    };
    let mut seen: Vec<Seen> = conversation.steps.iter().map(see).collect();
    // Nothing more may come. A client that was silenced and not closed is made to speak.
    for (client, conn) in conns.iter_mut().enumerate() {
        let last = conversation
            .steps
            .iter()
            .rposition(|step| step.client == client);
        if let Some(last) = last
            && matches!(seen[last], Seen::Reply(_) | Seen::Nothing)
        {
            let _ = conn.try_send("CLIENT REPLY ON\r\nPING that-is-all\r\n");
            let end = [conn.try_reply(), conn.try_reply()];
            let ends: Vec<String> = end
                .iter()
                .map(|reply| match reply {
                    Ok(reply) => reply.raw().escape_ascii().to_string(),
                    Err(_) => "closed".to_owned(),
                })
                .collect();
            if ends != ["+OK\\r\\n", "$11\\r\\nthat-is-all\\r\\n"] {
                seen[last] = Seen::Open(format!("and then {ends:?}"));
            }
        }
    }
    seen
}

fn until_closed(conn: &mut Conn) -> Seen {
    let mut bytes = Vec::new();
    loop {
        match conn.try_reply() {
            Ok(reply) => bytes.extend_from_slice(reply.raw()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                return Seen::Open(bytes.escape_ascii().to_string());
            }
            Err(_) => return Seen::Closed(bytes),
        }
    }
}

/// `{id1}`, `{addr1}`, `{laddr1}` and so on, as the endpoint itself says.
fn places(conns: &mut [Conn]) -> Vec<(String, String)> {
    let mut places = Vec::new();
    for (client, conn) in conns.iter_mut().enumerate() {
        let info = conn.call(&["CLIENT", "INFO"]).text();
        for field in ["id", "addr", "laddr"] {
            let value = info
                .split_whitespace()
                .find_map(|pair| pair.strip_prefix(field)?.strip_prefix('='));
            places.push((
                format!("{{{field}{}}}", client + 1),
                value.unwrap().to_owned(),
            ));
        }
    }
    places
}

/// For people.
pub fn shown(seen: &Seen) -> String {
    let bytes = |bytes: &[u8]| {
        let text = bytes.escape_ascii().to_string();
        match text.char_indices().nth(600) {
            None => text,
            Some((at, _)) => format!("{}... ({} bytes)", &text[..at], bytes.len()),
        }
    };
    match seen {
        Seen::Reply(reply) => bytes(reply),
        Seen::Nothing => "nothing".to_owned(),
        Seen::Closed(reply) => format!("{} and the end", bytes(reply)),
        Seen::Open(text) => format!("still open: {text}"),
    }
}
