//! Answers to the commands that narrows answers itself. Called at the command's turn,
//! when all earlier replies of the client are in: an answer is computed then, not earlier.

use crate::command::Local;
use crate::resp::{Args, Argument, Protocol, Refusal, integer, write};

use super::access::BackendLogin;
use super::client_names::{NameOf, is_valid_name};
use super::filter::{ClientFilter, KillForm};
use super::hello::HelloRequest;
use super::{ReplyMode, Session};

/// What remains to be done for a local command.
#[derive(Debug, PartialEq, Eq)]
pub enum LocalAnswer {
    /// The reply, if the command has one, was written.
    Done,
    /// The reply was written; the client is to be closed after it.
    Close,
    /// Reply modes, db and protocol are as new: the reply was written.
    Reset,
    /// `HELLO` for this protocol: the server's own reply is needed.
    Hello {
        /// The protocol to answer in and to use from now on.
        protocol: Protocol,
        /// The connection's new name.
        name: Option<Box<[u8]>>,
        /// It logs in first.
        login: Option<BackendLogin>,
    },
    /// `AUTH`.
    LogIn(BackendLogin),
    /// `SELECT` of a db that only the server can judge.
    Select {
        /// The db asked for.
        db: u32,
    },
    /// `CLIENT LIST` over all workers.
    List(ClientFilter),
    /// `CLIENT KILL` over all workers.
    Kill(ClientFilter, KillForm),
    /// `CLIENT UNBLOCK` over all workers.
    Unblock {
        /// `CLIENT ID` of the one that waits; 0 is nobody's.
        id: u64,
        /// It gets an error, not the nil of a timeout.
        with_error: bool,
    },
    /// `CLIENT INFO`: needs what the engine knows of this client.
    Info,
}

/// Answers `command`, whose arity has been checked, with `args` after its full name.
/// The reply goes to `out`, unless the client has asked for silence.
pub fn answer<'a>(
    command: Local,
    session: &mut Session,
    args: Args<'a>,
    out: &mut Vec<u8>,
) -> Result<LocalAnswer, Refusal<'a>> {
    match command {
        Local::ClientId => write::integer(out, i64::try_from(session.id).unwrap_or(i64::MAX)),
        Local::ClientGetname => match session.name(NameOf::Client) {
            b"" => write::null_bulk(out, session.protocol),
            name => write::bulk(out, name),
        },
        Local::ClientSetname => return set_name(session, args, out),
        Local::ClientSetinfo => return set_info(session, args, out),
        Local::ClientReply => return client_reply(session, args, out),
        Local::ClientUnblock => return unblock(args),
        Local::ClientNoEvict => return no_evict(session, args, out),
        Local::ClientGetredir => write::integer(out, -1),
        Local::ClientTrackinginfo => tracking_info(session.protocol, out),
        Local::ClientInfo => return Ok(LocalAnswer::Info),
        Local::ClientList => return ClientFilter::read_list(args).map(LocalAnswer::List),
        Local::ClientKill => {
            let (filter, form) = ClientFilter::read_kill(args, session.id)?;
            return Ok(LocalAnswer::Kill(filter, form));
        }
        Local::ClientCapa => write::status(out, "OK"),
        Local::ClientHelp => {} // the server answers it
        Local::Quit => {
            write::status(out, "OK");
            return Ok(LocalAnswer::Close);
        }
        Local::Reset => {
            session.reset();
            write::status(out, "RESET");
            return Ok(LocalAnswer::Reset);
        }
        Local::Auth => return login(args),
        Local::Hello => return hello(session, args),
        Local::Select => return select(args),
    }
    Ok(LocalAnswer::Done)
}

fn set_name<'a>(
    session: &mut Session,
    mut args: Args<'a>,
    out: &mut Vec<u8>,
) -> Result<LocalAnswer, Refusal<'a>> {
    let name = args.next().unwrap_or_default();
    if !is_valid_name(name) {
        return Err(Refusal::Argument(Argument::ClientName));
    }
    session.set_name(NameOf::Client, name);
    write::status(out, "OK");
    Ok(LocalAnswer::Done)
}

fn set_info<'a>(
    session: &mut Session,
    mut args: Args<'a>,
    out: &mut Vec<u8>,
) -> Result<LocalAnswer, Refusal<'a>> {
    let option = args.next().unwrap_or_default();
    let value = args.next().unwrap_or_default();
    let of = if option.eq_ignore_ascii_case(b"lib-name") {
        NameOf::Library
    } else if option.eq_ignore_ascii_case(b"lib-ver") {
        NameOf::LibraryVersion
    } else {
        return Err(Refusal::Argument(Argument::UnknownAttribute {
            attribute: option,
        }));
    };
    if !is_valid_name(value) {
        return Err(Refusal::Argument(Argument::ClientAttribute {
            attribute: option,
        }));
    }
    session.set_name(of, value);
    write::status(out, "OK");
    Ok(LocalAnswer::Done)
}

/// `ON` is answered, `OFF` and `SKIP` are not.
fn client_reply<'a>(
    session: &mut Session,
    mut args: Args<'a>,
    out: &mut Vec<u8>,
) -> Result<LocalAnswer, Refusal<'a>> {
    let mode = args.next().unwrap_or_default();
    if mode.eq_ignore_ascii_case(b"on") {
        session.reply_mode = ReplyMode::On;
        write::status(out, "OK");
    } else if mode.eq_ignore_ascii_case(b"off") {
        session.reply_mode = ReplyMode::Off;
    } else if mode.eq_ignore_ascii_case(b"skip") {
        session.reply_mode.skip();
    } else {
        return Err(Refusal::Argument(Argument::Syntax));
    }
    Ok(LocalAnswer::Done)
}

fn unblock(mut args: Args<'_>) -> Result<LocalAnswer, Refusal<'_>> {
    let id = args.next().unwrap_or_default();
    if args.remaining() > 1 {
        return Err(Refusal::Argument(Argument::UnblockForm));
    }
    let with_error = match args.next() {
        None => false,
        Some(reason) if reason.eq_ignore_ascii_case(b"timeout") => false,
        Some(reason) if reason.eq_ignore_ascii_case(b"error") => true,
        Some(_) => return Err(Refusal::Argument(Argument::UnblockReason)),
    };
    let id = integer(id).ok_or(Refusal::Argument(Argument::NotInteger))?;
    Ok(LocalAnswer::Unblock {
        id: u64::try_from(id).unwrap_or_default(),
        with_error,
    })
}

fn no_evict<'a>(
    session: &mut Session,
    mut args: Args<'a>,
    out: &mut Vec<u8>,
) -> Result<LocalAnswer, Refusal<'a>> {
    let word = args.next().unwrap_or_default();
    session.no_evict = if word.eq_ignore_ascii_case(b"on") {
        true
    } else if word.eq_ignore_ascii_case(b"off") {
        false
    } else {
        return Err(Refusal::Argument(Argument::Syntax));
    };
    write::status(out, "OK");
    Ok(LocalAnswer::Done)
}

/// No client tracks through narrows yet: what Redis says of one that does not.
fn tracking_info(protocol: Protocol, out: &mut Vec<u8>) {
    write::map_head(out, 3, protocol);
    write::bulk(out, b"flags");
    match protocol {
        Protocol::Resp2 => write::array_head(out, 1),
        Protocol::Resp3 => out.extend_from_slice(b"~1\r\n"),
    }
    write::bulk(out, b"off");
    write::bulk(out, b"redirect");
    write::integer(out, -1);
    write::bulk(out, b"prefixes");
    write::array_head(out, 0);
}

fn login<'a>(mut args: Args<'a>) -> Result<LocalAnswer, Refusal<'a>> {
    let first = args.next().unwrap_or_default();
    let (user, password) = match args.next() {
        None => (None, first),
        Some(_) if args.remaining() > 0 => return Err(Refusal::Argument(Argument::Syntax)),
        Some(password) => (Some(first), password),
    };
    Ok(LocalAnswer::LogIn(BackendLogin {
        user: user.map(Into::into),
        password: Some(password.into()),
    }))
}

fn hello<'a>(session: &Session, args: Args<'a>) -> Result<LocalAnswer, Refusal<'a>> {
    let hello = HelloRequest::read(args)?;
    Ok(LocalAnswer::Hello {
        protocol: hello.protocol.unwrap_or(session.protocol),
        name: hello.name.map(Into::into),
        login: hello.auth.map(|(user, password)| BackendLogin {
            user: Some(user.into()),
            password: Some(password.into()),
        }),
    })
}

fn select<'a>(mut args: Args<'a>) -> Result<LocalAnswer, Refusal<'a>> {
    let db =
        integer(args.next().unwrap_or_default()).ok_or(Refusal::Argument(Argument::NotInteger))?;
    let db = i32::try_from(db).map_err(|_| Refusal::Argument(Argument::NotInt32))?;
    match u32::try_from(db) {
        Ok(db) => Ok(LocalAnswer::Select { db }),
        Err(_) => Err(Refusal::Argument(Argument::DbIndex)),
    }
}
