//! One entry of the operator's lists: the command, the subcommand or the beginning of names that it
//! stands for, and what is wrong with one that stands for nothing. It knows names and rows, and not
//! what follows from a match.

use super::table;

/// One entry of a list, ready to be asked.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// As it was written, for messages.
    pub(super) entry: Box<str>,
    /// Lower case, without the `*`.
    text: Box<str>,
    prefix: bool,
}

impl Pattern {
    pub(super) fn parse(entry: &str) -> Result<Pattern, &'static str> {
        let (text, prefix) = match entry.strip_suffix('*') {
            Some(text) => (text, true),
            None => (entry, false),
        };
        if entry.is_empty() {
            Err("is empty")
        } else if entry.len() > PATTERN_BYTES_MAX {
            Err("is longer than 64 bytes")
        } else if text.contains('*') {
            Err("has a * that is not its last character")
        } else if text.contains(char::is_whitespace) {
            Err("has a blank; a subcommand is written client|kill")
        } else if !text.chars().all(|c| c.is_ascii_graphic()) {
            Err("has a character that no command name has")
        } else if text.starts_with('|')
            || text.ends_with('|') && !prefix
            || text.matches('|').count() > 1
        {
            Err("is neither a command nor command|subcommand")
        } else {
            Ok(Pattern {
                entry: entry.into(),
                text: text.to_ascii_lowercase().into(),
                prefix,
            })
        }
    }

    /// Whether scripts may run what it denies. What has no row may be a module's.
    pub(super) fn is_evaded(&self) -> bool {
        let denied = || table::rows().filter(|row| self.matches(row.name));
        let may = |row: &table::Row| row.may_be_in_scripts() && !table::only_lists(row.name);
        denied().next().is_none() || denied().any(may)
    }

    #[inline]
    pub(super) fn matches(&self, name: &str) -> bool {
        match name.strip_prefix(&*self.text) {
            Some(rest) => self.prefix || rest.is_empty() || rest.starts_with('|'),
            None => false,
        }
    }
}

/// An entry that does not say what its list is to hold.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{list}: \"{entry}\" {why}")]
pub struct EntryMistake {
    /// The key of the list: `commands.allow`, `deny`, `dedicated` or `rename`.
    pub list: &'static str,
    /// The entry as it was written.
    pub entry: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// No command of any known module has a name as long (bytes).
pub(super) const PATTERN_BYTES_MAX: usize = 64;
