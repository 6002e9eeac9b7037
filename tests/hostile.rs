//! Clients that send garbage, too much, too slowly or not at all, that do not read or that
//! vanish: each gets Redis' own error or a documented stricter one, costs bounded memory, and no
//! other client notices.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "hostile/appetite.rs"]
mod appetite;
#[path = "hostile/bystander.rs"]
mod bystander;
#[path = "hostile/duplex.rs"]
mod duplex;
#[path = "hostile/garbage.rs"]
mod garbage;
#[path = "hostile/hoards.rs"]
mod hoards;
#[path = "hostile/pipelines.rs"]
mod pipelines;
#[path = "hostile/replies.rs"]
mod replies;
#[path = "faults/setup.rs"]
mod setup;
mod support;
#[path = "hostile/upload.rs"]
mod upload;
#[path = "hostile/vanishing.rs"]
mod vanishing;
