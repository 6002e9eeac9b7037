//! Geospatial indexes: sorted sets by another name. `GEORADIUS` is a write for its `STORE`.

use super::row::{Row, read, write};

pub(super) const ROWS: &[Row] = &[
    write("geoadd", -5).key(),
    read("geodist", -4).key().replay(),
    read("geohash", -2).key().replay(),
    read("geopos", -2).key().replay(),
    write("georadius", -6).geo_store(),
    read("georadius_ro", -6).key().replay(),
    write("georadiusbymember", -5).geo_store(),
    read("georadiusbymember_ro", -5).key().replay(),
    read("geosearch", -7).key().replay(),
    write("geosearchstore", -8).keys(1, 2, 1),
];
