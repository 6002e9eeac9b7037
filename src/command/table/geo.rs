//! Geospatial indexes: sorted sets by another name. `GEORADIUS` is a write for its `STORE`.

use super::row::{Row, read, write};

pub(super) const ROWS: &[Row] = &[
    write("geoadd", -5).key().integer(),
    read("geodist", -4).key().replay().string().null(),
    read("geohash", -2).key().replay().list(),
    read("geopos", -2).key().replay().list(),
    write("georadius", -6).geo_store().integer().list(),
    read("georadius_ro", -6).key().replay().list(),
    write("georadiusbymember", -5).geo_store().integer().list(),
    read("georadiusbymember_ro", -5).key().replay().list(),
    read("geosearch", -7).key().replay().list(),
    write("geosearchstore", -8).keys(1, 2, 1).integer(),
];
