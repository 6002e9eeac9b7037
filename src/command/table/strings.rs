//! Strings. `GETDEL`, `GETEX` and `GETSET` read and write: never replayed.

use super::row::{Row, read, write};

pub(super) const ROWS: &[Row] = &[
    write("append", 3).key().integer(),
    write("decr", 2).key().integer(),
    write("decrby", 3).key().integer(),
    write("delex", -2).key().integer(),
    write("delifeq", 3).key().integer(),
    read("digest", 2).key().replay().string().null(),
    read("get", 2).key().replay().string().null(),
    write("getdel", 2).key().string().null(),
    write("getex", -2).key().string().null(),
    read("getrange", 4).key().replay().string(),
    write("getset", 3).key().string().null(),
    write("incr", 2).key().integer(),
    write("incrby", 3).key().integer(),
    write("incrbyfloat", 3).key().string(),
    write("increx", -2).key(),
    read("lcs", -3)
        .keys(1, 2, 1)
        .replay()
        .string()
        .integer()
        .list(),
    read("mget", -2).keys(1, -1, 1).replay().list(),
    write("mset", -3).keys(1, -1, 2).status(),
    write("msetex", -4).counted_pairs(1).integer(),
    write("msetnx", -3).keys(1, -1, 2).integer(),
    write("psetex", 4).key().status(),
    write("set", -3).key().status().string().null(),
    write("setex", 4).key().status(),
    write("setnx", 3).key().integer(),
    write("setrange", 4).key().integer(),
    read("strlen", 2).key().replay().integer(),
    read("substr", 4).key().replay().string(),
];
