//! Scripts and functions: they may do anything, so none is replayed. What kills one must get
//! through while pipes are stuck behind it.

use super::row::{Row, plain, read, write};
use crate::command::class::Route;

pub(super) const ROWS: &[Row] = &[
    plain("eval", -3).script().may_replicate().counted(2),
    read("eval_ro", -3).script().counted(2),
    plain("evalsha", -3).script().may_replicate().counted(2),
    read("evalsha_ro", -3).script().counted(2),
    plain("fcall", -3).script().may_replicate().counted(2),
    read("fcall_ro", -3).script().counted(2),
    plain("function", -2),
    write("function|delete", 3),
    plain("function|dump", 2),
    write("function|flush", -2),
    plain("function|help", 2),
    plain("function|kill", 2).route(Route::OwnConnection),
    plain("function|list", -2),
    write("function|load", -3),
    write("function|restore", -3),
    plain("function|stats", 2),
    plain("script", -2),
    plain("script|debug", -3).route(Route::NotForwarded),
    plain("script|exists", -3),
    plain("script|flush", -2),
    plain("script|help", 2),
    plain("script|kill", 2).route(Route::OwnConnection),
    plain("script|load", 3),
    plain("script|show", 3),
];
