//! Strings and hashes. Replies carry the tag of their request, so that a foreign one is always
//! recognised; `GET` gives the value stored behind it.

use narrows::resp::{Protocol, write};

use super::link::Call;

pub const WRITES: &[&str] = &["SET", "DEL"];

pub fn run(call: &mut Call) -> bool {
    let text = call.tag.text();
    let db = call.setting.db;
    match call.name {
        "GET" => {
            let value = stored(call, call.args[0]);
            write::bulk(call.reply, &value);
        }
        "MGET" => {
            write::array_head(call.reply, call.args.len());
            for key in call.args {
                let value = stored(call, key);
                write::bulk(call.reply, &value);
            }
        }
        "GETRANGE" => {
            let len: usize = std::str::from_utf8(call.args[2]).unwrap().parse().unwrap();
            let mut value = text.into_bytes();
            value.resize(value.len().max(len), b'.');
            write::bulk(call.reply, &value);
        }
        "STRLEN" => {
            let number = i64::from(call.tag.client) << 32 | i64::from(call.tag.request);
            write::integer(call.reply, number);
        }
        "HGETALL" if call.setting.protocol == Protocol::Resp3 => {
            call.reply.extend_from_slice(b"|1\r\n+a\r\n+b\r\n");
            write::map_head(call.reply, 1, Protocol::Resp3);
            write::bulk(call.reply, text.as_bytes());
            call.reply.extend_from_slice(b"#t\r\n");
        }
        "HGETALL" => {
            write::array_head(call.reply, 2);
            write::bulk(call.reply, text.as_bytes());
            write::bulk(call.reply, b"1");
        }
        "SET" => {
            call.keys.set_text(db, call.args[0], call.args[1]);
            write::status(call.reply, &format!("OK {text}"));
        }
        "DEL" => write::error(call.reply, &format!("ERR of {text}")),
        _ => return false,
    }
    true
}

/// The request's tag and what the key holds, or `-`.
fn stored(call: &Call, key: &[u8]) -> Vec<u8> {
    let mut value = format!("{}|", call.tag.text()).into_bytes();
    let text = call.keys.text(call.setting.db, key);
    value.extend_from_slice(text.unwrap_or(b"-"));
    value
}
