//! What narrows says of itself: figures of `INFO narrows`, and lines of its log.

use crate::support::{Conn, Narrows, PATIENCE, wait_until};

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

/// Waits for a line of the log that holds all of these.
#[track_caller]
pub(crate) fn expect_logged(narrows: &Narrows, words: &[&str]) {
    wait_until(&format!("a line with {words:?}"), PATIENCE, || {
        let log = narrows.log();
        log.lines()
            .any(|line| words.iter().all(|word| line.contains(word)))
    });
}
