//! What kind of value a reply is, told by its first byte.

/// What a reply is, by its first byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReplyKind {
    /// `+`
    Status,
    /// `-`
    Error,
    /// `:`
    Integer,
    /// `$` of any length, streamed ones included.
    Bulk,
    /// `*` of any length, streamed ones included.
    Array,
    /// `_`, and `$-1` and `*-1` of RESP2.
    Null,
    /// `,`
    Double,
    /// `#`
    Boolean,
    /// `!`
    BlobError,
    /// `=`
    Verbatim,
    /// `(`
    BigNumber,
    /// `%`
    Map,
    /// `~`
    Set,
    /// `>`: belongs to no request.
    Push,
}

impl ReplyKind {
    pub(super) fn of(first: u8) -> Option<Self> {
        Some(match first {
            b'+' => Self::Status,
            b'-' => Self::Error,
            b':' => Self::Integer,
            b'$' => Self::Bulk,
            b'*' => Self::Array,
            b'_' => Self::Null,
            b',' => Self::Double,
            b'#' => Self::Boolean,
            b'!' => Self::BlobError,
            b'=' => Self::Verbatim,
            b'(' => Self::BigNumber,
            b'%' => Self::Map,
            b'~' => Self::Set,
            b'>' => Self::Push,
            _ => return None,
        })
    }
}
