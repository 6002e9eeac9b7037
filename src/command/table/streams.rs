//! Streams. `XREAD` and `XREADGROUP` wait only with `BLOCK`: their arguments decide
//! ([`Spec::route_of`](crate::command::Spec::route_of)). `XREADGROUP` hands entries out and is
//! never replayed.

use super::row::{Row, plain, read, write};
use crate::command::class::Route;

pub(super) const ROWS: &[Row] = &[
    write("xack", -4).key(),
    write("xackdel", -6).key(),
    write("xadd", -5).key(),
    write("xautoclaim", -6).key(),
    write("xclaim", -6).key(),
    write("xdel", -3).key(),
    write("xdelex", -5).key(),
    plain("xgroup", -2),
    write("xgroup|create", -5).keys(2, 2, 1),
    write("xgroup|createconsumer", 5).keys(2, 2, 1),
    write("xgroup|delconsumer", 5).keys(2, 2, 1),
    write("xgroup|destroy", 4).keys(2, 2, 1),
    plain("xgroup|help", 2),
    write("xgroup|setid", -5).keys(2, 2, 1),
    plain("xinfo", -2),
    read("xinfo|consumers", 4).keys(2, 2, 1).replay(),
    read("xinfo|groups", 3).keys(2, 2, 1).replay(),
    plain("xinfo|help", 2),
    read("xinfo|stream", -3).keys(2, 2, 1).replay(),
    read("xlen", 2).key().replay(),
    read("xpending", -3).key().replay(),
    read("xrange", -4).key().replay(),
    read("xread", -4)
        .blocking()
        .streams()
        .route(Route::Blocking)
        .replay(),
    write("xreadgroup", -7)
        .blocking()
        .streams()
        .route(Route::Blocking),
    read("xrevrange", -4).key().replay(),
    write("xsetid", -3).key(),
    write("xtrim", -4).key(),
];
