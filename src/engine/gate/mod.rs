//! Who a client is, and as whom a backend is logged in.

pub mod door;
pub mod idle;
pub mod login;
pub mod logins;
pub mod opening;
