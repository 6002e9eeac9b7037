//! Sessions: what a request *means now*. One client's virtual state (protocol, db, name,
//! reply mode) and the answers that follow from it alone. Knows nothing of backends.

pub mod access;
pub mod auth;
pub mod client_line;
pub mod client_names;
pub mod exec_reply;
pub mod filter;
pub mod hello;
pub mod info;
pub mod local;
pub mod lost;
pub mod own_channel;
pub mod pins;
pub mod push_stream;
pub mod put_back;
pub mod reply_mode;
pub mod settle;
pub mod state;
pub mod state_change;
pub mod step;
pub mod transaction;
pub mod waited_keys;
pub mod waiting;

pub use access::{Access, Account, AuthMode};
pub use client_line::ClientView;
pub use filter::ClientFilter;
pub use hello::HelloRequest;
pub use local::{LocalAnswer, answer};
pub use lost::LostTransaction;
pub use pins::Pins;
pub use reply_mode::ReplyMode;
pub use state::{AuthState, Session};
pub use state_change::{AbortReason, StateChange};
pub use transaction::{Filled, ReplyOverride, Transaction};

#[cfg(test)]
mod tests;
