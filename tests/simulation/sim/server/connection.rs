//! Commands about the connection and the server: the handshakes and health checks of narrows
//! itself, and what clients may ask of that kind.

use narrows::resp::{Protocol, write};

use super::DATABASES;
use super::link::{Call, Link};
use super::users::said;
use crate::sim::history::History;

/// Commands that a server answers while it loads its data.
pub fn runs_while_loading(name: &str) -> bool {
    [
        "ACL", "AUTH", "HELLO", "RESET", "SELECT", "CLIENT", "ECHO", "INFO",
    ]
    .contains(&name)
}

/// Commands that narrows sends by itself.
pub fn is_own(name: &str) -> bool {
    ["HELLO", "SELECT", "CLIENT", "PING"].contains(&name)
}

/// A client's command.
pub fn run(call: &mut Call) -> bool {
    let text = call.tag.text();
    match call.name {
        "ECHO" | "PING" => write::bulk(call.reply, text.as_bytes()),
        "INFO" => {
            let info = format!("# Clients\r\nconnected_clients:3\r\ntag:{text}\r\n");
            write::verbatim(call.reply, info.as_bytes(), call.setting.protocol);
        }
        _ => return false,
    }
    true
}

/// A command of narrows itself.
pub fn own_command(link: &mut Link, name: &str, args: &[&[u8]], history: &mut History) {
    match (name, args.get(1)) {
        ("HELLO", Some(version)) => {
            link.setting.protocol = match *version {
                b"3" => Protocol::Resp3,
                _ => Protocol::Resp2,
            };
            write::map_head(&mut link.out, 2, link.setting.protocol);
            write::bulk(&mut link.out, b"server");
            write::bulk(&mut link.out, b"redis");
            write::bulk(&mut link.out, b"id");
            write::integer(&mut link.out, link.id as i64);
        }
        ("SELECT", Some(db)) => match std::str::from_utf8(db).unwrap().parse() {
            Ok(db) if db < DATABASES => {
                link.setting.db = db;
                write::status(&mut link.out, "OK");
            }
            _ => write::error(&mut link.out, "ERR DB index is out of range"),
        },
        ("ACL", _) => write::bulk(&mut link.out, said(link.setting.user).as_bytes()),
        ("CLIENT", _) => write::status(&mut link.out, "OK"),
        ("SCRIPT", _) => {
            write::error(&mut link.out, "NOTBUSY No scripts in execution right now.");
        }
        ("PING", Some(nonce)) => write::bulk(&mut link.out, nonce),
        ("PING", None) => write::status(&mut link.out, "PONG"),
        _ => history.offend(format!("an untagged {name} reached the server")),
    }
}
