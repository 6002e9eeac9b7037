//! What the server has said of a login.

use crate::command::Local;

use super::pool::credential::CredentialGuard;

/// What the server has said of a client's next request, which is a login or needs a right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerVerdict {
    /// Nothing yet: it is asked whether its user may use this command, and what that is called.
    Asked(Box<str>, Local),
    /// It is right, and the client's commands run with this credential.
    Accepted(CredentialGuard),
    /// It is wrong: the error reply.
    Refused(Box<[u8]>),
}
