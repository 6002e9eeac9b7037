//! One row of the command table as everyone else sees it: what narrows knows of one command or
//! subcommand. It holds facts and the few questions that the facts and the arguments answer alone;
//! it decides nothing.

use super::class::{Local, Pin, Route, TransactionVerb};
use super::flags::Flags;
use super::keys::{KeyRule, waits_for_streams};
use super::shape::Shape;

/// One command or subcommand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spec {
    /// Lower case; `client|kill` for a subcommand.
    pub name: Box<str>,
    /// As Redis counts: the number of arguments including the name, negative for "at least". A row
    /// of ours holds the widest that any covered version accepts; once learned it is the server's
    /// own.
    pub arity: i32,
    /// As in `COMMAND`; see [`Flags`] for what a row of ours carries. A command that has neither
    /// `WRITE` nor `READONLY` may still change data (scripts, `PUBLISH`).
    pub flags: Flags,
    /// The way it takes, unless its arguments decide: ask [`Spec::route_of`].
    pub route: Route,
    /// Where its keys are.
    pub keys: KeyRule,
    /// Read-only by our own table, without any effect, and a second run means the same as the
    /// first: it may be sent again when its backend was lost. Never true for a command that only
    /// the server told us of.
    pub replay: bool,
    /// What its reply may be; anything for a command that only the server told us of.
    pub shape: Shape,
    /// Whether the server has it; `None` when its `COMMAND` was never learned or does not say
    /// (subcommands before Redis 7).
    pub on_server: Option<bool>,
    /// What is known of its subcommands.
    pub subcommands: Subcommands,
}

/// What is known of the subcommands of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subcommands {
    /// It has none: its arguments are arguments.
    None,
    /// It has those of our rows, perhaps more: what is not among them is left to the server, by the
    /// route of the container.
    Ours,
    /// The server has told all of them: what is not among them is unknown to the server too.
    All,
}

impl Spec {
    /// A command of which nothing is known but its name, in lower case, since the server's
    /// `COMMAND` could not be learned: it may do anything to its connection.
    pub fn unknown(name: &str) -> Self {
        Self {
            name: name.into(),
            arity: -1,
            flags: Flags::NONE,
            route: Route::Pinned(Pin::UnknownCommand),
            keys: KeyRule::Unknown,
            replay: false,
            shape: Shape::ANY,
            on_server: None,
            subcommands: Subcommands::None,
        }
    }

    /// The way that this request takes. `frame` is the complete canonical request.
    #[inline]
    pub fn route_of(&self, frame: &[u8]) -> Route {
        // XREAD and XREADGROUP carry Redis' flag `blocking` with or without `BLOCK`; they are the
        // commands whose keys follow STREAMS.
        if self.keys == KeyRule::Streams && !waits_for_streams(frame) {
            return Route::Shared;
        }
        self.route
    }

    /// Whether it just travels on a backend that many share, whatever its arguments.
    #[inline]
    pub fn is_shared(&self) -> bool {
        self.route == Route::Shared
    }

    /// Whether it runs on a connection of its own.
    #[inline]
    pub fn needs_own_connection(&self) -> bool {
        self.route == Route::OwnConnection
    }

    /// Which one it is of those that are answered from the client's virtual session.
    pub fn local(&self) -> Option<Local> {
        match self.route {
            Route::Local(local) => Some(local),
            _ => None,
        }
    }

    /// Whether it is `MULTI`.
    pub fn opens_transaction(&self) -> bool {
        self.route == Route::Transaction(TransactionVerb::Multi)
    }

    /// Whether a server that has paused writes holds it up: it writes, or runs or replicates what
    /// does (`processCommand`, server.c).
    #[inline]
    pub fn may_write(&self) -> bool {
        self.flags.intersects(Flags::WRITE | Flags::MAY_REPLICATE)
    }

    /// Whether it waits for what its own connection has written: on another one it would
    /// acknowledge what it has not seen.
    pub fn waits_for_own_writes(&self) -> bool {
        matches!(&*self.name, "wait" | "waitaof")
    }

    /// Whether a request of `argc` arguments, its name included, is of legal arity.
    #[inline]
    pub fn accepts(&self, argc: u32) -> bool {
        let least = self.arity.unsigned_abs();
        if self.arity < 0 {
            argc >= least
        } else {
            argc == least
        }
    }

    /// Whether its second argument names a subcommand.
    #[inline]
    pub fn is_container(&self) -> bool {
        self.subcommands != Subcommands::None
    }

    /// The container of a subcommand: `client` of `client|kill`.
    pub fn container(&self) -> Option<&str> {
        self.name.split_once('|').map(|(container, _)| container)
    }
}

#[cfg(test)]
mod tests {
    use crate::command::{CommandTable, Route};
    use crate::resp::write;

    fn route(request: &str) -> Route {
        let args: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
        let mut frame = Vec::new();
        write::request(&mut frame, &args);
        let table = CommandTable::builtin();
        table
            .named(&args[0].to_ascii_lowercase())
            .unwrap()
            .route_of(&frame)
    }

    #[test]
    fn a_stream_is_waited_for_only_with_block() {
        assert_eq!(route("XREAD COUNT 2 STREAMS s 0"), Route::Shared);
        assert_eq!(route("XREAD COUNT 2 block 0 STREAMS s $"), Route::Blocking);
        assert_eq!(
            route("xreadgroup GROUP g c NOACK STREAMS s >"),
            Route::Shared
        );
        assert_eq!(
            route("xreadgroup GROUP g c NOACK BLOCK 5 STREAMS s >"),
            Route::Blocking
        );
    }

    #[test]
    fn block_is_read_only_where_an_option_stands() {
        assert_eq!(route("XREAD STREAMS BLOCK 0"), Route::Shared);
        assert_eq!(
            route("XREADGROUP GROUP BLOCK BLOCK STREAMS s >"),
            Route::Shared
        );
        assert_eq!(route("XREAD COUNT BLOCK STREAMS s 0"), Route::Shared);
        assert_eq!(
            route("XREADGROUP GROUP g c CLAIM BLOCK MAXSIZE BLOCK MAXCOUNT BLOCK STREAMS s >"),
            Route::Shared
        );
        assert_eq!(
            route("XREADGROUP GROUP g c CLAIM 5 BLOCK 0 STREAMS s >"),
            Route::Blocking
        );
    }

    #[test]
    fn an_unknown_option_never_hides_a_block() {
        assert_eq!(
            route("XREAD SOON STREAMS BLOCK 0 STREAMS s $"),
            Route::Blocking
        );
        assert_eq!(route("XREAD SOON STREAMS s 0"), Route::Shared);
    }

    #[test]
    fn arity_is_counted_as_redis_does() {
        let table = CommandTable::builtin();
        let get = table.named(b"get").unwrap();
        assert!(!get.accepts(1) && get.accepts(2) && !get.accepts(3));
        let mget = table.named(b"mget").unwrap();
        assert!(!mget.accepts(1) && mget.accepts(2) && mget.accepts(1_000_000));
    }

    #[test]
    fn a_subcommand_knows_its_container() {
        let table = CommandTable::builtin();
        assert_eq!(
            table.named(b"client|kill").unwrap().container(),
            Some("client")
        );
        assert_eq!(table.named(b"client").unwrap().container(), None);
    }
}
