//! The engine, driven by a seeded scheduler against fake servers that misbehave, without a
//! socket, a thread or a clock: requests cut anywhere, replies split, connections lost at any
//! byte, servers that hang, restart or change their role, clients that leave, stop reading or
//! break the protocol, a clock that jumps.
//!
//! Always checked: each client hears exactly what the server answered to that very request, in
//! its order, from its own db and protocol, run as its own user; no write runs twice; requests run in order; counters
//! and lists hold what was acknowledged; no connection without its permit; everybody is answered
//! once the faults stop; nothing is left once all have gone; an idle engine sleeps.
//!
//! `replay` plays one seed and makes a failure small, `play` is the course of a simulation,
//! `world` what is around the engines, `server` the fake Redis, `history` and `models` the oracle.

mod actor;
mod backend_state;
mod desync;
mod events;
mod faults;
mod focus;
mod history;
mod joining;
mod logins;
mod models;
mod own_keys;
mod play;
mod push_streams;
mod quiesce;
mod replay;
mod requests;
mod rng;
mod rules;
mod server;
mod subscribing;
mod time_slices;
mod transaction_replies;
mod transactions;
mod wait_line;
mod world;

#[allow(unused_imports, reason = "each of the tests uses what it needs")]
pub use focus::Focus;
#[allow(unused_imports, reason = "each of the tests uses what it needs")]
pub use replay::{
    Plan, Worlds, explain, from_environment, is_of, outcome, replays, world_from_environment,
};
