//! Whether two replies are the same but for what may differ: ids, ports, clocks, and what stands in
//! `differences.rs`.

use crate::differences::name_away;
use crate::support::frame_bytes;

/// Elements of a reply that are looked at one by one, at most.
const ELEMENTS_MAX: usize = 200;

/// The clients' ids on both sides, by their number.
pub(crate) struct Names<'a> {
    pub(crate) direct: &'a [String],
    pub(crate) through: &'a [String],
}

/// Whether a client that was told `direct` by the server and `through` by narrows cannot tell the
/// difference.
pub(crate) fn same(names: &Names<'_>, direct: &[u8], through: &[u8]) -> bool {
    if direct == through || name_away("HELLO", direct) == name_away("HELLO", through) {
        return true;
    }
    match (elements(direct), elements(through)) {
        (Some((head, all)), Some((other, others))) => {
            let mut pairs = all.iter().zip(&others);
            head == other && all.len() == others.len() && pairs.all(|(d, t)| same(names, d, t))
        }
        _ => named(direct, names.direct) == named(through, names.through),
    }
}

/// A reply that is one value, without what differs from connection to connection.
fn named(reply: &[u8], ids: &[String]) -> Vec<u8> {
    if reply.first() == Some(&b':') {
        let number = String::from_utf8_lossy(&reply[1..]);
        let client = ids.iter().position(|id| *id == number.trim_end());
        return client.map_or(reply.to_vec(), |client| {
            format!(":<id{client}>\r\n").into_bytes()
        });
    }
    let has = |part: &[u8]| reply.windows(part.len()).any(|found| found == part);
    if has(b" addr=") {
        return name_away("CLIENT LIST", reply);
    }
    if has(b"# Server\r\n") || has(b"# Clients\r\n") {
        let figure = |line: &&str| line.starts_with("blocked_clients:");
        let text = String::from_utf8_lossy(reply).into_owned();
        let kept = text.lines().find(figure).unwrap_or_default();
        return [&name_away("INFO", reply), kept.as_bytes()].concat();
    }
    reply.to_vec()
}

/// The head of a list, and its elements; what is left of a long one is the last of them.
fn elements(reply: &[u8]) -> Option<(&[u8], Vec<&[u8]>)> {
    if !matches!(reply.first(), Some(b'*' | b'>')) {
        return None;
    }
    let head = reply.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let (mut at, mut all) = (head, Vec::new());
    while let Ok(Some(bytes)) = frame_bytes(&reply[at..])
        && all.len() < ELEMENTS_MAX
    {
        all.push(&reply[at..at + bytes]);
        at += bytes;
    }
    if at < reply.len() {
        all.push(&reply[at..]);
    }
    Some((&reply[..head], all))
}
