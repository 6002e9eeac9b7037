//! Sets. `SRANDMEMBER` may answer differently each time, as it may in any case: a read is replayed.

use super::row::{Row, read, write};

pub(super) const ROWS: &[Row] = &[
    write("sadd", -3).key(),
    read("scard", 2).key().replay(),
    read("sdiff", -2).keys(1, -1, 1).replay(),
    write("sdiffstore", -3).keys(1, -1, 1),
    read("sinter", -2).keys(1, -1, 1).replay(),
    read("sintercard", -3).counted(1).replay(),
    write("sinterstore", -3).keys(1, -1, 1),
    read("sismember", 3).key().replay(),
    read("smembers", 2).key().replay(),
    read("smismember", -3).key().replay(),
    write("smove", 4).keys(1, 2, 1),
    write("spop", -2).key(),
    read("srandmember", -2).key().replay(),
    write("srem", -3).key(),
    read("sscan", -3).key().replay(),
    read("sunion", -2).keys(1, -1, 1).replay(),
    write("sunionstore", -3).keys(1, -1, 1),
];
