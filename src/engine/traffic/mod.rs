//! Requests and replies between clients and backends: what needs nothing else in reach.

pub mod busy;
pub mod forward;
pub mod forward_batch;
pub mod lost_requests;
pub mod offset;
pub mod permission;
pub mod send;
pub mod timers;
pub mod wait;
pub mod warm;
