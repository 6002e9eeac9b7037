//! Cluster nodes. `SYNCSLOTS` turns its connection into a link between nodes.

use super::row::{Row, plain, read, write};
use crate::command::class::{Pin, Route};

pub(super) const ROWS: &[Row] = &[
    plain("asking", 1).pin(Pin::Asking),
    plain("cluster", -2),
    read("clusterscan", -2).key(),
    plain("cluster|addslots", -3).admin(),
    plain("cluster|addslotsrange", -4).admin(),
    plain("cluster|bumpepoch", 2).admin(),
    plain("cluster|cancelslotmigrations", 2).admin(),
    plain("cluster|count-failure-reports", 3).admin(),
    plain("cluster|countkeysinslot", 3),
    plain("cluster|delslots", -3).admin(),
    plain("cluster|delslotsrange", -4).admin(),
    plain("cluster|failover", -2).admin(),
    write("cluster|flushslot", -3).admin(),
    plain("cluster|flushslots", 2).admin(),
    plain("cluster|forget", 3).admin(),
    plain("cluster|getkeysinslot", 4),
    plain("cluster|getslotmigrations", 2).admin(),
    plain("cluster|help", 2),
    plain("cluster|info", 2),
    plain("cluster|keyslot", 3),
    plain("cluster|links", 2),
    plain("cluster|meet", -4).admin(),
    plain("cluster|migrateslots", -4).admin(),
    plain("cluster|migration", -4).admin(),
    plain("cluster|myid", 2),
    plain("cluster|myshardid", 2),
    plain("cluster|nodes", 2),
    plain("cluster|replicas", 3).admin(),
    plain("cluster|replicate", -3).admin(),
    plain("cluster|reset", -2).admin(),
    plain("cluster|saveconfig", 2).admin(),
    plain("cluster|set-config-epoch", 3).admin(),
    plain("cluster|setslot", -4).admin(),
    plain("cluster|shards", 2),
    plain("cluster|slaves", 3).admin(),
    plain("cluster|slot-stats", -4),
    plain("cluster|slots", 2),
    plain("cluster|syncslots", -3)
        .admin()
        .route(Route::NotForwarded),
    plain("readonly", 1).pin(Pin::ReadOnly),
    plain("readwrite", 1).pin(Pin::ReadWrite),
];
