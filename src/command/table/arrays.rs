//! Arrays (Redis 8.8): values by index.

use super::row::{Row, read, write};

pub(super) const ROWS: &[Row] = &[
    read("arcount", 2).key().replay(),
    write("ardel", -3).key(),
    write("ardelrange", -4).key(),
    read("arget", 3).key().replay(),
    read("argetrange", 4).key().replay(),
    read("argrep", -6).key().replay(),
    read("arinfo", -2).key().replay(),
    write("arinsert", -3).key(),
    read("arlastitems", -3).key().replay(),
    read("arlen", 2).key().replay(),
    read("armget", -3).key().replay(),
    write("armset", -4).key(),
    read("arnext", 2).key().replay(),
    read("arop", -5).key().replay(),
    write("arring", -4).key(),
    read("arscan", -4).key().replay(),
    write("arseek", 3).key(),
    write("arset", -4).key(),
];
