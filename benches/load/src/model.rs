//! What a client knows of its own keys: what it may read there, given what was acknowledged and what
//! had an unknown outcome. A request of unknown outcome may take effect at any later time, once: a
//! stopped server still executes what lies in the socket of a connection that was given up.

mod counter;
mod list;
mod string;

pub(crate) use counter::{Counter, Next as CounterNext};
pub(crate) use list::List;
pub(crate) use string::StringKey;

/// A reply that the model does not allow, in words: what would have been right.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Contradiction(pub(crate) String);
