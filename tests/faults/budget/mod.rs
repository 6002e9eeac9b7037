//! The bound on connections to Redis holds whatever clients do, as Redis itself counts them, and
//! within it every client of every database and protocol gets its turn.

mod lifetime;
mod turns;
mod upload;
