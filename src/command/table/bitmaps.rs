//! Bitmaps and HyperLogLogs: strings by another name. `PFCOUNT` may store what it has counted.

use super::row::{Row, plain, read, write};

pub(super) const ROWS: &[Row] = &[
    read("bitcount", -2).key().replay().integer(),
    write("bitfield", -2).key().list(),
    read("bitfield_ro", -2).key().replay().list(),
    write("bitop", -4).keys(2, -1, 1).integer(),
    read("bitpos", -3).key().replay().integer(),
    read("getbit", 3).key().replay().integer(),
    write("pfadd", -2).key().integer(),
    read("pfcount", -2).may_replicate().keys(1, -1, 1).integer(),
    write("pfdebug", 3).admin().keys(2, 2, 1),
    write("pfmerge", -2).keys(1, -1, 1).status(),
    plain("pfselftest", 1).admin(),
    write("setbit", 4).key().integer(),
];
