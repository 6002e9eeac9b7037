//! Lists. The `B…` forms wait on the server for an element.

use super::row::{Row, read, write};
use crate::command::class::Route;

pub(super) const ROWS: &[Row] = &[
    write("blmove", 6)
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
    read("lindex", 3).key().replay(),
    write("linsert", 5).key(),
    read("llen", 2).key().replay(),
    write("lmove", 5).keys(1, 2, 1),
    write("lmpop", -4).counted(1),
    write("lpop", -2).key(),
    read("lpos", -3).key().replay(),
    write("lpush", -3).key(),
    write("lpushx", -3).key(),
    read("lrange", 4).key().replay(),
    write("lrem", 4).key(),
    write("lset", 4).key(),
    write("ltrim", 4).key(),
    write("rpop", -2).key(),
    write("rpoplpush", 3).keys(1, 2, 1),
    write("rpush", -3).key(),
    write("rpushx", -3).key(),
];
