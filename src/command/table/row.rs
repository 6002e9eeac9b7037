//! How a row is written: a short builder that runs at compile time, so that one line says
//! everything about one command and a line that is missing something does not compile.

use crate::command::class::{Local, Pin, Route, TransactionVerb};
use crate::command::flags::Flags;
use crate::command::keys::KeyRule;
use crate::command::shape::Shape;

/// What narrows itself knows of one command or subcommand; the fields are those of
/// [`Spec`](crate::command::Spec).
#[derive(Clone, Copy, Debug)]
pub(in crate::command) struct Row {
    pub(in crate::command) name: &'static str,
    pub(in crate::command) arity: i32,
    pub(in crate::command) flags: Flags,
    pub(in crate::command) route: Route,
    pub(in crate::command) keys: KeyRule,
    pub(in crate::command) replay: bool,
    pub(in crate::command) shape: Shape,
}

/// A command that reads keys and changes none.
pub(super) const fn read(name: &'static str, arity: i32) -> Row {
    plain(name, arity).flag(Flags::READONLY)
}

/// A command that may change data.
pub(super) const fn write(name: &'static str, arity: i32) -> Row {
    plain(name, arity).flag(Flags::WRITE)
}

/// A command that Redis flags neither way. Its route is shared and it has no keys until the row
/// says otherwise.
pub(super) const fn plain(name: &'static str, arity: i32) -> Row {
    Row {
        name,
        arity,
        flags: Flags::NONE,
        route: Route::Shared,
        keys: KeyRule::None,
        replay: false,
        shape: Shape::NONE,
    }
}

impl Row {
    const fn flag(mut self, flag: Flags) -> Self {
        self.flags = self.flags.with(flag);
        self
    }

    pub(super) const fn admin(self) -> Self {
        self.flag(Flags::ADMIN)
    }

    pub(super) const fn pubsub(self) -> Self {
        self.flag(Flags::PUBSUB)
    }

    pub(super) const fn blocking(self) -> Self {
        self.flag(Flags::BLOCKING)
    }

    /// See [`Flags::MAY_REPLICATE`].
    pub(super) const fn may_replicate(self) -> Self {
        self.flag(Flags::MAY_REPLICATE)
    }

    /// See [`Flags::SCRIPT`].
    pub(super) const fn script(self) -> Self {
        self.flag(Flags::SCRIPT)
    }

    pub(super) const fn no_auth(self) -> Self {
        self.flag(Flags::NO_AUTH)
    }

    pub(super) const fn no_multi(self) -> Self {
        self.flag(Flags::NO_MULTI)
    }

    pub(super) const fn route(mut self, route: Route) -> Self {
        self.route = route;
        self
    }

    pub(super) const fn local(self, local: Local) -> Self {
        self.route(Route::Local(local))
    }

    pub(super) const fn transaction(self, transaction: TransactionVerb) -> Self {
        self.route(Route::Transaction(transaction))
    }

    pub(super) const fn pin(self, pin: Pin) -> Self {
        self.route(Route::Pinned(pin))
    }

    /// Undoes what pins a client.
    pub(super) const fn unpin(self, pin: Pin) -> Self {
        self.route(Route::Unpins(pin))
    }

    const fn rule(mut self, keys: KeyRule) -> Self {
        self.keys = keys;
        self
    }

    /// Its first argument is its only key.
    pub(super) const fn key(self) -> Self {
        self.keys(1, 1, 1)
    }

    pub(super) const fn keys(self, first: u32, last: i32, step: u32) -> Self {
        self.rule(KeyRule::Range { first, last, step })
    }

    /// The number of keys stands at `count_at`, the keys behind it.
    pub(super) const fn counted(self, count_at: u32) -> Self {
        self.rule(KeyRule::Counted {
            count_at,
            step: 1,
            destination: false,
        })
    }

    /// As [`Row::counted`], each key followed by its value.
    pub(super) const fn counted_pairs(self, count_at: u32) -> Self {
        self.rule(KeyRule::Counted {
            count_at,
            step: 2,
            destination: false,
        })
    }

    /// As [`Row::counted`], the first argument being a key too.
    pub(super) const fn destination_and_counted(self, count_at: u32) -> Self {
        self.rule(KeyRule::Counted {
            count_at,
            step: 1,
            destination: true,
        })
    }

    pub(super) const fn streams(self) -> Self {
        self.rule(KeyRule::Streams)
    }

    pub(super) const fn sort_store(self) -> Self {
        self.rule(KeyRule::SortStore)
    }

    pub(super) const fn geo_store(self) -> Self {
        self.rule(KeyRule::GeoStore)
    }

    pub(super) const fn unknown_keys(self) -> Self {
        self.rule(KeyRule::Unknown)
    }

    /// See [`Spec::replay`](crate::command::Spec::replay).
    pub(super) const fn replay(mut self) -> Self {
        self.replay = true;
        self
    }

    const fn may_be(mut self, shape: Shape) -> Self {
        self.shape = self.shape.or(shape);
        self
    }

    /// A line of text is a reply to it. A row that names no kind of reply allows all.
    pub(super) const fn status(self) -> Self {
        self.may_be(Shape::STATUS)
    }

    /// A number is a reply to it.
    pub(super) const fn integer(self) -> Self {
        self.may_be(Shape::INTEGER)
    }

    /// A string is a reply to it.
    pub(super) const fn string(self) -> Self {
        self.may_be(Shape::STRING)
    }

    /// An array, set or map is a reply to it.
    pub(super) const fn list(self) -> Self {
        self.may_be(Shape::LIST)
    }

    /// Nothing is a reply to it.
    pub(super) const fn null(self) -> Self {
        self.may_be(Shape::NULL)
    }

    /// Whether the server may run it inside a script (its flag `noscript`, `commands/*.json`). More is
    /// said to be so than is in one version or another, never less.
    pub(in crate::command) fn may_be_in_scripts(&self) -> bool {
        let apart = match self.route {
            Route::Shared | Route::Info | Route::Blocking | Route::Unpins(_) => false,
            Route::Local(local) => local != Local::Select,
            Route::Transaction(_)
            | Route::Subscriber
            | Route::OwnConnection
            | Route::Restricted => true,
            Route::NotForwarded => !self.name.starts_with("cluster"),
            Route::Pinned(pin) => !matches!(
                pin,
                Pin::Himport | Pin::ReadOnly | Pin::ReadWrite | Pin::Asking
            ),
        };
        let begins = |with: &[&str]| with.iter().any(|text| self.name.starts_with(text));
        let scripting = ["acl", "eval", "fcall", "function", "script"];
        let administrates = self.flags.contains(Flags::ADMIN)
            && !begins(&["backup", "cluster", "commandlog", "pf", "slowlog"]);
        !(apart || administrates || begins(&scripting))
    }

    pub(in crate::command) fn shape(&self) -> Shape {
        match self.shape {
            Shape::NONE => Shape::ANY,
            named => named,
        }
    }
}
