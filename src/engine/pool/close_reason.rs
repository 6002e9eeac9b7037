//! Why a backend was closed: the label that metrics and logs give it, and whether the backend had
//! to be closed for what it did.

use crate::resp::{ReplyError, ReplyKind};

/// Why a backend was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// Its socket broke or the server closed it.
    Gone,
    /// It could not be dialled.
    DialFailed,
    /// Its handshake failed.
    Handshake,
    /// It was dialled to check a client's login, which was wrong.
    LoginRefused,
    /// Its handshake took too long.
    HandshakeTimeout,
    /// It owed replies and said nothing for too long.
    Stalled,
    /// A request on it took longer than `request_timeout`; it was one client's own.
    TimedOut,
    /// It sent a reply that nobody expected.
    Unsolicited,
    /// It answered a request that it had not been sent in full.
    Early,
    /// It sent a push that nobody had asked for.
    Push,
    /// It sent a reply that cannot be one to the request whose turn it was.
    WrongKind(ReplyKind),
    /// It answered narrows' own check with what was not asked.
    OutOfStep,
    /// It sent bytes that are no reply.
    Malformed(ReplyError),
    /// It sent narrows itself more than any sane answer holds.
    Oversized,
    /// Its client left in the middle.
    ClientGone,
    /// The server has refused the `EXEC` or `DISCARD` of a whole transaction, and goes on queueing: a true reply,
    /// after which nothing more may be believed.
    LeftOpen,
    /// It came back from a lease and could not be proven clean.
    Dirty,
    /// Another server has taken the place of the one that it leads to.
    EndpointReplaced,
    /// It was idle, old or surplus: nothing is wrong.
    Retired,
}

impl CloseReason {
    /// The label of this reason in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::DialFailed => "dial_failed",
            Self::Handshake => "handshake",
            Self::LoginRefused => "login_refused",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::Stalled => "stalled",
            Self::TimedOut => "request_timeout",
            Self::Unsolicited => "unsolicited_reply",
            Self::Early => "early_reply",
            Self::Push => "unsolicited_push",
            Self::WrongKind(_) => "wrong_kind_of_reply",
            Self::OutOfStep => "out_of_step",
            Self::Malformed(_) => "malformed_reply",
            Self::Oversized => "oversized_reply",
            Self::ClientGone => "client_gone",
            Self::LeftOpen => "block_not_ended",
            Self::Dirty => "dirty_lease",
            Self::EndpointReplaced => "endpoint_replaced",
            Self::Retired => "retired",
        }
    }

    /// All labels, and whether each is that of a poisoned backend.
    pub fn labels() -> [(&'static str, bool); 19] {
        let all = [
            Self::Gone,
            Self::DialFailed,
            Self::Handshake,
            Self::LoginRefused,
            Self::HandshakeTimeout,
            Self::Stalled,
            Self::TimedOut,
            Self::Unsolicited,
            Self::Early,
            Self::Push,
            Self::WrongKind(ReplyKind::Status),
            Self::OutOfStep,
            Self::Malformed(ReplyError::TooLong),
            Self::Oversized,
            Self::ClientGone,
            Self::LeftOpen,
            Self::Dirty,
            Self::EndpointReplaced,
            Self::Retired,
        ];
        all.map(|reason| (reason.label(), reason.is_poison()))
    }

    /// Whether the backend had to be closed for what it did.
    pub fn is_poison(self) -> bool {
        matches!(
            self,
            Self::Stalled
                | Self::Unsolicited
                | Self::Early
                | Self::Push
                | Self::WrongKind(_)
                | Self::OutOfStep
                | Self::Malformed(_)
                | Self::Oversized
                | Self::Dirty
        )
    }
}
