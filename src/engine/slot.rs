//! The place of one expected reply in a backend's in-flight queue.

use std::time::Duration;

use crate::command::{Shape, Spec};
use crate::session::StateChange;
use crate::session::step::ReplyUse;

use super::key::ClientId;
use super::pool::handshake;
use super::server_role::Role;

/// Who gets the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receiver {
    /// The client, byte for byte.
    Client,
    /// The client, once the whole reply is here and its `INFO` fields are rewritten.
    ClientInfo {
        /// Whether it asked for the section about narrows.
        section: bool,
    },
    /// The client, whose command makes this of the server if it is answered with `+OK`.
    Role(Role),
    /// A client that asked for silence: the reply is swallowed.
    Silent,
    /// The client, on a backend of its own whose state the reply changes.
    OnLease(StateChange),
    /// The same for a client that asked for silence.
    OnLeaseSilent(StateChange),
    /// The client, whose command may wait: the whole reply decides what it hears, and what becomes of
    /// what was taken for it. If the client is gone, narrows itself.
    Waited {
        /// The client asked for silence.
        silent: bool,
    },
    /// narrows itself: a step of what [ends a wait](super::blocking::cancel).
    Cancel {
        /// The one that says whether it has.
        last: bool,
    },
    /// narrows itself: what puts back an element that reached nobody.
    PutBack,
    /// narrows itself: what [tries without waiting](super::blocking::tries) what a client in line waits for.
    Tried(TryRequest),
    /// Nobody any more: the client was told that its request timed out. The place stays
    /// taken until the reply has come.
    Tombstone,
    /// narrows itself: whether the client's user may use the command of its next request.
    Permission,
    /// narrows itself: the reply to a client's `SCRIPT KILL` that was sent before its turn.
    Kill,
    /// narrows itself: what a client that is gone has left behind is taken back.
    Undone(StateChange),
    /// narrows itself: a health check.
    Ping,
    /// narrows itself: what moves a connection behind all that was written before.
    Offset,
    /// narrows itself: one step of a handshake or of a switch of context.
    Handshake(handshake::HandshakeStep),
}

/// What may be done for the command when the backend is lost after the command was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryClass {
    /// It may have run: its client is told so.
    Unknown,
    /// A read that has not been replayed yet: it can be asked again.
    Replayable,
    /// The `MULTI` of a whole transaction.
    TransactionBegins,
    /// A command in a whole transaction. It has run only if the end of that has left.
    InTransaction,
    /// The `EXEC` or `DISCARD` of a whole transaction.
    TransactionEnds,
    /// The `EXEC` of a whole transaction with a script in it.
    TransactionRuns,
    /// A script, which runs for as long as it likes: otherwise as [`RetryClass::Unknown`].
    Script,
}

impl Receiver {
    /// Who gets the reply to a client's request, of which this is to become.
    pub fn of(reply: ReplyUse, request: &[u8]) -> Self {
        match reply {
            ReplyUse::AsIs => Self::Client,
            ReplyUse::Info { section } => Self::ClientInfo { section },
            ReplyUse::Role => Self::Role(Role::asked_for(request)),
            ReplyUse::Marked(change) => Self::OnLease(change),
        }
    }

    /// Whether a client waits for the reply, or for its turn behind it.
    pub fn is_client(self) -> bool {
        match self {
            Self::Client
            | Self::ClientInfo { .. }
            | Self::Role(_)
            | Self::Silent
            | Self::OnLease(_)
            | Self::OnLeaseSilent(_)
            | Self::Waited { .. } => true,
            Self::Tombstone
            | Self::Permission
            | Self::Kill
            | Self::Undone(_)
            | Self::Ping
            | Self::Offset
            | Self::Cancel { .. }
            | Self::PutBack
            | Self::Tried(_)
            | Self::Handshake(_) => false,
        }
    }

    /// Whether it is a client that asked for silence.
    pub fn is_silent(self) -> bool {
        matches!(
            self,
            Self::Silent | Self::OnLeaseSilent(_) | Self::Waited { silent: true }
        )
    }

    /// The same for a client that asked for silence.
    pub fn silenced(self) -> Self {
        match self {
            Self::OnLease(change) => Self::OnLeaseSilent(change),
            Self::Waited { .. } => Self::Waited { silent: true },
            _ => Self::Silent,
        }
    }
}

/// One expected reply.
///
/// Owned and not `Clone`. It leaves the queue in one of three ways, each of which
/// consumes it: [`deliver`](Slot::deliver), [`discard`](Slot::discard) or
/// [`fail`](Slot::fail). A slot that is dropped in any other way could let the reply
/// behind it reach the wrong client: debug builds panic on it.
#[derive(Debug)]
#[must_use]
pub struct Slot {
    client: ClientId,
    sequence: u32,
    at_ms: u32,
    bytes: u32,
    receiver: Receiver,
    retry_class: RetryClass,
    shape: Shape,
}

/// There is one for each request in flight.
const _: () = assert!(size_of::<Slot>() <= 24, "a slot is small");

/// What a consumed slot was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// The client that waits for it, if the receiver is one.
    pub client: ClientId,
    /// Its number among the client's requests, wrapping.
    pub sequence: u32,
    /// Length of the request in the backend's retained output, in bytes.
    pub bytes: usize,
    /// Who gets the reply.
    pub receiver: Receiver,
    /// See [`RetryClass`].
    pub retry_class: RetryClass,
}

impl Slot {
    /// A slot for request number `sequence` of `client`, enqueued at `now`, of which
    /// `bytes` bytes are retained in the backend's output until the reply is here.
    pub fn new(
        client: ClientId,
        sequence: u32,
        now: Duration,
        bytes: usize,
        receiver: Receiver,
        retry_class: RetryClass,
    ) -> Self {
        Self {
            shape: Shape::ANY,
            client,
            sequence,
            at_ms: millis(now),
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            receiver,
            retry_class,
        }
    }

    /// The same slot for a request whose reply is of such a kind.
    pub fn shaped(mut self, shape: Shape) -> Self {
        self.shape = shape;
        self
    }

    /// What the reply may be.
    #[inline]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// A slot for a request of narrows' own.
    pub fn own(receiver: Receiver, now: Duration, bytes: usize) -> Self {
        Self::new(
            ClientId::default(),
            0,
            now,
            bytes,
            receiver,
            RetryClass::Unknown,
        )
    }

    /// Who gets the reply.
    pub fn receiver(&self) -> Receiver {
        self.receiver
    }

    /// Whether its client asked for silence.
    pub fn is_silent(&self) -> bool {
        self.receiver.is_silent()
    }

    /// The client that waits for the reply, if the receiver is one.
    pub fn client(&self) -> ClientId {
        self.client
    }

    /// Length of the retained request, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes as usize
    }

    /// Whether it is for the `EXEC` or `DISCARD` of a whole transaction.
    pub fn ends_transaction(&self) -> bool {
        matches!(
            self.retry_class,
            RetryClass::TransactionEnds | RetryClass::TransactionRuns
        )
    }

    /// See [`RetryClass`].
    pub fn retry_class(&self) -> RetryClass {
        self.retry_class
    }

    /// Its number among its client's requests, wrapping.
    pub fn sequence(&self) -> u32 {
        self.sequence
    }

    /// When the request is as old as `limit`. Right for ages as those of
    /// [`is_older_than`](Slot::is_older_than).
    pub fn is_old_at(&self, limit: Duration, now: Duration) -> Duration {
        let age = millis(now).wrapping_sub(self.at_ms);
        let age = Duration::from_millis(u64::from(age));
        now + limit.saturating_sub(age)
    }

    /// Whether a server that has paused writes answers the request all the same: a read or a
    /// ping. One that has been replayed, or that narrows' own table does not know, may be a
    /// read without our knowing.
    pub fn ignores_a_pause(&self) -> bool {
        self.retry_class == RetryClass::Replayable || self.receiver == Receiver::Ping
    }

    /// Whether the request was enqueued at least `limit` before `now`. Right for ages
    /// below 24 days (the clock of a slot is 32 bits of milliseconds).
    pub fn is_older_than(&self, limit: Duration, now: Duration) -> bool {
        let age = millis(now).wrapping_sub(self.at_ms);
        age < u32::MAX / 2 && u128::from(age) >= limit.as_millis()
    }

    /// Turns the slot into a tombstone: its place stays, its client does not wait any more.
    pub fn give_up(&mut self) -> ClientId {
        self.receiver = Receiver::Tombstone;
        std::mem::take(&mut self.client)
    }

    /// The reply goes to its client as it is, from here on.
    pub fn pass_as_it_is(&mut self) {
        self.receiver = Receiver::Client;
    }

    /// From now on the whole reply of a wait is wanted.
    pub fn await_whole(&mut self) {
        let silent = self.receiver.is_silent();
        self.receiver = Receiver::Waited { silent };
    }

    /// Its client is gone; narrows itself wants the reply.
    pub fn orphan(&mut self) {
        self.await_whole();
        self.client = ClientId::default();
    }

    /// The reply has been handed over in full.
    pub fn deliver(self) -> Settled {
        self.settle()
    }

    /// The reply has come and was swallowed.
    pub fn discard(self) -> Settled {
        self.settle()
    }

    /// The reply will never come: the backend is gone.
    pub fn fail(self) -> Settled {
        self.settle()
    }

    fn settle(self) -> Settled {
        let settled = Settled {
            client: self.client,
            sequence: self.sequence,
            bytes: self.bytes(),
            receiver: self.receiver,
            retry_class: self.retry_class,
        };
        std::mem::forget(self);
        settled
    }
}

#[cfg(debug_assertions)]
impl Drop for Slot {
    fn drop(&mut self) {
        assert!(
            std::thread::panicking(),
            "a slot was dropped without being delivered, discarded or failed: {self:?}"
        );
    }
}

/// Milliseconds, wrapping after 49 days.
fn millis(now: Duration) -> u32 {
    (now.as_millis() & u128::from(u32::MAX)) as u32
}

/// Which request of a try a reply is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryRequest {
    /// `MULTI`.
    Multi,
    /// The client's command.
    Command,
    /// `EXEC`.
    Exec,
    /// `XINFO STREAM`: where a stream ends.
    End,
}

/// Whether a request may be held up by a server that has paused writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum AccessKind {
    /// It cannot.
    #[default]
    Read,
    /// It may: it writes, or runs or replicates what does.
    Write,
}

/// What a command may do.
pub fn access_of(spec: &Spec) -> AccessKind {
    match spec.may_write() {
        true => AccessKind::Write,
        false => AccessKind::Read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(now: Duration) -> Slot {
        Slot::new(
            ClientId::default(),
            1,
            now,
            30,
            Receiver::Client,
            RetryClass::Replayable,
        )
    }

    #[test]
    #[should_panic(expected = "dropped without being delivered")]
    fn a_slot_dropped_in_any_other_way_is_a_bug() {
        drop(slot(Duration::ZERO));
    }

    #[test]
    fn age_is_right_across_the_wrap_of_the_clock() {
        let at = Duration::from_millis(u64::from(u32::MAX) - 5);
        let s = slot(at);
        assert!(!s.is_older_than(Duration::from_millis(10), at));
        assert!(s.is_older_than(Duration::from_millis(10), at + Duration::from_millis(10)));
        let _ = s.discard();
    }
}
