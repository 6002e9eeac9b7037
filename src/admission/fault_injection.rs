//! Known bugs that a test can inject, to prove that the simulation finds each of them. Only in
//! builds with the feature `fault_injection`; in all others the question below is always answered no
//! and costs nothing. What a bug does beyond one line is in the engine's file of this name.

/// One bug. Those that other proxies and clients have had, and the nearest things to them that
/// the types let be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A backend of one user is set to the context of another.
    UserChanged,
    /// A lent backend that changes its db is filed under the user that its client is by then.
    LeaseMovedAsClient,
    /// A login that the server has refused is taken for accepted.
    LoginUnchecked,
    /// Nobody asks as whom the server has logged a connection in by narrows' certificate.
    CertificateIgnored,
    /// With a client its slots are forgotten, though the replies are still to come.
    OrphanDropped,
    /// What was in flight on a lost backend is expected of the next one.
    QueueKept,
    /// A slot is registered only after the request was written.
    SlotAfterWrite,
    /// A write that may have run is sent again.
    WriteRetried,
    /// What TLS has sealed counts as not written while its socket has not taken it.
    SealedUnwritten,
    /// What TLS has sealed counts as not written when its socket breaks under it.
    SealedForgotten,
    /// A read is asked again although a later write of its client may have run.
    ReadPastWrite,
    /// A push that nobody has asked for is taken for a reply.
    PushTaken,
    /// A switch of db is sent, and what follows it does not wait for its end.
    SwitchNotAwaited,
    /// A local answer is given before earlier replies are in.
    LocalTooEarly,
    /// A permit is counted back twice.
    PermitTwice,
    /// A backend that owes replies may be silent for ever.
    StallMissed,
    /// A switch to another db is left out.
    SelectLeftOut,
    /// A reply that nobody expects is skipped, and the backend used on.
    ExtraSkipped,
    /// The token of narrows' own ping may come back as anything.
    TokenIgnored,
    /// A reply may be of any kind.
    KindIgnored,
    /// The time slice of a context does not end: one that has no connection gets none.
    SliceNotEnded,
    /// A request that timed out gives up its place, though its reply is still to come.
    TimeoutForgotten,
    /// A backend comes back from a lease with what its client has left on it.
    LeaseDirty,
    /// A lease is taken while the pipe still owes its client a reply.
    LeaseTooEarly,
    /// The rest of a whole transaction whose `MULTI` is lost with its connection is sent again without it.
    TransactionTorn,
    /// A connection that watched is lost, and the `EXEC` that depends on it runs on another.
    WatchForgotten,
    /// A watch that was lost is taken along by whatever its client is lent next.
    LostWatchTaken,
    /// What an `EXEC` comes to is judged while the end of the transaction before is on its way.
    JudgedTooEarly,
    /// A whole transaction that changes its db goes down a pipe.
    TransactionWithSelect,
    /// What is sent behind a `MULTI` that could not be carried out runs.
    MultiRefusedGoesOn,
    /// A message of a subscription is taken for the reply to the oldest request.
    MessageTakesSlot,
    /// The first confirmation of several is taken for all of them.
    ConfirmedOnce,
    /// A connection is given back while it is subscribed.
    LeaseWhileSubscribed,
    /// What a client has left on its connection is not taken back before others use that.
    LeftUncleaned,
    /// What comes behind a `RESET` does not wait until the server has seen the end of what was left.
    LeftTooEarly,
    /// The end of a client that is not read goes unnoticed: its wait takes what comes.
    HangUpMissed,
    /// A wait is ended by closing its connection, whatever is on its way there.
    WaitBroken,
    /// What follows a command with a connection of its own goes down that connection, which is in no db.
    OwnConnectionShared,
    /// What a worker leaves in its inbox, since it takes only so much in one turn, wakes nobody.
    MailForgotten,
    /// A client that has not read its replies is not read either.
    ReadingStops,
    /// A context is forgotten while clients and connections are in it.
    ContextForgotten,
    /// Who stands in line for a place is tried for what others have come for before it.
    LineOvertaken,
    /// Who has found no place to wait waits as long as others wait for a connection.
    DeadlineOfOthers,
}

#[cfg(feature = "fault_injection")]
mod switch {
    use std::cell::Cell;

    thread_local! {
        static INJECTED: Cell<Option<super::Bug>> = const { Cell::new(None) };
    }

    /// From now on this thread's engines have this bug, or none.
    pub fn inject(bug: Option<super::Bug>) {
        INJECTED.set(bug);
    }

    /// Whether this thread's engines have this bug.
    pub fn has(bug: super::Bug) -> bool {
        INJECTED.get() == Some(bug)
    }
}

#[cfg(feature = "fault_injection")]
pub use switch::{has, inject};

/// Whether this build has this bug: it has none.
#[cfg(not(feature = "fault_injection"))]
#[inline(always)]
pub const fn has(_: Bug) -> bool {
    false
}
