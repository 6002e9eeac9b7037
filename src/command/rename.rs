//! Commands that the server knows by another name than clients do (`rename-command` of redis.conf).
//! Requests leave with the server's name, and one that comes back to be sent again gets the
//! clients' name again. It knows names and bytes, and not who sends them.

use super::class::Route;
use super::lookup::CommandTable;
use super::pattern::{EntryMistake, PATTERN_BYTES_MAX};
use crate::resp::{Args, write};

/// The list of the configuration, ready to be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renames {
    pairs: Vec<Pair>,
}

/// Both names in lower case, as names are compared without regard to it.
#[derive(Clone, PartialEq, Eq)]
struct Pair {
    clients: Box<str>,
    servers: Box<str>,
}

/// The key of the list.
const LIST: &str = "commands.rename";

/// What narrows itself sends to the server, beside what has a route of its own.
const OWN: [&str; 5] = ["ping", "command", "publish", "xinfo", "acl"];

impl Renames {
    /// Parses entries of the form `CONFIG=server-name`; all mistakes at once.
    ///
    /// # Errors
    /// Entries that are none, or that contradict each other.
    pub fn new(entries: &[String]) -> Result<Self, Vec<EntryMistake>> {
        let table = CommandTable::builtin();
        let mut renames = Self::default();
        let mut mistakes = Vec::new();
        for entry in entries {
            match Pair::parse(entry, &table).and_then(|pair| renames.add(pair)) {
                Ok(()) => {}
                Err(why) => mistakes.push(EntryMistake {
                    list: LIST,
                    entry: shown(entry),
                    why,
                }),
            }
        }
        match mistakes.is_empty() {
            true => Ok(renames),
            false => Err(mistakes),
        }
    }

    fn add(&mut self, pair: Pair) -> Result<(), &'static str> {
        let names = |known: &Pair| [known.clients.clone(), known.servers.clone()];
        let mut known = self.pairs.iter().flat_map(names);
        if known.any(|name| name == pair.clients || name == pair.servers) {
            return Err("has a name that another entry has too");
        }
        self.pairs.push(pair);
        Ok(())
    }

    /// These and others, which may say other things of the same command.
    pub fn with(mut self, others: &Self) -> Self {
        for pair in &others.pairs {
            if !self.pairs.contains(pair) {
                self.pairs.push(pair.clone());
            }
        }
        self
    }

    /// Whether nothing is renamed.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Both names of each, the clients' first.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs
            .iter()
            .map(|pair| (&*pair.clients, &*pair.servers))
    }

    /// Whether `name` is the server's name of a command: to clients it is none.
    pub fn hides(&self, name: &[u8]) -> bool {
        self.pairs.iter().any(|pair| is(&pair.servers, name))
    }

    /// The request as the server knows it; `None` if it is sent as it is. `request` is canonical
    /// and holds its first argument at least; what follows that is not looked at.
    pub fn sent(&self, request: &[u8]) -> Option<Vec<u8>> {
        let name = Args::new(request).next()?;
        let pair = self.pairs.iter().find(|pair| is(&pair.clients, name))?;
        with_name(request, name, pair.servers.as_bytes())
    }

    /// A request that was sent, as its client knows it.
    pub fn restored(&self, request: &[u8]) -> Option<Vec<u8>> {
        let name = Args::new(request).next()?;
        let pair = self.pairs.iter().find(|pair| is(&pair.servers, name))?;
        with_name(request, name, pair.clients.as_bytes())
    }
}

/// An entry as it may be told: the server's name is a secret, by which an operator keeps a command
/// to those who know it.
pub fn shown(entry: &str) -> String {
    match entry.split_once('=') {
        Some((clients, _)) => format!("{clients}={HIDDEN}"),
        None => HIDDEN.to_owned(),
    }
}

/// Stands for a name of the server's.
const HIDDEN: &str = "(not shown)";

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={HIDDEN}", self.clients)
    }
}

impl Pair {
    fn parse(entry: &str, table: &CommandTable) -> Result<Self, &'static str> {
        let (clients, servers) = entry
            .split_once('=')
            .ok_or("is not of the form COMMAND=name-at-the-server")?;
        let fits = |name: &str| {
            (1..=PATTERN_BYTES_MAX).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_graphic())
                && !name.contains(['|', '=', '*'])
        };
        if !fits(clients) || !fits(servers) {
            return Err("has a name that no command has");
        }
        let pair = Self {
            clients: clients.to_ascii_lowercase().into(),
            servers: servers.to_ascii_lowercase().into(),
        };
        if table.named(pair.servers.as_bytes()).is_some() {
            return Err("gives a command the name of another one");
        }
        let route = table.named(pair.clients.as_bytes()).map(|spec| spec.route);
        let forwarded = matches!(route, None | Some(Route::Shared | Route::Restricted));
        match forwarded && !OWN.contains(&&*pair.clients) {
            true => Ok(pair),
            false => Err("renames a command that narrows answers or uses itself"),
        }
    }
}

fn is(known: &str, name: &[u8]) -> bool {
    known.as_bytes().eq_ignore_ascii_case(name)
}

/// `request`, or as much of it as there is, with another name in the place of `name`, which is its
/// first argument.
fn with_name(request: &[u8], name: &[u8], other: &[u8]) -> Option<Vec<u8>> {
    let line_end = request.iter().position(|byte| *byte == b'\n')? + 1;
    let (head, arguments) = request.split_at_checked(line_end)?;
    let mut old = Vec::with_capacity(name.len() + 16);
    write::bulk(&mut old, name);
    let rest = arguments.strip_prefix(old.as_slice())?;
    let mut renamed = Vec::with_capacity(request.len() + other.len() + 16);
    renamed.extend_from_slice(head);
    write::bulk(&mut renamed, other);
    renamed.extend_from_slice(rest);
    Some(renamed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renames(entries: &[&str]) -> Result<Renames, Vec<EntryMistake>> {
        let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        Renames::new(&entries)
    }

    fn request(words: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write::request(&mut bytes, words);
        bytes
    }

    #[test]
    fn a_request_leaves_with_the_servers_name_and_comes_back_with_the_clients() {
        let renames = renames(&["CONFIG=sec-name", "ft.search=x"]).unwrap();
        let client = request(&[b"Config", b"SET", b"a\r\n$6\r\nCONFIG", b""]);
        let server = request(&[b"sec-name", b"SET", b"a\r\n$6\r\nCONFIG", b""]);
        assert_eq!(renames.sent(&client), Some(server.clone()));
        let back = request(&[b"config", b"SET", b"a\r\n$6\r\nCONFIG", b""]);
        assert_eq!(renames.restored(&server), Some(back));
        let other = request(&[b"SET", b"config", b"sec-name"]);
        assert_eq!(
            (renames.sent(&other), renames.restored(&other)),
            (None, None)
        );
        assert!(renames.hides(b"SEC-NAME") && !renames.hides(b"config"));
        // As much of a huge request as has come.
        let cut = &client[..client.len() - 9];
        let sent = renames.sent(cut).unwrap();
        assert_eq!(sent, server[..server.len() - 9]);
    }

    #[test]
    fn what_is_no_renaming_is_refused() {
        for (entry, why) in [
            ("CONFIG", "not of the form"),
            ("=x", "no command has"),
            ("CONFIG=", "no command has"),
            ("CONFIG=a b", "no command has"),
            ("CONFIG|GET=x", "no command has"),
            ("CONFIG=a=b", "no command has"),
            ("CONFIG=get", "name of another one"),
            ("PING=x", "uses itself"),
            ("SELECT=x", "uses itself"),
            ("MULTI=x", "uses itself"),
            ("INFO=x", "uses itself"),
            ("BLPOP=x", "uses itself"),
        ] {
            let mistakes = renames(&[entry]).unwrap_err();
            assert!(mistakes[0].why.contains(why), "{entry}: {mistakes:?}");
        }
        for twice in [["CONFIG=a", "config=b"], ["CONFIG=a", "KEYS=A"]] {
            assert_eq!(renames(&twice).unwrap_err().len(), 1);
        }
        assert!(renames(&["CONFIG=a", "KEYS=b", "FLUSHALL=c", "DEBUG=d", "EVAL=e"]).is_ok());
    }
}
