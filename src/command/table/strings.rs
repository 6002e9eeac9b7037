//! Strings. `GETDEL`, `GETEX` and `GETSET` read and write: never replayed.

use super::row::{Row, read, write};

pub(super) const ROWS: &[Row] = &[
    write("append", 3).key(),
    write("decr", 2).key(),
    write("decrby", 3).key(),
    write("delex", -2).key(),
    read("digest", 2).key().replay(),
    read("get", 2).key().replay(),
    write("getdel", 2).key(),
    write("getex", -2).key(),
    read("getrange", 4).key().replay(),
    write("getset", 3).key(),
    write("incr", 2).key(),
    write("incrby", 3).key(),
    write("incrbyfloat", 3).key(),
    read("lcs", -3).keys(1, 2, 1).replay(),
    read("mget", -2).keys(1, -1, 1).replay(),
    write("mset", -3).keys(1, -1, 2),
    write("msetex", -4).counted_pairs(1),
    write("msetnx", -3).keys(1, -1, 2),
    write("psetex", 4).key(),
    write("set", -3).key(),
    write("setex", 4).key(),
    write("setnx", 3).key(),
    write("setrange", 4).key(),
    read("strlen", 2).key().replay(),
    read("substr", 4).key().replay(),
];
