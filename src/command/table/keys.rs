//! Keys of any type. The keys of `MIGRATE` stand in two places by rules of their own; nothing here
//! needs them.

use super::row::{Row, plain, read, write};
use crate::command::class::Route;

pub(super) const ROWS: &[Row] = &[
    write("copy", -3).keys(1, 2, 1).integer(),
    write("del", -2).keys(1, -1, 1).integer(),
    read("dump", 2).key().replay().string().null(),
    read("exists", -2).keys(1, -1, 1).replay().integer(),
    write("expire", -3).key().integer(),
    write("expireat", -3).key().integer(),
    read("expiretime", 2).key().replay().integer(),
    read("keys", 2).list(),
    write("migrate", -6).unknown_keys(),
    write("move", 3).key().integer(),
    plain("object", -2),
    read("object|encoding", 3)
        .keys(2, 2, 1)
        .replay()
        .string()
        .null(),
    read("object|freq", 3).keys(2, 2, 1).integer().null(),
    plain("object|help", 2),
    read("object|idletime", 3).keys(2, 2, 1).integer().null(),
    read("object|refcount", 3)
        .keys(2, 2, 1)
        .replay()
        .integer()
        .null(),
    write("persist", 2).key().integer(),
    write("pexpire", -3).key().integer(),
    write("pexpireat", -3).key().integer(),
    read("pexpiretime", 2).key().replay().integer(),
    read("pttl", 2).key().replay().integer(),
    read("randomkey", 1).replay().string().null(),
    write("rename", 3).keys(1, 2, 1).status(),
    write("renamenx", 3).keys(1, 2, 1).integer(),
    write("restore", -4).key(),
    read("scan", -2).replay().list(),
    write("sort", -2).sort_store().integer().list(),
    read("sort_ro", -2).key().replay().list(),
    read("touch", -2).keys(1, -1, 1).integer(),
    read("ttl", 2).key().replay().integer(),
    read("type", 2).key().replay().status(),
    write("unlink", -2).keys(1, -1, 1).integer(),
    plain("wait", 3).blocking().route(Route::Blocking),
    plain("waitaof", 4).blocking().route(Route::Blocking),
];
