//! Hashes, with the field expiry of Redis 7.4 and 8. What `HIMPORT PREPARE` (Redis 8.10) names belongs to
//! the connection, up to `DISCARDALL` (`himport_fieldsets`, networking.c).

use super::row::{Row, plain, read, write};
use crate::command::class::Pin;

pub(super) const ROWS: &[Row] = &[
    write("hdel", -3).key().integer(),
    read("hexists", 3).key().replay().integer(),
    write("hexpire", -6).key().list().null(),
    write("hexpireat", -6).key().list().null(),
    read("hexpiretime", -5).key().replay().list().null(),
    read("hget", 3).key().replay().string().null(),
    read("hgetall", 2).key().replay().list(),
    write("hgetdel", -5).key().list().null(),
    write("hgetex", -5).key().list().null(),
    plain("himport", -2).pin(Pin::Himport),
    plain("himport|discard", 3).integer(),
    plain("himport|discardall", 2).unpin(Pin::Himport).integer(),
    plain("himport|prepare", -4).pin(Pin::Himport).status(),
    write("himport|set", -5).keys(2, 2, 1).status(),
    write("hincrby", 4).key().integer(),
    write("hincrbyfloat", 4).key().string(),
    read("hkeys", 2).key().replay().list(),
    read("hlen", 2).key().replay().integer(),
    read("hmget", -3).key().replay().list(),
    write("hmset", -4).key().status(),
    write("hpersist", -5).key().list().null(),
    write("hpexpire", -6).key().list().null(),
    write("hpexpireat", -6).key().list().null(),
    read("hpexpiretime", -5).key().replay().list().null(),
    read("hpttl", -5).key().replay().list().null(),
    read("hrandfield", -2).key().replay().string().null().list(),
    read("hscan", -3).key().replay().list(),
    write("hset", -4).key().integer(),
    write("hsetex", -6).key().integer(),
    write("hsetnx", 4).key().integer(),
    read("hstrlen", 3).key().replay().integer(),
    read("httl", -5).key().replay().list().null(),
    read("hvals", 2).key().replay().list(),
];
