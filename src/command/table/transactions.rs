//! Transactions: every one of them changes the state of its connection.

use super::row::{Row, plain};
use crate::command::class::TransactionVerb;

pub(super) const ROWS: &[Row] = &[
    plain("discard", 1).transaction(TransactionVerb::Discard),
    plain("exec", 1).transaction(TransactionVerb::Exec),
    plain("multi", 1).transaction(TransactionVerb::Multi),
    plain("unwatch", 1).transaction(TransactionVerb::Unwatch),
    plain("watch", -2)
        .keys(1, -1, 1)
        .transaction(TransactionVerb::Watch),
];
