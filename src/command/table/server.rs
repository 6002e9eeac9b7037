//! The server as a whole. Replication links cannot pass through a multiplexer; what changes the
//! server for everybody is restricted.

use super::row::{Row, plain, read, write};
use crate::command::class::{Pin, Route};

pub(super) const ROWS: &[Row] = &[
    plain("acl", -2),
    plain("acl|cat", -2),
    plain("acl|deluser", -3).admin(),
    plain("acl|dryrun", -4).admin(),
    plain("acl|genpass", -2),
    plain("acl|getuser", 3).admin(),
    plain("acl|help", 2),
    plain("acl|list", 2).admin(),
    plain("acl|load", 2).admin(),
    plain("acl|log", -2).admin(),
    plain("acl|save", 2).admin(),
    plain("acl|setuser", -3).admin(),
    plain("acl|users", 2).admin(),
    plain("acl|whoami", 2).string(),
    plain("bgrewriteaof", 1).admin(),
    plain("bgsave", -1).admin(),
    plain("command", -1),
    plain("commandlog", -2),
    plain("commandlog|get", -4).admin(),
    plain("commandlog|help", 2),
    plain("commandlog|len", 3).admin(),
    plain("commandlog|reset", 3).admin(),
    plain("command|count", 2).integer(),
    plain("command|docs", -2),
    plain("command|getkeys", -3),
    plain("command|getkeysandflags", -3),
    plain("command|help", 2),
    plain("command|info", -2),
    plain("command|list", -2).list(),
    plain("config", -2),
    plain("config|get", -3).admin().list(),
    plain("config|help", 2),
    plain("config|resetstat", 2).admin().status(),
    plain("config|rewrite", 2).admin(),
    plain("config|set", -4).admin().status(),
    read("dbsize", 1).replay().integer(),
    plain("debug", -2).admin().route(Route::Restricted),
    plain("failover", -1).admin().route(Route::Restricted),
    write("flushall", -1).status(),
    write("flushdb", -1).status(),
    plain("info", -1).route(Route::Info),
    plain("lastsave", 1).integer(),
    plain("latency", -2),
    plain("latency|doctor", 2).admin(),
    plain("latency|graph", 3).admin(),
    plain("latency|help", 2),
    plain("latency|histogram", -2).admin(),
    plain("latency|history", 3).admin(),
    plain("latency|latest", 2).admin(),
    plain("latency|reset", -2).admin(),
    read("lolwut", -1).string(),
    plain("memory", -2),
    plain("memory|doctor", 2),
    plain("memory|help", 2),
    plain("memory|malloc-stats", 2),
    plain("memory|purge", 2),
    plain("memory|stats", 2),
    read("memory|usage", -3)
        .keys(2, 2, 1)
        .replay()
        .integer()
        .null(),
    plain("module", -2),
    plain("module|help", 2),
    plain("module|list", 2).admin(),
    plain("module|load", -3).admin(),
    plain("module|loadex", -3).admin(),
    plain("module|unload", 3).admin(),
    plain("monitor", 1).admin().pin(Pin::Monitor),
    plain("psync", -3)
        .admin()
        .no_multi()
        .route(Route::NotForwarded),
    plain("replconf", -1).admin().route(Route::NotForwarded),
    plain("replicaof", 3).admin().route(Route::Restricted),
    write("restore-asking", -4).key(),
    plain("role", 1).list(),
    plain("save", 1).admin().no_multi(),
    write("sflush", -3),
    plain("shutdown", -1)
        .admin()
        .no_multi()
        .route(Route::Restricted),
    plain("slaveof", 3).admin().route(Route::Restricted),
    plain("slowlog", -2),
    plain("slowlog|get", -2).admin().list(),
    plain("slowlog|help", 2),
    plain("slowlog|len", 2).admin().integer(),
    plain("slowlog|reset", 2).admin(),
    write("swapdb", 3).status(),
    plain("sync", 1)
        .admin()
        .no_multi()
        .route(Route::NotForwarded),
    plain("time", 1).list(),
];
