//! Limits, each of which says so three times: to the client in Redis' own words where Redis has any,
//! in a figure, and, where it closes somebody, in a line of the log that names its key.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "limits/clients.rs"]
mod clients;
#[path = "limits/door.rs"]
mod door;
#[path = "limits/figures.rs"]
mod figures;
#[path = "limits/lent.rs"]
mod lent;
#[path = "limits/proxy_header.rs"]
mod proxy_header;
#[path = "faults/setup.rs"]
mod setup;
mod support;
