//! The admin endpoints: that `/metrics` shows exactly what the catalog names and counts what
//! happens, that `/readyz` and `/healthz` say what is true, and that nobody can use any of them to
//! hold up anything else.

pub(crate) mod catalog;
pub(crate) mod exposition;
mod figures;
mod health;
pub(crate) mod http;
