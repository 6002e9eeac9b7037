//! What can be wrong with bytes: with a client's (answered in Redis' words, then closed) and with
//! a backend's (never resynchronised, the connection is poisoned). Only framing is judged here.

use std::borrow::Cow;

/// Bytes of a client that are no request. The client is answered and closed, since nobody can say
/// where its next request would begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// 64 KiB of an inline request without a newline.
    #[error("too big inline request")]
    TooBigInline,
    /// A quote of an inline request is not closed, or something follows it.
    #[error("unbalanced quotes in request")]
    UnbalancedQuotes,
    /// 64 KiB behind `*` without a CR.
    #[error("too big mbulk count string")]
    TooBigMultibulkHeader,
    /// The number of arguments is none, or more than allowed, or not followed by CRLF.
    #[error("invalid multibulk length")]
    InvalidMultibulkLength,
    /// More than 10 arguments before login.
    #[error("unauthenticated multibulk length")]
    UnauthenticatedMultibulkLength,
    /// 64 KiB behind `$` without a CR.
    #[error("too big bulk count string")]
    TooBigBulkHeader,
    /// An argument does not begin with `$`.
    #[error("expected '$', got {0:#04x}")]
    ExpectedDollar(u8),
    /// The length of an argument is none, or more than allowed, or not followed by CRLF, or the
    /// argument is not.
    #[error("invalid bulk length")]
    InvalidBulkLength,
    /// An argument of more than 16 KiB before login.
    #[error("unauthenticated bulk length")]
    UnauthenticatedBulkLength,
    /// The first word is `POST` or `Host:`: closed without an answer.
    #[error("an HTTP request")]
    Http,
    /// The beginning of a TLS connection: closed without an answer, which could not be read.
    #[error("a TLS connection")]
    Tls,
}

impl ProtocolError {
    /// The text behind `-ERR Protocol error: `, as Redis has it; `None` closes without a word.
    pub fn text(&self) -> Option<Cow<'static, [u8]>> {
        Some(Cow::Borrowed(match self {
            Self::TooBigInline => b"too big inline request",
            Self::UnbalancedQuotes => b"unbalanced quotes in request",
            Self::TooBigMultibulkHeader => b"too big mbulk count string",
            Self::InvalidMultibulkLength => b"invalid multibulk length",
            Self::UnauthenticatedMultibulkLength => b"unauthenticated multibulk length",
            Self::TooBigBulkHeader => b"too big bulk count string",
            Self::ExpectedDollar(got) => {
                return Some(Cow::Owned(
                    [b"expected '$', got '", &[*got][..], b"'"].concat(),
                ));
            }
            Self::InvalidBulkLength => b"invalid bulk length",
            Self::UnauthenticatedBulkLength => b"unauthenticated bulk length",
            Self::Http | Self::Tls => return None,
        }))
    }

    /// Whether the same request would be none only for a client that has not logged in.
    pub fn is_for_unauthenticated(&self) -> bool {
        matches!(
            self,
            Self::UnauthenticatedMultibulkLength | Self::UnauthenticatedBulkLength
        )
    }

    /// The label in metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tls => "tls",
            Self::UnauthenticatedMultibulkLength | Self::UnauthenticatedBulkLength => {
                "protocol_unauthenticated"
            }
            _ => "protocol",
        }
    }
}

/// Bytes of a backend that are no reply. The connection that sent them is poisoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// No type of reply begins with this byte, or none does at this place.
    #[error("no reply begins with byte {0:#04x} here")]
    UnknownType(u8),
    /// A length is no number or beyond its bound.
    #[error("invalid length")]
    InvalidLength,
    /// A string is longer than any server's.
    #[error("string longer than allowed")]
    TooLong,
    /// A length or a scalar is not ended within `header_bytes_max`.
    #[error("line longer than allowed")]
    TooLongLine,
    /// An integer, double, big number, boolean or null is none.
    #[error("invalid value of type {0:#04x}")]
    InvalidValue(u8),
    /// A line or a string is not ended by CRLF.
    #[error("missing line end")]
    MissingLineEnd,
    /// Aggregates of no announced length are nested deeper than anybody does.
    #[error("streams nested too deeply")]
    TooDeep,
    /// A push inside another reply: old servers could do that, and nobody can say whose it is.
    #[error("push inside another reply")]
    NestedPush,
}

impl ReplyError {
    /// The label in metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::UnknownType(_) => "unknown_type",
            Self::InvalidLength => "invalid_length",
            Self::TooLong => "too_long",
            Self::TooLongLine => "too_long_line",
            Self::InvalidValue(_) => "invalid_value",
            Self::MissingLineEnd => "missing_line_end",
            Self::TooDeep => "too_deep",
            Self::NestedPush => "nested_push",
        }
    }
}
