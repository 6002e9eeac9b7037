//! Marks: what a request of a client on its own backend is about whose reply changes what is known of
//! that backend. `settle.rs` says what changes.

use crate::command::Pin;
use crate::resp::ReplyKind;

/// What the reply to a request changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateChange {
    /// `WATCH`.
    Watch,
    /// `UNWATCH`.
    Unwatch,
    /// `MULTI`.
    Multi,
    /// `EXEC`.
    Exec,
    /// `EXEC`, whose reply holds places that narrows fills in.
    ExecFilled,
    /// `DISCARD`.
    Discard,
    /// A `DISCARD` of narrows' own in the place of an `EXEC` that must not run: [`AbortReason::Refused`].
    Abort,
    /// The same for [`AbortReason::WatchLost`].
    AbortUnwatched,
    /// `SELECT` or `HELLO` outside `MULTI`: the connection changes with its client.
    Switch,
    /// A command that changes subscriptions; its reply is an error, or confirmations.
    Subscribe,
    /// `MONITOR`.
    Monitor,
    /// `CLIENT TRACKING ON`.
    TrackingOn,
    /// `CLIENT TRACKING OFF`.
    TrackingOff,
    /// `WAIT`.
    Wait,
    /// `WAITAOF`.
    WaitAof,
    /// `CLIENT PAUSE` or `CLIENT UNPAUSE`.
    Pause,
    /// What leaves state on its connection if the server does it.
    Pin(Pin),
    /// `HIMPORT DISCARDALL`; inside `MULTI` it is only queued.
    HimportsNoMore,
    /// `CLIENT NO-TOUCH OFF`.
    TouchesAgain,
    /// `CLIENT IMPORT-SOURCE OFF`.
    ImportsNoMore,
}

impl StateChange {
    /// Whether its reply may change whether the server queues commands.
    pub(super) fn moves(self) -> bool {
        matches!(
            self,
            Self::Multi
                | Self::Exec
                | Self::ExecFilled
                | Self::Discard
                | Self::Abort
                | Self::AbortUnwatched
        )
    }

    /// That of a command that undoes what has pinned its client, if there is one. A mark has no room
    /// for a second kind of [`Pin`]: each has a name of its own.
    pub fn undoing(pin: Pin) -> Option<Self> {
        match pin {
            Pin::Himport => Some(Self::HimportsNoMore),
            Pin::NoTouch => Some(Self::TouchesAgain),
            Pin::ImportSource => Some(Self::ImportsNoMore),
            _ => None,
        }
    }

    /// Whether its reply tells for how many its client's writes have arrived.
    pub fn acknowledges(self) -> bool {
        matches!(self, Self::Wait | Self::WaitAof)
    }

    /// Whether its reply, of this kind, may be long and is no error: it goes on as it comes.
    pub fn goes_on_as_it_comes(self, kind: ReplyKind) -> bool {
        match self {
            Self::Exec => matches!(kind, ReplyKind::Array | ReplyKind::Null),
            Self::Pin(_) => !matches!(
                kind,
                ReplyKind::Status | ReplyKind::Error | ReplyKind::BlobError
            ),
            _ => false,
        }
    }

    /// Why narrows has sent a `DISCARD` in the place of an `EXEC`, if it has.
    pub fn abort_reason(self) -> Option<AbortReason> {
        match self {
            Self::Abort => Some(AbortReason::Refused),
            Self::AbortUnwatched => Some(AbortReason::WatchLost),
            _ => None,
        }
    }
}

/// Why an `EXEC` must not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbortReason {
    /// A command was refused by narrows at queue time.
    Refused,
    /// The connection that watched for it is lost: a watched key may have changed.
    WatchLost,
}

impl AbortReason {
    /// The mark of the `DISCARD` that is sent in place of the `EXEC`.
    pub fn change(self) -> StateChange {
        match self {
            Self::Refused => StateChange::Abort,
            Self::WatchLost => StateChange::AbortUnwatched,
        }
    }
}
