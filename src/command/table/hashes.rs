//! Hashes, with the field expiry of Redis 7.4 and 8.

use super::row::{Row, read, write};

pub(super) const ROWS: &[Row] = &[
    write("hdel", -3).key(),
    read("hexists", 3).key().replay(),
    write("hexpire", -6).key(),
    write("hexpireat", -6).key(),
    read("hexpiretime", -5).key().replay(),
    read("hget", 3).key().replay(),
    read("hgetall", 2).key().replay(),
    write("hgetdel", -5).key(),
    write("hgetex", -5).key(),
    write("hincrby", 4).key(),
    write("hincrbyfloat", 4).key(),
    read("hkeys", 2).key().replay(),
    read("hlen", 2).key().replay(),
    read("hmget", -3).key().replay(),
    write("hmset", -4).key(),
    write("hpersist", -5).key(),
    write("hpexpire", -6).key(),
    write("hpexpireat", -6).key(),
    read("hpexpiretime", -5).key().replay(),
    read("hpttl", -5).key().replay(),
    read("hrandfield", -2).key().replay(),
    read("hscan", -3).key().replay(),
    write("hset", -4).key(),
    write("hsetex", -6).key(),
    write("hsetnx", 4).key(),
    read("hstrlen", 3).key().replay(),
    read("httl", -5).key().replay(),
    read("hvals", 2).key().replay(),
];
