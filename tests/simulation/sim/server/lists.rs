//! Lists that all clients share: real lengths, elements and nulls.

use narrows::resp::{Protocol, write};

use super::link::Call;

pub const WRITES: &[&str] = &["LPUSH", "RPUSH", "LPOP", "RPOP"];

/// The element and the list of what narrows puts back: it has no tag of its own.
pub fn put_back<'a>(name: &str, args: &[&'a [u8]]) -> Option<(&'a [u8], &'a [u8])> {
    match (name, args) {
        ("LPUSH", [_, list, element]) => Some((element, list)),
        _ => None,
    }
}

pub fn run(call: &mut Call) -> bool {
    let (db, key) = (
        call.setting.db,
        call.args.first().copied().unwrap_or_default(),
    );
    match call.name {
        "LPUSH" | "RPUSH" => {
            let list = call.keys.list(db, key);
            for element in &call.args[1..] {
                match call.name {
                    "LPUSH" => list.push_front(element.to_vec()),
                    _ => list.push_back(element.to_vec()),
                }
            }
            let len = list.len() as i64;
            write::integer(call.reply, len);
        }
        "LPOP" | "RPOP" => {
            let list = call.keys.list(db, key);
            let element = match call.name {
                "LPOP" => list.pop_front(),
                _ => list.pop_back(),
            };
            match element {
                Some(element) => write::bulk(call.reply, &element),
                None if call.setting.protocol == Protocol::Resp3 => {
                    call.reply.extend_from_slice(b"_\r\n");
                }
                None => call.reply.extend_from_slice(b"$-1\r\n"),
            }
        }
        "LLEN" => {
            let len = call.keys.elements(db, key).len();
            write::integer(call.reply, len as i64);
        }
        "LRANGE" => {
            let elements = call.keys.elements(db, key);
            write::array_head(call.reply, elements.len());
            for element in elements {
                write::bulk(call.reply, &element);
            }
        }
        _ => return false,
    }
    true
}
