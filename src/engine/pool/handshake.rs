//! What narrows sends on a backend before clients' commands may use it, and how it judges
//! the answers. The same steps move a drained backend to another context.

use std::time::Duration;

use crate::admission::fault_injection::{self, Bug};
use crate::engine::context::Context;
use crate::engine::key::ContextId;
use crate::engine::server_user::is_unknown_command;
use crate::resp::{Protocol, integer, write};
use crate::session::access::BackendLogin;

/// One command of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeStep {
    /// `RESET`: the connection is the default user's, or nobody's, whatever the server has made of narrows'
    /// certificate. It needs no right.
    Reset,
    /// `ACL WHOAMI`: whose it is that nothing has logged in.
    WhoAmI,
    /// `AUTH`: the credential that the connection is for.
    Auth,
    /// `AUTH` of a client, to be checked on a connection that is logged in as the same user: success
    /// leaves it that user, and failure changes nothing (`authCommand`, acl.c).
    Login,
    /// `HELLO n`: the protocol; its reply is what clients' `HELLO` is answered from.
    Hello,
    /// `CLIENT SETNAME`: for whoever reads the server's `CLIENT LIST`. May be refused.
    SetName,
    /// `CLIENT NO-EVICT ON`: client eviction would hit the busiest backend first. May be refused.
    NoEvict,
    /// `SELECT`.
    Select,
    /// `SELECT` before the login, for a user that may not: its client was in that db when it logged
    /// in, and stays there.
    SelectBefore,
    /// `PING` with a token, behind a switch: proof that the answers before it were to the steps
    /// before it. A switch that was taken for refused would run commands in another db.
    Check,
}

/// What a worker's connections are called.
#[derive(Clone, Default)]
pub struct Identity {
    /// Name of narrows' connections in the server's `CLIENT LIST`, without spaces.
    pub name: String,
}

/// The server's replies to `HELLO`, by protocol.
#[derive(Debug, Default)]
pub struct Hellos {
    resp2: Option<Vec<u8>>,
    resp3: Option<Vec<u8>>,
}

impl Hellos {
    pub fn of(&self, protocol: Protocol) -> Option<&[u8]> {
        match protocol {
            Protocol::Resp2 => self.resp2.as_deref(),
            Protocol::Resp3 => self.resp3.as_deref(),
        }
    }

    pub fn set(&mut self, protocol: Protocol, reply: Vec<u8>) {
        match protocol {
            Protocol::Resp2 => self.resp2 = Some(reply),
            Protocol::Resp3 => self.resp3 = Some(reply),
        }
    }
}

/// A handshake or switch under way. Its replies are expected in the in-flight queue.
#[derive(Debug)]
pub struct Handshake {
    /// The context the backend is being set to.
    pub target: ContextId,
    /// It must be over by then.
    pub deadline: Duration,
    /// Steps whose replies have not come.
    pub steps_left: usize,
    /// The first thing that went wrong.
    pub failure: Option<Failure>,
    /// Whether the connection has been used for this handshake alone: it was dialled for it.
    pub fresh: bool,
    /// The server has said that it is as if nobody had logged in.
    pub was_reset: bool,
}

/// Why a handshake did not reach its context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The server will not have us, in its own words (without the leading `-`).
    Refused(String),
    /// The server refuses the credential, in its own words.
    Credentials(String),
    /// A client's login was refused: the server's error reply. The backend is as before.
    Login(Vec<u8>),
    /// The server takes the connection for this user by narrows' certificate, and not for the one that it
    /// is for.
    AnotherUser(String),
    /// The server is a cluster node.
    Cluster,
    /// The server does not speak the protocol: its error reply, for the client that asked.
    Protocol(Vec<u8>),
    /// The server has no such db: its error reply. The backend is as before.
    Db(Vec<u8>),
    /// The server has no such db, or not for those who have not logged in: its error reply. What has
    /// become of the login behind it does not matter.
    DbBefore(Vec<u8>),
    /// The server is busy with a script, and says nothing of the db. The backend is as before.
    Busy(Vec<u8>),
}

/// What one reply of a handshake means.
#[derive(Debug, PartialEq, Eq)]
pub enum HandshakeVerdict {
    /// Go on.
    Fine,
    /// The handshake cannot reach its context.
    Failed(Failure),
}

/// Whose a new connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// narrows' own user's.
    Own,
    /// A user's of the server that clients log in to.
    Clients,
    /// The same, where that one may not `SELECT`.
    WithoutSelect,
}

/// What becomes of a login by narrows' certificate, if there can have been one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByCertificate {
    /// There is none.
    Impossible,
    /// It is narrows' own.
    Kept,
    /// It is undone: the connection is for somebody else.
    Reset,
}

/// The steps for a new connection to `target`, each with its request.
pub fn opening(
    identity: &Identity,
    login: &BackendLogin,
    target: Context,
    whose: Whose,
    by_certificate: ByCertificate,
) -> Vec<(HandshakeStep, Vec<u8>)> {
    let mut steps = Vec::with_capacity(6);
    let before = whose == Whose::WithoutSelect;
    let asks = login.password.is_none();
    if by_certificate == ByCertificate::Reset && (asks || before) {
        steps.push(step(HandshakeStep::Reset, &[b"RESET"]));
    }
    if target.db != 0 && before {
        steps.push(select(HandshakeStep::SelectBefore, target.db));
    }
    steps.extend(auth(HandshakeStep::Auth, login));
    let name = identity.name.as_bytes();
    let who_am_i = (asks && by_certificate != ByCertificate::Impossible)
        .then(|| step(HandshakeStep::WhoAmI, &[b"ACL", b"WHOAMI"]));
    if whose == Whose::Own {
        steps.push(hello(target.protocol));
        steps.extend(who_am_i);
        steps.push(step(HandshakeStep::SetName, &[b"CLIENT", b"SETNAME", name]));
        steps.push(step(
            HandshakeStep::NoEvict,
            &[b"CLIENT", b"NO-EVICT", b"ON"],
        ));
    } else {
        // What a client's user may not do would stand in the server's ACL LOG as if the client
        // had tried it. The name inside of HELLO needs no right.
        steps.push(hello_named(target.protocol, name));
        steps.extend(who_am_i);
    }
    if target.db != 0 && !before {
        steps.push(select(HandshakeStep::Select, target.db));
    }
    steps
}

/// `AUTH`, unless there is nothing to log in with.
pub fn auth(kind: HandshakeStep, login: &BackendLogin) -> Option<(HandshakeStep, Vec<u8>)> {
    let password = login.password.as_ref()?;
    Some(match &login.user {
        Some(user) => step(kind, &[b"AUTH", user, password]),
        None => step(kind, &[b"AUTH", password]),
    })
}

/// The steps that move a drained backend from one context to another. May be empty.
pub fn switch(from: Context, to: Context) -> Vec<(HandshakeStep, Vec<u8>)> {
    let mut steps = Vec::with_capacity(2);
    if from.protocol != to.protocol {
        steps.push(hello(to.protocol));
    }
    if from.db != to.db && !fault_injection::has(Bug::SelectLeftOut) {
        steps.push(select(HandshakeStep::Select, to.db));
    }
    steps
}

fn hello(protocol: Protocol) -> (HandshakeStep, Vec<u8>) {
    let version: &[u8] = match protocol {
        Protocol::Resp2 => b"2",
        Protocol::Resp3 => b"3",
    };
    step(HandshakeStep::Hello, &[b"HELLO", version])
}

fn hello_named(protocol: Protocol, name: &[u8]) -> (HandshakeStep, Vec<u8>) {
    let version = [b'0' + protocol.number()];
    step(
        HandshakeStep::Hello,
        &[b"HELLO", &version, b"SETNAME", name],
    )
}

fn select(kind: HandshakeStep, db: u32) -> (HandshakeStep, Vec<u8>) {
    step(kind, &[b"SELECT", db.to_string().as_bytes()])
}

fn step(step: HandshakeStep, args: &[&[u8]]) -> (HandshakeStep, Vec<u8>) {
    let mut bytes = Vec::new();
    write::request(&mut bytes, args);
    (step, bytes)
}

/// Judges the whole `reply` to `step` on the way to `target`.
pub fn verdict_of(step: HandshakeStep, reply: &[u8], target: Context) -> HandshakeVerdict {
    let error = reply.strip_prefix(b"-").map(|text| {
        String::from_utf8_lossy(text)
            .trim_end_matches(['\r', '\n'])
            .to_owned()
    });
    let Some(error) = error else {
        return verdict_of_answer(step, reply);
    };
    HandshakeVerdict::Failed(match step {
        HandshakeStep::SelectBefore if error.starts_with("BUSY ") => Failure::Refused(error),
        HandshakeStep::SelectBefore => Failure::DbBefore(reply.to_vec()),
        // Before all else: a server that asks for a login refuses every step with it.
        _ if error.starts_with("NOAUTH") => Failure::Credentials(error),
        HandshakeStep::SetName
        | HandshakeStep::NoEvict
        | HandshakeStep::Check
        // Judged by whoever knows whose the connection is to be.
        | HandshakeStep::WhoAmI => {
            return HandshakeVerdict::Fine;
        }
        _ if error.starts_with("ERR max number of clients") || error.starts_with("DENIED") => {
            Failure::Refused(error)
        }
        HandshakeStep::Select if error.starts_with("BUSY ") => Failure::Busy(reply.to_vec()),
        HandshakeStep::Auth | HandshakeStep::Hello if error.starts_with("BUSY ") => {
            Failure::Refused(error)
        }
        // No server without it logs anybody in by a certificate.
        HandshakeStep::Reset if is_unknown_command(error.as_bytes()) => {
            return HandshakeVerdict::Fine;
        }
        HandshakeStep::Reset => Failure::Refused(error),
        HandshakeStep::Auth => Failure::Credentials(error),
        HandshakeStep::Login => Failure::Login(reply.to_vec()),
        // A server before Redis 6 has no HELLO and speaks RESP2 anyway.
        HandshakeStep::Hello
            if target.protocol == Protocol::Resp2 && error.starts_with("ERR unknown") =>
        {
            return HandshakeVerdict::Fine;
        }
        HandshakeStep::Hello => Failure::Protocol(reply.to_vec()),
        HandshakeStep::Select => Failure::Db(reply.to_vec()),
    })
}

/// A reply that is no error: the shape must be the one expected.
fn verdict_of_answer(step: HandshakeStep, reply: &[u8]) -> HandshakeVerdict {
    match step {
        HandshakeStep::WhoAmI => HandshakeVerdict::Fine,
        HandshakeStep::Reset if reply == RESET => HandshakeVerdict::Fine,
        HandshakeStep::Hello if is_cluster(reply) => HandshakeVerdict::Failed(Failure::Cluster),
        HandshakeStep::Hello if matches!(reply.first(), Some(b'*' | b'%')) => {
            HandshakeVerdict::Fine
        }
        HandshakeStep::Auth
        | HandshakeStep::Login
        | HandshakeStep::Select
        | HandshakeStep::SelectBefore
        | HandshakeStep::SetName
        | HandshakeStep::NoEvict
            if reply == b"+OK\r\n" =>
        {
            HandshakeVerdict::Fine
        }
        _ => HandshakeVerdict::Failed(Failure::Refused(format!(
            "unexpected reply to {step:?} of the handshake"
        ))),
    }
}

/// What `RESET` is answered with.
pub const RESET: &[u8] = b"+RESET\r\n";

/// Whether a reply to `HELLO` says `mode: cluster`.
fn is_cluster(hello: &[u8]) -> bool {
    const MODE: &[u8] = b"$4\r\nmode\r\n$7\r\ncluster\r\n";
    hello.windows(MODE.len()).any(|w| w == MODE)
}

/// The connection's `CLIENT ID`, as a reply to `HELLO` says it.
pub fn id_of(reply: &[u8]) -> Option<u64> {
    const ID: &[u8] = b"$2\r\nid\r\n:";
    let at = reply.windows(ID.len()).position(|window| window == ID)?;
    let text = reply.get(at + ID.len()..)?;
    let end = text.iter().position(|byte| *byte == b'\r')?;
    u64::try_from(integer(text.get(..end)?)?).ok()
}

/// The server's reply to `HELLO` with the client's own `id` in place of the backend's.
pub fn hello_for_client(reply: &[u8], id: u64) -> Vec<u8> {
    const ID: &[u8] = b"$2\r\nid\r\n:";
    let Some(at) = reply.windows(ID.len()).position(|w| w == ID) else {
        return reply.to_vec();
    };
    let (head, tail) = reply.split_at(at + ID.len());
    let digits = tail.iter().take_while(|b| b.is_ascii_digit()).count();
    let mut out = head.to_vec();
    write::decimal(&mut out, id);
    out.extend_from_slice(tail.get(digits..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests;
