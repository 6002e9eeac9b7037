//! Vector sets (Redis 8.0): part of the server, which lists them as a module's, and before 8.10 leaves
//! their arguments uncounted.

use super::row::{Row, read, write};

pub(super) const ROWS: &[Row] = &[
    write("vadd", -1).key(),
    read("vcard", -1).key().replay(),
    read("vdim", -1).key().replay(),
    read("vemb", -1).key().replay(),
    read("vgetattr", -1).key().replay(),
    read("vinfo", -1).key().replay(),
    read("vismember", -1).key().replay(),
    read("vlinks", -1).key().replay(),
    read("vrandmember", -1).key().replay(),
    read("vrange", -1).key().replay(),
    write("vrem", -1).key(),
    write("vsetattr", -1).key(),
    read("vsim", -1).key().replay(),
];
