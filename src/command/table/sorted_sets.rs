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
    write("zadd", -4).key(),
    read("zcard", 2).key().replay(),
    read("zcount", 4).key().replay(),
    read("zdiff", -3).counted(1).replay(),
    write("zdiffstore", -4).destination_and_counted(2),
    write("zincrby", 4).key(),
    read("zinter", -3).counted(1).replay(),
    read("zintercard", -3).counted(1).replay(),
    write("zinterstore", -4).destination_and_counted(2),
    read("zlexcount", 4).key().replay(),
    write("zmpop", -4).counted(1),
    read("zmscore", -3).key().replay(),
    write("zpopmax", -2).key(),
    write("zpopmin", -2).key(),
    read("zrandmember", -2).key().replay(),
    read("zrange", -4).key().replay(),
    read("zrangebylex", -4).key().replay(),
    read("zrangebyscore", -4).key().replay(),
    write("zrangestore", -5).keys(1, 2, 1),
    read("zrank", -3).key().replay(),
    write("zrem", -3).key(),
    write("zremrangebylex", 4).key(),
    write("zremrangebyrank", 4).key(),
    write("zremrangebyscore", 4).key(),
    read("zrevrange", -4).key().replay(),
    read("zrevrangebylex", -4).key().replay(),
    read("zrevrangebyscore", -4).key().replay(),
    read("zrevrank", -3).key().replay(),
    read("zscan", -3).key().replay(),
    read("zscore", 3).key().replay(),
    read("zunion", -3).counted(1).replay(),
    write("zunionstore", -4).destination_and_counted(2),
];
