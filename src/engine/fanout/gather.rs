//! A question to all workers that is under way.

use std::time::Duration;

use crate::engine::effect::Reply;
use crate::engine::key::ClientId;
use crate::session::filter::KillForm;

use super::filling::Filling;

/// What the answer is for.
#[derive(Debug)]
pub enum Purpose {
    /// `CLIENT LIST`.
    List,
    /// `CLIENT KILL`.
    Kill(KillForm),
    /// `CLIENT UNBLOCK`.
    Unblock,
    /// `INFO`, whose text from the server this is.
    Info {
        /// The server's text.
        text: Box<[u8]>,
        /// Whether narrows' own section was asked for.
        section: bool,
    },
    /// `EXEC`, for those places of its reply that all workers are asked for.
    Exec(Box<Filling>),
}

impl Purpose {
    pub fn held_bytes(&self) -> usize {
        match self {
            Self::Info { text, .. } => text.len(),
            Self::Exec(filling) => filling.held_bytes(),
            Self::List | Self::Kill(_) | Self::Unblock => 0,
        }
    }
}

/// A question under way.
#[derive(Debug)]
pub struct Gather {
    pub client: ClientId,
    pub purpose: Purpose,
    pub answer: Reply,
    pub missing: usize,
    pub deadline: Duration,
    pub bytes: usize,
}

impl Gather {
    /// Bytes that it holds for its client.
    pub fn held_bytes(&self) -> usize {
        self.bytes
    }

    /// Another worker has answered. How many bytes more it holds.
    pub fn answered(&mut self, answer: Reply) -> usize {
        let more = answer.held_bytes();
        self.answer.merge(answer);
        self.bytes += more;
        more
    }

    /// For whom it is asked.
    pub fn client(&self) -> ClientId {
        self.client
    }

    /// When it is answered with what there is.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }
}
