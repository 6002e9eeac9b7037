//! Lists. The `B…` forms wait on the server for an element.

use super::row::{Row, read, write};
use crate::command::class::Route;

pub(super) const ROWS: &[Row] = &[
    write("blmove", 6)
        .blocking()
        .keys(1, 2, 1)
        .route(Route::Blocking),
    write("blmovem", -6)
        .blocking()
        .keys(1, 2, 1)
        .route(Route::Blocking),
    write("blmpop", -5)
        .blocking()
        .counted(2)
        .route(Route::Blocking),
    write("blpop", -3)
        .blocking()
        .keys(1, -2, 1)
        .route(Route::Blocking),
    write("brpop", -3)
        .blocking()
        .keys(1, -2, 1)
        .route(Route::Blocking),
    write("brpoplpush", 4)
        .blocking()
        .keys(1, 2, 1)
        .route(Route::Blocking),
    read("lindex", 3).key().replay().string().null(),
    write("linsert", 5).key().integer(),
    read("llen", 2).key().replay().integer(),
    write("lmove", 5).keys(1, 2, 1).string().null(),
    write("lmovem", -5).keys(1, 2, 1),
    write("lmpop", -4).counted(1).list().null(),
    write("lpop", -2).key().string().null().list(),
    read("lpos", -3).key().replay().integer().list().null(),
    write("lpush", -3).key().integer(),
    write("lpushx", -3).key().integer(),
    read("lrange", 4).key().replay().list(),
    write("lrem", 4).key().integer(),
    write("lset", 4).key().status(),
    write("ltrim", 4).key().status(),
    write("rpop", -2).key().string().null().list(),
    write("rpoplpush", 3).keys(1, 2, 1).string().null(),
    write("rpush", -3).key().integer(),
    write("rpushx", -3).key().integer(),
];
