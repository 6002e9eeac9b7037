//! An element that reached nobody: the request that puts it back where it came from. Only ever given
//! a whole reply that a scanner has walked.

use crate::resp::write;

use super::exec_reply::values;
use super::waiting::{ListEnd, Takes};

/// Whether a wait has ended without anything: the nil of a timeout, in either protocol.
pub fn is_nil(reply: &[u8]) -> bool {
    matches!(reply, b"*-1\r\n" | b"$-1\r\n" | b"_\r\n")
}

/// The request that undoes what `reply`, to a command that `takes` so, says was taken. `None` when
/// nothing was, or nothing that anybody else could be given.
pub fn put_back(takes: Takes, reply: &[u8]) -> Option<Vec<u8>> {
    if takes == Takes::Nothing || is_nil(reply) {
        return None;
    }
    let parts = values(reply)?;
    let (key, taken) = parts.split_first()?;
    let taken: Vec<&[u8]> = match taken {
        // Of several each is in a list of its own.
        [many] if many.starts_with(b"*") => values(many)?,
        one => one.to_vec(),
    };
    let mut args: Vec<&[u8]> = vec![verb(takes), value(key)?];
    match takes {
        // The last one taken stood farthest inside.
        Takes::Elements(_) => {
            for element in taken.iter().rev() {
                args.push(value(element)?);
            }
        }
        Takes::Members => {
            // Whoever has added the member anew meanwhile has set its score.
            args.push(b"NX");
            let pairs: Vec<Vec<&[u8]>> = match taken.first()?.starts_with(b"*") {
                true => taken
                    .iter()
                    .map(|pair| values(pair))
                    .collect::<Option<_>>()?,
                false => vec![taken],
            };
            for pair in &pairs {
                let [member, score] = pair[..] else {
                    return None;
                };
                args.extend([value(score)?, value(member)?]);
            }
        }
        Takes::Nothing => return None,
    }
    let mut request = Vec::with_capacity(reply.len() + 32);
    write::request(&mut request, &args);
    Some(request)
}

fn verb(takes: Takes) -> &'static [u8] {
    match takes {
        Takes::Elements(ListEnd::Head) => b"LPUSH",
        Takes::Elements(ListEnd::Tail) => b"RPUSH",
        Takes::Members | Takes::Nothing => b"ZADD",
    }
}

/// What a bulk string holds, or the number of a score in RESP3.
fn value(part: &[u8]) -> Option<&[u8]> {
    let text = part.strip_suffix(b"\r\n")?;
    match text.split_first()? {
        (b'$', rest) => {
            let end = rest.iter().position(|byte| *byte == b'\n')?;
            rest.get(end + 1..)
        }
        (b',' | b':' | b'+', rest) => Some(rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undone(takes: Takes, reply: &str) -> Option<String> {
        let request = put_back(takes, reply.as_bytes())?;
        let args = crate::resp::Args::new(&request);
        let words: Vec<String> = args
            .map(|arg| String::from_utf8_lossy(arg).into_owned())
            .collect();
        Some(words.join(" "))
    }

    #[test]
    fn what_was_taken_goes_back_to_its_end_in_its_order() {
        let (head, tail) = (
            Takes::Elements(ListEnd::Head),
            Takes::Elements(ListEnd::Tail),
        );
        let one = "*2\r\n$1\r\nq\r\n$2\r\na \r\n";
        assert_eq!(undone(head, one).as_deref(), Some("LPUSH q a "));
        assert_eq!(undone(tail, one).as_deref(), Some("RPUSH q a "));
        let two = "*2\r\n$1\r\nq\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n";
        assert_eq!(undone(head, two).as_deref(), Some("LPUSH q b a"));
        assert_eq!(undone(tail, two).as_deref(), Some("RPUSH q b a"));
    }

    #[test]
    fn members_go_back_with_their_scores_unless_they_are_there_again() {
        let undone = |reply| undone(Takes::Members, reply);
        let resp2 = "*3\r\n$1\r\nz\r\n$1\r\nm\r\n$3\r\n1.5\r\n";
        assert_eq!(undone(resp2).as_deref(), Some("ZADD z NX 1.5 m"));
        let resp3 = "*3\r\n$1\r\nz\r\n$1\r\nm\r\n,inf\r\n";
        assert_eq!(undone(resp3).as_deref(), Some("ZADD z NX inf m"));
        let many = "*2\r\n$1\r\nz\r\n*2\r\n*2\r\n$1\r\nm\r\n$1\r\n1\r\n*2\r\n$1\r\nn\r\n,2\r\n";
        assert_eq!(undone(many).as_deref(), Some("ZADD z NX 1 m 2 n"));
    }

    #[test]
    fn of_nothing_nothing_goes_back() {
        let head = Takes::Elements(ListEnd::Head);
        for reply in [
            "*-1\r\n",
            "_\r\n",
            "-UNBLOCKED x\r\n",
            "*2\r\n$-1\r\n$-1\r\n",
        ] {
            assert_eq!(undone(head, reply), None, "{reply}");
        }
        assert_eq!(undone(Takes::Nothing, "*2\r\n$1\r\nq\r\n$1\r\na\r\n"), None);
    }
}
