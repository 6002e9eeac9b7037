//! What narrows says of itself: figures of `INFO narrows`, and lines of its log.

use crate::support::Conn;

/// A figure of `INFO narrows`, asked for by a client that is there already.
#[track_caller]
pub(crate) fn figure(conn: &mut Conn, name: &str) -> u64 {
    let text = conn.call(&["INFO", "narrows"]).text();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let value = line.unwrap_or_else(|| panic!("no figure {name}: {text}"));
    value.parse().unwrap()
}
