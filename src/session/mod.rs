//! Sessions: what a request *means now*. One client's virtual state (protocol, db, name,
//! reply mode) and the answers that follow from it alone. Knows nothing of backends.

pub mod access;
pub mod auth;
pub mod bracket;
pub mod client_line;
pub mod exec_reply;
pub mod feed;
pub mod filter;
pub mod hello;
pub mod info;
pub mod local;
pub mod lost;
pub mod mark;
pub mod own_channel;
pub mod pins;
pub mod put_back;
pub mod reply_mode;
pub mod settle;
pub mod state;
pub mod step;
pub mod waited_keys;
pub mod waiting;

pub use access::{Access, Account, AuthMode};
pub use bracket::{Bracket, Filled, Hears};
pub use client_line::ClientView;
pub use filter::ClientFilter;
pub use hello::HelloRequest;
pub use local::{Answer, answer};
pub use lost::LostBracket;
pub use mark::{Doom, Mark};
pub use pins::Pins;
pub use reply_mode::ReplyMode;
pub use state::{Session, Standing};

#[cfg(test)]
mod tests;
