//! The admin endpoints: that `/metrics` shows exactly what the catalog names and counts what
//! happens, that `/readyz` and `/healthz` say what is true, and that nobody can use any of them to
//! hold up anything else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "metrics/catalog.rs"]
mod catalog;
#[path = "metrics/exposition.rs"]
mod exposition;
#[path = "metrics/figures.rs"]
mod figures;
#[path = "metrics/health.rs"]
mod health;
#[path = "metrics/http.rs"]
mod http;
#[path = "faults/setup.rs"]
mod setup;
mod support;
