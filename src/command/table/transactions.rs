//! Transactions: every one of them changes the state of its connection.

use super::row::{Row, plain};
use crate::command::class::Bracket;

pub(super) const ROWS: &[Row] = &[
    plain("discard", 1).bracket(Bracket::Discard),
    plain("exec", 1).bracket(Bracket::Exec),
    plain("multi", 1).bracket(Bracket::Multi),
    plain("unwatch", 1).bracket(Bracket::Unwatch),
    plain("watch", -2).keys(1, -1, 1).bracket(Bracket::Watch),
];
