//! The command table and the question that every request asks of it: which row is this? The hot
//! path of the layer: one hash for a command, a second one for the subcommand of a container, no
//! allocation.

use super::class::{Pin, Route};
use super::flags::Flags;
use super::names::{NameTable, Scope};
use super::spec::{Spec, Subcommands};
use super::table;
use crate::resp::Args;

/// An immutable picture of all commands: the rows of ours and, once learned, what the server's
/// `COMMAND` said.
#[derive(Clone, Debug)]
pub struct CommandTable {
    specs: Box<[Spec]>,
    names: NameTable,
    learned: bool,
}

/// What a request names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lookup<'t> {
    /// This command or subcommand. With [`Spec::on_server`] `Some(false)` the server would answer
    /// that it is unknown: a subcommand if the name holds a `|`, else a command. A container by
    /// itself, without a subcommand, is known too and fails by its arity.
    Known(&'t Spec),
    /// No subcommand of this container. If the container's [`Spec::subcommands`] is
    /// [`Subcommands::All`] the server does not know it either; else it goes to the server by the
    /// container's route.
    UnknownSubcommand(&'t Spec),
    /// A subcommand of this container that is unknown to clients, whatever the server has.
    Withheld(&'t Spec),
    /// No command.
    Unknown,
}

impl CommandTable {
    /// The rows of ours alone, as long as the server's `COMMAND` is not known.
    pub fn builtin() -> Self {
        Self::of(table::rows().map(Spec::builtin).collect(), false)
    }

    /// A table of `specs`; of two with the same name the first counts. Containers stand before
    /// their subcommands.
    pub(super) fn of(specs: Vec<Spec>, learned: bool) -> Self {
        let mut names = NameTable::with_room(specs.len());
        for (index, spec) in (0..).zip(&specs) {
            match spec.name.split_once('|') {
                None => names.insert(Scope::Commands, &spec.name, index),
                Some((container, name)) => {
                    if let Some(container) = names.find(Scope::Commands, container.as_bytes()) {
                        names.insert(Scope::SubcommandsOf(container), name, index);
                    }
                }
            }
        }
        CommandTable {
            specs: specs.into_boxed_slice(),
            names,
            learned,
        }
    }

    /// Whether the server that was learned of never runs this command in a transaction: it refuses to
    /// queue it, or says so in the reply of `EXEC`.
    pub fn is_never_in_multi(&self, spec: &Spec) -> bool {
        // The flag is told since Redis 7.0, which refuses MONITOR there as it refuses whatever would
        // wait (`monitorCommand`, replication.c).
        let tells = |name: &[u8]| {
            self.named(name)
                .is_some_and(|s| s.flags.contains(Flags::NO_MULTI))
        };
        self.learned
            && match spec.route {
                Route::Pinned(Pin::Monitor) => tells(b"sync"),
                _ => spec.flags.contains(Flags::NO_MULTI),
            }
    }

    /// Whether the server's `COMMAND` is in it.
    pub fn is_learned(&self) -> bool {
        self.learned
    }

    /// What a request names. `frame` is the complete canonical request, `name` its first argument
    /// in any case of letters, `argc` the number of its arguments, the name included.
    #[inline]
    pub fn lookup<'t>(&'t self, frame: &[u8], name: &[u8], argc: u32) -> Lookup<'t> {
        let Some(index) = self.names.find(Scope::Commands, name) else {
            return Lookup::Unknown;
        };
        match self.spec(index) {
            None => Lookup::Unknown,
            Some(container) if container.is_container() && argc > 1 => {
                self.subcommand(container, index, frame)
            }
            Some(spec) => Lookup::Known(spec),
        }
    }

    fn subcommand<'t>(&'t self, container: &'t Spec, index: u32, frame: &[u8]) -> Lookup<'t> {
        if container.on_server == Some(false) {
            return Lookup::Known(container);
        }
        let name = Args::new(frame).nth(1).unwrap_or_default();
        let known = self.names.find(Scope::SubcommandsOf(index), name);
        match known.and_then(|index| self.spec(index)) {
            Some(spec) => Lookup::Known(spec),
            None if table::is_withheld(&container.name, name) => Lookup::Withheld(container),
            None => Lookup::UnknownSubcommand(container),
        }
    }

    /// The row of that full name, `client|kill` for a subcommand, in any case of letters.
    pub fn named(&self, name: &[u8]) -> Option<&Spec> {
        let (name, subcommand) = match name.iter().position(|byte| *byte == b'|') {
            None => (name, None),
            Some(at) => (name.get(..at)?, name.get(at + 1..)),
        };
        let index = self.names.find(Scope::Commands, name)?;
        match subcommand {
            None => self.spec(index),
            Some(name) => self.spec(self.names.find(Scope::SubcommandsOf(index), name)?),
        }
    }

    /// Every row, those of ours first.
    pub fn specs(&self) -> impl Iterator<Item = &Spec> {
        self.specs.iter()
    }

    #[inline]
    fn spec(&self, index: u32) -> Option<&Spec> {
        self.specs.get(usize::try_from(index).ok()?)
    }
}

impl Spec {
    /// A row of ours, before anything is known of the server.
    pub(super) fn builtin(row: &table::Row) -> Spec {
        let contained = |other: &table::Row| {
            other
                .name
                .split_once('|')
                .is_some_and(|(of, _)| of == row.name)
        };
        Spec {
            name: row.name.into(),
            arity: row.arity,
            flags: row.flags,
            route: row.route,
            keys: row.keys,
            replay: row.replay,
            shape: row.shape(),
            on_server: None,
            subcommands: if table::rows().any(contained) {
                Subcommands::Ours
            } else {
                Subcommands::None
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CommandTable, Lookup};
    use crate::command::{Local, Pin, Route, Subcommands};
    use crate::resp::write;

    fn lookup<'t>(table: &'t CommandTable, request: &str) -> Lookup<'t> {
        let args: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
        let mut frame = Vec::new();
        write::request(&mut frame, &args);
        table.lookup(&frame, args[0], u32::try_from(args.len()).unwrap())
    }

    fn known<'t>(table: &'t CommandTable, request: &str) -> &'t str {
        match lookup(table, request) {
            Lookup::Known(spec) => &spec.name,
            other => panic!("{request}: {other:?}"),
        }
    }

    #[test]
    fn every_row_of_ours_is_found_by_its_request() {
        let table = CommandTable::builtin();
        assert!(!table.is_learned());
        for spec in table.specs() {
            assert_eq!(known(&table, &spec.name.replace('|', " ")), &*spec.name);
            assert_eq!(
                known(&table, &spec.name.replace('|', " ").to_uppercase()),
                &*spec.name
            );
            assert_eq!(table.named(spec.name.as_bytes()), Some(spec));
        }
    }

    #[test]
    fn only_a_container_reads_its_first_argument() {
        let table = CommandTable::builtin();
        assert_eq!(known(&table, "GET kill"), "get");
        assert_eq!(known(&table, "client kill"), "client|kill");
        assert_eq!(known(&table, "CLIENT"), "client");
        assert_eq!(lookup(&table, "kill"), Lookup::Unknown);
        assert_eq!(lookup(&table, "client|kill"), Lookup::Unknown);
    }

    #[test]
    fn an_unknown_subcommand_gives_its_container() {
        let table = CommandTable::builtin();
        let Lookup::UnknownSubcommand(client) = lookup(&table, "CLIENT telepathy on") else {
            panic!("CLIENT is a container");
        };
        assert_eq!(client.route, Route::Pinned(Pin::UnknownClientSubcommand));
        assert_eq!(client.subcommands, Subcommands::Ours);
        let config = lookup(&table, "CONFIG \r\n");
        assert!(matches!(config, Lookup::UnknownSubcommand(spec) if spec.route == Route::Shared));
    }

    #[test]
    fn local_commands_are_told_apart() {
        let table = CommandTable::builtin();
        assert_eq!(
            table.named(b"CLIENT|NO-EVICT").unwrap().route,
            Route::Local(Local::ClientNoEvict)
        );
        assert_eq!(
            table.named(b"hello").unwrap().route,
            Route::Local(Local::Hello)
        );
        assert_eq!(table.named(b"client|"), None);
        assert_eq!(table.named(b""), None);
    }
}
