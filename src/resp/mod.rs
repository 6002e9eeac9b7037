//! Bytes: where a frame begins and ends, in both directions, and the few replies that narrows
//! writes itself. Scanners are resumable and walk every byte once, however the input is cut; they
//! allocate nothing for what a peer merely announces. Knows nothing of commands.

mod args;
pub mod inline;
mod limits;
mod number;
mod protocol;
mod reader;
mod refusal;
mod reply;
mod request;
mod violation;
pub mod write;

pub use args::Args;
pub use limits::{
    HEADER_BYTES_MIN, Limits, UNAUTHENTICATED_ARGS_MAX, UNAUTHENTICATED_BULK_BYTES_MAX,
};
pub use number::integer;
pub use protocol::Protocol;
pub(crate) use reader::{Element, Reader, element};
pub use refusal::{Argument, NotExecuted, Refusal};
pub use reply::{ReplyAdvance, ReplyKind, ReplyScanner};
pub use request::{Advance, Frame, RequestEvent, RequestScanner};
pub use violation::{ProtocolError, ReplyError};
