//! Chaos with real servers: Redis and Valkey are killed, stopped, paused, filled and cut off,
//! narrows is drained and killed, while a load verifies every reply. Each test is a schedule drawn
//! from a seed. It ends well when no reply was wrong, nothing acknowledged is lost, service is back
//! soon after each fault, the server never counts more connections than it may, no backend is given
//! up while nothing is broken, and narrows is as small afterwards as before.
//!
//! `make soak` runs the same nemeses for long: see `tests/faults/soak`.

pub(crate) mod at_rest;
pub(crate) mod checkers;
pub(crate) mod monitor;
pub(crate) mod nemesis;
pub(crate) mod proxy;
pub(crate) mod runner;
pub(crate) mod schedule;
pub(crate) mod storm;
pub(crate) mod system;
pub(crate) mod traffic;
