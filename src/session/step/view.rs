//! What a step is decided by: what is known of the session, and what is known of the request.

use crate::command::Spec;
use crate::resp::{Args, Protocol, Refusal};
use crate::session::{AbortReason, AuthState, LostTransaction};

/// What there is to know of the session.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Whether its client has to log in.
    pub auth_state: AuthState,
    /// The protocol that it is in.
    pub protocol: Protocol,
    /// Replies to earlier requests have not come.
    pub replies_due: bool,
    /// What it has lost of a transaction.
    pub lost: LostTransaction,
    /// What a pause of the server holds up.
    pub paused: PausedFor,
    /// The backend that its client holds for whatever it asks for.
    pub lease: Option<OnLease>,
}

/// What a pause of the server holds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PausedFor {
    /// There is none.
    Nothing,
    /// What may write.
    Writes,
    /// Every command.
    Everything,
}

/// What a client has on the backend that it holds. All of it is as the replies so far have shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct OnLease {
    /// A command is under way that may wait.
    pub waits: bool,
    /// No reply is due that may change whether commands are queued.
    pub is_settled: bool,
    /// The server queues commands.
    pub queueing: bool,
    /// Something that is queued may write.
    pub queues_writes: bool,
    /// An `EXEC` is judged by what such a reply may change.
    pub judges_exec: bool,
    /// An `EXEC` must not run.
    pub abort_reason: Option<AbortReason>,
    /// Its reply holds places to be filled.
    pub is_to_be_filled: bool,
    /// Subscriptions are being changed.
    pub changing: bool,
    /// It is subscribed to something.
    pub subscribed: bool,
    /// Keys are tracked.
    pub tracking: bool,
}

/// What there is to know of the request.
#[derive(Debug, Clone)]
pub struct Incoming<'r> {
    /// Its command.
    pub spec: &'r Spec,
    /// The complete canonical request.
    pub bytes: &'r [u8],
    /// The number of its arguments, the name included.
    pub argc: u32,
    /// Why its client may not use the command.
    pub forbidden: Option<Refusal<'r>>,
    /// The operator has it run apart from everybody else's.
    pub is_dedicated: bool,
    /// The server never runs it in a transaction.
    pub is_never_in_multi: bool,
}

impl<'r> Incoming<'r> {
    /// Whether the server would not run it, whoever asks.
    pub(super) fn is_wrong(&self) -> bool {
        self.spec.on_server == Some(false) || !self.spec.accepts(self.argc)
    }

    /// The server's own words for that.
    pub(super) fn refusal(&self) -> Option<Refusal<'r>> {
        let command = &*self.spec.name;
        match self.spec.on_server {
            Some(false) => Some(self.unknown_to_server()),
            _ if self.spec.accepts(self.argc) => None,
            _ => Some(Refusal::Arity { command }),
        }
    }

    /// The server does not have this command of ours.
    fn unknown_to_server(&self) -> Refusal<'r> {
        match self.spec.container() {
            Some(command) => Refusal::UnknownSubcommand {
                command,
                subcommand: Args::new(self.bytes).nth(1).unwrap_or_default(),
            },
            None => Refusal::UnknownCommand { frame: self.bytes },
        }
    }

    /// Whether it is `CLIENT x OFF`.
    pub(super) fn says_off(&self) -> bool {
        let word = Args::new(self.bytes).nth(2);
        word.is_some_and(|word| word.eq_ignore_ascii_case(b"off"))
    }
}
