//! What a request *is*: its name, arity, flags, keys and the way it takes. Every fact about a
//! command stands in one row of a table; rows of ours say what changes connection state, the
//! backend's own `COMMAND` reply completes them, so that modules and future versions work. Nothing
//! here knows clients, sessions or backends: what a request means for one client at one moment is
//! decided above, by asking the row.

mod class;
mod flags;
mod keys;
mod learn;
mod lookup;
mod names;
mod pattern;
mod policy;
mod rename;
mod shape;
mod spec;
mod table;

pub use class::{Local, Pin, Route, TransactionVerb};
pub use flags::Flags;
pub use keys::{KeyRule, Keys};
pub use learn::LearnError;
pub use lookup::{CommandTable, Lookup};
pub use pattern::EntryMistake;
pub use policy::{Policy, PolicySettings, PolicyVerdict, Scripts};
pub use rename::{Renames, shown as shown_renaming};
pub use shape::Shape;
pub use spec::{Spec, Subcommands};
