//! Sets. `SRANDMEMBER` may answer differently each time, as it may in any case: a read is replayed.

use super::row::{Row, read, write};

pub(super) const ROWS: &[Row] = &[
    write("sadd", -3).key().integer(),
    read("scard", 2).key().replay().integer(),
    read("sdiff", -2).keys(1, -1, 1).replay().list(),
    read("sdiffcard", -3).counted(1).replay().integer(),
    write("sdiffstore", -3).keys(1, -1, 1).integer(),
    read("sinter", -2).keys(1, -1, 1).replay().list(),
    read("sintercard", -3).counted(1).replay().integer(),
    write("sinterstore", -3).keys(1, -1, 1).integer(),
    read("sismember", 3).key().replay().integer(),
    read("smembers", 2).key().replay().list(),
    read("smismember", -3).key().replay().list(),
    write("smove", 4).keys(1, 2, 1).integer(),
    write("spop", -2).key().string().null().list(),
    read("srandmember", -2)
        .key()
        .replay()
        .string()
        .null()
        .list(),
    write("srem", -3).key().integer(),
    read("sscan", -3).key().replay().list(),
    read("sunion", -2).keys(1, -1, 1).replay().list(),
    read("sunioncard", -3).counted(1).replay().integer(),
    write("sunionstore", -3).keys(1, -1, 1).integer(),
];
