//! Commands that need a connection of their own: transactions piece by piece, commands that wait,
//! state that stays. Each client that holds one has it alone and gives it back clean; others go on
//! beside it, and whoever cannot have one is told in time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "leases/acknowledgements.rs"]
mod acknowledgements;
#[path = "leases/blocks.rs"]
mod blocks;
#[path = "leases/busy.rs"]
mod busy;
#[path = "leases/cancels.rs"]
mod cancels;
#[path = "budget/census.rs"]
mod census;
#[path = "leases/crowd.rs"]
mod crowd;
#[path = "leases/leavers.rs"]
mod leavers;
#[path = "leases/loss.rs"]
mod loss;
#[path = "leases/errands.rs"]
mod own_connections;
#[path = "leases/pauses.rs"]
mod pauses;
#[path = "leases/places.rs"]
mod places;
#[path = "faults/setup.rs"]
mod setup;
#[path = "leases/streams.rs"]
mod streams;
mod support;
#[path = "leases/transactions.rs"]
mod transactions;
#[path = "leases/waits.rs"]
mod waits;
