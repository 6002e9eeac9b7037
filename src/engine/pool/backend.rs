//! One connection to the server: its queue of expected replies, what goes out to it, and
//! what it is used for. The queue dies with the value: a new socket is a new `Backend`.

use std::collections::VecDeque;
use std::time::Duration;

use crate::admission::fault_injection::{self, Bug};
use crate::engine::context::{Contexts, Within};
use crate::engine::key::{ClientId, ContextId, CredentialId, EndpointId, LoginId, PoolKey};
use crate::engine::lease::holding::Lendable;
use crate::engine::lease::state::LeaseFor;
use crate::engine::slot::{AccessKind, Receiver, Slot};
use crate::resp::ReplyScanner;

use super::check::Check;
use super::cleaning::Cleaning;
use super::handshake::Handshake;
use super::latency_sample::LatencySample;
use super::orphan::Orphan;
use super::outgoing::Outgoing;

/// What a backend is used for.
///
/// ```text
///                              .-- Cleaning <-.
///                              v              |
///   Dialling -> Handshake -> Idle <-------> Leased
///                  ^           |
///                  |           v
///              Draining <---- Pipe
/// ```
#[derive(Debug)]
pub enum Phase {
    /// The socket is being connected.
    Dialling,
    /// narrows' own commands are on their way; nobody else's.
    Handshake(Handshake),
    /// Shared by many clients.
    Pipe {
        /// When it began to serve its context.
        since: Duration,
        /// What it takes now.
        state: PipeState,
    },
    /// A pipe that gets no further requests; once empty it goes on to what waits for it.
    Draining(Next),
    /// Nobody's, in its context, clean.
    Idle,
    /// One client's.
    Leased(ClientId),
    /// That of a client that has left while it waited: how the wait ends is still to be seen.
    Orphaned(Orphan),
    /// Nobody's, until the server has taken back what its client has left on it.
    Cleaning(Box<Cleaning>),
    /// It carries what ends waits on other backends.
    Cancelling,
}

impl Phase {
    /// What it was lent for to a client that has left it, and that it is not free of yet.
    pub fn left_by_its_client(&self) -> Option<LeaseFor> {
        match self {
            Self::Orphaned(orphan) => Some(orphan.purpose),
            Self::Cleaning(cleaning) => Some(cleaning.purpose),
            _ => None,
        }
    }

    /// Whether it takes the place of a lease.
    pub fn is_leased(&self) -> bool {
        matches!(self, Self::Leased(_)) || self.left_by_its_client().is_some()
    }
}

/// Which requests a pipe takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PipeState {
    /// All.
    Open,
    /// None until its oldest reply has passed: that is huge, answers a ping after a long
    /// silence, or is that of a read and does not come while the server answers others.
    Quarantined,
    /// Those for which no other pipe is to be had: the oldest is a script that takes long.
    Script,
    /// Only such as may write. The oldest one does, and does not move while the server
    /// answers others: somebody has paused writes, and reads must not stand behind them.
    WritesOnly,
}

/// Who waits for a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AcquireRequest {
    /// The clients of a context: a pipe there.
    Pipe(PoolKey),
    /// One client: a lease.
    Lease(ClientId),
    /// One client's `SCRIPT KILL`: a connection of its own.
    Kill(ClientId),
    /// Those who wait for a login to be checked: a connection of that user, or a new one.
    Login(LoginId),
    /// Waits that are to be ended as this user: a connection for that.
    Cancel(CredentialId),
}

/// What becomes of a drained pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is set to the context of the one who waits.
    For(AcquireRequest),
    /// It is closed.
    Close,
}

/// See the module.
#[derive(Debug)]
pub struct Backend {
    /// See [`Phase`].
    pub phase: Phase,
    /// The server that it leads to, for as long as it lives.
    endpoint: EndpointId,
    /// What it is set to, or being dialled for. Always one of its own user's.
    within: Within,
    /// As whom it is logged in. Never changes, once that is known.
    credential: CredentialId,
    /// Its `CLIENT ID`, if it has said that.
    pub server_id: Option<u64>,
    /// It was dialled within the place of the budget that is kept back: it is used once.
    pub kept_back: bool,
    /// Whom it was dialled or drained for, until it reaches them.
    pub made_for: Option<AcquireRequest>,
    /// Expected replies, oldest first.
    pub in_flight: VecDeque<Slot>,
    /// Requests: unsent, and sent without a reply yet.
    pub out: Outgoing,
    /// Where in the oldest reply we are.
    pub replies: ReplyScanner,
    /// The part that has come of a reply that is wanted whole.
    pub collected: Vec<u8>,
    /// The part that has come of an error, whoever gets it.
    pub error: Vec<u8>,
    /// The server has said that it is busy with a script.
    pub busy: Option<Box<[u8]>>,
    /// The reply to one has come.
    pub script_over: bool,
    /// Some bytes of the oldest reply have been handed to its client.
    pub begun: bool,
    /// Its client's command may wait on the server for as long as it likes.
    pub patient: bool,
    /// Its last check.
    pub check: Check,
    /// The request whose time is taken.
    pub latency_sample: LatencySample,
    /// It is listed for writing.
    pub dirty: bool,
    /// When it is to be retired.
    pub retire_at: Option<Duration>,
    /// When its last byte came, or when it began to owe one after owing none.
    pub heard_at: Duration,
    /// When it last carried something.
    pub used_at: Duration,
    /// Since when its socket has not taken all of `out`.
    pub blocked_since: Option<Duration>,
}

impl Lendable for Backend {
    fn is_quiet(&self) -> bool {
        self.is_quiet()
    }

    fn context(&self) -> ContextId {
        self.context()
    }
}

impl Backend {
    /// A backend about to be dialled.
    pub fn new(
        endpoint: EndpointId,
        within: Within,
        credential: CredentialId,
        now: Duration,
    ) -> Self {
        Self {
            phase: Phase::Dialling,
            endpoint,
            within,
            credential,
            server_id: None,
            kept_back: false,
            made_for: None,
            in_flight: VecDeque::new(),
            out: Outgoing::default(),
            replies: ReplyScanner::default(),
            collected: Vec::new(),
            error: Vec::new(),
            busy: None,
            script_over: false,
            begun: false,
            patient: false,
            check: Check::new(now),
            latency_sample: LatencySample::default(),
            dirty: false,
            retire_at: None,
            heard_at: now,
            used_at: now,
            blocked_since: None,
        }
    }

    /// What it is set to, or being dialled for.
    #[inline]
    pub fn context(&self) -> ContextId {
        self.within.id()
    }

    /// The server that it leads to.
    #[inline]
    pub fn endpoint(&self) -> EndpointId {
        self.endpoint
    }

    /// The pool that it belongs in now.
    #[inline]
    pub fn pool_key(&self) -> PoolKey {
        PoolKey {
            endpoint: self.endpoint,
            context: self.context(),
        }
    }

    /// As whom it is logged in.
    #[inline]
    pub fn credential(&self) -> CredentialId {
        self.credential
    }

    /// It is set to `context`, as the server has confirmed.
    ///
    /// # Panics
    /// When that is another user's: whatever came over it would run as somebody else.
    pub fn enter(&mut self, contexts: &mut Contexts, context: ContextId) {
        self.assert_own(contexts, context);
        contexts.move_on(&mut self.within, context);
    }

    /// A context that it is set to, or is to be, is one of the user that it is logged in as.
    pub fn assert_own(&self, contexts: &Contexts, context: ContextId) {
        let own = contexts.credential(context) == Some(self.credential);
        assert!(
            own || fault_injection::has(Bug::UserChanged)
                || fault_injection::has(Bug::LeaseMovedAsClient),
            "a backend never changes user"
        );
    }

    /// The login that it was dialled to check was accepted: it is that user's from now on.
    pub fn is_now_of(
        &mut self,
        credential: CredentialId,
        contexts: &mut Contexts,
        context: ContextId,
    ) {
        assert!(
            self.credential == CredentialId::PENDING,
            "a backend never changes user"
        );
        self.credential = credential;
        self.enter(contexts, context);
    }

    /// It is gone: it is in its context no more.
    pub fn leave(self, contexts: &mut Contexts) {
        contexts.leave(self.within);
    }

    /// Registers an expected reply. **Before** the request's bytes are appended.
    pub fn push_slot(&mut self, slot: Slot, now: Duration) {
        if self.in_flight.is_empty() {
            self.heard_at = now;
        }
        self.used_at = now;
        self.in_flight.push_back(slot);
    }

    /// Sends a request: its slot is queued before its bytes are, and stands for all of them.
    #[inline(always)]
    pub fn send(&mut self, slot: Slot, request: &[u8], now: Duration) {
        debug_assert_eq!(slot.bytes(), request.len(), "a slot stands for its bytes");
        self.push_slot(slot, now);
        self.out.push(request);
    }

    /// Sends a request of narrows' own.
    pub fn send_own(&mut self, receiver: Receiver, request: &[u8], now: Duration) {
        self.send(Slot::own(receiver, now, request.len()), request, now);
    }

    /// What it carries is written now: the time of the last request is taken, unless another's is.
    /// Not of one that is lent, which may wait for as long as its client likes.
    pub fn watch(&mut self, now: Duration) {
        if self.latency_sample.is_idle() && matches!(self.phase, Phase::Pipe { .. }) {
            self.latency_sample.begin(self.in_flight.len(), now);
        }
    }

    /// Whose it is, if it is somebody's.
    pub fn owner(&self) -> Option<ClientId> {
        match self.phase {
            Phase::Leased(owner) => Some(owner),
            _ => None,
        }
    }

    /// What it takes now, if it is a pipe.
    pub fn state(&self) -> Option<PipeState> {
        match self.phase {
            Phase::Pipe { state, .. } => Some(state),
            _ => None,
        }
    }

    /// From now on a pipe takes this.
    pub fn turn_to(&mut self, to: PipeState) {
        if let Phase::Pipe { state, .. } = &mut self.phase {
            *state = to;
        }
    }

    /// Whether its oldest request is one that no pause of writes holds up.
    pub fn owes_despite_a_pause(&self) -> bool {
        self.in_flight.front().is_some_and(Slot::ignores_a_pause)
    }

    /// Whether nothing is expected of it and nothing is on its way to it.
    pub fn is_quiet(&self) -> bool {
        self.in_flight.is_empty() && self.out.is_empty() && !self.replies.in_reply()
    }

    /// Whether it is a pipe that takes one more request of `bytes` bytes.
    pub fn takes(
        &self,
        access: AccessKind,
        bytes: usize,
        in_flight_max: usize,
        bytes_max: usize,
    ) -> bool {
        let open = match self.state() {
            Some(PipeState::Open | PipeState::Script) => true,
            Some(PipeState::WritesOnly) => access == AccessKind::Write,
            Some(PipeState::Quarantined) | None => false,
        };
        open && self.in_flight.len() < in_flight_max
            && (self.in_flight.is_empty() || self.out.unanswered_len() + bytes <= bytes_max)
    }
}
