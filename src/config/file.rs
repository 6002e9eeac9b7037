//! The configuration file: TOML in, a raw value with its line for each known key out. Finds
//! what is not known. Knows nothing of what the values mean.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use super::mistake::{Mistake, Origin};
use super::suggest::nearest;

/// Reads the text of the file, which may hold a password.
///
/// # Errors
/// It cannot be read, is too large or is not UTF-8.
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, Mistake> {
    let whole = |text: String| Mistake::at(origin(path, 0), text);
    let file = File::open(path).map_err(|why| whole(format!("cannot be opened: {why}")))?;
    // Room for all of it at once: what grows leaves copies behind that nobody wipes.
    let size = file.metadata().map_or(0, |meta| meta.len());
    let room = usize::try_from(size.min(FILE_BYTES_MAX) + 1).unwrap_or(0);
    let mut bytes = Vec::with_capacity(room);
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|why| whole(format!("cannot be read: {why}")))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(whole("is larger than 1 MiB".to_owned()));
    }
    String::from_utf8(bytes).map(Zeroizing::new).map_err(|why| {
        let valid = why.utf8_error().valid_up_to();
        let before = why.as_bytes().get(..valid).unwrap_or_default();
        let text = "is not UTF-8 text";
        Mistake::at(origin(path, 1 + newlines(before)), text)
    })
}

/// A parsed file.
pub(super) struct Document<'a> {
    path: PathBuf,
    text: &'a str,
    entries: BTreeMap<&'static str, (&'a DeValue<'a>, usize)>,
    users: Option<&'a DeTable<'a>>,
}

/// Parses `text`.
///
/// # Errors
/// All errors of syntax, each with its line. The texts quote nothing of the file: a line may
/// hold a password.
pub(super) fn parse<'a>(path: &Path, text: &'a str) -> Result<DeTable<'a>, Vec<Mistake>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(table.into_inner());
    }
    let mistake = |error: toml::de::Error| {
        let at = error.span().map_or(text.len(), |span| span.start);
        let line = line_of(text, at);
        Mistake::at(
            origin(path, line),
            format!("not valid TOML: {}", error.message()),
        )
    };
    Err(errors.into_iter().map(mistake).collect())
}

impl<'a> Document<'a> {
    /// Sorts `table` into the `known` keys; whatever is left over goes to `mistakes`.
    pub(super) fn new(
        path: &Path,
        text: &'a str,
        table: &'a DeTable<'a>,
        known: &[&'static str],
        mistakes: &mut Vec<Mistake>,
    ) -> Self {
        let mut document = Self {
            path: path.to_owned(),
            text,
            entries: BTreeMap::new(),
            users: None,
        };
        for (name, value) in table {
            let here = document.at(name.span().start);
            let section = Section {
                name: name.get_ref(),
                here,
            };
            document.section(&section, value, known, mistakes);
        }
        document
    }

    /// The value at `path`, if the file has it, and where.
    pub(super) fn value(&self, path: &str) -> Option<(&'a DeValue<'a>, Origin)> {
        let (value, line) = self.entries.get(path)?;
        Some((value, origin(&self.path, *line)))
    }

    /// The users' sections, in the order of their names.
    pub(super) fn users(
        &self,
    ) -> impl Iterator<Item = (&'a Spanned<Cow<'a, str>>, &'a Spanned<DeValue<'a>>)> {
        self.users.into_iter().flatten()
    }

    /// Where the byte at `offset` stands.
    pub(super) fn at(&self, offset: usize) -> Origin {
        origin(&self.path, line_of(self.text, offset))
    }

    fn section(
        &mut self,
        section: &Section<'_>,
        value: &'a Spanned<DeValue<'a>>,
        known: &[&'static str],
        mistakes: &mut Vec<Mistake>,
    ) {
        let Section { name, here } = section;
        let (name, here) = (*name, here.clone());
        let in_section = |path: &&'static str| section_of(path) == name;
        let DeValue::Table(table) = value.get_ref() else {
            mistakes.push(Mistake::about(here, name, outside(name, known)));
            return;
        };
        if name == USERS {
            self.users = Some(table);
            return;
        }
        if !known.iter().any(in_section) {
            mistakes.push(Mistake::about(here, name, unknown_section(name, known)));
            return;
        }
        for (key, value) in table {
            let line = line_of(self.text, key.span().start);
            let path = format!("{name}.{}", key.get_ref());
            if known.iter().any(|known| section_of(known) == path) {
                let here = origin(&self.path, line);
                self.section(&Section { name: &path, here }, value, known, mistakes);
                continue;
            }
            match known.iter().find(|known| **known == path) {
                Some(known) => {
                    self.entries.insert(known, (value.get_ref(), line));
                }
                None => {
                    let text = unknown_key(name, key.get_ref(), known);
                    mistakes.push(Mistake::about(origin(&self.path, line), &path, text));
                }
            }
        }
    }
}

/// A section of a file: `[backend]`, or `[backend.tls]`, which is one within it.
struct Section<'n> {
    name: &'n str,
    here: Origin,
}

/// What is said of a value outside of any section.
fn outside(name: &str, known: &[&'static str]) -> String {
    if known.iter().any(|path| section_of(path) == name) {
        return format!("is a section, [{name}], not a value");
    }
    match sections_with(name, known).as_slice() {
        [] => "unknown key outside of any section".to_owned(),
        homes => format!(
            "stands outside of a section; it belongs into {}",
            homes.join(" or ")
        ),
    }
}

fn unknown_section(name: &str, known: &[&'static str]) -> String {
    match nearest(name, known.iter().map(|path| section_of(path))) {
        Some(near) => format!("unknown section; did you mean [{near}]?"),
        None => {
            let mut names: Vec<_> = known
                .iter()
                .map(|path| format!("[{}]", section_of(path)))
                .collect();
            names.dedup();
            format!("unknown section; there are {}", names.join(" "))
        }
    }
}

/// Keys that once were, and what holds instead.
const REMOVED: [((&str, &str), &str); 1] = [(
    ("limits", "reply_depth_max"),
    "replies may be nested however deep; leave the line out",
)];

fn unknown_key(section: &str, key: &str, known: &[&'static str]) -> String {
    if (section, key) == ("backend", "password") {
        return "unknown key; a password stands in the URL, in a file that password_file names, \
                or in the variable NARROWS_BACKEND_PASSWORD"
            .to_owned();
    }
    if let Some((_, why)) = REMOVED
        .iter()
        .find(|((s, k), _)| (*s, *k) == (section, key))
    {
        return format!("this key is gone: {why}");
    }
    let elsewhere = sections_with(key, known);
    if !elsewhere.is_empty() {
        return format!("unknown key; it belongs into {}", elsewhere.join(" or "));
    }
    let siblings = known.iter().filter(|path| section_of(path) == section);
    match nearest(key, siblings.map(|path| key_of(path))) {
        Some(near) => format!("unknown key; did you mean {near}?"),
        None => match nearest(key, known.iter().map(|path| key_of(path))) {
            Some(near) => {
                let homes = sections_with(near, known);
                format!(
                    "unknown key; did you mean {near} in {}?",
                    homes.join(" or ")
                )
            }
            None => "unknown key".to_owned(),
        },
    }
}

fn sections_with(key: &str, known: &[&'static str]) -> Vec<String> {
    let homes = known.iter().filter(|path| key_of(path) == key);
    homes
        .map(|path| format!("[{}]", section_of(path)))
        .collect()
}

fn section_of(path: &'static str) -> &'static str {
    path.rsplit_once('.').map_or(path, |(section, _)| section)
}

fn key_of(path: &'static str) -> &'static str {
    path.rsplit_once('.').map_or(path, |(_, key)| key)
}

fn origin(path: &Path, line: usize) -> Origin {
    Origin::File {
        path: path.to_owned(),
        line,
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + newlines(text.as_bytes().get(..offset).unwrap_or(text.as_bytes()))
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

/// The section that has a section of its own for each user.
pub(super) const USERS: &str = "users";

/// Far above any real file; a mistyped path such as a device must not fill the memory.
const FILE_BYTES_MAX: u64 = 1 << 20;
