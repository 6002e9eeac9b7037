//! Reads the server's reply to `COMMAND` and completes the rows of ours with it: arity and flags
//! become the server's own, commands of modules and of versions to come get rows, and what the
//! server does not have is marked. Our rows keep the last word on route, keys and replay: they are
//! what keeps clients apart. A command without one takes a careful route: what its flags and
//! categories do not show to be harmless is not shared.

use std::collections::BTreeMap;

use super::class::{Pin, Route};
use super::flags::Flags;
use super::keys::KeyRule;
use super::lookup::CommandTable;
use super::rename::Renames;
use super::shape::Shape;
use super::spec::{Spec, Subcommands};
use super::table;
use crate::resp::{Element, Reader};

/// Why a `COMMAND` reply was not learned. The table stays as it was.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LearnError {
    /// The server refused the command: it is denied, or renamed.
    #[error("the server answered COMMAND with an error: {0}")]
    Refused(String),
    /// More than a server with many modules sends.
    #[error("the reply to COMMAND has {0} bytes, more than {REPLY_BYTES_MAX}")]
    TooLarge(usize),
    /// More commands than a server with many modules has.
    #[error("the reply to COMMAND lists more than {COMMANDS_MAX} commands")]
    TooMany,
    /// No reply to `COMMAND` as any known version sends it.
    #[error("the reply to COMMAND cannot be read near command {0}")]
    Malformed(usize),
    /// A server without a single command: not to be believed.
    #[error("the reply to COMMAND lists no commands")]
    Empty,
}

impl CommandTable {
    /// The rows of ours completed by a server's `COMMAND`. `command_reply` is the whole reply,
    /// RESP2 or RESP3. Nothing is carried over from what this table may have learned before: the
    /// server may be another one.
    pub fn learned(&self, command_reply: &[u8]) -> Result<CommandTable, LearnError> {
        self.learned_with(command_reply, &Renames::default())
    }

    /// The same from a server that knows some commands by other names. Redis 7 and Valkey 8 list
    /// them by their own names all the same; others may list them by the new ones, or not at all.
    pub fn learned_with(
        &self,
        command_reply: &[u8],
        renames: &Renames,
    ) -> Result<CommandTable, LearnError> {
        let mut server = read_reply(command_reply)?;
        for (clients, servers) in renames.pairs() {
            if let Some(command) = server.remove(servers) {
                server.entry(clients.to_owned()).or_insert(command);
            }
        }
        let renamed = |spec: &Spec| {
            let name = spec.container().unwrap_or(&spec.name);
            renames.pairs().any(|(clients, _)| clients == name)
        };
        let mut specs: Vec<Spec> = table::rows()
            .map(|row| completed(Spec::builtin(row), &server))
            .map(|spec| match spec.on_server {
                // It is not listed, and the operator says that it is there.
                Some(false) if renamed(&spec) => Spec {
                    on_server: None,
                    ..spec
                },
                _ => spec,
            })
            .collect();
        let routes: BTreeMap<&str, Route> =
            table::rows().map(|row| (row.name, row.route)).collect();
        for (name, command) in &server {
            let container = match routes.get(name.as_str()) {
                Some(ours) => *ours,
                None => {
                    let container = command.route_of_container();
                    specs.push(command.unknown_to_us(name, container));
                    container
                }
            };
            for (subname, subcommand) in command.subcommands.iter().flatten() {
                let full = format!("{name}|{subname}");
                if !routes.contains_key(full.as_str())
                    && !table::is_withheld(name, subname.as_bytes())
                {
                    specs.push(subcommand.unknown_to_us(&full, container));
                }
            }
        }
        Ok(CommandTable::of(specs, true))
    }
}

/// What the server says of one command.
#[derive(Debug, Default)]
struct CommandInfo {
    arity: i32,
    flags: Flags,
    keys: KeyRange,
    categories: Categories,
    /// `None` where the server does not list any: before Redis 7, and for a command without.
    subcommands: Option<Commands>,
}

/// By name in lower case, sorted: the table must not depend on the order of the server's own hash
/// table.
type Commands = BTreeMap<String, CommandInfo>;

#[derive(Clone, Copy, Debug, Default)]
struct KeyRange {
    first: i64,
    last: i64,
    step: i64,
}

/// The ACL categories that decide a route.
#[derive(Clone, Copy, Debug, Default)]
struct Categories {
    connection: bool,
    pubsub: bool,
    transaction: bool,
    blocking: bool,
}

impl CommandInfo {
    fn unknown_to_us(&self, name: &str, container: Route) -> Spec {
        let has_subcommands = self.subcommands.is_some();
        Spec {
            name: name.into(),
            arity: self.arity,
            flags: self.flags,
            route: self.route_of_unknown(container),
            keys: self.key_rule(),
            replay: false,
            shape: Shape::ANY,
            on_server: Some(true),
            subcommands: if has_subcommands {
                Subcommands::All
            } else {
                Subcommands::None
            },
        }
    }

    /// The careful route for a command without a row of ours, in a container of that route.
    fn route_of_unknown(&self, container: Route) -> Route {
        if container != Route::Shared {
            container
        } else if self.categories.connection {
            Route::Pinned(Pin::UnknownConnectionCommand)
        } else if self.categories.pubsub || self.flags.contains(Flags::PUBSUB) {
            Route::Pinned(Pin::UnknownPubsubCommand)
        } else if self.categories.transaction {
            Route::Pinned(Pin::UnknownTransactionCommand)
        } else if self.categories.blocking || self.flags.contains(Flags::BLOCKING) {
            Route::Blocking
        } else if self.may_stay() {
            Route::Pinned(Pin::UnreviewedCommand)
        } else {
            Route::Shared
        }
    }

    /// The route of all subcommands of a container without a row of ours: state that one of them
    /// leaves is for the others, so that one that is not shared keeps all from being so.
    fn route_of_container(&self) -> Route {
        let all = self.subcommands.iter().flatten();
        let used = all.filter(|(name, _)| *name != "help");
        let mut routes = used.map(|(_, command)| command.route_of_unknown(Route::Shared));
        let careful = routes.find(|route| matches!(route, Route::Pinned(_)));
        careful.unwrap_or(Route::Shared)
    }

    /// Whether what it does may stay on its connection, though no category says so. A command that
    /// reads or writes data says that, and may be used in scripts, where many share a connection.
    /// One that says neither is there for something else: `HIMPORT PREPARE` (Redis 8.10) is put into
    /// no category but that of hashes, has no keys, and names what later commands of its connection
    /// mean. Modules keep nothing of that kind, and their commands seldom say what they do.
    fn may_stay(&self) -> bool {
        let has = |flag| self.flags.contains(flag);
        let about_data = has(Flags::READONLY) || has(Flags::WRITE);
        let apart = has(Flags::NOSCRIPT) || has(Flags::NO_MULTI) || has(Flags::NO_AUTH);
        !has(Flags::MODULE) && (apart || !about_data)
    }

    fn key_rule(&self) -> KeyRule {
        if self.flags.contains(Flags::MOVABLEKEYS) {
            return KeyRule::Unknown;
        }
        let KeyRange { first, last, step } = self.keys;
        match (
            u32::try_from(first),
            i32::try_from(last),
            u32::try_from(step),
        ) {
            (Ok(first @ 1..), Ok(last), Ok(step @ 1..)) => KeyRule::Range { first, last, step },
            _ => KeyRule::None,
        }
    }
}

/// A row of ours with what the server says of it.
fn completed(ours: Spec, server: &Commands) -> Spec {
    let found = match ours.name.split_once('|') {
        None => server.get(&*ours.name),
        Some((container, name)) => match server.get(container) {
            None => None,
            // It does not list subcommands: the row of ours stands as it is.
            Some(CommandInfo {
                subcommands: None, ..
            }) => return ours,
            Some(CommandInfo {
                subcommands: Some(subcommands),
                ..
            }) => subcommands.get(name),
        },
    };
    let Some(command) = found else {
        return Spec {
            on_server: Some(false),
            ..ours
        };
    };
    Spec {
        arity: command.arity,
        flags: command.flags.with(ours.flags.only(Flags::OURS_ALONE)),
        // A server where the command writes is not the one that our row was written for.
        replay: ours.replay
            && !command.flags.contains(Flags::WRITE)
            && reads(command.flags) == reads(ours.flags),
        shape: if reads(command.flags) == reads(ours.flags) {
            ours.shape
        } else {
            Shape::ANY
        },
        on_server: Some(true),
        subcommands: if command.subcommands.is_some() {
            Subcommands::All
        } else {
            ours.subcommands
        },
        ..ours
    }
}

/// Whether a command of these flags only reads.
fn reads(flags: Flags) -> bool {
    flags.contains(Flags::READONLY) && !flags.contains(Flags::WRITE)
}

fn read_reply(reply: &[u8]) -> Result<Commands, LearnError> {
    if reply.len() > REPLY_BYTES_MAX {
        return Err(LearnError::TooLarge(reply.len()));
    }
    let mut reader = Reader::new(reply);
    let count = match reader.next() {
        Some(Element::Aggregate(0)) => return Err(LearnError::Empty),
        Some(Element::Aggregate(count)) => count,
        Some(Element::Error(text)) => {
            return Err(LearnError::Refused(
                String::from_utf8_lossy(text).into_owned(),
            ));
        }
        _ => return Err(LearnError::Malformed(0)),
    };
    let mut walk = Walk {
        reader,
        commands: 0,
    };
    let mut commands = Commands::new();
    for _ in 0..count {
        let Some((name, fields, mut command)) = walk.entry()? else {
            continue;
        };
        command.subcommands = walk.subcommands(&name, fields)?;
        commands.insert(name, command);
    }
    Ok(commands)
}

/// A walk over the entries of the reply.
struct Walk<'a> {
    reader: Reader<'a>,
    commands: usize,
}

impl Walk<'_> {
    /// The fields of an entry up to its subcommands; `None` for an entry that is null or whose name
    /// is no text: such a command stays unknown. Also how many fields of it are still to come.
    fn entry(&mut self) -> Result<Option<(String, u64, CommandInfo)>, LearnError> {
        self.commands += 1;
        if self.commands > COMMANDS_MAX {
            return Err(LearnError::TooMany);
        }
        let malformed = LearnError::Malformed(self.commands);
        match self.reader.next() {
            Some(Element::Other) => Ok(None),
            Some(Element::Aggregate(fields)) => self.fields(fields).ok_or(malformed),
            _ => Err(malformed),
        }
    }

    fn fields(&mut self, fields: u64) -> Option<Option<(String, u64, CommandInfo)>> {
        let left = fields.checked_sub(FIELDS_MIN)?;
        let name = match self.reader.next()? {
            Element::Text(name) => str::from_utf8(name).ok().filter(|name| !name.is_empty()),
            _ => return None,
        };
        let mut command = CommandInfo {
            arity: i32::try_from(self.integer()?).ok()?,
            ..CommandInfo::default()
        };
        self.words(|flag| command.flags = command.flags.with(Flags::named(flag)))?;
        command.keys = KeyRange {
            first: self.integer()?,
            last: self.integer()?,
            step: self.integer()?,
        };
        // Categories since Redis 6; tips, key specifications and subcommands since 7.
        let left = match left {
            0 => 0,
            _ => {
                self.words(|category| command.categories.add(category))?;
                left - 1
            }
        };
        let Some(name) = name else {
            self.reader.skip(left)?;
            return Some(None);
        };
        Some(Some((name.to_ascii_lowercase(), left, command)))
    }

    /// The rest of an entry, of which `fields` fields are to come: its subcommands stand in the
    /// third of them.
    fn subcommands(
        &mut self,
        container: &str,
        fields: u64,
    ) -> Result<Option<Commands>, LearnError> {
        let malformed = LearnError::Malformed(self.commands);
        let Some(behind) = fields.checked_sub(SUBCOMMANDS_FIELD + 1) else {
            return self.reader.skip(fields).map(|()| None).ok_or(malformed);
        };
        self.reader
            .skip(SUBCOMMANDS_FIELD)
            .ok_or(malformed.clone())?;
        let Some(Element::Aggregate(count)) = self.reader.next() else {
            return Err(malformed);
        };
        let mut subcommands = Commands::new();
        for _ in 0..count {
            let Some((full, fields, command)) = self.entry()? else {
                continue;
            };
            self.reader
                .skip(fields)
                .ok_or(LearnError::Malformed(self.commands))?;
            let name = full
                .strip_prefix(container)
                .and_then(|name| name.strip_prefix('|'));
            subcommands.insert(name.unwrap_or(&full).to_owned(), command);
        }
        self.reader.skip(behind).ok_or(malformed)?;
        Ok(Some(subcommands).filter(|subcommands| !subcommands.is_empty()))
    }

    fn integer(&mut self) -> Option<i64> {
        match self.reader.next()? {
            Element::Integer(number) => Some(number),
            _ => None,
        }
    }

    fn words(&mut self, mut each: impl FnMut(&[u8])) -> Option<()> {
        let Element::Aggregate(count) = self.reader.next()? else {
            return None;
        };
        for _ in 0..count {
            match self.reader.next()? {
                Element::Text(word) => each(word),
                _ => return None,
            }
        }
        Some(())
    }
}

impl Categories {
    fn add(&mut self, category: &[u8]) {
        match category {
            b"@connection" => self.connection = true,
            b"@pubsub" => self.pubsub = true,
            b"@transaction" => self.transaction = true,
            b"@blocking" => self.blocking = true,
            _ => {}
        }
    }
}

/// Redis 7.0 sends 90 kB; modules may add as much again several times over.
const REPLY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Commands and subcommands; Redis 7.0 has 366.
const COMMANDS_MAX: usize = 8192;
/// Name, arity, flags, first key, last key, step: what every version sends.
const FIELDS_MIN: u64 = 6;
/// Where subcommands stand among the fields behind the categories (tips and key specifications come
/// first).
const SUBCOMMANDS_FIELD: u64 = 2;

#[cfg(test)]
mod tests;
