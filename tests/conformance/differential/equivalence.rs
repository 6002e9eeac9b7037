//! Whether two replies are the same but for what may differ: ids, ports, clocks, and what stands in
//! `differences.rs`.

use crate::differences::name_away;
use crate::differential::state::STAND_IN;
use crate::support::frame_bytes;

/// Elements of a reply that are looked at one by one, at most.
const ELEMENTS_MAX: usize = 200;

/// The clients' ids on both sides, by their number.
pub(crate) struct Names<'a> {
    pub(crate) direct: &'a [String],
    pub(crate) through: &'a [String],
    /// What each client has sent last of that for which the server was sent [`STAND_IN`].
    pub(crate) stood_for: &'a [String],
}

/// Whether a client that was told `direct` by the server and `through` by narrows cannot tell the
/// difference.
pub(crate) fn same(names: &Names<'_>, direct: &[u8], through: &[u8]) -> bool {
    if direct == through || name_away("HELLO", direct) == name_away("HELLO", through) {
        return true;
    }
    match (elements(direct), elements(through)) {
        (Some((head, mut all)), Some((other, mut others))) => {
            if all.iter().chain(&others).all(|element| is_key(element)) {
                all.sort_unstable();
                others.sort_unstable();
            }
            let mut pairs = all.iter().zip(&others);
            let alike = |direct: &[u8], through: &[u8]| {
                same(names, direct, through)
                    || lists_one_that_waits(direct)
                    || (counts_one_that_waits(direct) && counts_clients(through))
            };
            head == other && all.len() == others.len() && pairs.all(|(d, t)| alike(d, t))
        }
        _ => {
            let direct = with_what_was_sent(names, direct);
            named(&direct, names.direct) == named(through, names.through)
        }
    }
}

/// Whether it names a key, as the replies to `SCAN` and `KEYS` do and no value does. In which order
/// they come depends on how far the server has grown its table of keys.
fn is_key(element: &[u8]) -> bool {
    let name = element.split(|byte| *byte == b'\n').skip(1);
    let name = name.collect::<Vec<_>>().join(&b'\n');
    let name = name.strip_suffix(b"0\r\n").or(name.strip_suffix(b"1\r\n"));
    let is_letter = |name: &[u8]| name.len() == 1 && b"slhtzxbg".contains(&name[0]);
    element.starts_with(b"$")
        && name.is_some_and(|name| is_letter(name) || [&b"missing"[..], b"k\r\n\0"].contains(&name))
}

/// What is listed inside of a transaction narrows lists when the server has done all of it: who waited
/// for what it brings is served by then, may have gone on and be gone (see `differences.rs`).
fn lists_one_that_waits(element: &[u8]) -> bool {
    let text = String::from_utf8_lossy(element);
    text.contains(" flags=b") && text.contains(" addr=")
}

/// The same of what is counted there.
fn counts_one_that_waits(element: &[u8]) -> bool {
    let text = String::from_utf8_lossy(element);
    let mut lines = text.lines();
    counts_clients(element)
        && lines.any(|line| line.starts_with("blocked_clients:") && !line.ends_with(":0"))
}

fn counts_clients(element: &[u8]) -> bool {
    String::from_utf8_lossy(element).contains("# Clients\r\n")
}

/// A refusal, and lines of clients, as they would be, had the server been sent what it was not.
fn with_what_was_sent(names: &Names<'_>, reply: &[u8]) -> Vec<u8> {
    let name = STAND_IN.to_lowercase();
    // Valkey since 9.1 names it.
    if reply == format!("-ERR Command '{name}' not allowed inside a transaction\r\n").as_bytes() {
        return b"-ERR Command not allowed inside a transaction\r\n".to_vec();
    }
    let stand_in = format!(" cmd={name} ");
    let text = String::from_utf8_lossy(reply);
    if !text.contains(&stand_in) {
        return reply.to_vec();
    }
    let lines = text.split('\n').map(|line| {
        // In RESP3 the first has the kind of the text before it.
        let begin = line.strip_prefix("txt:").unwrap_or(line);
        let is_of = |id: &String| begin.starts_with(&format!("id={id} "));
        let client = names.direct.iter().position(is_of);
        client.map_or(line.to_owned(), |client| {
            line.replace(&stand_in, &format!(" cmd={} ", names.stood_for[client]))
        })
    });
    lines.collect::<Vec<_>>().join("\n").into_bytes()
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
