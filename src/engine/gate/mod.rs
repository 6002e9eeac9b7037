//! Who a client is, and as whom a backend is logged in.

pub mod auth_gate;
pub mod idle;
pub mod login;
pub mod logins;
pub mod opening;
