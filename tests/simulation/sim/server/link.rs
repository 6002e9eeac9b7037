//! The server's side of one connection: what it is set to, what it has received and not yet
//! executed, what it has answered and not yet sent, and the faults that it alone has.

use narrows::resp::{Args, Limits, RequestEvent, RequestScanner, write};

use super::keyspace::Keyspace;
use super::transactions::{self, Transaction};
use super::waits::{self, Waiting};
use super::{Pause, Server, connection, counters, lists, push_streams, strings};
use crate::sim::desync::{Desync, Requester};
use crate::sim::history::{Execution, History, Setting, Tag};
use crate::sim::rng::Rng;

/// What is wrong with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Well,
    /// It reads, and executes nothing any more.
    Hung,
    /// It reads no more; what it has answered arrives.
    Deaf,
    /// It reads and executes, and nothing of it arrives any more.
    Mute,
}

/// See the file's head.
#[derive(Debug)]
pub struct Link {
    pub id: u64,
    pub setting: Setting,
    /// Somebody has logged in on it.
    pub logged_in: bool,
    /// Bytes received and not executed.
    pub input: Vec<u8>,
    /// Bytes answered and not delivered.
    pub out: Vec<u8>,
    pub state: State,
    /// It gives a reply twice, or leaves one out.
    pub desync: Option<Desync>,
    pub transaction: Transaction,
    pub waiting: Option<Waiting>,
    /// Its client has left, and narrows takes back what is left on it.
    pub is_left: bool,
}

/// One command of a client, as a family of commands sees it.
pub struct Call<'a> {
    pub name: &'a str,
    pub args: &'a [&'a [u8]],
    pub tag: Tag,
    pub setting: Setting,
    pub keys: &'a mut Keyspace,
    pub reply: &'a mut Vec<u8>,
}

impl Link {
    pub fn new(id: u64) -> Self {
        Self {
            id,
            setting: Setting::default(),
            logged_in: false,
            input: Vec::new(),
            out: Vec::new(),
            state: State::Well,
            desync: None,
            transaction: Transaction::default(),
            waiting: None,
            is_left: false,
        }
    }

    /// Executes the next complete request. False when there is none, or when it has to wait.
    pub fn execute(&mut self, server: &mut Server, history: &mut History) -> bool {
        if matches!(self.state, State::Hung | State::Deaf) {
            return false;
        }
        self.out.extend(server.hub.mail(self.id));
        if self.waiting.is_some() {
            return waits::go_on(self, server, history);
        }
        if self.input.is_empty() {
            return false;
        }
        let limits = Limits::default().authenticated();
        let advance = match RequestScanner::default().advance(&self.input, &limits) {
            Ok(advance) => advance,
            Err(error) => {
                history.offend(format!("narrows sent no request: {error:?}"));
                return false;
            }
        };
        match advance.event {
            RequestEvent::Complete(_) => {}
            RequestEvent::NeedMore => return false,
            RequestEvent::Inline { .. } | RequestEvent::Empty => {
                history.offend("narrows sent something that is not canonical".to_owned());
                return false;
            }
        }
        let frame: Vec<u8> = self.input[..advance.consumed].to_vec();
        let args: Vec<&[u8]> = Args::new(&frame).collect();
        let name = String::from_utf8_lossy(args[0]).to_ascii_uppercase();
        let held_up = match server.pause() {
            Some(Pause::All) => true,
            Some(Pause::Writes) if name == "EXEC" => self.transaction.writes(),
            Some(Pause::Writes) if self.transaction.is_queueing() => false,
            Some(Pause::Writes) => is_write(&name),
            None => false,
        };
        if held_up {
            return false;
        }
        self.input.drain(..advance.consumed);
        if push_streams::COMMANDS.contains(&name.as_str()) {
            push_streams::run(self, &name, &args, server, history);
        } else if server.hub.is_restricted(self.id) {
            push_streams::restricted(self, &name, &args, server, history);
        } else if transactions::COMMANDS.contains(&name.as_str()) {
            let reply = transactions::run(self, &name, &args, server, history);
            self.answer(reply, Requester::Client);
        } else if self.transaction.is_queueing() {
            let refusal = server.refusal(&name, is_write(&name));
            let refusal = refusal.or(server.users.refusal(self, &name, &args));
            let mut reply = Vec::new();
            self.transaction.queue(&frame, refusal, &mut reply);
            self.answer(reply, Requester::Client);
        } else if name == waits::COMMAND {
            waits::begin(self, &args, server, history);
        } else if name == "CLIENT" && args.get(1) == Some(&&b"TRACKING"[..]) {
            server.hub.track(self.id, self.setting.protocol, &args);
            self.answer(b"+OK\r\n".to_vec(), Requester::Client);
        } else {
            self.command(&name, &args, server, history);
        }
        server.hub.set_protocol(self.id, self.setting.protocol);
        true
    }

    fn command(&mut self, name: &str, args: &[&[u8]], server: &mut Server, history: &mut History) {
        let tag = args.last().and_then(|arg| Tag::read(arg));
        let refusal = server.refusal(name, is_write(name));
        let refusal = refusal.or(server.users.refusal(self, name, args));
        if let Some((element, list)) = lists::put_back(name, args) {
            let mut reply = Vec::new();
            match refusal {
                Some(text) => write::error(&mut reply, text),
                None => {
                    server.keys.touch(self.setting.db, list);
                    server.hub.written(list, history);
                    let list = server.keys.list(self.setting.db, list);
                    list.push_front(element.to_vec());
                    write::integer(&mut reply, list.len() as i64);
                }
            }
            return self.answer(reply, Requester::Client);
        }
        if let Some(tag) = tag.filter(|_| refusal.is_some_and(|text| text.starts_with("NOAUTH"))) {
            history.offend(format!("{tag:?} was sent where nobody has logged in"));
        }
        if tag.is_none() {
            let before = self.out.len();
            match refusal {
                Some(text) => write::error(&mut self.out, text),
                None if name == "AUTH" => server.users.log_in(self, args),
                None if name == "RESET" => server.users.reset(self),
                None => connection::own_command(self, name, args, history),
            }
            let reply = self.out.split_off(before);
            let asker = match name {
                "PING" => Requester::Check,
                _ => Requester::Handshake,
            };
            return self.answer(reply, asker);
        }
        if let Some(tag) = tag.filter(|tag| history.transactions.contains(*tag)) {
            history.offend(format!("{tag:?} runs outside of its transaction"));
        }
        let reply = self.tagged(name, args, server, history);
        self.answer(reply, Requester::Client);
    }

    /// Runs a client's command: its reply.
    pub fn tagged(
        &mut self,
        name: &str,
        args: &[&[u8]],
        server: &mut Server,
        history: &mut History,
    ) -> Vec<u8> {
        let mut reply = Vec::new();
        let Some(tag) = args.last().and_then(|arg| Tag::read(arg)) else {
            history.offend(format!("an untagged {name} in a transaction"));
            return reply;
        };
        if self.transaction.watches_for_another(tag.client) {
            history.offend(format!("{tag:?} ran beside what another client watches"));
        }
        // What has timed out may run late.
        if !history.timeouts && server.hub.subscribes_elsewhere(tag.client, self.id) {
            history.offend(format!("{tag:?} ran beside what its client subscribes to"));
        }
        if is_write(name) {
            server.keys.touch(self.setting.db, args[1]);
            if server.refusal(name, true).is_none() {
                server.hub.written(args[1], history);
            }
        }
        let published = (name == "PUBLISH").then(|| server.hub.publish(args[1], args[2], history));
        self.out.extend(server.hub.mail(self.id));
        match server.refusal(name, is_write(name)) {
            Some(text) => write::error(&mut reply, text),
            None if published.is_some() => write::integer(&mut reply, published.unwrap_or(0)),
            None => run(&mut Call {
                name,
                args: &args[1..args.len() - 1],
                tag,
                setting: self.setting,
                keys: &mut server.keys,
                reply: &mut reply,
            }),
        }
        history.executed(Execution {
            tag,
            write: is_write(name),
            setting: self.setting,
            reply: &reply,
            life: server.lives,
        });
        reply
    }

    /// Runs a command without a tag inside a transaction: its reply.
    pub fn untagged(
        &mut self,
        name: &str,
        args: &[&[u8]],
        server: &mut Server,
        history: &mut History,
    ) -> Vec<u8> {
        let mut reply = Vec::new();
        match (name, args) {
            // What narrows ends waits with.
            ("PUBLISH", _) => write::integer(&mut reply, 0),
            ("CLIENT", [_, b"UNBLOCK", id]) => {
                write::integer(&mut reply, waits::unblock(id, server));
            }
            _ => return self.own(name, args, history),
        }
        reply
    }

    fn own(&mut self, name: &str, args: &[&[u8]], history: &mut History) -> Vec<u8> {
        let before = self.out.len();
        connection::own_command(self, name, args, history);
        self.out.split_off(before)
    }

    pub fn answer(&mut self, reply: Vec<u8>, asker: Requester) {
        let reply = match &mut self.desync {
            Some(desync) => desync.answers(reply, asker),
            None => reply,
        };
        self.out.extend_from_slice(&reply);
    }

    /// Something that no reply may be, at a place where a reply may begin.
    pub fn misbehave(&mut self, rng: &mut Rng) {
        // However deep, it is a reply up to there.
        let deep = [b"*1\r\n".repeat(200), b"?\r\n".to_vec()].concat();
        let junk: &[&[u8]] = &[
            b"?\r\n",
            b"$x\r\n",
            b"*1\r\n>1\r\n+a\r\n",
            b">2\r\n+message\r\n+x\r\n",
            b"+a\rb",
            b"*-7\r\n",
            b"HTTP/1.1 200 OK\r\n",
            // Longer and more than any reply may be.
            b"$629145600\r\nxx",
            b"*99999999999999\r\n",
            &deep,
        ];
        self.out.extend_from_slice(rng.one_of(junk));
        self.state = State::Hung;
    }
}

/// A client's command.
fn run(call: &mut Call) {
    let known =
        strings::run(call) || counters::run(call) || lists::run(call) || connection::run(call);
    if !known {
        let text = format!("ERR unexpected {} of {}", call.name, call.tag.text());
        write::error(call.reply, &text);
    }
}

/// Whether a command changes data, as the server's own table has it.
pub fn is_write(name: &str) -> bool {
    [
        strings::WRITES,
        counters::WRITES,
        lists::WRITES,
        waits::WRITES,
    ]
    .iter()
    .any(|writes| writes.contains(&name))
}
