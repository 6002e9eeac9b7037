//! Commands that block, and who gets a backend next.

pub mod allocator;
pub mod cancel;
pub mod canceller;
pub mod drain;
pub mod forget;
pub mod in_line;
pub mod reload;
pub mod tries;
pub mod wait_on_server;
pub mod whole_transaction;
