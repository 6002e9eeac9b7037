//! Every bound of framing, in one struct. Whatever a peer announces, the scanners refuse it here,
//! before a byte is reserved for it. The defaults are Redis' own constants unless it says otherwise.

/// What a scanner accepts from its peer. Requests are judged by all fields, replies by
/// `header_bytes_max`: what a client has the server say is no fault of the connection that others
/// share, so replies are bound by what is held for their client and not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an inline request before its newline has come. Redis: `PROTO_INLINE_MAX_SIZE`.
    pub inline_bytes_max: usize,
    /// Bytes of a `*<n>` or `$<n>` line before its CR has come. Redis: `PROTO_INLINE_MAX_SIZE`.
    /// Less than [`HEADER_BYTES_MIN`] is taken for that.
    pub header_bytes_max: usize,
    /// Arguments of one request, the name included. Redis allows `INT_MAX`; stricter here, since
    /// every argument costs bookkeeping before the request is known to be worth it.
    pub args_max: u32,
    /// Bytes of one argument. Redis: `proto-max-bulk-len`.
    pub bulk_bytes_max: u64,
    /// Whether the client has logged in or need not. Before that a request has at most
    /// [`UNAUTHENTICATED_ARGS_MAX`] arguments of [`UNAUTHENTICATED_BULK_BYTES_MAX`] bytes.
    pub authenticated: bool,
}

/// Arguments of a request before login. Redis: `authRequired(c) && ll > 10`.
pub const UNAUTHENTICATED_ARGS_MAX: u32 = 10;

/// Bytes of an argument before login. Redis: `authRequired(c) && ll > 16384`.
pub const UNAUTHENTICATED_BULK_BYTES_MAX: u64 = 16_384;

/// Elements that an aggregate in a reply may announce, or pairs: as many as Redis' own client
/// library takes (`REDIS_READER_MAX_ARRAY_ELEMENTS`, hiredis' read.h). What says more is no reply, and
/// whatever came behind it would be taken for its elements.
pub const REPLY_ELEMENTS_MAX: u64 = (1 << 32) - 1;

/// Bytes of one string in a reply: more than a server can hold, so whatever says more is none.
pub const REPLY_BYTES_MAX: u64 = 1 << 40;

/// Room for every 64-bit number with its sign and type.
pub const HEADER_BYTES_MIN: usize = 32;

impl Default for Limits {
    fn default() -> Self {
        Self {
            inline_bytes_max: 64 * 1024,
            header_bytes_max: 64 * 1024,
            args_max: 1024 * 1024,
            bulk_bytes_max: 512 * 1024 * 1024,
            authenticated: false,
        }
    }
}

impl Limits {
    /// The same limits for a client that has logged in, or that need not.
    pub fn authenticated(self) -> Self {
        Self {
            authenticated: true,
            ..self
        }
    }

    /// Arguments that a request of this client may have now, and bytes that each of them may.
    #[inline(always)]
    pub(super) fn allowed(&self) -> (u32, u64) {
        if self.authenticated {
            (self.args_max, self.bulk_bytes_max)
        } else {
            self.allowed_before_login()
        }
    }

    /// Apart from the others, since hardly a request is judged by it.
    #[cold]
    fn allowed_before_login(&self) -> (u32, u64) {
        (
            self.args_max.min(UNAUTHENTICATED_ARGS_MAX),
            self.bulk_bytes_max.min(UNAUTHENTICATED_BULK_BYTES_MAX),
        )
    }

    /// Bytes that a line with a length may have.
    pub(super) fn header_allowed(&self) -> usize {
        self.header_bytes_max.max(HEADER_BYTES_MIN)
    }
}
