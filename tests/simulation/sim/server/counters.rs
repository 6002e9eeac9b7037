//! Counters: real integers that all clients share.

use narrows::resp::write;

use super::link::Call;

pub const WRITES: &[&str] = &["INCR", "DECR"];

pub fn run(call: &mut Call) -> bool {
    let by = match call.name {
        "INCR" => 1,
        "DECR" => -1,
        _ => return false,
    };
    let (db, key) = (call.setting.db, call.args[0]);
    let number = call.keys.number(db, key).unwrap_or(0) + by;
    call.keys.set_text(db, key, number.to_string().as_bytes());
    write::integer(call.reply, number);
    true
}
