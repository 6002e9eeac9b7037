//! Waits that are being ended: who has asked for it, what has come of it, and what is still to come.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::engine::effect::AnswerTo;
use crate::engine::key::{BackendId, ClientId, CredentialId};
use crate::session::put_back::is_nil;
use crate::session::waiting::Takes;

/// Why a wait is ended before its time.
#[derive(Debug, Clone, Copy)]
pub enum Why {
    /// Another client has asked for it.
    Unblocked {
        /// The one that waits hears an error, not the nil of a timeout.
        with_error: bool,
        /// Who is to be told whether it was ended.
        asker: AnswerTo,
    },
    /// narrows ends.
    Drained,
    /// The client sends no more: it has left, unless the server has answered it already.
    Left,
}

impl Why {
    /// Whether its client hears an error.
    pub fn is_with_error(self) -> bool {
        matches!(
            self,
            Self::Unblocked {
                with_error: true,
                ..
            }
        )
    }
}

/// How far the server has been asked.
#[derive(Debug, Clone, Copy)]
pub enum CancelState {
    /// It will be, from then on.
    At(Duration),
    /// On this backend.
    On(BackendId),
    /// It has answered: whether it has ended the wait.
    Answered(bool),
    /// It cannot be. The wait is a short one, and runs out.
    RunsOut,
}

/// The reply of the wait itself.
#[derive(Debug)]
pub struct Came {
    pub reply: Vec<u8>,
    pub first: u32,
    pub silent: bool,
}

impl Came {
    /// What its client hears of it; `None`: it has asked for silence.
    pub fn heard(&self) -> Option<&[u8]> {
        (!self.silent).then_some(&self.reply)
    }
}

/// One wait that is being ended.
#[derive(Debug)]
pub struct Cancel {
    /// As whom.
    pub credential: CredentialId,
    pub takes: Takes,
    pub short: bool,
    /// The client that waits, while it is here, and why it is to wait no more.
    pub owner: Option<(ClientId, Why)>,
    pub asked: CancelState,
    pub came: Option<Came>,
    /// The server was asked on a connection that was lost since, and may have ended the wait.
    pub may_have_ended: bool,
    pub since: Duration,
}

impl Cancel {
    pub fn is_to_ask(&self) -> bool {
        matches!(self.asked, CancelState::At(_) | CancelState::On(_))
    }

    /// What it is where the server says that there was nothing to end, or need not be asked any more: a
    /// nil that has come is the end of the wait, if it may be.
    pub fn is_over(&self) -> CancelState {
        CancelState::Answered(self.may_have_ended && self.nil_has_come())
    }

    /// Whether a nil that has come is the end that the server was asked for, as far as is known where no
    /// more will be.
    pub fn is_taken_for_ended(&self) -> bool {
        let asked = match self.asked {
            CancelState::On(_) => true,
            CancelState::Answered(ended) => ended,
            CancelState::At(_) | CancelState::RunsOut => self.may_have_ended,
        };
        asked && self.nil_has_come()
    }

    fn nil_has_come(&self) -> bool {
        self.came.as_ref().is_some_and(|came| is_nil(&came.reply))
    }
}

/// The waits that are being ended, by their backends.
#[derive(Debug, Default)]
pub struct Cancels {
    all: BTreeMap<BackendId, Cancel>,
    /// One of them has ended since it was last looked whether connections for that are still needed.
    over: bool,
    /// What the server was asked and has not answered: on which backend, and of which.
    asked: VecDeque<(BackendId, BackendId)>,
}

impl Cancels {
    /// The wait on this backend is being ended from now on.
    pub fn begin(&mut self, id: BackendId, cancel: Cancel) {
        self.all.insert(id, cancel);
    }

    pub fn get(&self, id: &BackendId) -> Option<&Cancel> {
        self.all.get(id)
    }

    pub fn get_mut(&mut self, id: &BackendId) -> Option<&mut Cancel> {
        self.all.get_mut(id)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&BackendId, &Cancel)> {
        self.all.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&BackendId, &mut Cancel)> {
        self.all.iter_mut()
    }

    pub fn values(&self) -> impl Iterator<Item = &Cancel> {
        self.all.values()
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether one has ended since this was last asked.
    pub fn take_over(&mut self) -> bool {
        std::mem::take(&mut self.over)
    }

    /// The server is being asked, on this backend, to end those on these.
    pub fn asked_on(&mut self, on: BackendId, waits: Vec<BackendId>) {
        self.asked.extend(waits.into_iter().map(|id| (on, id)));
    }

    /// The oldest that it was asked about there and has not answered: it has now.
    pub fn oldest_asked(&mut self, on: BackendId) -> Option<BackendId> {
        let oldest = self.asked.iter().position(|(asked, _)| *asked == on)?;
        self.asked.remove(oldest).map(|(_, id)| id)
    }

    /// Nothing that it was asked there is answered any more.
    pub fn forget_asked(&mut self, on: BackendId) {
        self.asked.retain(|(asked, _)| *asked != on);
    }

    pub fn take(&mut self, id: BackendId) -> Option<Cancel> {
        let cancel = self.all.remove(&id)?;
        self.over = true;
        Some(cancel)
    }

    /// Whether the wait on this backend is being ended.
    pub fn is_under_way(&self, backend: BackendId) -> bool {
        self.all.contains_key(&backend)
    }

    /// The same, now.
    pub fn any_due_as(&self, credential: CredentialId, now: Duration) -> bool {
        let due = |cancel: &Cancel| match cancel.asked {
            CancelState::At(at) => at <= now,
            CancelState::On(_) => true,
            CancelState::Answered(_) | CancelState::RunsOut => false,
        };
        let mut all = self.all.values();
        all.any(|cancel| cancel.credential == credential && due(cancel))
    }

    /// Whether the server has still to be asked, or to answer, as this user.
    pub fn any_as(&self, credential: CredentialId) -> bool {
        let mut all = self.all.values();
        all.any(|cancel| cancel.credential == credential && cancel.is_to_ask())
    }
}

/// How soon the server is asked again whose answer decided nothing.
pub const AGAIN: Duration = Duration::from_millis(10);

/// Longest time to end a wait in this way. Then its connection is closed.
pub const PATIENCE: Duration = Duration::from_secs(10);
