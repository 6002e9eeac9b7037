//! narrows, a connection multiplexer for Redis: any number of clients share a small,
//! bounded set of connections to the server.
//!
//! A deterministic engine per thread that knows nothing of sockets, inside a thin shell
//! that knows nothing of Redis. Each module is a layer and imports only from those named
//! to its right or below; `tests/repo/tidy` holds the code to that.
//!
//! ```text
//! cli, app ─► admin ─► runtime ─► engine ─► session ─► command ─► resp
//!                         │          │
//!                         │          ├► admission          config composes every layer's settings
//!                         │          └► topology
//!                         └► telemetry (plain counters that every layer may hold)
//! ```
//!
//! - [`resp`]: bytes. Where a frame begins and ends, in both directions.
//! - [`command`]: what a request *is*. One row per command.
//! - [`session`]: what a request *means now*, for one client.
//! - [`admission`]: may it? Budgets, rates, backoff.
//! - [`topology`]: where the servers are. An immutable picture.
//! - [`engine`]: who carries it, and to whom its reply goes. Sans-IO.
//! - [`runtime`]: sockets, threads, signals.
//! - [`admin`]: metrics and health over HTTP, on a thread of its own.
//! - [`telemetry`]: what is counted and logged.
//! - [`config`]: files, environment and flags become each layer's settings.
//! - [`cli`], [`app`]: the program.
//! - [`embedded`], [`demo`]: a private Redis to look around with, and a load that verifies
//!   every reply.
//!
//! ARCHITECTURE.md tells the way of a request through these layers.

pub mod admin;
pub mod admission;
pub mod app;
pub mod cli;
pub mod command;
pub mod config;
pub mod demo;
pub mod embedded;
pub mod engine;
pub mod resp;
pub mod runtime;
pub mod session;
pub mod telemetry;
pub mod tls;
pub mod topology;
