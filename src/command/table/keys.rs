//! Keys of any type. The keys of `MIGRATE` stand in two places by rules of their own; nothing here
//! needs them.

use super::row::{Row, plain, read, write};
use crate::command::class::Route;

pub(super) const ROWS: &[Row] = &[
    write("copy", -3).keys(1, 2, 1),
    write("del", -2).keys(1, -1, 1),
    read("dump", 2).key().replay(),
    read("exists", -2).keys(1, -1, 1).replay(),
    write("expire", -3).key(),
    write("expireat", -3).key(),
    read("expiretime", 2).key().replay(),
    read("keys", 2),
    write("migrate", -6).unknown_keys(),
    write("move", 3).key(),
    plain("object", -2),
    read("object|encoding", 3).keys(2, 2, 1).replay(),
    read("object|freq", 3).keys(2, 2, 1),
    plain("object|help", 2),
    read("object|idletime", 3).keys(2, 2, 1),
    read("object|refcount", 3).keys(2, 2, 1).replay(),
    write("persist", 2).key(),
    write("pexpire", -3).key(),
    write("pexpireat", -3).key(),
    read("pexpiretime", 2).key().replay(),
    read("pttl", 2).key().replay(),
    read("randomkey", 1).replay(),
    write("rename", 3).keys(1, 2, 1),
    write("renamenx", 3).keys(1, 2, 1),
    write("restore", -4).key(),
    read("scan", -2).replay(),
    write("sort", -2).sort_store(),
    read("sort_ro", -2).key().replay(),
    read("touch", -2).keys(1, -1, 1),
    read("ttl", 2).key().replay(),
    read("type", 2).key().replay(),
    write("unlink", -2).keys(1, -1, 1),
    plain("wait", 3).blocking().route(Route::Blocking),
    plain("waitaof", 4).blocking().route(Route::Blocking),
];
