//! Streams. `XREAD` and `XREADGROUP` wait only with `BLOCK`: their arguments decide
//! ([`Spec::route_of`](crate::command::Spec::route_of)). `XREADGROUP` hands entries out and is
//! never replayed.

use super::row::{Row, plain, read, write};
use crate::command::class::Route;

pub(super) const ROWS: &[Row] = &[
    write("xack", -4).key().integer(),
    write("xackdel", -6).key(),
    write("xadd", -5).key().string().null(),
    write("xautoclaim", -6).key().list().null(),
    write("xcfgset", -2).key(),
    write("xclaim", -6).key().list().null(),
    write("xdel", -3).key().integer(),
    write("xdelex", -5).key(),
    plain("xgroup", -2),
    write("xgroup|create", -5).keys(2, 2, 1).status(),
    write("xgroup|createconsumer", 5).keys(2, 2, 1).integer(),
    write("xgroup|delconsumer", 5).keys(2, 2, 1).integer(),
    write("xgroup|destroy", 4).keys(2, 2, 1).integer(),
    plain("xgroup|help", 2),
    write("xgroup|setid", -5).keys(2, 2, 1).status(),
    write("xidmprecord", 5).key(),
    plain("xinfo", -2),
    read("xinfo|consumers", 4).keys(2, 2, 1).replay().list(),
    read("xinfo|groups", 3).keys(2, 2, 1).replay().list(),
    plain("xinfo|help", 2),
    read("xinfo|stream", -3).keys(2, 2, 1).replay().list(),
    read("xlen", 2).key().replay().integer(),
    write("xnack", -7).key(),
    read("xpending", -3).key().replay().list().null(),
    read("xrange", -4).key().replay().list().null(),
    read("xread", -4)
        .blocking()
        .streams()
        .route(Route::Blocking)
        .replay()
        .list()
        .null(),
    write("xreadgroup", -7)
        .blocking()
        .streams()
        .route(Route::Blocking)
        .list()
        .null(),
    read("xrevrange", -4).key().replay().list().null(),
    write("xsetid", -3).key().status(),
    write("xtrim", -4).key().integer(),
];
