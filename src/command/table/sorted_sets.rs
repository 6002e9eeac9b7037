//! Sorted sets. The `B…` forms wait on the server for an element.

use super::row::{Row, read, write};
use crate::command::class::Route;

pub(super) const ROWS: &[Row] = &[
    write("bzmpop", -5)
        .blocking()
        .counted(2)
        .route(Route::Blocking),
    write("bzpopmax", -3)
        .blocking()
        .keys(1, -2, 1)
        .route(Route::Blocking),
    write("bzpopmin", -3)
        .blocking()
        .keys(1, -2, 1)
        .route(Route::Blocking),
    write("zadd", -4).key().integer().string().null(),
    read("zcard", 2).key().replay().integer(),
    read("zcount", 4).key().replay().integer(),
    read("zdiff", -3).counted(1).replay().list(),
    write("zdiffstore", -4).destination_and_counted(2).integer(),
    write("zincrby", 4).key().string(),
    read("zinter", -3).counted(1).replay().list(),
    read("zintercard", -3).counted(1).replay().integer(),
    write("zinterstore", -4)
        .destination_and_counted(2)
        .integer(),
    read("zlexcount", 4).key().replay().integer(),
    write("zmpop", -4).counted(1).list().null(),
    read("zmscore", -3).key().replay().list(),
    write("zpopmax", -2).key().list(),
    write("zpopmin", -2).key().list(),
    read("zrandmember", -2)
        .key()
        .replay()
        .string()
        .null()
        .list(),
    read("zrange", -4).key().replay().list(),
    read("zrangebylex", -4).key().replay().list(),
    read("zrangebyscore", -4).key().replay().list(),
    write("zrangestore", -5).keys(1, 2, 1).integer(),
    read("zrank", -3).key().replay().integer().list().null(),
    write("zrem", -3).key().integer(),
    write("zremrangebylex", 4).key().integer(),
    write("zremrangebyrank", 4).key().integer(),
    write("zremrangebyscore", 4).key().integer(),
    read("zrevrange", -4).key().replay().list(),
    read("zrevrangebylex", -4).key().replay().list(),
    read("zrevrangebyscore", -4).key().replay().list(),
    read("zrevrank", -3).key().replay().integer().list().null(),
    read("zscan", -3).key().replay().list(),
    read("zscore", 3).key().replay().string().null(),
    read("zunion", -3).counted(1).replay().list(),
    write("zunionstore", -4)
        .destination_and_counted(2)
        .integer(),
];
