//! What can be wrong with the arguments of a command that narrows answers itself, in Redis' words.

use super::text::{quoted, until_nul};
use crate::resp::write;

/// What is wrong with the arguments of a command that narrows answers itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument<'a> {
    /// The arguments are in no known form.
    Syntax,
    /// An argument is not a 64-bit integer.
    NotInteger,
    /// An argument is an integer, but not of 32 bits.
    NotInt32,
    /// `SELECT` of a database that the server does not have.
    DbIndex,
    /// A client name with blanks or unprintable bytes.
    ClientName,
    /// `CLIENT SETINFO` with blanks or unprintable bytes.
    ClientAttribute {
        /// `lib-name` or `lib-ver`, as the client wrote it.
        attribute: &'a [u8],
    },
    /// `CLIENT SETINFO` of an attribute that does not exist.
    UnknownAttribute {
        /// The attribute as the client wrote it.
        attribute: &'a [u8],
    },
    /// `CLIENT KILL ip:port` of a client that does not exist.
    NoSuchClient,
    /// `CLIENT KILL ID` of no positive number.
    ClientIdNotPositive,
    /// `CLIENT LIST ID` of no positive number.
    InvalidClientId,
    /// A client type that does not exist.
    UnknownClientType {
        /// The type as the client wrote it.
        name: &'a [u8],
    },
    /// `CLIENT KILL USER` of a user that does not exist.
    NoSuchUser {
        /// The user as the client wrote it.
        user: &'a [u8],
    },
    /// `CLIENT UNBLOCK` with another reason than `TIMEOUT` and `ERROR`.
    UnblockReason,
    /// `CLIENT UNBLOCK` with arguments behind the reason.
    UnblockForm,
}

impl Argument<'_> {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let fixed = match self {
            Self::Syntax => "ERR syntax error",
            Self::NotInteger => "ERR value is not an integer or out of range",
            Self::NotInt32 => {
                "ERR value is out of range, value must between -2147483648 and 2147483647"
            }
            Self::DbIndex => "ERR DB index is out of range",
            Self::ClientName => {
                "ERR Client names cannot contain spaces, newlines or special characters."
            }
            Self::ClientAttribute { attribute } => {
                let tail: &[&[u8]] = &[b" cannot contain spaces, newlines or special characters."];
                return quoted(out, b"ERR ", until_nul(attribute), tail);
            }
            Self::UnknownAttribute { attribute } => {
                let attribute = until_nul(attribute);
                return quoted(out, b"ERR Unrecognized option '", attribute, &[b"'"]);
            }
            Self::NoSuchClient => "ERR No such client",
            Self::ClientIdNotPositive => "ERR client-id should be greater than 0",
            Self::InvalidClientId => "ERR Invalid client ID",
            Self::UnknownClientType { name } => {
                return quoted(out, b"ERR Unknown client type '", until_nul(name), &[b"'"]);
            }
            Self::NoSuchUser { user } => {
                return quoted(out, b"ERR No such user '", until_nul(user), &[b"'"]);
            }
            Self::UnblockReason => "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR",
            Self::UnblockForm => {
                "ERR unknown subcommand or wrong number of arguments for 'UNBLOCK'. Try CLIENT HELP."
            }
        };
        write::error(out, fixed);
    }
}
